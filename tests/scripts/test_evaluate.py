"""scripts/evaluate.py: figures for people and for programs, and one clear line for wrong input."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import evaluate
import numpy as np
import pandas as pd
import pytest
import torch
from _evaluation_tables import differences
from PIL import Image

import derm_core.serving.loading
from derm_core.data.table import COLUMNS, Dataset, write_dataset
from derm_core.data.transforms import Preprocessing
from derm_core.errors import BundleError, ConfigError, DatasetError
from derm_core.evaluation.metrics import KEYS
from derm_core.models import build_model
from derm_core.serving.answer_figures import ADDED as OF_ANSWERS
from derm_core.serving.bundle import save_bundle
from derm_core.serving.description import BundleDescription, OperatingPoint
from derm_core.serving.prediction import Prediction
from derm_core.serving.prevalence import Prevalence
from tests.derm_core.data.drawn import lesion
from tests.derm_core.evaluation.fake_predictor import HAM7, FakePredictor, make_dataset, sex_model

SCRIPT = Path(evaluate.__file__)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Puts a predictor without a network in the place of the real one; tells what was asked for."""
    asked = SimpleNamespace(model=None, predictor=FakePredictor())

    def load(model: str, *, device: str | None, prevalence: float | None, runtime: str) -> FakePredictor:
        asked.model, asked.device, asked.prevalence, asked.runtime = model, device, prevalence, runtime
        return asked.predictor

    monkeypatch.setattr(derm_core.serving.loading, "load_predictor", load)
    return asked


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["evaluate.py", *map(str, arguments), "--bootstrap", "20"])
    evaluate.main()


def run_process(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_people_read_every_figure_with_its_interval(
    tmp_path: Path,
    asked: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_dataset(tmp_path / "data")
    run(monkeypatch, "--model", "bundled", "--data", tmp_path / "data", "--json", tmp_path / "out.json")
    shown = capsys.readouterr().out
    figures = json.loads((tmp_path / "out.json").read_text())
    low, high = figures["ci95"]["malignant_auc"]
    (line,) = [line for line in shown.splitlines() if line.startswith("AUC for malignancy")]
    assert line.split() == [
        "AUC",
        "for",
        "malignancy",
        f"{figures['malignant_auc']:.3f}",
        f"{low:.3f}-{high:.3f}",
    ]
    assert "Melanocytic naevus" in shown
    assert "56 photographs of 28 lesions" in shown
    assert "too few to measure" in shown
    assert asked.model == "bundled"
    assert "operating point" in shown
    assert "of the photographs are of malignant lesions" in shown


def test_groups_that_differ_are_named_with_their_shares() -> None:
    test = {"kind": "age", "figure": "accuracy", "groups": {"<30": 0.9, "70+": 0.6}, "p": 0.001}
    chance = test | {"p_adjusted": 0.4, "differs": False}
    found = test | {"p_adjusted": 0.002, "differs": True}
    assert "Of 1 comparisons between groups none" in differences([chance])
    shown = differences([found, chance])
    assert "p corrected for 2 comparisons" in shown
    assert shown.endswith("accuracy by age: <30 0.900, 70+ 0.600 (p = 0.002)")


def test_the_json_has_every_documented_key_and_no_nan(
    tmp_path: Path,
    asked: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_dataset(tmp_path / "data")
    run(monkeypatch, "--model", "bundled", "--data", tmp_path / "data", "--json", "-")
    printed = capsys.readouterr().out

    def refuse(name: str) -> None:
        pytest.fail(f"{name} is not JSON")

    figures = json.loads(printed, parse_constant=refuse)
    added = {
        "context",
        "photograph_alone",
        "scope",
        "left_out",
        "advice",
        "model",
        "data",
        "without",
        "sources",
        "command",
    }
    assert set(figures) == {*KEYS, *OF_ANSWERS, *added}
    assert figures["command"] == "scripts/evaluate.py --model bundled --data data --split test --bootstrap 20"


def test_people_read_what_the_photographs_alone_give_beside_the_rest(
    tmp_path: Path,
    asked: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_dataset(tmp_path / "data")
    asked.predictor = FakePredictor(context=sex_model(7))
    run(monkeypatch, "--model", "m", "--data", tmp_path / "data", "--json", tmp_path / "out.json")
    shown = capsys.readouterr().out
    figures = json.loads((tmp_path / "out.json").read_text())
    alone = figures["photograph_alone"]
    (low, high), (low_alone, high_alone) = figures["ci95"]["brier"], alone["ci95"]["brier"]
    (line,) = [line for line in shown.splitlines() if line.startswith("Brier score")]
    assert line.split()[2:] == [
        f"{figures['brier']:.3f}",
        f"{low:.3f}-{high:.3f}",
        f"{alone['brier']:.3f}",
        f"{low_alone:.3f}-{high_alone:.3f}",
    ]
    assert figures["brier"] != alone["brier"]
    assert "Of 56 photographs the answers use age, sex or body site" in shown
    assert "referred from a probability of 0.350 on" in shown


def test_the_photographs_alone_are_measured_where_that_is_asked_for(
    tmp_path: Path,
    asked: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_dataset(tmp_path / "data")
    asked.predictor = FakePredictor(context=sex_model(7))
    common = ["--model", "m", "--data", tmp_path / "data"]
    run(monkeypatch, *common, "--json", tmp_path / "both.json")
    asked.predictor.told.clear()
    capsys.readouterr()
    run(monkeypatch, *common, "--photograph-alone", "--json", tmp_path / "alone.json")
    shown = capsys.readouterr().out
    assert set(asked.predictor.told) == {None}
    assert "photo alone" not in shown
    assert "referred from a probability of 0.250 on" in shown
    both, alone = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("both", "alone"))
    command, without = alone.pop("command"), alone.pop("without")
    assert (without, alone.pop("sources")) == ([], None)
    assert alone == both["photograph_alone"]
    assert command == f"{both['command']} --photograph-alone"
    assert (alone["context"], alone["photograph_alone"]) == (0, None)


def test_the_same_command_gives_the_same_file(
    tmp_path: Path, asked: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_dataset(tmp_path / "data")
    for name in ("one.json", "two.json"):
        run(
            monkeypatch, "--model", "m", "--data", tmp_path / "data", "--json", tmp_path / name, "--seed", "3"
        )
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "one.json", "two.json"]


def test_options_reach_the_predictor(
    tmp_path: Path, asked: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_dataset(tmp_path / "data")
    options = ["--split", "train", "--batch-size", "3", "--device", "cpu", "--prevalence", "0.05"]
    run(monkeypatch, "--model", "m", "--data", tmp_path / "data", *options)
    assert (asked.device, asked.prevalence) == ("cpu", 0.05)
    # Whatever serves here, figures come from the runtime that answers the same everywhere.
    assert asked.runtime == "eager"
    assert asked.predictor.batch_sizes == [3]
    assert len(asked.predictor.asked) == 28


def test_a_dataset_of_another_task_is_measured_on_malignancy_and_says_so(
    tmp_path: Path,
    asked: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_dataset(tmp_path / "data", ("benign", "malignant"))
    run(monkeypatch, "--model", "m", "--data", tmp_path / "data")
    shown = capsys.readouterr().out
    assert "only the risk of malignancy is measured" in shown
    assert "AUC for malignancy" in shown
    assert "balanced accuracy" not in shown


def test_photographs_left_out_are_counted_aloud(
    tmp_path: Path,
    asked: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_dataset(tmp_path / "data")
    asked.predictor = FakePredictor(task="nv-bkl-mel", classes=("bkl", "mel", "nv"))
    run(monkeypatch, "--model", "m", "--data", tmp_path / "data")
    assert "32 photographs of diagnoses outside the task were left out." in capsys.readouterr().out


def test_an_unknown_split_lists_those_there_are(
    tmp_path: Path, asked: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_dataset(tmp_path / "data")
    with pytest.raises(DatasetError, match=r"'val'.*test, train"):
        run(monkeypatch, "--model", "m", "--data", tmp_path / "data", "--split", "val")


def test_a_place_that_cannot_be_written_is_refused_before_anything_is_measured(
    tmp_path: Path, asked: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_dataset(tmp_path / "data")
    for target in (tmp_path / "nowhere" / "out.json", tmp_path):
        with pytest.raises(ConfigError, match="cannot be written"):
            run(monkeypatch, "--model", "m", "--data", tmp_path / "data", "--json", target)
    assert asked.model is None


def test_folders_are_noted_by_their_last_name_alone(
    tmp_path: Path,
    asked: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_dataset(tmp_path / "data")
    run(monkeypatch, "--model", tmp_path / "mine", "--data", tmp_path / "data", "--json", "-")
    printed = capsys.readouterr().out
    assert str(tmp_path) not in printed
    assert "--model mine --data data" in printed


def test_wrong_input_is_one_line_and_status_2(tmp_path: Path) -> None:
    ended = run_process("--model", "bundled", "--data", tmp_path / "nothing")
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.startswith("error: ")
    assert ended.stderr.count("\n") == 1


def test_wrong_arguments_are_status_2_and_help_is_0() -> None:
    assert run_process("--model", "bundled").returncode == 2
    assert run_process("--model", "m", "--data", "d", "--batch-size", "0").returncode == 2
    shown = run_process("--help")
    assert shown.returncode == 0
    for option in (
        "--model",
        "--data",
        "--split",
        "--json",
        "--batch-size",
        "--device",
        "--photograph-alone",
        "--without",
        "--beside",
        "--prevalence",
        "--runtime",
    ):
        assert option in shown.stdout


def make_bundle(folder: Path, prevalence: Prevalence | None = None) -> None:
    torch.manual_seed(0)
    model = build_model("mobilenet_v2", len(HAM7))
    point = OperatingPoint(name="sensitivity-0.95", threshold=0.4, measured_on="nothing")
    description = BundleDescription(
        name="untrained",
        version="0.0.1",
        architecture="mobilenet_v2",
        task="ham7",
        classes=HAM7,
        preprocessing=Preprocessing(image_size=64, working_side=64),
        temperature=1.0,
        operating_points=(point,),
        default_operating_point=point.name,
        prevalence=prevalence,
    )
    save_bundle(folder, model_state=model.state_dict(), description=description)


def test_a_real_bundle_is_measured_with_the_answers_that_it_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_dataset(tmp_path / "data", of_each=3)
    make_bundle(tmp_path / "bundle")
    options = ["--split", "all", "--device", "cpu", "--json", tmp_path / "out.json"]
    run(monkeypatch, "--model", tmp_path / "bundle", "--data", tmp_path / "data", *options)
    figures = json.loads((tmp_path / "out.json").read_text())
    predictor = derm_core.serving.loading.load_predictor(tmp_path / "bundle", device="cpu")
    # All pictures are alike, so every answer is that of the first.
    answer: Prediction = predictor.predict(tmp_path / "data" / "images" / "nv-00.png")
    answered = [sum(column) for column in zip(*figures["confusion_matrix"], strict=True)]
    assert answered[HAM7.index(answer.top)] == figures["n"] == 21
    assert figures["advice"][answer.advice] == 21
    assert figures["model"]["name"] == "untrained"


@pytest.mark.parametrize("prevalence", [None, 0.05])
def test_figures_are_the_same_with_any_number_of_threads_and_pictures_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prevalence: float | None
) -> None:
    dataset = make_dataset(tmp_path / "data", of_each=6)
    generator = np.random.default_rng(5)
    for index in range(len(dataset)):
        pixels = generator.integers(60, 200, (100, 120, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(dataset.image_path(index))
    make_bundle(tmp_path / "bundle", prevalence=Prevalence(0.4, 0.3))
    threads, found = torch.get_num_threads(), []
    try:
        for number, batch_size in ((1, 1), (2, 7), (1, 32)):
            torch.set_num_threads(number)
            out = tmp_path / f"{number}-{batch_size}.json"
            options = ["--split", "all", "--device", "cpu", "--batch-size", batch_size, "--json", out]
            options += ["--prevalence", prevalence] if prevalence else []
            run(monkeypatch, "--model", tmp_path / "bundle", "--data", tmp_path / "data", *options)
            found.append(rounded(json.loads(out.read_text())))
    finally:
        torch.set_num_threads(threads)
    assert found[0] == found[1] == found[2]
    assert found[0]["prevalence"] == {"holds_at": 0.4, "data": 0.3, "stated": prevalence}
    referred = found[0]["advice"]["refer"]
    # The stated prevalence refers no other photograph: that is what was referred without it.
    predictor = derm_core.serving.loading.load_predictor(tmp_path / "bundle", device="cpu")
    usual = predictor.predict_many(dataset.image_path(index) for index in range(len(dataset)))
    assert referred == sum(answer.advice == "refer" for answer in usual)


def rounded(value: Any) -> Any:
    """Returns the figures to four decimals."""
    if isinstance(value, dict):
        return {key: rounded(part) for key, part in value.items() if key != "command"}
    if isinstance(value, list):
        return [rounded(part) for part in value]
    return round(value, 4) if isinstance(value, float) else value


def test_lesions_that_another_dataset_holds_can_be_left_out(
    tmp_path: Path, asked: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = drawn_dataset(tmp_path / "known", seeds=[1, 2])
    dataset = drawn_dataset(tmp_path / "data", seeds=[1, 3, 4])
    options = ["--split", "all", "--without", known.folder, "--json", tmp_path / "out.json"]
    run(monkeypatch, "--model", "m", "--data", dataset.folder, *options)
    assert [path.name for path in asked.predictor.asked] == ["3.jpg", "4.jpg"]
    figures = json.loads((tmp_path / "out.json").read_text())
    assert (figures["n"], figures["without"]) == (2, ["known"])
    assert "--without known" in figures["command"]
    same = drawn_dataset(tmp_path / "same", seeds=[1, 3, 4])
    with pytest.raises(DatasetError, match="has pictures of every lesion"):
        run(monkeypatch, "--model", "m", "--data", dataset.folder, "--without", same.folder)


def test_each_source_is_measured_by_itself_beside_a_rule_that_sees_only_the_source(
    tmp_path: Path,
    asked: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    known = drawn_dataset(tmp_path / "known", seeds=[1, 2, 5])
    # In what the other set knows, one naevus was learnt; elsewhere, one melanoma. In turn: melanoma, naevus, ...
    dataset = drawn_dataset(
        tmp_path / "data", seeds=[3, 2, 1, 5, 4], splits=["train", "train", "val", "val", "val"]
    )
    options = ["--split", "val", "--beside", known.folder, "--json", tmp_path / "out.json"]
    run(monkeypatch, "--model", "m", "--data", dataset.folder, *options)
    figures = json.loads((tmp_path / "out.json").read_text())
    sources = figures["sources"]
    # Of the three, 1 (melanoma) and 5 (naevus) are known and called naevi; 4 (melanoma) is not, and called melanoma.
    assert sources["dataset"] == "known"
    assert sources["rule"]["accuracy"] == pytest.approx(2 / 3)
    assert [(part["inside"], part["n"]) for part in sources["within"]] == [(True, 2), (False, 1)]
    weighed = sum(part["n"] * part["accuracy"] for part in sources["within"])
    assert weighed / figures["n"] == pytest.approx(figures["accuracy"])
    assert "--beside known" in figures["command"]
    shown = capsys.readouterr().out
    assert "a rule that sees only whether known has the photograph is right in 0.667" in shown
    assert "elsewhere" in shown


@pytest.mark.parametrize("options", [["--split", "all"], ["--without", "x"]])
def test_a_rule_by_source_needs_one_whole_split(tmp_path: Path, options: list[str]) -> None:
    ended = run_process("--model", "m", "--data", tmp_path, "--beside", tmp_path, *options)
    assert ended.returncode == 2
    assert "--beside measures one split, whole" in ended.stderr


def drawn_dataset(folder: Path, seeds: list[int], splits: list[str] | None = None) -> Dataset:
    """Writes a dataset with a drawn lesion for each seed, melanoma and naevus in turn."""
    pictures, rows = [], []
    for number, seed in enumerate(seeds):
        stream = io.BytesIO()
        lesion(seed, size=(200, 150)).save(stream, "JPEG", quality=92)
        pictures.append(stream.getvalue())
        empty = dict.fromkeys(COLUMNS, "") | {"age": np.nan}
        rows.append(empty | {"image": f"{seed}.jpg", "diagnosis": ("mel", "nv")[number % 2]})
        rows[-1]["split"] = splits[number] if splits else "test"
    return write_dataset(folder, pd.DataFrame(rows), pictures)


def test_a_model_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_dataset(tmp_path / "data", of_each=3)
    with pytest.raises(BundleError, match="nobody"):
        run(monkeypatch, "--model", tmp_path / "nobody", "--data", tmp_path / "data")


def test_plots_show_the_answers_that_were_measured(
    tmp_path: Path, asked: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_dataset(tmp_path / "data")
    out = tmp_path / "out.json"
    run(
        monkeypatch,
        "--model",
        "bundled",
        "--data",
        tmp_path / "data",
        "--plots",
        tmp_path / "plots",
        "--json",
        out,
    )
    names = {path.name for path in (tmp_path / "plots").iterdir()}
    kinds = ("confusion", "roc", "precision-recall", "reliability", "selective", "classes", "subgroups")
    assert names == {f"ham7-{kind}.{ending}" for kind in kinds for ending in ("png", "svg")}
    figures = json.loads(out.read_text())
    written = (tmp_path / "plots" / "ham7-reliability.svg").read_text("utf-8")
    assert f"error {figures['ece']:.2f}" in written
    with Image.open(tmp_path / "plots" / "ham7-confusion.png") as drawn:
        assert drawn.width > 600


def test_where_malignancy_alone_is_known_its_curves_are_drawn(
    tmp_path: Path, asked: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_dataset(tmp_path / "data", ("benign", "malignant"))
    run(monkeypatch, "--model", "bundled", "--data", tmp_path / "data", "--plots", tmp_path / "plots")
    names = {path.stem for path in (tmp_path / "plots").iterdir()}
    assert names == {"malignancy-roc", "malignancy-precision-recall"}


def test_plots_never_replace_what_is_no_plot(
    tmp_path: Path, asked: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_dataset(tmp_path / "data")
    kept = tmp_path / "plots" / "thesis.docx"
    kept.parent.mkdir()
    kept.write_text("five years")
    with pytest.raises(ConfigError, match=r"thesis\.docx is none"):
        run(monkeypatch, "--model", "bundled", "--data", tmp_path / "data", "--plots", tmp_path / "plots")
    assert kept.read_text() == "five years"
    assert asked.predictor.asked == []
