"""What stands on top of training and serving: comparing runs and turning one into a bundle."""
