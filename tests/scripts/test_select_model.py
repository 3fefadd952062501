from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from _cli import run_command

import pytest
import select_model

from tests.derm_core.data.coloured import coloured_dataset

SCRIPTS = Path(__file__).parents[2] / "scripts"


def run_script(name: str, *arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin", "DERM_HOME": str(home), "OMP_NUM_THREADS": "1", "HOME": str(home)}
    return subprocess.run(
        [sys.executable, str(SCRIPTS / name), *arguments], capture_output=True, text=True, env=environment
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("select")
    coloured_dataset(folder / "dataset", train=24, valid=12)
    settings = [
        "data.task=nv-bkl-mel",
        "data.image_size=32",
        "model.architecture=resnet18",
        "model.pretrained=false",
    ]
    settings += [
        "training.epochs=1",
        "training.batch_size=8",
        "training.workers=0",
        "training.first_image_size=0",
    ]
    words = [word for setting in settings for word in ("--set", setting)]
    done = run_script(
        "train.py",
        "ham7-mobilenet_v2",
        "--data",
        str(folder / "dataset"),
        "--out",
        str(folder / "run"),
        *words,
        home=folder,
    )
    assert done.returncode == 0, done.stderr
    return folder


def test_the_best_run_is_ranked_written_and_registered(trained: Path) -> None:
    done = run_script(
        "select_model.py",
        str(trained / "run"),
        "--data",
        str(trained / "dataset"),
        "--metric",
        "accuracy",
        "--out",
        str(trained / "bundle"),
        "--register",
        "clinic",
        "--json",
        str(trained / "ranking.json"),
        "--markdown",
        str(trained / "ranking.md"),
        "--image-sizes",
        "32",
        "64",
        home=trained,
    )
    assert done.returncode == 0, done.stderr
    entries = json.loads((trained / "ranking.json").read_text("utf-8"))
    (entry,) = [entry for entry in entries if entry["chosen"]]
    assert entry["metric"] == "accuracy"
    assert len(entries) == 2
    # Of one network that answers as well at two sizes, the smaller size is the faster.
    assert entry["image_size"] == min(each["image_size"] for each in entries if each["tied"])
    assert (trained / "ranking.md").read_text("utf-8").startswith("# Runs ranked by accuracy\n")
    assert "Chosen: " in done.stdout
    description = json.loads((trained / "bundle" / "model.json").read_text("utf-8"))
    assert description["preprocessing"]["image_size"] == entry["image_size"]
    assert f"accuracy {entry['value']:.3f} (95% CI" in done.stdout
    assert "Registered as clinic@1, which 'clinic' means from now on." in done.stdout
    assert (trained / "bundle" / "MODEL_CARD.md").stat().st_size > 0
    assert (trained / "models" / "clinic" / "1" / "model.safetensors").is_file()


def test_a_folder_that_is_no_run_ends_with_status_2_and_one_line(trained: Path) -> None:
    done = run_script(
        "select_model.py", str(trained / "dataset"), "--data", str(trained / "dataset"), home=trained
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "is not a run folder" in done.stderr


def test_a_strength_that_makes_no_sense_is_refused(trained: Path) -> None:
    run, data = str(trained / "run"), str(trained / "dataset")
    for asked in ("much", "-1", "nan", "3"):
        done = run_script("select_model.py", run, "--data", data, f"--logit-adjustment={asked}", home=trained)
        assert done.returncode == 2
        assert f"'{asked}' is not auto, nor a number from 0 to 2" in done.stderr


def refusal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Runs the command in this process, and returns the line that it is refused with."""
    monkeypatch.setattr(sys, "argv", ["select_model.py", *words])
    with pytest.raises(SystemExit) as ended:
        run_command(select_model.main)
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--out", "bundle"], "--folds makes no bundle"),
        (["--register", "clinic"], "on all folds but one, which checks it"),
        (["--average"], "--folds and --average do not go together"),
    ],
)
def test_folds_are_compared_and_never_one_model(
    words: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("runs/a-0+runs/a-1", "--folds", "--data", "nowhere", *words)
    assert message in refusal(monkeypatch, capsys, *asked)


def test_folds_are_joined_with_a_plus(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run, last = trained / "run", trained / "run" / "last.pt"
    line = refusal(monkeypatch, capsys, f"{run}+{last}", "--folds", "--data", str(trained / "dataset"))
    assert f"{run} (val) and {last} (val) were both checked" in line
