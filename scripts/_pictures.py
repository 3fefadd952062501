"""The pictures that are asked about: answered on every core, their heatmaps written. Writes no rows."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from derm_core.ahead import run_ahead
from derm_core.errors import InvalidImageError
from derm_core.serving.many_files import predict_files

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from derm_core.serving.context import PatientContext
    from derm_core.serving.prediction import Prediction
    from derm_core.serving.predictor import Predictor

HEATMAP_SIDE = 1024
"""Heatmaps of larger pictures are written at this many pixels of the longer side: they hold no finer detail."""

WRITERS = 8
"""Threads that write heatmaps. Each waits for the disk, which takes eight files in hardly more time than one."""


@dataclass(frozen=True)
class AskedPicture:
    """A picture, what is known of its patient, and where its heatmap goes, if anywhere."""

    file: Path
    context: PatientContext | None
    target: Path | None


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


def answered(
    predictor: Predictor, pictures: Sequence[AskedPicture], batch_size: int
) -> Generator[Prediction | InvalidImageError, None, None]:
    """Answers pictures in order, on every core: a thread a core takes a picture from its file to its answer.

    On a GPU pictures without heatmaps go through the network `batch_size` at a time.
    """
    if all(picture.target is None for picture in pictures):
        yield from predict_files(
            predictor,
            [picture.file for picture in pictures],
            contexts=[picture.context for picture in pictures],
            batch_size=batch_size,
        )
        return
    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(WRITERS, thread_name_prefix="derm-writing") as writers:

        def work(picture: AskedPicture) -> Future[Prediction | InvalidImageError]:
            return writers.submit(_written, _drawn(predictor, picture))

        with closing(run_ahead(work, pictures, workers=workers, ahead=2 * workers + WRITERS)) as answers:
            for answer in answers:
                yield answer.result()


def answer_of(predictor: Predictor, picture: AskedPicture) -> Prediction | InvalidImageError:
    """Answers one picture, and writes its heatmap where it is to have one."""
    return _written(_drawn(predictor, picture))


@dataclass(frozen=True, eq=False)
class _Drawn:
    """An answer and the PNG file of its heatmap, if it has one, that goes to `target`."""

    answer: Prediction | InvalidImageError
    heatmap: bytes = b""
    target: Path | None = None


def _drawn(predictor: Predictor, picture: AskedPicture) -> _Drawn:
    try:
        if picture.target is None:
            return _Drawn(predictor.predict(picture.file, picture.context))
        explanation = predictor.explain(picture.file, context=picture.context, max_side=HEATMAP_SIDE)
    except InvalidImageError as err:
        return _Drawn(err)
    return _Drawn(explanation.prediction, heatmap_file(explanation.heatmap), picture.target)


def _written(drawn: _Drawn) -> Prediction | InvalidImageError:
    from derm_core.files import replace_file

    if drawn.target is not None:
        drawn.target.parent.mkdir(parents=True, exist_ok=True)
        replace_file(drawn.target, drawn.heatmap)
    return drawn.answer


def heatmap_file(heatmap: NDArray[np.float32]) -> bytes:
    """Returns a heatmap as a PNG file to lay over the picture."""
    from derm_core.explanation.overlay import heatmap_to_rgba
    from derm_core.explanation.overlay_png import rgba_to_png

    return rgba_to_png(heatmap_to_rgba(heatmap))
