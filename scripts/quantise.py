#!/usr/bin/env python3
"""Makes a model's network in fewer bits, for the runtime openvino-int8 or openvino-bf16, and measures it on a dataset's
photographs; it may answer only where no metric falls, or where it agrees photograph by photograph."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from _cli import FAILED, CommandParser, progress, run_command

from _options import add_model_and_data, positive

from derm_core.data.table import load_dataset
from derm_core.errors import ConfigError

CALIBRATE_ON, PICTURES = "train", 300


def main() -> int | None:
    arguments = parse_arguments()
    if arguments.json and arguments.json != "-" and not Path(arguments.json).absolute().parent.is_dir():
        raise ConfigError(f"--json {arguments.json} cannot be written: name a file in a folder that exists.")
    dataset = load_dataset(arguments.data)
    # Only now, so that neither --help nor a mistyped path waits for PyTorch.
    from derm_core.files import replace_file
    from derm_core.serving.bundle import find_bundle, load_bundle
    from derm_core.serving.devices import compiled_threads, set_threads
    from derm_core.serving.quantised import write_quantised
    from derm_core.serving.quantising import QuantisingData, quantise_bundle

    folder = find_bundle(arguments.model)
    threads = compiled_threads(arguments.threads)
    set_threads(threads)
    made = quantise_bundle(
        load_bundle(folder),
        QuantisingData(
            dataset, arguments.split, arguments.calibrate_on or CALIBRATE_ON, arguments.pictures or PICTURES
        ),
        precision=arguments.precision,
        threads=threads,
        progress=lambda answers, total: progress(answers, total, "measuring"),
        tell=lambda sentence: print(sentence, file=sys.stderr),
    )
    place = write_quantised(folder, made)
    figures = asdict(made.figures) | {"offered": made.offered}
    text = json.dumps(figures, indent=2) + "\n"
    if arguments.json == "-":
        print(text, end="")
    elif arguments.json:
        replace_file(Path(arguments.json), text.encode())
    if not made.offered:
        print(f"Not offered: {made.figures.sentence()}. The figures stand in {place}.", file=sys.stderr)
        return FAILED
    print(
        f"DERM_RUNTIME=openvino-{arguments.precision} answers with it. What belongs to it stands in {place}.",
        file=sys.stderr,
    )
    return None


def parse_arguments() -> argparse.Namespace:
    parser = CommandParser(description=__doc__)
    add_model_and_data(parser)
    parser.add_argument(
        "--precision",
        choices=("int8", "bf16"),
        default="int8",
        help="whole numbers of 8 bits, calibrated on photographs, or bfloat16, which needs no calibration but a "
        "processor that multiplies it (default: int8)",
    )
    parser.add_argument(
        "--split", default="val", help="what it is measured on, against the reference (default: val)"
    )
    parser.add_argument(
        "--calibrate-on",
        metavar="SPLIT",
        help=f"what int8 is calibrated on (default: {CALIBRATE_ON})",
    )
    parser.add_argument(
        "--pictures", metavar="N", type=positive, help=f"of these, so many (default: {PICTURES})"
    )
    parser.add_argument(
        "--threads",
        metavar="N",
        type=int,
        help="cores to use (default: DERM_THREADS, or all)",
    )
    parser.add_argument("--json", metavar="FILE", help="write the figures; - is standard output")
    arguments = parser.parse_args()
    if arguments.precision == "bf16" and (arguments.calibrate_on or arguments.pictures):
        parser.error("bf16 is not calibrated: leave out --calibrate-on and --pictures")
    return arguments


if __name__ == "__main__":
    run_command(main)
