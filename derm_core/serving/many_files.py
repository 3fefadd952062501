"""Many files at once: found in folders, and answered on every core. Writes no rows."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from derm_core.ahead import run_ahead
from derm_core.errors import InvalidImageError

if TYPE_CHECKING:
    from derm_core.serving.context import PatientContext
    from derm_core.serving.prediction import Prediction
    from derm_core.serving.predictor import Predictor

EXTENSIONS = frozenset({".jpg", ".jpeg", ".jpe", ".png", ".webp", ".tif", ".tiff", ".bmp", ".heic", ".heif"})
"""What counts as a picture in a folder; a file that is named itself is tried whatever it is called."""


def find_pictures(places: Iterable[Path], *, recursive: bool = True) -> tuple[list[Path], int]:
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


def predict_files(
    predictor: Predictor,
    files: Sequence[Path],
    *,
    contexts: Sequence[PatientContext | None] = (),
    batch_size: int = 32,
) -> Generator[Prediction | InvalidImageError, None, None]:
    """Answers files in order, on every core: a thread a core takes a picture from its file to its answer.

    Most gets done where a pass takes one core (`load_predictor(threads=1)`). Answers come as they are asked for, and
    only a few pictures beyond them are read. A file that cannot be read gives its InvalidImageError in its place.

    Args:
        predictor: what answers.
        files: the pictures.
        contexts: what is known of each picture's patient, in the same order; nothing of those beyond its end.
        batch_size: how many pictures go through the network together, on a GPU.
    """
    if predictor.batches:
        yield from predictor.predict_many(files, contexts=contexts, batch_size=batch_size, on_error="return")
        return

    def answer(place: int) -> Prediction | InvalidImageError:
        try:
            return predictor.predict(files[place], contexts[place] if place < len(contexts) else None)
        except InvalidImageError as err:
            return err

    workers = os.cpu_count() or 1
    with closing(run_ahead(answer, range(len(files)), workers=workers, ahead=2 * workers)) as answers:
        yield from answers
