"""Training: settings, loop, losses, checkpoints and the record of every epoch."""
