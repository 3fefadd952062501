"""What in a picture an answer rests on. Knows networks only as a body and a head."""
