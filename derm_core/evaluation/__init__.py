"""How good answers are: metrics, their intervals and calibration. Runs no network and reads no files."""
