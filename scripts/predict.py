#!/usr/bin/env python3
"""Answers pictures with a model: a row for each, also for those that cannot be read, and heatmaps where asked for."""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from _cli import CommandParser, progress, run_command
from derm_core.diagnoses import NOTICE, get_diagnosis
from derm_core.errors import ConfigError, InvalidImageError

if TYPE_CHECKING:
    from derm_core.serving.prediction import Prediction
    from derm_core.serving.predictor import Predictor

EXTENSIONS = frozenset({".jpg", ".jpeg", ".jpe", ".png", ".webp", ".tif", ".tiff", ".bmp"})
"""What counts as a picture in a folder; a file that is named on the command line is tried whatever it is called."""
HEATMAP_SIDE = 2048
"""Heatmaps of larger pictures are written at this many pixels of the longer side: they hold no finer detail."""
ADVICE_WORDS = {"refer": "Refer", "routine": "Routine", "unsure": "No answer"}

Row = dict[str, Any]


class RowWriter(Protocol):
    """Takes rows one by one, as they come."""

    def write(self, row: Row) -> None: ...


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
    # Only now, so that --help does not wait for PyTorch.
    from derm_core.serving.predictor import load_predictor

    predictor = load_predictor(arguments.model, device=arguments.device, threads=arguments.threads)
    if arguments.heatmaps:
        arguments.heatmaps.mkdir(parents=True, exist_ok=True)
        names = heatmap_names(files, arguments.images)
        answers = explained(predictor, files, [arguments.heatmaps / name for name in names])
    else:
        answers = predictor.predict_many(files, batch_size=arguments.batch_size, on_error="return")
    failed = 0
    with open_writer(arguments.out, predictor) as writer:
        shown = progress(answers, len(files), "predicting") if writes_progress(arguments.out) else answers
        for file, answer in zip(files, shown, strict=True):
            failed += isinstance(answer, InvalidImageError)
            writer.write(row_of(file, answer, predictor.classes))
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
    predictor: Predictor, files: Sequence[Path], targets: Sequence[Path]
) -> Iterator[Prediction | InvalidImageError]:
    """Answers pictures one by one, and writes the heatmap of each."""
    from PIL import Image

    from derm_core.explanation.overlay import heatmap_to_rgba
    from derm_core.files import replace_file

    for file, target in zip(files, targets, strict=True):
        try:
            explanation = predictor.explain(file, max_side=HEATMAP_SIDE)
        except InvalidImageError as err:
            yield err
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        stream = io.BytesIO()
        Image.fromarray(heatmap_to_rgba(explanation.heatmap)).save(stream, "PNG")
        replace_file(target, stream.getvalue())
        yield explanation.prediction


def row_of(file: Path, answer: Prediction | InvalidImageError, classes: Sequence[str]) -> Row:
    """Returns the plain values of a row; None stands for what an unreadable picture does not have."""
    row: Row = dict.fromkeys(columns(classes))
    row["file"] = printable(str(file))
    if isinstance(answer, InvalidImageError):
        row["error"] = printable(str(answer))
        return row
    row |= {
        "top": answer.top,
        "malignant_probability": answer.malignant_probability,
        "advice": answer.advice,
        "quality": [flag.name for flag in answer.quality],
        "seconds": round(answer.seconds, 4),
    }
    return row | {f"p_{code}": probability for code, probability in answer.probabilities.items()}


def printable(text: str) -> str:
    """Writes the bytes of a file name that are no UTF-8 as escapes: such a name must not end the run."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def columns(classes: Sequence[str]) -> list[str]:
    return [
        "file",
        "top",
        "malignant_probability",
        "advice",
        "quality",
        *(f"p_{code}" for code in classes),
        "seconds",
        "error",
    ]


@contextmanager
def open_writer(out: Path | None, predictor: Predictor) -> Iterator[RowWriter]:
    """Gives the writer of OUT, whose file appears when all rows are in it, or that of standard output."""
    if out is None:
        yield table_writer(predictor) if sys.stdout.isatty() else CsvWriter(sys.stdout, predictor.classes)
        return
    handle, name = tempfile.mkstemp(prefix=f".{out.name}.", suffix=".partial", dir=out.absolute().parent)
    growing = Path(name)
    try:
        with open(handle, "w", encoding="utf-8", newline="") as stream:
            yield CsvWriter(stream, predictor.classes) if out.suffix == ".csv" else JsonLinesWriter(stream)
            stream.flush()
            os.fsync(stream.fileno())
        growing.chmod(0o644)
        os.replace(growing, out)
    except BaseException:
        growing.unlink(missing_ok=True)
        raise


class CsvWriter:
    """Rows as CSV with a header; several quality flags are joined by semicolons."""

    def __init__(self, stream: TextIO, classes: Sequence[str]) -> None:
        self._writer = csv.DictWriter(stream, columns(classes), lineterminator="\n")
        self._writer.writeheader()

    def write(self, row: Row) -> None:
        self._writer.writerow(row | {"quality": ";".join(row["quality"] or ())})


class JsonLinesWriter:
    """Rows as JSON, one object a line; quality is a list, and what is missing is null."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, row: Row) -> None:
        self._stream.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")


def table_writer(predictor: Predictor) -> TableWriter:
    point = predictor.description.operating_point
    print(f"{predictor.description.name} {predictor.description.version} · {NOTICE}")
    print(f"Advice is to refer from a risk of malignancy of {percent(point.threshold)} on ({point.name}).\n")
    return TableWriter(sys.stdout)


class TableWriter:
    """Rows for people: a line a picture."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._print("advice", "risk", "most probable", "", "picture")

    def write(self, row: Row) -> None:
        if row["error"]:
            self._print("Not read", "", row["error"], "", row["file"])
        elif row["advice"] == "unsure":
            self._print(ADVICE_WORDS["unsure"], "", f"({', '.join(row['quality'])})", "", row["file"])
        else:
            top = row["top"]
            self._print(
                ADVICE_WORDS[row["advice"]],
                percent(row["malignant_probability"]),
                get_diagnosis(top).name,
                percent(row[f"p_{top}"]),
                row["file"],
            )

    def _print(self, advice: str, risk: str, answer: str, share: str, file: str) -> None:
        print(f"{advice:<9}  {risk:>4}  {answer:<22}  {share:>4}  {file}", file=self._stream, flush=True)


def percent(share: float) -> str:
    """Whole percents, "<1%" and ">99%" at the ends: nothing is certain."""
    if share < 0.01:
        return "<1%"
    return ">99%" if share > 0.99 else f"{100 * share:.0f}%"


def writes_progress(out: Path | None) -> bool:
    """Whether a bar would not run through the rows themselves."""
    return out is not None or not (sys.stdout.isatty() and sys.stderr.isatty())


if __name__ == "__main__":
    run_command(main)
