"""A class that its files give away is found with the property that does it, and nothing is found where nothing is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from derm_core.data.file_properties import BYTES_PER_PIXEL, FileProperties
from derm_core.data.shortcuts import ORIGIN, TOGETHER, Rule, Shortcuts, find_shortcuts

FILE = FileProperties(
    width=200, height=150, size=6000, format="JPEG", mode="RGB", quality=90, tables="aa", subsampling="4:2:0"
)
LABELS = ["benign"] * 120 + ["malignant"] * 60
LESIONS = [f"lesion-{number // 2}" for number in range(180)]


def with_noise() -> list[FileProperties]:
    """Files whose length says nothing about their class."""
    sizes = np.random.default_rng(0).integers(5000, 9000, len(LABELS)).tolist()
    return [replace(FILE, size=size) for size in sizes]


def found(files: list[FileProperties], origins: list[str] | None = None) -> Shortcuts:
    shortcuts = find_shortcuts(files, LABELS, LESIONS, origins=origins)
    assert shortcuts is not None
    return shortcuts


def rule(shortcuts: Shortcuts, name: str) -> Rule:
    by_name = shortcuts.rule(name)
    assert by_name is not None
    return by_name


def test_nothing_is_found_where_files_say_nothing() -> None:
    shortcuts = found(with_noise())
    assert {rule.name for rule in shortcuts.rules} == {BYTES_PER_PIXEL, TOGETHER}
    assert not any(shortcuts.tells(rule) for rule in shortcuts.rules)
    assert abs(shortcuts.permuted[0] - 0.5) < 0.08
    assert (shortcuts.chance, shortcuts.majority, shortcuts.majority_class) == (0.5, 120 / 180, "benign")


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("size in pixels", {"width": 224, "height": 224}),
        ("compression", {"quality": 75, "tables": "bb"}),
        ("compression", {"subsampling": "4:4:4"}),
        ("camera named in the file", {"exif": True, "camera": "Maker D90"}),
        ("resolution claimed in the header", {"density": "300 x 300"}),
        ("file format", {"format": "PNG"}),
        ("colour mode", {"colour_profile": True}),
    ],
)
def test_a_property_that_marks_a_class_is_found_and_named(name: str, change: dict[str, object]) -> None:
    files = [
        replace(file, **change) if label == "malignant" else file  # type: ignore[arg-type]
        for file, label in zip(with_noise(), LABELS, strict=True)
    ]
    shortcuts = found(files)
    best = rule(shortcuts, name)
    assert shortcuts.tells(best)
    assert (best.accuracy, best.balanced_accuracy, best.auc, best.ci95) == (1, 1, 1, (1, 1))
    assert [counts for _, counts in best.table] == [
        {"benign": 120, "malignant": 0},
        {"benign": 0, "malignant": 60},
    ]


def test_the_figures_are_those_of_the_rule_by_hand() -> None:
    # All benign and a third of the malignant pictures are copies from "a": the rule is wrong for those 20.
    origins = ["a"] * 120 + ["a"] * 20 + ["none"] * 40
    shortcuts = found(with_noise(), origins)
    origin = rule(shortcuts, ORIGIN)
    assert origin.accuracy == pytest.approx(160 / 180)
    assert origin.balanced_accuracy == pytest.approx((1 + 40 / 60) / 2)
    assert origin.ci95[0] < origin.balanced_accuracy < origin.ci95[1]
    assert shortcuts.tells(origin)
    assert origin.table == (("a", {"benign": 120, "malignant": 20}), ("none", {"benign": 0, "malignant": 40}))


def test_that_another_dataset_took_some_of_the_commonest_class_is_no_shortcut() -> None:
    shortcuts = found(with_noise(), ["small"] * 50 + ["none"] * 130)
    assert not shortcuts.tells(rule(shortcuts, ORIGIN))


def test_a_mark_of_single_lesions_is_no_rule_for_others() -> None:
    files = [replace(FILE, camera=lesion) for lesion in LESIONS]
    shortcuts = found(files)
    assert not shortcuts.tells(rule(shortcuts, "camera named in the file"))


def test_the_table_sums_up_rare_values() -> None:
    files = [replace(FILE, camera=f"camera {number % 20:02d}") for number in range(len(LABELS))]
    table = rule(found(files), "camera named in the file").table
    assert table[-1][0] == "other"
    assert len(table) == 9
    for name in ("benign", "malignant"):
        assert sum(counts[name] for _, counts in table) == LABELS.count(name)


def test_several_classes_are_judged_against_their_own_chance() -> None:
    labels = ["nv"] * 60 + ["mel"] * 60 + ["bkl"] * 60
    files = [
        replace(file, density="1 x 1" if label == "mel" else "")
        for file, label in zip(with_noise(), labels, strict=True)
    ]
    shortcuts = find_shortcuts(files, labels, [str(number) for number in range(180)])
    assert shortcuts is not None
    assert shortcuts.chance == pytest.approx(1 / 3)
    density = rule(shortcuts, "resolution claimed in the header")
    assert density.balanced_accuracy == pytest.approx(2 / 3, abs=0.05)
    assert shortcuts.tells(density)


def test_classes_with_too_few_lesions_are_left_out_and_one_class_alone_is_no_question() -> None:
    labels = ["nv"] * 20 + ["mel"] * 20 + ["df"] * 8 + [""] * 2
    lesions = [str(number) for number in range(40)] + ["one"] * 8 + ["a", "b"]
    shortcuts = find_shortcuts([FILE] * 50, labels, lesions)
    assert shortcuts is not None
    assert (shortcuts.classes, shortcuts.pictures, shortcuts.rules) == (("mel", "nv"), 40, ())
    assert find_shortcuts([FILE] * 20, ["nv"] * 20, lesions[:20]) is None
    assert find_shortcuts([], [], []) is None
