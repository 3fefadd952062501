#!/usr/bin/env python3
"""Answers pictures with a model: a row for each, also for those that cannot be read, and heatmaps where asked for."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from _cli import CommandParser, progress, run_command

from _answers import RowWriter, writer_to_stdout
from _journal import open_journal, partial_of
from _patients import context_of, read_contexts
from _pictures import (
    HEATMAP_SIDE,
    AskedPicture,
    answer_of,
    answered,
    heatmap_names,
)

from derm_core.diagnoses import NOTICE
from derm_core.errors import ConfigError, InvalidImageError
from derm_core.serving.answer_rows import answer_columns, answer_row, printable
from derm_core.serving.many_files import EXTENSIONS, find_pictures

if TYPE_CHECKING:
    from derm_core.serving.answer_journal import AnswerJournal
    from derm_core.serving.context import PatientContext
    from derm_core.serving.prediction import Prediction
    from derm_core.serving.predictor import Predictor

MANY = 32
"""From so many pictures on, each core takes pictures of its own: more get done than where all work on one."""
SAME_WITHIN = 0.02
"""How far apart two runtimes' probabilities of the same picture may be."""


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
    from derm_core.files import remove_abandoned
    from derm_core.serving.devices import named_threads
    from derm_core.serving.loading import load_predictor, usual_runtime

    threads = named_threads(arguments.threads)
    if threads is None and len(files) >= MANY:
        threads = 1
    predictor = load_predictor(
        arguments.model,
        device=arguments.device,
        threads=threads,
        prevalence=arguments.prevalence,
        runtime=arguments.runtime
        or usual_runtime(arguments.model, pictures=len(files), device=arguments.device, threads=threads),
    )
    with_context = bool(contexts)
    if with_context and predictor.description.context is None:
        print(
            "This model does not use age, sex and site: its answers are of the photographs alone.",
            file=sys.stderr,
        )
    targets: list[Path | None] = [None] * len(files)
    if arguments.heatmaps:
        arguments.heatmaps.mkdir(parents=True, exist_ok=True)
        if arguments.resume:
            remove_abandoned(arguments.heatmaps)
        targets = [arguments.heatmaps / name for name in heatmap_names(files, arguments.images)]
    pictures = [
        AskedPicture(file, context, target)
        for file, context, target in zip(files, contexts or [None] * len(files), targets, strict=True)
    ]
    if arguments.out is None:
        writer = writer_to_stdout(predictor.description, with_context=with_context)
        answer_all(predictor, pictures, writer, arguments, with_context=with_context)
        return
    about = {
        "columns": answer_columns(predictor.classes, with_context=with_context),
        "model": predictor.description.weights_sha256,
        "prevalence": predictor.description.prevalence.stated if predictor.description.prevalence else None,
        "heatmaps": bool(arguments.heatmaps),
    }
    with open_journal(arguments.out, about, resume=arguments.resume) as journal:
        left = without_answered(pictures, journal)
        if arguments.resume:
            check_same_model(predictor, pictures, journal)
            print(f"{len(pictures) - len(left)} of {len(pictures)} pictures were done.", file=sys.stderr)
        answer_all(predictor, left, journal, arguments, with_context=with_context, of=len(pictures))


def answer_all(
    predictor: Predictor,
    pictures: Sequence[AskedPicture],
    writer: RowWriter,
    arguments: argparse.Namespace,
    *,
    with_context: bool,
    of: int | None = None,
) -> None:
    """Writes a row for each picture, in order; `of` is how many there were before some were done."""
    answers, failed, total = answered(predictor, pictures, arguments.batch_size), 0, of or len(pictures)
    with closing(answers):
        shown: Iterable[Prediction | InvalidImageError] = answers
        if writes_progress(arguments.out):
            shown = progress(answers, total, "predicting", initial=total - len(pictures))
        for picture, answer in zip(pictures, shown, strict=True):
            failed += isinstance(answer, InvalidImageError)
            writer.write(answer_row(picture.file, answer, predictor.classes, with_context=with_context))
    if failed:
        print(
            f"{failed} of {len(pictures)} pictures could not be read; see the column error.", file=sys.stderr
        )


def without_answered(pictures: Sequence[AskedPicture], journal: AnswerJournal) -> list[AskedPicture]:
    """Returns the pictures that have no row yet."""
    done = journal.done.copy()
    left = []
    for picture in pictures:
        name = printable(str(picture.file))
        if done[name] > 0:
            done[name] -= 1
        else:
            left.append(picture)
    return left


def check_same_model(predictor: Predictor, pictures: Sequence[AskedPicture], journal: AnswerJournal) -> None:
    """Asks again about the first picture with an answer; raises ConfigError where the answer is another one."""
    if journal.first is None:
        return
    named = (picture for picture in pictures if printable(str(picture.file)) == journal.first["file"])
    if (picture := next(named, None)) is None:
        return
    answer = answer_of(predictor, replace(picture, target=None))
    if isinstance(answer, InvalidImageError) or any(
        abs(float(journal.first[f"p_{code}"]) - probability) > SAME_WITHIN
        for code, probability in answer.probabilities.items()
    ):
        raise ConfigError(
            f"The rows that are there are not this model's: it answers {journal.first['file']} otherwise. "
            "Name another --out, or add --overwrite to start anew."
        )


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


def writes_progress(out: Path | None) -> bool:
    """Whether a bar would not run through the rows themselves."""
    return out is not None or not (sys.stdout.isatty() and sys.stderr.isatty())


if __name__ == "__main__":
    run_command(main)
