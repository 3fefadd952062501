#!/usr/bin/env python3
"""Answers pictures with a model: a row for each, also for those that cannot be read, and heatmaps where asked for."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import closing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from _cli import FAILED, progress, run_command

from _answers import RowWriter, writer_to_stdout
from _journal import open_journal
from _patients import context_of, read_contexts
from _pictures import AskedPicture, answer_of, answered, heatmap_names
from _predict_options import check_targets, parse_arguments

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


def main() -> int | None:
    arguments = parse_arguments(__doc__ or "")
    check_targets(arguments)
    files, ignored = find_pictures(arguments.images, recursive=arguments.recursive)
    if ignored:
        those = (
            "1 file that is not named like a picture was"
            if ignored == 1
            else f"{ignored} files that are not named like pictures were"
        )
        print(f"{those} left out.", file=sys.stderr)
    if not files:
        raise ConfigError(
            f"There is no picture in {', '.join(map(str, arguments.images))}. Wanted: {', '.join(sorted(EXTENSIONS))}."
        )
    contexts = given_contexts(arguments, files)
    # PyTorch reads this when it is imported. Threads that wait in a loop would take the cores from decoding.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Only now, so that --help does not wait for PyTorch.
    from derm_core.files import remove_abandoned
    from derm_core.lasting import lasting
    from derm_core.serving.devices import named_threads
    from derm_core.serving.loading import load_predictor, usual_runtime
    from derm_core.serving.runtimes import EAGER

    threads = named_threads(arguments.threads)
    if threads is None and len(files) >= MANY:
        threads = 1
    runtime = arguments.runtime or usual_runtime(
        arguments.model, pictures=len(files), device=arguments.device, threads=threads
    )
    # What compiles for a minute makes garbage, too.
    with lasting(forever=True) if runtime == EAGER else nullcontext():
        predictor = load_predictor(
            arguments.model,
            device=arguments.device,
            threads=threads,
            prevalence=arguments.prevalence,
            runtime=runtime,
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
        unread = answer_all(predictor, pictures, writer, arguments, with_context=with_context)
        return status_of(arguments.images, unread)
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
    return status_of(arguments.images, journal.unread)


def answer_all(
    predictor: Predictor,
    pictures: Sequence[AskedPicture],
    writer: RowWriter,
    arguments: argparse.Namespace,
    *,
    with_context: bool,
    of: int | None = None,
) -> set[str]:
    """Writes a row for each picture, in order, and returns the `file` of those that could not be read.

    `of` is how many pictures there were before some were done.
    """
    answers, total = answered(predictor, pictures, arguments.batch_size), of or len(pictures)
    failed, unread = 0, set()
    with closing(answers):
        shown: Iterable[Prediction | InvalidImageError] = answers
        if writes_progress(arguments.out):
            shown = progress(answers, total, "predicting", initial=total - len(pictures))
        for picture, answer in zip(pictures, shown, strict=True):
            row = answer_row(picture.file, answer, predictor.classes, with_context=with_context)
            if isinstance(answer, InvalidImageError):
                failed += 1
                unread.add(row["file"])
            writer.write(row)
    if failed:
        print(
            f"{failed} of {len(pictures)} pictures could not be read; see the column error.", file=sys.stderr
        )
    return unread


def status_of(places: Sequence[Path], unread: set[str]) -> int | None:
    """Returns FAILED where a picture that was named itself has no answer: whoever names one wants it.

    In a folder there may be anything, so that its rows are all that says so.
    """
    named = (place for place in places if not place.is_dir())
    return FAILED if any(printable(str(place)) in unread for place in named) else None


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
