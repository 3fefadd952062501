"""The pictures that are asked about: found, answered on every core, their heatmaps written. Writes no rows."""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from derm_core.errors import InvalidImageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from derm_core.serving.context import PatientContext
    from derm_core.serving.prediction import Prediction
    from derm_core.serving.predictor import Predictor

EXTENSIONS = frozenset({".jpg", ".jpeg", ".jpe", ".png", ".webp", ".tif", ".tiff", ".bmp"})
"""What counts as a picture in a folder; a file that is named on the command line is tried whatever it is called."""
HEATMAP_SIDE = 1024
"""Heatmaps of larger pictures are written at this many pixels of the longer side: they hold no finer detail."""


@dataclass(frozen=True)
class AskedPicture:
    """A picture, what is known of its patient, and where its heatmap goes, if anywhere."""

    file: Path
    context: PatientContext | None
    target: Path | None


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


def answered(
    predictor: Predictor, pictures: Sequence[AskedPicture], batch_size: int
) -> Generator[Prediction | InvalidImageError, None, None]:
    """Answers pictures in order, on every core: a thread a core takes a picture from its file to its answer.

    On a GPU pictures without heatmaps go through the network `batch_size` at a time.
    """
    from derm_core.serving.preparation import run_ahead

    if predictor.batches and all(picture.target is None for picture in pictures):
        yield from predictor.predict_many(
            (picture.file for picture in pictures),
            contexts=[picture.context for picture in pictures],
            batch_size=batch_size,
            on_error="return",
        )
        return
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
    from PIL import Image

    from derm_core.explanation.overlay import heatmap_to_rgba
    from derm_core.files import replace_file

    target.parent.mkdir(parents=True, exist_ok=True)
    stream = io.BytesIO()
    # Runs of equal bytes alone: in two fifths of the time of the usual search a file a third larger.
    Image.fromarray(heatmap_to_rgba(heatmap)).save(stream, "PNG", compress_type=zlib.Z_RLE)
    replace_file(target, stream.getvalue())
