"""What several command lines ask for in the same words, and how their numbers are read. Knows no command."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_model_and_data(parser: argparse.ArgumentParser) -> None:
    """Adds --model and --data, both of which must be given."""
    parser.add_argument(
        "--model",
        metavar="NAME|FOLDER",
        required=True,
        help="'bundled', a registered name, or a bundle's folder",
    )
    parser.add_argument(
        "--data", metavar="DATASET", type=Path, required=True, help="as prepare_data wrote it"
    )


def positive(text: str) -> int:
    """Reads a number above 0."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return number


def natural(text: str) -> int:
    """Reads a number that is not below 0."""
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{text} is below 0")
    return number
