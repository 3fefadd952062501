"""The model card says what the description says, and types in no figure of its own."""

from __future__ import annotations

import copy
import dataclasses
import json
import re
from pathlib import Path

import pytest

from derm_core.diagnoses import DIAGNOSES, NOTICE
from derm_core.serving.evaluation import evaluate_predictor
from derm_core.serving.markdown import bullets, cell, interval, number, table, with_interval
from derm_core.serving.model_card import write_model_card
from tests.derm_core.evaluation.fake_predictor import HAM7, FakePredictor, make_dataset, sex_model

COMMAND = "scripts/evaluate.py --model bundled --data ham10000 --split test"


@pytest.fixture(scope="module")
def description(tmp_path_factory: pytest.TempPathFactory) -> dict:
    dataset = make_dataset(tmp_path_factory.mktemp("card") / "ham10000", of_each=60)
    metrics = evaluate_predictor(FakePredictor(), dataset, bootstrap=50).figures | {"command": COMMAND}
    return {
        "format_version": 1,
        "name": "ham7-mobilenet_v2",
        "version": "1.0.0",
        "architecture": "mobilenet_v2",
        "task": "ham7",
        "classes": list(HAM7),
        "preprocessing": {"image_size": 192, "working_side": 200},
        "temperature": 1.234,
        "operating_points": [
            {
                "name": "sensitivity-0.95",
                "threshold": 0.1234,
                "sensitivity": 0.953,
                "specificity": 0.701,
                "sensitivity_ci95": [0.921, 0.981],
                "specificity_ci95": [0.671, 0.733],
                "lesions": 1111,
                "photographs": 1357,
                "measured_on": "val split of HAM10000",
            }
        ],
        "default_operating_point": "sensitivity-0.95",
        "metrics": metrics,
        "data": {
            "name": "HAM10000",
            "fingerprint": dataset.fingerprint(),
            "licence": "CC BY-NC 4.0",
            "counts": {"train": {"photographs": 4812, "lesions": 3579}},
            "picture_size": [200, 150],
        },
        "licence": "CC BY-NC 4.0",
        "origin": "ImageNet weights of torchvision",
        "training": {
            "recipe": "ham7-mobilenet_v2",
            "command": "scripts/train.py ham7-mobilenet_v2",
            "commit": "abc",
        },
        "weights_sha256": "cd" * 32,
    }


@pytest.fixture(scope="module")
def with_context(description: dict, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """The same model where it has learnt to use age, sex and body site."""
    dataset = make_dataset(tmp_path_factory.mktemp("context") / "ham10000", of_each=60)
    predictor = FakePredictor(context=sex_model(7))
    moved = [point | {"threshold": 0.2345, "sensitivity": 0.961} for point in description["operating_points"]]
    return description | {
        "context": json.loads(json.dumps(dataclasses.asdict(sex_model(7)))),
        "context_operating_points": moved,
        "metrics": evaluate_predictor(predictor, dataset, bootstrap=50).figures | {"command": COMMAND},
    }


def without_metrics(description: dict) -> dict:
    return description | {"metrics": {}}


def test_it_has_every_section(description: dict) -> None:
    titles = re.findall(r"^#+ (.*)$", write_model_card(description), flags=re.MULTILINE)
    assert titles == [
        "ham7-mobilenet_v2 1.0.0",
        "What it is for",
        "How good it is",
        "When it advises to refer",
        "Calibration",
        "When it does not answer",
        "Each diagnosis",
        "Groups of patients and photographs",
        "Data and licence",
        "Limits",
        "How to make it again",
    ]


def test_it_bears_the_notice_and_names_every_diagnosis_in_full(description: dict) -> None:
    card = write_model_card(description)
    assert f"**{NOTICE}**" in card
    for code in HAM7:
        assert f"**{DIAGNOSES[code].name}** (`{code}`" in card


def test_figures_stand_with_their_intervals_and_the_command_that_made_them(description: dict) -> None:
    card, metrics = write_model_card(description), description["metrics"]
    low, high = metrics["ci95"]["malignant_auc"]
    assert f"| AUC for malignancy | {metrics['malignant_auc']:.3f} | {low:.3f} to {high:.3f} |" in card
    mel = metrics["per_class"]["mel"]
    low, high = mel["ci95"]["auc"]
    assert f"{mel['auc']:.3f} ({low:.3f} to {high:.3f})" in card
    assert card.count(f"```\n{COMMAND}\n```") == 2


def test_operating_points_say_what_is_found_and_what_is_missed(description: dict) -> None:
    card = write_model_card(description)
    assert "at least 0.123 (operating point `sensitivity-0.95`)" in card
    assert "| 0.953 (0.921 to 0.981) | 0.701 (0.671 to 0.733) | 1357 | 1111 | val split of HAM10000 |" in card
    found = round(1000 * description["metrics"]["sensitivity_at_operating_point"])
    spared = round(1000 * description["metrics"]["specificity_at_operating_point"])
    assert f"malignant lesions {found} are then referred and {1000 - found} missed" in card
    assert f"benign lesions {spared} are spared and {1000 - spared} referred without need" in card


def test_data_licence_and_limits_come_from_the_description(description: dict) -> None:
    card = write_model_card(description)
    for text in (
        "Licence of the data: CC BY-NC 4.0",
        "- train, photographs: 4812",
        "mostly light skin",
        "photographs of 200 × 150 pixels",
        "at 192 × 192",
        "knows 7 answers and no other",
        description["data"]["fingerprint"],
        "cd" * 32,
        "- commit: abc",
    ):
        assert text in card


def test_limits_of_ham10000_are_not_said_of_other_data(description: dict) -> None:
    other = description | {"data": {"name": "a clinic's own", "limits": ["Only hands were photographed."]}}
    card = write_model_card(other)
    assert "mostly light skin" not in card
    assert "- Only hands were photographed." in card


@pytest.mark.parametrize("kind", ["description", "with_context"])
def test_every_figure_changes_with_the_description(kind: str, request: pytest.FixtureRequest) -> None:
    """No number is typed in: where every measured one is raised, no cell with a number stays as it was."""
    given = request.getfixturevalue(kind)
    changed = copy.deepcopy(given)
    for key in ("metrics", "operating_points", "context_operating_points"):
        changed[key] = raised(changed.get(key, []))
    before, after = (cells(write_model_card(values)) for values in (given, changed))
    numbers = [(old, new) for old, new in zip(before, after, strict=True) if re.match(r"\d", old)]
    assert len(numbers) > 150
    assert [old for old, new in numbers if old == new] == []


def cells(card: str) -> list[str]:
    """Returns the cells of all tables, without the first column, which names the row."""
    lines = [line for line in card.splitlines() if line.startswith("| ") and "interval" not in line]
    return [cell.strip() for line in lines for cell in line.split("|")[2:-1]]


def raised(values: object) -> object:
    if isinstance(values, dict):
        return {key: raised(value) for key, value in values.items()}
    if isinstance(values, list):
        return [raised(value) for value in values]
    return values + 1 if isinstance(values, int | float) else values


def test_lesions_apart_from_training_are_claimed_only_where_the_data_is_the_same(description: dict) -> None:
    claim = "no lesion of this split was trained or tuned on"
    assert claim in write_model_card(description)
    assert claim not in write_model_card(description | {"data": {"name": "HAM10000", "fingerprint": "other"}})
    assert claim not in write_model_card(description | {"data": {"name": "HAM10000"}})
    train = description["metrics"] | {"data": description["metrics"]["data"] | {"split": "train"}}
    assert claim not in write_model_card(description | {"metrics": train})


def test_a_model_that_was_not_measured_says_so(description: dict) -> None:
    card = write_model_card(without_metrics(description))
    assert "Nothing has been measured yet." in card
    assert "Each diagnosis" not in card
    assert "None" not in card


def test_a_description_without_the_optional_parts_is_enough(description: dict) -> None:
    bare = without_metrics(description) | {
        "data": {},
        "licence": "",
        "origin": "",
        "training": {},
        "weights_sha256": "",
    }
    card = write_model_card(bare)
    assert "Licence of the weights: not stated" in card
    assert "SHA-256" not in card


def test_rare_diagnoses_are_warned_of(description: dict, tmp_path: Path) -> None:
    few = evaluate_predictor(FakePredictor(), make_dataset(tmp_path / "few"), bootstrap=20).figures
    assert "Few lesions were there to measure some diagnoses on: Actinic keratosis (4)" in write_model_card(
        description | {"metrics": few}
    )
    assert "Few lesions" not in write_model_card(description)


def test_a_model_measured_on_malignancy_alone_has_no_figures_over_classes(
    description: dict, tmp_path: Path
) -> None:
    dataset = make_dataset(tmp_path / "two", ("benign", "malignant"), of_each=36)
    card = write_model_card(
        description | {"metrics": evaluate_predictor(FakePredictor(), dataset, bootstrap=20).figures}
    )
    assert "benign or malignant and no more" in card
    assert "Each diagnosis" not in card
    assert "None" not in card


def test_it_is_the_same_after_a_round_through_json(description: dict) -> None:
    assert write_model_card(json.loads(json.dumps(description))) == write_model_card(description)


@pytest.mark.parametrize(("kind", "tables"), [("description", 12), ("with_context", 13)])
def test_tables_are_whole(kind: str, tables: int, request: pytest.FixtureRequest) -> None:
    card = write_model_card(request.getfixturevalue(kind))
    blocks = re.findall(r"(?:^\|.*\|$\n?)+", card, flags=re.MULTILINE)
    assert len(blocks) == tables
    for block in blocks:
        assert len({line.count("|") for line in block.strip().splitlines()}) == 1


def test_with_the_patient_and_the_photograph_alone_stand_side_by_side(with_context: dict) -> None:
    card, metrics = write_model_card(with_context), with_context["metrics"]
    alone = metrics["photograph_alone"]
    assert "For 280 of the photographs the patient's age, sex or the body site is known" in card
    assert card.count("| Figure | Value | 95% interval | Photograph alone | What it says |") == 2
    for title, key in (
        ("AUC for malignancy", "malignant_auc"),
        ("Accuracy", "accuracy"),
        ("Brier score", "brier"),
    ):
        (low, high), (low_alone, high_alone) = metrics["ci95"][key], alone["ci95"][key]
        assert (
            f"| {title} | {metrics[key]:.3f} | {low:.3f} to {high:.3f} "
            f"| {alone[key]:.3f} ({low_alone:.3f} to {high_alone:.3f}) |"
        ) in card
        assert metrics[key] != alone[key]


def test_each_way_to_answer_has_its_threshold(with_context: dict) -> None:
    card = write_model_card(with_context)
    assert (
        "at least 0.123 (operating point `sensitivity-0.95`), or 0.234 where the answer uses age, sex or body site."
    ) in card
    alone, moved = card.split("And where the answers use age, sex or body site:")
    assert "| `sensitivity-0.95` | 0.123 | 0.953 (0.921 to 0.981) |" in alone
    assert "| `sensitivity-0.95` | 0.234 | 0.961 (0.921 to 0.981) |" in moved


def test_a_model_that_knows_of_patients_says_what_that_may_do(description: dict, with_context: dict) -> None:
    card = write_model_card(with_context)
    assert "of the patient no more than age, sex and body site" in card
    assert "leave them out, and the photograph alone is asked" in card
    without = write_model_card(description)
    assert "one photograph: not the patient, not the history" in without
    for text in ("Photograph alone", "age, sex", "body site:", "it may mislead"):
        assert text not in without


def test_a_model_of_patients_that_was_measured_on_data_without_them_has_one_column(
    description: dict, with_context: dict
) -> None:
    card = write_model_card(with_context | {"metrics": description["metrics"]})
    assert "Photograph alone" not in card
    assert "or 0.234 where the answer uses age, sex or body site" in card


@pytest.fixture(scope="module")
def certain(with_context: dict) -> dict:
    """The same model where it knows how sure it may be."""
    sets = {"thresholds": [0.1] * 7, "lesions": [30] * 7}
    measured = {
        "coverage": 0.957,
        "coverage_ci95": [0.94, 0.97],
        "mean_size": 1.97,
        "mean_size_ci95": [1.9, 2.1],
        "single": 0.485,
        "lesions": 300,
        "photographs": 400,
        "measured_on": "test split",
    }
    of_classes = {code: measured | {"coverage": 0.9 + place / 100} for place, code in enumerate(HAM7)}
    measured["per_class"] = of_classes
    few = {key: value for key, value in of_classes.items() if key != "df"}
    differs = {
        "kind": "age",
        "figure": "specificity",
        "groups": {"<30": 0.8, "70+": 0.41},
        "p": 0.0005,
        "p_adjusted": 0.0075,
        "differs": True,
    }
    return with_context | {
        "calibration": {
            "method": "temperature scaling",
            "bias": [0.0] * 7,
            "context_bias": [0.0] * 7,
            "adjustment": 0.0,
        },
        "prevalence": {"holds_at": 0.314, "data": 0.195, "stated": None},
        "conformal": {
            "level": 0.95,
            "method": "a threshold for each diagnosis",
            "photograph": sets | {"measured": measured},
            "context": sets | {"measured": measured | {"coverage": 0.949, "per_class": few}},
        },
        "metrics": with_context["metrics"] | {"group_differences": [differs, differs | {"differs": False}]},
    }


def test_sets_of_plausible_diagnoses_say_what_they_gave(certain: dict) -> None:
    card = write_model_card(certain)
    assert "## Plausible diagnoses" in card
    assert "hold the truth for 95 of 100 lesions of each diagnosis" in card
    assert "| **All** | 300 | 0.957 (0.940 to 0.970) | 1.970 | 0.949 (0.940 to 0.970) | 1.970 |" in card
    assert "| Dermatofibroma | 300 | 0.930 (0.940 to 0.970) | 1.970 |  |  |" in card
    assert "Of 100 sets, 48 (photograph alone) and 48 (with the patient) name one diagnosis alone." in card
    unmeasured = copy.deepcopy(certain)
    for mode in ("photograph", "context"):
        unmeasured["conformal"][mode]["measured"] = None
    assert "They have not been measured yet." in write_model_card(unmeasured)


def test_calibration_says_for_which_prevalence_risks_are_stated(certain: dict) -> None:
    card, metrics = write_model_card(certain), certain["metrics"]
    assert "as for a place where 0.314 of the photographs given are of malignant lesions" in card
    assert "(in the validation data 0.195; training makes more of rare diagnoses" in card
    assert f"it is {metrics['mean_risk']:.3f} on average" in card
    assert "A bias for each diagnosis was tried and left out" in card
    assert "(1.000 where they know of the patient)" in card
    biased = certain | {"calibration": certain["calibration"] | {"context_bias": [0.1] * 7}}
    assert "A bias for each diagnosis is added, since it helped" in write_model_card(biased)
    leaning = certain | {"calibration": biased["calibration"] | {"adjustment": 0.2}}
    assert "answers lean to the rare ones: 0.200 of the logarithm" in write_model_card(leaning)
    stated = certain | {"prevalence": certain["prevalence"] | {"stated": 0.05}}
    assert "in the validation data" not in write_model_card(stated)


def test_groups_that_differ_are_named(certain: dict) -> None:
    card = write_model_card(certain)
    assert "Of 2 comparisons between groups" in card
    assert (
        "- Age in years: the share of benign lesions not referred is lowest for 70+ (0.410) and highest for "
        "&lt;30 (0.800; p = 0.0075)."
    ) in card
    none = certain | {"metrics": certain["metrics"] | {"group_differences": []}}
    assert "comparisons between groups" not in write_model_card(none)


def test_what_a_referral_means_depends_on_the_prevalence(description: dict) -> None:
    # At 0.953 and 0.701, of 1000 with 100 malignant: 95 found, 5 missed, 269 of 900 referred without need.
    assert "| 100 | 364 | 95 | 5 |" in write_model_card(description)


def test_the_commands_stand_in_the_order_of_their_use(description: dict) -> None:
    training = {
        "command 1": "scripts/train.py r --data DATASET --out runs/a",
        "command 2": "scripts/train.py r --data DATASET --out runs/b",
        "commit": "abc",
    }
    data = description["data"] | {"split": {"val": 0.1, "test": 0.2, "seed": 3}}
    card = write_model_card(description | {"training": training, "data": data})
    prepare = "scripts/prepare_data.py ham10000 SOURCE --out DATASET --val 0.1 --test 0.2 --seed 3"
    assert "```\n" + "\n".join([prepare, *list(training.values())[:2]]) + "\n```" in card
    assert "- commit: abc" in card
    # Of one run it is plain how the bundle was made of it; several may have been averaged, in whole or in part.
    one = write_model_card(description | {"training": {"command": training["command 1"]}, "data": data})
    assert f"{training['command 1']}\nscripts/select_model.py runs/a --data DATASET --out BUNDLE\n```" in one


def test_markdown_by_hand() -> None:
    assert table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"
    assert bullets({"a_b": 1, "c": {"d": "e"}, "f": None}) == "- a b: 1\n- c, d: e"
    assert [number(None), number(0.0), number(0.00012), number(0.5)] == ["–", "0.000", "0.00012", "0.500"]
    assert interval([0.1, 0.25]) == "0.100 to 0.250"
    assert with_interval(0.2, None) == "0.200"
    assert cell("a|b\n <c>") == "a\\|b &lt;c>"
