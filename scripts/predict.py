#!/usr/bin/env python3
"""Answers pictures with a model: a row for each, also for those that cannot be read, and heatmaps where asked for."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from _answers import open_writer, row_of
from _patients import context_of, read_contexts

from _cli import CommandParser, progress, run_command
from derm_core.diagnoses import NOTICE
from derm_core.errors import ConfigError, InvalidImageError

if TYPE_CHECKING:
    from derm_core.serving.context import PatientContext
    from derm_core.serving.prediction import Prediction
    from derm_core.serving.predictor import Predictor

EXTENSIONS = frozenset({".jpg", ".jpeg", ".jpe", ".png", ".webp", ".tif", ".tiff", ".bmp"})
"""What counts as a picture in a folder; a file that is named on the command line is tried whatever it is called."""
HEATMAP_SIDE = 2048
"""Heatmaps of larger pictures are written at this many pixels of the longer side: they hold no finer detail."""


def main() -> None:
    arguments = parse_arguments()
    check_targets(arguments)
    files, ignored = find_pictures(arguments.images, recursive=arguments.recursive)
    if ignored:
        print(f"{ignored} files that are not named like pictures were left out.", file=sys.stderr)
    if not files:
        raise ConfigError(
            f"There is no picture in {', '.join(map(str, arguments.images))}. Wanted: {', '.join(sorted(EXTENSIONS))}."
        )
    contexts = given_contexts(arguments, files)
    # Only now, so that --help does not wait for PyTorch.
    from derm_core.serving.predictor import load_predictor

    predictor = load_predictor(arguments.model, device=arguments.device, threads=arguments.threads)
    if arguments.heatmaps:
        arguments.heatmaps.mkdir(parents=True, exist_ok=True)
        names = heatmap_names(files, arguments.images)
        answers = explained(predictor, files, contexts, [arguments.heatmaps / name for name in names])
    else:
        answers = predictor.predict_many(
            files, contexts=contexts, batch_size=arguments.batch_size, on_error="return"
        )
    failed, with_context = 0, bool(contexts)
    if with_context and predictor.description.context is None:
        print(
            "This model does not use age, sex and site: its answers are of the photographs alone.",
            file=sys.stderr,
        )
    with open_writer(arguments.out, predictor.description, with_context=with_context) as writer:
        shown = progress(answers, len(files), "predicting") if writes_progress(arguments.out) else answers
        for file, answer in zip(files, shown, strict=True):
            failed += isinstance(answer, InvalidImageError)
            writer.write(row_of(file, answer, predictor.classes, with_context=with_context))
    if failed:
        print(f"{failed} of {len(files)} pictures could not be read; see the column error.", file=sys.stderr)


def parse_arguments() -> argparse.Namespace:
    parser = CommandParser(description=__doc__, epilog=NOTICE)
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
        "--batch-size", metavar="N", type=int, default=32, help="pictures at once on a GPU (default: 32)"
    )
    parser.add_argument("--device", help="cpu, cuda, ... (default: DERM_DEVICE, or what there is)")
    parser.add_argument("--threads", metavar="N", type=int, help="cores for one pass (default: DERM_THREADS)")
    parser.add_argument(
        "--recursive",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="look into the folders of a folder as well (default: yes)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace OUT and heatmaps that exist")
    return parser.parse_args()


def check_targets(arguments: argparse.Namespace) -> None:
    """Raises ConfigError before an hour is spent on answers that have no place to go."""
    out, heatmaps = arguments.out, arguments.heatmaps
    if out is not None:
        if out.suffix not in (".csv", ".jsonl"):
            raise ConfigError(f"--out {out} must end in .csv or .jsonl.")
        if out.is_dir() or not out.absolute().parent.is_dir():
            raise ConfigError(f"--out {out} cannot be written: name a file in a folder that exists.")
        if out.exists() and not arguments.overwrite:
            raise ConfigError(f"--out {out} exists already. Name another file, or add --overwrite.")
    if heatmaps is not None:
        if heatmaps.exists() and not heatmaps.is_dir():
            raise ConfigError(f"--heatmaps {heatmaps} is a file. Name a folder.")
        if heatmaps.is_dir() and any(heatmaps.iterdir()) and not arguments.overwrite:
            raise ConfigError(f"--heatmaps {heatmaps} is not empty. Name a new folder, or add --overwrite.")


def find_pictures(places: Iterable[Path], *, recursive: bool) -> tuple[list[Path], int]:
    """Returns the pictures, in order, and how many files of folders were left out for their names.

    A folder gives its files with the known extensions, sorted; hidden ones are left out. What is no folder is taken as
    a picture, whether it exists or not, so that it gets its row.
    """
    files, ignored = [], 0
    for place in places:
        if not place.is_dir():
            files.append(place)
            continue
        inside = sorted(
            path for path in (place.rglob("*") if recursive else place.glob("*")) if path.is_file()
        )
        visible = [
            path for path in inside if not any(part.startswith(".") for part in path.relative_to(place).parts)
        ]
        pictures = [path for path in visible if path.suffix.lower() in EXTENSIONS]
        files += pictures
        ignored += len(visible) - len(pictures)
    return files, ignored


def given_contexts(arguments: argparse.Namespace, files: Sequence[Path]) -> list[PatientContext | None]:
    """Returns what was given of each picture's patient; nothing at all where nothing was.

    Raises:
        ConfigError: it makes no sense, or is given twice.
    """
    for_all = (arguments.age, arguments.sex, arguments.site)
    if arguments.patients is not None:
        if any(value is not None for value in for_all):
            raise ConfigError(
                "--patients has an age, sex and site for each picture: leave out --age, --sex and --site."
            )
        contexts = read_contexts(arguments.patients, files)
        if unknown := contexts.count(None):
            print(f"{unknown} of {len(files)} pictures have no row in {arguments.patients}.", file=sys.stderr)
        return contexts
    return [context_of(*for_all)] * len(files) if any(for_all) else []


def heatmap_names(files: Sequence[Path], places: Sequence[Path]) -> list[Path]:
    """Returns a file name for the heatmap of each picture: its own, with the folders under the folder given.

    Pictures whose names would fall together are numbered.
    """
    folders = [place for place in places if place.is_dir()]
    names: list[Path] = []
    taken: set[Path] = set()
    for file in files:
        root = next((folder for folder in folders if folder in file.parents), file.parent)
        plain = file.relative_to(root)
        name, number = plain.with_suffix(".png"), 1
        while name in taken:
            number += 1
            name = plain.with_name(f"{plain.stem}-{number}.png")
        taken.add(name)
        names.append(name)
    return names


def explained(
    predictor: Predictor,
    files: Sequence[Path],
    contexts: Sequence[PatientContext | None],
    targets: Sequence[Path],
) -> Iterator[Prediction | InvalidImageError]:
    """Answers pictures one by one, and writes the heatmap of each."""
    from PIL import Image

    from derm_core.explanation.overlay import heatmap_to_rgba
    from derm_core.files import replace_file

    for file, context, target in zip(files, contexts or [None] * len(files), targets, strict=True):
        try:
            explanation = predictor.explain(file, context=context, max_side=HEATMAP_SIDE)
        except InvalidImageError as err:
            yield err
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        stream = io.BytesIO()
        Image.fromarray(heatmap_to_rgba(explanation.heatmap)).save(stream, "PNG")
        replace_file(target, stream.getvalue())
        yield explanation.prediction


def writes_progress(out: Path | None) -> bool:
    """Whether a bar would not run through the rows themselves."""
    return out is not None or not (sys.stdout.isatty() and sys.stderr.isatty())


if __name__ == "__main__":
    run_command(main)
