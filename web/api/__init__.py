"""The API of the website, `/api/v1`: what a program may do for the user whose token it shows."""
