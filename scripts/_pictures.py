"""The pictures that are asked about: answered on every core, their heatmaps written. Writes no rows."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

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
    from derm_core.serving.preparation import run_ahead

    workers = os.cpu_count() or 1
    answers = run_ahead(partial(answer_of, predictor), pictures, workers=workers, ahead=2 * workers)
    with closing(answers):
        yield from answers


def answer_of(predictor: Predictor, picture: AskedPicture) -> Prediction | InvalidImageError:
    """Answers one picture, and writes its heatmap where it is to have one."""
    try:
        if picture.target is None:
            return predictor.predict(picture.file, picture.context)
        explanation = predictor.explain(picture.file, context=picture.context, max_side=HEATMAP_SIDE)
    except InvalidImageError as err:
        return err
    write_heatmap(explanation.heatmap, picture.target)
    return explanation.prediction


def write_heatmap(heatmap: NDArray[np.float32], target: Path) -> None:
    from derm_core.explanation.overlay import heatmap_to_rgba
    from derm_core.explanation.overlay_png import rgba_to_png
    from derm_core.files import replace_file

    target.parent.mkdir(parents=True, exist_ok=True)
    replace_file(target, rgba_to_png(heatmap_to_rgba(heatmap)))
