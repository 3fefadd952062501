"""Copies are found however they were changed, and pictures of other lesions are not taken for copies."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from derm_core.data import near_duplicates
from derm_core.data.ham10000 import read_ham10000
from derm_core.data.near_duplicates import Match, find_near_duplicates
from derm_core.data.picture_detail import TURNS, describe, describe_turned, detail_maps
from derm_core.data.picture_prints import SIDE
from derm_core.images import load_image
from tests.derm_core.data.drawn import encoded, lesion

Change = Callable[[Image.Image], Image.Image]


def recompressed(quality: int) -> Change:
    return lambda image: load_image(encoded(image, quality=quality))


CHANGES: dict[str, Change] = {
    "recompressed": recompressed(50),
    "half the size": lambda image: image.resize((image.width // 2, image.height // 2)),
    "twice the size": lambda image: image.resize((2 * image.width, 2 * image.height)),
    "squeezed": lambda image: image.resize((224, 224)),
    "mirrored": lambda image: recompressed(60)(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
    "turned by 90°": lambda image: recompressed(60)(image.transpose(Image.Transpose.ROTATE_270)),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.15),
    "in other colours": lambda image: ImageEnhance.Color(image).enhance(0.4),
    "cut square": lambda image: image.crop(
        ((image.width - image.height) // 2, 0, (image.width + image.height) // 2, image.height)
    ),
    "cut by a twentieth": lambda image: image.crop(
        (image.width // 40, image.height // 40, image.width * 39 // 40, image.height * 39 // 40)
    ),
}


def search(pictures: list[Image.Image]) -> list[Match]:
    prints = np.stack(
        [np.asarray(one.convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR)) for one in pictures]
    )
    sizes = np.array([one.size for one in pictures])
    return find_near_duplicates(prints, sizes[:, 0], sizes[:, 1])


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_copy_is_found_and_nothing_else(name: str) -> None:
    originals = [lesion(seed, size=(200, 150)) for seed in range(12)]
    matches = search([*originals, *(CHANGES[name](original) for original in originals)])
    assert [(match.first, match.second) for match in matches] == [(seed, seed + 12) for seed in range(12)]
    wanted = name if name in TURNS else ""
    assert {match.turn_name for match in matches} == {wanted}


def test_a_cropped_copy_says_which_of_the_two_was_cropped() -> None:
    whole = lesion(1, size=(400, 300))
    cropped = whole.crop((12, 9, 388, 291))
    ((there,), (back,)) = (search([whole, cropped]), search([cropped, whole]))
    assert there.shown == -back.shown < 0


def test_no_pair_is_told_twice_and_none_with_itself() -> None:
    matches = search([lesion(1), lesion(2), lesion(1), lesion(1, size=(90, 90))])
    assert [(match.first, match.second) for match in matches] == [(0, 2), (0, 3), (2, 3)]
    assert all(0.9 < match.score <= 1 for match in matches)


def test_pictures_that_show_nothing_match_nothing() -> None:
    plain = [Image.new("RGB", (40, 30), (200, 160, shade)) for shade in (140, 150)]
    assert search([*plain, *plain, lesion(1)]) == []


def test_where_very_many_are_alike_a_chain_still_links_them_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(near_duplicates, "_NEIGHBOURS", 2)
    monkeypatch.setattr(near_duplicates, "_TILE_ROWS", 4)
    monkeypatch.setattr(near_duplicates, "_TILE_COLUMNS", 8)
    matches = search([lesion(1)] * 20)
    linked = {0}
    for match in matches:
        if match.first in linked or match.second in linked:
            linked |= {match.first, match.second}
    assert linked == set(range(20))
    assert len(matches) < 20 * 19 / 2


@pytest.mark.parametrize("tile", [3, 7, 1000])
def test_the_findings_do_not_depend_on_the_tiles(monkeypatch: pytest.MonkeyPatch, tile: int) -> None:
    pictures = [lesion(seed % 5, size=(80, 60) if seed < 7 else (60, 60)) for seed in range(11)]
    expected = search(pictures)
    monkeypatch.setattr(near_duplicates, "_TILE_ROWS", tile)
    monkeypatch.setattr(near_duplicates, "_TILE_COLUMNS", 2 * tile)
    found = search(pictures)
    assert [(match.first, match.second) for match in found] == [
        (match.first, match.second) for match in expected
    ]


def test_the_four_parts_give_the_similarity_in_the_best_of_the_eight_turns() -> None:
    prints = np.stack([np.asarray(lesion(seed).convert("L").resize((SIDE, SIDE))) for seed in range(6)])
    descriptors = describe(detail_maps(prints))
    everything = slice(0, 6)
    found = near_duplicates._similarity(near_duplicates._by_parity(descriptors), everything, everything)
    by_turn = [
        np.einsum("nij,mij->nm", describe_turned(descriptors, turn), descriptors)
        for turn in range(len(TURNS))
    ]
    np.testing.assert_allclose(found, np.max(by_turn, axis=0), atol=1e-5)


def test_progress_is_told_of_every_step() -> None:
    told = []

    def progress(items, total, description):  # type: ignore[no-untyped-def]
        told.append((description, total))
        return items

    pictures = [lesion(1), lesion(1, size=(90, 90))]
    prints = np.stack([np.asarray(one.convert("L").resize((SIDE, SIDE))) for one in pictures])
    find_near_duplicates(prints, np.array([120, 90]), np.array([90, 90]), progress=progress)
    assert [description for description, _ in told] == [
        "searching whole pictures",
        "comparing whole pictures",
        "searching their middles",
    ]


def test_real_photographs_are_found_again_and_other_lesions_are_not_taken_for_them(test_data: Path) -> None:
    rows = [row for row in read_ham10000(test_data / "ham10000").rows if row.file][::180]
    originals = [load_image(io.BytesIO(row.file.read_bytes())) for row in rows if row.file]
    changed = [change(original) for change in CHANGES.values() for original in originals]
    matches = search([*originals, *changed])
    count = len(originals)
    found = {(match.first, match.second) for match in matches if match.first < count}
    assert {first for first, _ in found} == set(range(count))
    assert found == {
        (place, number * count + place) for place in range(count) for number in range(1, len(CHANGES) + 1)
    }
    assert all(
        first % count == second % count
        for first, second in ((match.first, match.second) for match in matches)
    )
