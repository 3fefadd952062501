"""The command line of predict.py: its options, and whether there is a place for what it writes. Answers nothing."""

from __future__ import annotations

import argparse
from pathlib import Path

from _cli import CommandParser

from _journal import partial_of
from _pictures import HEATMAP_SIDE

from derm_core.diagnoses import NOTICE
from derm_core.errors import ConfigError


def parse_arguments(description: str) -> argparse.Namespace:
    """Reads the command line; a complaint is one line."""
    parser = CommandParser(
        description=description,
        epilog="The exit status is 1 where a picture that was named itself does not exist or cannot be read, once all "
        f"others are answered; one in a folder that cannot be read has a row that says so, and no more. {NOTICE}",
    )
    parser.add_argument(
        "images", metavar="IMAGE|FOLDER", type=Path, nargs="+", help="pictures, and folders of pictures"
    )
    parser.add_argument(
        "--model",
        metavar="NAME|FOLDER",
        help="'bundled', a registered name, or a bundle's folder (default: what DERM_MODEL names, or bundled)",
    )
    parser.add_argument(
        "--out",
        metavar="FILE.csv|.jsonl",
        type=Path,
        help="where the rows go (default: a table on a terminal, CSV elsewhere)",
    )
    parser.add_argument(
        "--heatmaps",
        metavar="FOLDER",
        type=Path,
        help=f"write a Grad-CAM heatmap of the top class for each picture: a PNG with transparency, to be laid over it "
        f"(longer side at most {HEATMAP_SIDE} pixels)",
    )
    parser.add_argument("--age", metavar="YEARS", help="of the patient, where all pictures are of one")
    parser.add_argument("--sex", help="of the patient: female or male")
    parser.add_argument("--site", help="of the lesion, in the words of HAM10000, such as 'lower extremity'")
    parser.add_argument(
        "--patients",
        metavar="FILE.csv",
        type=Path,
        help="the same for each picture: columns file (as given, or its name), age, sex, site; cells may be empty",
    )
    parser.add_argument(
        "--prevalence",
        metavar="SHARE",
        type=float,
        help="the share of malignant lesions among your photographs, such as 0.05: risks, probabilities and the "
        "threshold are stated for it (default: DERM_PREVALENCE, or what the model was set for)",
    )
    parser.add_argument(
        "--batch-size", metavar="N", type=int, default=32, help="pictures at once on a GPU (default: 32)"
    )
    parser.add_argument("--device", help="cpu, cuda, ... (default: DERM_DEVICE, or what there is)")
    parser.add_argument(
        "--runtime",
        metavar="NAME",
        help="auto, eager, onnxruntime, ... (default: DERM_RUNTIME; without it auto, where that was found out before "
        "or there are 1,000 pictures or more, and otherwise eager)",
    )
    parser.add_argument(
        "--threads",
        metavar="N",
        type=int,
        help="cores for one pass (default: DERM_THREADS, or 1 where there are many pictures)",
    )
    parser.add_argument(
        "--recursive",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="look into the folders of a folder as well (default: yes)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace OUT and heatmaps that exist")
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on with an OUT that exists, or with a run that was ended early: pictures that have their row are not "
        "asked about again",
    )
    return parser.parse_args()


def check_targets(arguments: argparse.Namespace) -> None:
    """Raises ConfigError before an hour is spent on answers that have no place to go."""
    out, heatmaps = arguments.out, arguments.heatmaps
    if arguments.resume and (out is None or arguments.overwrite):
        raise ConfigError("--resume goes on with the rows of --out: name it, and leave out --overwrite.")
    if out is not None:
        if out.suffix not in (".csv", ".jsonl"):
            raise ConfigError(f"--out {out} must end in .csv or .jsonl.")
        if out.is_dir() or not out.absolute().parent.is_dir():
            raise ConfigError(f"--out {out} cannot be written: name a file in a folder that exists.")
        if out.exists() and not (arguments.overwrite or arguments.resume):
            raise ConfigError(
                f"--out {out} exists already. Name another file, or add --overwrite, or --resume to go on with it."
            )
        if partial_of(out).exists() and not (arguments.overwrite or arguments.resume):
            raise ConfigError(
                f"{partial_of(out)} holds the rows of a run that was ended early. Add --resume to go on with it, or "
                "--overwrite to start anew."
            )
    if heatmaps is not None:
        if heatmaps.exists() and not heatmaps.is_dir():
            raise ConfigError(f"--heatmaps {heatmaps} is a file. Name a folder.")
        if heatmaps.is_dir() and any(heatmaps.iterdir()) and not (arguments.overwrite or arguments.resume):
            raise ConfigError(f"--heatmaps {heatmaps} is not empty. Name a new folder, or add --overwrite.")
