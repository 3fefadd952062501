"""Decodes every picture of a source once; names those that are missing, unreadable or there twice. Writes nothing."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from derm_core.data.source import SourceFile, SourceRow, name_some
from derm_core.errors import ConfigError, DatasetError, InvalidImageError, unknown_name
from derm_core.images import load_image

KINDS = ("missing", "unreadable", "duplicate", "conflicting")
"""What can be wrong with a picture: not there; not decodable; pixel for pixel another picture of the dataset that is
said to show another lesion (the first stays); the same with contradicting diagnoses (none stays)."""
Progress = Callable[[Iterable, int, str], Iterable]
_SPLIT_RANK = {"test": 0, "val": 1, "train": 2}


@dataclass(frozen=True)
class Problem:
    """One picture that the dataset cannot take as it is. `row` is its place in the rows that were inspected."""

    kind: str
    row: int
    name: str
    reason: str


@dataclass(frozen=True)
class Inspection:
    """The rows that were inspected, what is wrong with some, and how many harmless copies there are.

    `copies` counts pictures that repeat another one of the same lesion; they stay, for they cannot cross a split.
    """

    rows: tuple[SourceRow, ...]
    problems: tuple[Problem, ...]
    copies: tuple[str, ...]

    def of_kind(self, kind: str) -> list[Problem]:
        """Returns the problems of one kind, in the order of the rows."""
        return [problem for problem in self.problems if problem.kind == kind]

    def accept(self, *, leave_out: Collection[str] = ()) -> tuple[SourceRow, ...]:
        """Returns the rows that are good.

        Raises:
            ConfigError: a kind in `leave_out` is not one of `KINDS`.
            DatasetError: there are problems of a kind that is not to be left out, or no row is good.
        """
        for kind in leave_out:
            if kind not in KINDS:
                raise ConfigError(unknown_name("kind of picture", kind, KINDS))
        refused = {kind: found for kind in KINDS if kind not in leave_out and (found := self.of_kind(kind))}
        if refused:
            named = "; ".join(
                f"{len(found)} {kind} ({name_some([problem.name for problem in found])})"
                for kind, found in refused.items()
            )
            raise DatasetError(
                f"Not all pictures can be used: {named}. "
                f"Mend the source, or go on without them: --leave-out {','.join(refused)}."
            )
        bad = {problem.row for problem in self.problems}
        good = tuple(row for index, row in enumerate(self.rows) if index not in bad)
        if not good:
            raise DatasetError(f"None of the {len(self.rows)} pictures can be used.")
        return good


def inspect_pictures(
    rows: Sequence[SourceRow], *, workers: int | None = None, progress: Progress | None = None
) -> Inspection:
    """Decodes every picture and compares all with each other.

    Args:
        rows: as a reader returns them.
        workers: threads that decode; by default one for each processor that this process may use.
        progress: called with an iterable, its length and a description; returns the iterable that is looped over.
    """
    present = [row.file for row in rows if row.file is not None]
    looks: Iterable[_Look] = _look_at_all(present, workers)
    if progress is not None:
        looks = progress(looks, len(present), "checking pictures")
    look_of = dict(zip(present, looks, strict=True))

    problems: dict[int, Problem] = {}
    alike: dict[str, list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        if row.file is None:
            problems[index] = Problem("missing", index, row.name, "listed, but not in the source")
        elif look_of[row.file].error:
            problems[index] = Problem("unreadable", index, row.name, look_of[row.file].error)
        else:
            alike[look_of[row.file].pixels].append(index)
    copies: list[str] = []
    for group in alike.values():
        if len(group) > 1:
            _compare(rows, group, problems, copies)
    ordered = tuple(problems[index] for index in sorted(problems))
    return Inspection(tuple(rows), ordered, tuple(sorted(copies)))


def _compare(
    rows: Sequence[SourceRow], group: list[int], problems: dict[int, Problem], copies: list[str]
) -> None:
    """Judges the rows of `group`, all with the same pixels."""
    diagnoses = sorted({rows[index].diagnosis for index in group})
    if len(diagnoses) > 1:
        reason = f"the same picture is called {' and '.join(diagnoses)}"
        problems.update({index: Problem("conflicting", index, rows[index].name, reason) for index in group})
        return
    # What a source calls its test pictures stays in the test split: the copy goes from where it would be trained on.
    first = min(group, key=lambda index: (_SPLIT_RANK.get(rows[index].split, 3), index))
    files = {rows[first].file}
    for index in group:
        row = rows[index]
        if index == first:
            continue
        if row.lesion == rows[first].lesion and row.file not in files:
            copies.append(row.name)
            files.add(row.file)
        else:
            problems[index] = Problem("duplicate", index, row.name, f"the same picture as {rows[first].name}")


@dataclass(frozen=True)
class _Look:
    """A digest of the decoded pixels and the size, or why there are none."""

    pixels: str = ""
    error: str = ""


def _look_at(file: SourceFile) -> _Look:
    try:
        image = load_image(file.read_bytes())
    except InvalidImageError as err:
        return _Look(error=str(err))
    digest = hashlib.sha256(f"{image.width}x{image.height}:".encode())
    digest.update(image.tobytes())
    return _Look(pixels=digest.hexdigest())


def _look_at_all(files: Sequence[SourceFile], workers: int | None) -> Iterator[_Look]:
    """Yields what each file holds, in order. Threads suffice: inflating, decoding and digesting let go of the lock."""
    if workers is None:
        workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    pool = ThreadPoolExecutor(max(1, workers), thread_name_prefix="checking-pictures")
    try:
        yield from pool.map(_look_at, files)
    finally:
        pool.shutdown(cancel_futures=True)
