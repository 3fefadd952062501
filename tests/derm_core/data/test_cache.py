"""The cache of decoded pixels: what is in it, when it is made anew, and what a failure leaves behind."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from derm_core.data import cache
from derm_core.data.cache import open_pixels
from derm_core.data.table import Dataset
from derm_core.data.transforms import Preprocessing
from derm_core.errors import DatasetError
from derm_core.images import load_image
from tests.derm_core.data.coloured import coloured_dataset

PREPROCESSING = Preprocessing(image_size=32, working_side=40)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return coloured_dataset(tmp_path / "set", train=9, valid=3)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The pictures that were decoded, in order."""
    paths: list[Path] = []

    def load_and_note(path: str, *, min_side: int) -> object:
        paths.append(Path(path))
        return load_image(path, min_side=min_side)

    monkeypatch.setattr(cache, "load_image", load_and_note)
    return paths


def files(dataset: Dataset) -> list[str]:
    return sorted(path.name for path in (dataset.folder / "cache").iterdir())


def test_pixels_are_those_of_the_preprocessing_in_the_order_of_the_table(dataset: Dataset) -> None:
    turned = replace(dataset, table=dataset.table.iloc[::-1].reset_index(drop=True))
    for some in (dataset, turned, dataset.subset("val")):
        pixels = open_pixels(some, PREPROCESSING)
        assert pixels.shape == (len(some), 32, 32, 3)
        assert pixels.dtype == np.uint8
        for index in range(len(some)):
            wanted = PREPROCESSING.pixels(load_image(some.image_path(index)))
            assert np.array_equal(pixels[index], wanted)


def test_each_picture_is_decoded_once(dataset: Dataset, decoded: list[Path]) -> None:
    first = open_pixels(dataset, PREPROCESSING)
    assert decoded == [dataset.image_path(index) for index in range(12)]
    made = files(dataset)
    again = open_pixels(dataset, PREPROCESSING)
    assert len(decoded) == 12
    assert np.array_equal(first, again)
    assert files(dataset) == made
    assert len(made) == 1


def test_pixels_cannot_be_written_to(dataset: Dataset) -> None:
    pixels = open_pixels(dataset, PREPROCESSING)
    assert isinstance(pixels, np.memmap)
    assert not pixels.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        pixels[0, 0, 0, 0] = 1


@pytest.mark.parametrize("change", [{"image_size": 48}, {"working_side": 32}, {"max_aspect": 1.0}])
def test_another_geometry_makes_a_new_file(
    dataset: Dataset, decoded: list[Path], change: dict[str, float]
) -> None:
    open_pixels(dataset, PREPROCESSING)
    changed = replace(PREPROCESSING, **change)  # type: ignore[arg-type]
    pixels = open_pixels(dataset, changed)
    assert len(decoded) == 24
    assert len(files(dataset)) == 2
    assert np.array_equal(pixels[0], changed.pixels(load_image(dataset.image_path(0))))


def test_normalisation_does_not_make_a_new_file(dataset: Dataset, decoded: list[Path]) -> None:
    open_pixels(dataset, PREPROCESSING)
    open_pixels(dataset, replace(PREPROCESSING, mean=(0.5, 0.5, 0.5), std=(1.0, 1.0, 1.0)))
    assert len(decoded) == 12


def test_other_pictures_make_a_new_file(dataset: Dataset, decoded: list[Path]) -> None:
    open_pixels(dataset, PREPROCESSING)
    open_pixels(dataset.subset("train"), PREPROCESSING)
    assert len(decoded) == 12 + 9
    # Another picture under an old name: its file has another length.
    dataset.image_path(0).write_bytes(dataset.image_path(1).read_bytes() + b"\0")
    pixels = open_pixels(dataset, PREPROCESSING)
    assert len(decoded) == 12 + 9 + 12
    assert np.array_equal(pixels[0], pixels[1])


def test_progress_is_told_and_an_interrupt_leaves_nothing_behind(
    dataset: Dataset, decoded: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "_CHUNK", 5)
    counts: list[int] = []

    def interrupt(count: int) -> None:
        counts.append(count)
        if sum(counts) == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_pixels(dataset, PREPROCESSING, workers=1, on_progress=interrupt)
    assert files(dataset) == []
    counts.clear()
    decoded.clear()
    open_pixels(dataset, PREPROCESSING, workers=1, on_progress=counts.append)
    assert counts == [5, 5, 2]
    assert len(decoded) == 12


def test_a_picture_that_cannot_be_decoded_is_named_and_leaves_nothing_behind(dataset: Dataset) -> None:
    dataset.image_path(4).write_bytes(b"no picture")
    with pytest.raises(DatasetError, match=r"004\.png is not a picture.*Run prepare_data again"):
        open_pixels(dataset, PREPROCESSING)
    assert files(dataset) == []


def test_a_folder_that_cannot_be_written_is_cached_elsewhere(
    dataset: Dataset, decoded: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    # A file where the cache would lie stops even those who may write everywhere.
    (dataset.folder / "cache").write_text("")
    first = open_pixels(dataset, PREPROCESSING)
    again = open_pixels(dataset, PREPROCESSING)
    assert len(decoded) == 12
    assert np.array_equal(first, again)
    (folder,) = (tmp_path / "temporary").iterdir()
    assert folder.stat().st_mode & 0o077 == 0
    assert [path.suffix for path in folder.iterdir()] == [".npy"]


def test_threads_side_by_side_decode_what_one_decodes(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "_CHUNK", 5)
    alone = np.array(open_pixels(dataset, PREPROCESSING, workers=1))
    for name in files(dataset):
        (dataset.folder / "cache" / name).unlink()
    counts: list[int] = []
    together = open_pixels(dataset, PREPROCESSING, workers=2, on_progress=counts.append)
    assert np.array_equal(together, alone)
    assert counts == [5, 5, 2]


def test_what_a_killed_build_left_is_removed_a_day_later(dataset: Dataset) -> None:
    folder = dataset.folder / "cache"
    folder.mkdir()
    abandoned, growing = folder / ".pixels-abandoned", folder / ".pixels-growing"
    for path in (abandoned, growing):
        path.write_bytes(b"half")
    os.utime(abandoned, (0, 0))
    open_pixels(dataset, PREPROCESSING)
    assert not abandoned.exists()
    assert growing.exists()
