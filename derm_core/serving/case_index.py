"""The index of similar cases as a folder: made from a dataset and a model, saved whole, loaded with checks.

    index.json            format version, model, data, SHA-256 of the other files
    cases.parquet         a row for each photograph: what is known of its case, and a thumbnail where wanted
    vectors.safetensors   a vector for each, float32

It holds what the dataset's owner put in, thumbnails included: it is theirs to share or not.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from safetensors import SafetensorError
from safetensors.numpy import load, save

from derm_core.ahead import run_ahead
from derm_core.data.table import IMAGES_NAME, Dataset
from derm_core.errors import DatasetError, InvalidImageError
from derm_core.files import new_folder, write_synced
from derm_core.serving.decoding import decode
from derm_core.serving.description import BundleDescription
from derm_core.serving.similar_cases import SimilarCases, unit_vectors

if TYPE_CHECKING:
    from derm_core.serving.predictor import Predictor

INDEX_FILE, CASES_FILE, VECTORS_FILE = "index.json", "cases.parquet", "vectors.safetensors"
FORMAT_VERSION = 1
THUMBNAIL_SIDE = 192
"""Longer side in pixels of a thumbnail."""
_THUMBNAIL_QUALITY = 80

Progress = Callable[[Iterable[Any], int], Iterable[Any]]


def index_cases(
    predictor: Predictor,
    dataset: Dataset,
    *,
    split: str = "",
    thumbnail_side: int = THUMBNAIL_SIDE,
    progress: Progress | None = None,
) -> SimilarCases:
    """Makes an index of a dataset's photographs.

    Args:
        predictor: its model sees the photographs.
        dataset: all of it; its fingerprint is noted.
        split: take the photographs of this split; empty for all.
        thumbnail_side: of the thumbnails that the index is to hold, longer side in pixels; 0 for none.
        progress: wraps the loop over the photographs, of which it is told the number.

    Raises:
        DatasetError: there is no such split, or a photograph cannot be read.
    """
    part = dataset.subset(split) if split else dataset
    min_side = predictor.description.preprocessing.decoding_side

    def see(index: int) -> tuple[NDArray[np.float32], bytes]:
        path = part.image_path(index)
        try:
            image = decode(path, min_side=min_side).image
        except InvalidImageError as err:
            raise DatasetError(f"{path} cannot be indexed: {err}") from err
        return predictor.features(image), _thumbnail(image, thumbnail_side)

    workers = os.cpu_count() or 1
    ready = run_ahead(see, range(len(part)), workers=workers, ahead=2 * workers)
    with closing(ready):
        seen = list(progress(ready, len(part)) if progress else ready)
    table = part.table
    cases = pd.DataFrame(
        {
            "image_path": [f"{IMAGES_NAME}/{name}" for name in table["image"]],
            **{
                name: table[name] for name in ("diagnosis", "lesion_id", "age", "sex", "site", "confirmed_by")
            },
            "thumbnail": [item[1] for item in seen],
            "lesion": part.lesions,
        }
    )
    description = predictor.description
    return SimilarCases(
        cases,
        unit_vectors(np.stack([item[0] for item in seen])),
        {"name": description.name, "version": description.version, "sha256": description.weights_sha256},
        {"name": dataset.folder.resolve().name, "split": split, "fingerprint": dataset.fingerprint()},
    )


def save_similar_cases(index: SimilarCases, folder: Path, *, overwrite: bool = False) -> None:
    """Writes an index; the folder appears whole or not at all.

    Raises:
        DatasetError: something is there, and `overwrite` is False or it is no index.
    """
    check_free(folder, overwrite=overwrite)
    contents = {
        CASES_FILE: index.cases.to_parquet(index=False),
        VECTORS_FILE: save({"vectors": np.ascontiguousarray(index.vectors)}),
    }
    about = {
        "format_version": FORMAT_VERSION,
        "photographs": len(index),
        "model": dict(index.model),
        "data": dict(index.data),
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()},
    }
    with new_folder(folder) as growing:
        for name, content in contents.items():
            write_synced(growing / name, content)
        write_synced(growing / INDEX_FILE, (json.dumps(about, indent=2, ensure_ascii=False) + "\n").encode())


def check_free(folder: Path, *, overwrite: bool = False) -> None:
    """Raises DatasetError where an index cannot be written to a folder because something else is there."""
    if folder.exists() and not overwrite:
        raise DatasetError(f"{folder} exists already. Name a new folder, or ask for it to be replaced.")
    if folder.exists() and not (folder / INDEX_FILE).is_file():
        raise DatasetError(f"{folder} is no index of similar cases and is not replaced. Name another folder.")


def load_similar_cases(folder: str | Path, description: BundleDescription) -> SimilarCases:
    """Reads an index and checks every file against its SHA-256.

    Args:
        folder: as `save_similar_cases` wrote it.
        description: of the model whose features it will be asked with.

    Raises:
        DatasetError: a file is missing or altered, the format is newer, or the index was made with another model.
    """
    folder = Path(folder)
    if not (folder / INDEX_FILE).is_file():
        raise DatasetError(
            f"{folder} is no index of similar cases: it has no {INDEX_FILE}. Build one with index_cases."
        )
    try:
        about = json.loads(_read(folder / INDEX_FILE))
        version, model, data, digests = (about[key] for key in ("format_version", "model", "data", "sha256"))
        ours = f"{model['name']} {model['version']} ({model['sha256'][:12]})"
    except (ValueError, KeyError, TypeError) as err:
        raise DatasetError(f"{folder / INDEX_FILE} is damaged ({err!r}). Build the index again.") from err
    if version != FORMAT_VERSION:
        raise DatasetError(
            f"{folder} has the format {version}, and this program reads {FORMAT_VERSION}. Build the index again."
        )
    if model["sha256"] != description.weights_sha256:
        raise DatasetError(
            f"{folder} was made with the model {ours}, and the one that answers is {description.name} "
            f"{description.version} ({description.weights_sha256[:12]}). Build the index again with this one."
        )
    cases, vectors = (_checked(folder / name, digests.get(name)) for name in (CASES_FILE, VECTORS_FILE))
    try:
        return SimilarCases(pd.read_parquet(io.BytesIO(cases)), load(vectors)["vectors"], model, data)
    except (ValueError, KeyError, OSError, SafetensorError) as err:
        raise DatasetError(f"{folder} cannot be read ({err}). Build the index again.") from err


def _thumbnail(image: Image.Image, side: int) -> bytes:
    if not side:
        return b""
    small = image.copy()
    small.thumbnail((side, side))
    stream = io.BytesIO()
    small.save(stream, "JPEG", quality=_THUMBNAIL_QUALITY)
    return stream.getvalue()


def _checked(path: Path, digest: str | None) -> bytes:
    content = _read(path)
    if hashlib.sha256(content).hexdigest() != digest:
        raise DatasetError(f"{path} was altered or cut short. Copy the index again, or build it again.")
    return content


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as err:
        raise DatasetError(f"{path} cannot be read ({err.strerror}). Build the index again.") from err
