"""The command line of train: its exit statuses, what it shows, and runs that are killed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from _cli import run_command

import pytest
import torch
import train

from derm_core.data.table import Dataset
from derm_core.training import loop
from derm_core.training.config import load_recipe
from derm_core.training.records import read_records
from tests.derm_core.data.coloured import coloured_dataset
from tests.derm_core.training.tiny import differences

SCRIPT = Path(train.__file__)
RECIPE = """
[data]
task = "nv-bkl-mel"
image_size = 32
working_side = 40

[model]
architecture = "mnasnet0_5"
pretrained = false
dropout = 0.2

[training]
epochs = 9
batch_size = 8
learning_rate = 2e-3
ema_decay = 0.9
device = "cpu"
threads = 1
checkpoint_seconds = 0.0

[training.augmentation]
flips = true
rotation = 20.0
brightness = 0.2
erasing = 0.3
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return coloured_dataset(tmp_path_factory.mktemp("data") / "set", train=60, valid=24)


def run_script(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, arguments)], capture_output=True, text=True, timeout=300
    )


def status_of(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> object:
    """Runs the command in this process and returns the status that it would end with."""
    monkeypatch.setattr(sys, "argv", ["train.py", *map(str, arguments)])
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    with pytest.raises(SystemExit) as ended:
        run_command(train.main)
    return ended.value.code


def test_an_unknown_recipe_ends_with_2_and_one_line(tmp_path: Path) -> None:
    done = run_script("ham7-mobilenet", "--data", tmp_path, "--out", tmp_path / "run")
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: Unknown recipe 'ham7-mobilenet'. Known: ")
    assert "Did you mean 'ham7-mobilenet_v2'?" in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.epoch=3", "error: Unknown setting 'training.epoch'."),
        ("training.epochs=many", "error: training.epochs is 'many'; it must be a whole number."),
        ("model.architecture=resnet5", "error: Unknown model.architecture 'resnet5'."),
        ("epochs=3", "error: --set epochs=3 is not of the form section.key=value"),
    ],
)
def test_a_wrong_setting_ends_with_2_and_one_line_before_any_data_is_read(
    override: str,
    message: str,
    recipe: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = (recipe, "--data", tmp_path / "not there", "--out", tmp_path / "run", "--set", override)
    assert status_of(monkeypatch, *arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(message)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("missing", ["--data", "--out"])
def test_a_missing_argument_ends_with_2_and_one_line(
    missing: str,
    recipe: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = {"--data": tmp_path, "--out": tmp_path / "run"}
    del given[missing]
    words = [word for pair in given.items() for word in pair]
    assert status_of(monkeypatch, recipe, *words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert missing in line


def test_a_folder_that_is_no_dataset_ends_with_2(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of(monkeypatch, recipe, "--data", tmp_path, "--out", tmp_path / "run") == 2
    assert "is not a dataset folder" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_run_folder_that_exists_ends_with_2_and_stays_as_it_is(
    recipe: Path,
    dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "run"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    for words in ((), ("--resume",)):
        assert status_of(monkeypatch, recipe, "--data", dataset.folder, "--out", out, *words) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(f"error: {out} ")
    assert [path.name for path in out.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.pretrained=true", "mnasnet0_5_imagenet.safetensors"),
        (
            "training.distillation.teacher=nobody",
            "is no run folder and cannot be opened as a model bundle: Unknown model 'nobody'. Known: bundled.",
        ),
    ],
)
def test_missing_weights_and_teachers_end_with_2_and_leave_no_run_folder(
    override: str,
    message: str,
    recipe: Path,
    dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DERM_WEIGHTS_DIR", str(tmp_path))
    monkeypatch.setenv("DERM_HOME", str(tmp_path))
    arguments = (recipe, "--data", dataset.folder, "--out", tmp_path / "run", "--set", override)
    assert status_of(monkeypatch, *arguments) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "run").exists()


def test_an_interrupted_run_says_how_to_go_on(
    recipe: Path,
    dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted(config: object, data: object, out: Path, **others: object) -> None:
        out.mkdir()
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "fit", interrupted)
    assert status_of(monkeypatch, recipe, "--data", dataset.folder, "--out", tmp_path / "run") == 1
    assert capsys.readouterr().err.splitlines() == [
        "The same command with --resume goes on from the last checkpoint.",
        "interrupted",
    ]


def test_a_person_sees_each_epoch_and_what_to_do_next(
    recipe: Path,
    dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "run"
    overrides = ("--set", "training.epochs=2", "--set", "data.limit=24")
    assert status_of(monkeypatch, recipe, "--data", dataset.folder, "--out", out, *overrides) == 0
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["epoch 1", "epoch 2", str(out)]
    assert "train_loss " in lines[0]
    assert "macro_f1 " in lines[0]
    assert lines[0].endswith("(best)")
    assert "select_model.py" in lines[2]
    assert "preparing: 24/24 images (100%)" in shown.err
    assert "epoch 1/2: 24/24 images (100%)" in shown.err
    assert "epoch 2/2: 24/24 images (100%)" in shown.err
    assert "images/s" in shown.err
    assert "loss " in shown.err
    again = read_records(out)
    assert status_of(monkeypatch, recipe, "--data", dataset.folder, "--out", out, *overrides, "--resume") == 0
    assert read_records(out).equals(again)
    assert "preparing" not in capsys.readouterr().err


def test_the_rate_of_preparation_counts_from_its_beginning(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    times = iter([100.0, 108.0])
    monkeypatch.setattr(train.time, "monotonic", lambda: next(times, 108.0))
    # All are told of at once, as where there are no more than are decoded together.
    train.Display().prepare(24)(24)
    assert capsys.readouterr().err == "preparing: 24/24 images (100%), 3.0 images/s, took 0:08\n"


FORKER = """
# Imports what train.py imports, once; then runs train.py in a process of its own for each line of arguments.
import json, os, runpy, sys, traceback
import derm_core.training.loop, derm_core.data.table
script, log = sys.argv[1:]
sys.path.insert(0, os.path.dirname(script))
for line in sys.stdin:
    process = os.fork()
    if process == 0:
        sys.argv = [script, *json.loads(line)]
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(output, 1)
        os.dup2(output, 2)
        status = 1
        try:
            runpy.run_path(script, run_name="__main__")
        except SystemExit as ended:
            status = ended.code or 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    print(process, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
"""


class Forker:
    """Starts train.py without the seconds that importing torch takes; each start is a process that can be killed."""

    def __init__(self, log: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", FORKER, str(SCRIPT), str(log)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, *arguments: object) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([str(argument) for argument in arguments]) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def status(self) -> int:
        """Waits for the end of the process that was started last."""
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture
def forker(tmp_path: Path) -> Iterator[Forker]:
    made = Forker(tmp_path / "train.log")
    yield made
    made.close()


def wait_for_checkpoints(run: Path, number: int, process: int) -> float:
    """Returns when `number` more checkpoints were written, or at once when the process has ended.

    Returns:
        Seconds between the last two of them; 0 where fewer than two were waited for.
    """

    def written() -> int:
        try:
            return (run / "last.pt").stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    times = [written()]
    while len(times) <= number and Path(f"/proc/{process}").exists():
        time.sleep(0.001)
        now = written()
        if now not in (0, times[-1]):
            times.append(now)
    return (times[-1] - times[-2]) / 1e9 if len(times) > 2 else 0.0


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs Linux's /proc and fork")
def test_resume_after_kills_gives_identical_weights(
    recipe: Path, dataset: Dataset, forker: Forker, tmp_path: Path
) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    moments = random.Random(2026)
    # The first is killed as it starts, the others somewhere within a step, after two to four of the 63 steps.
    for kill, checkpoints in enumerate([0, *(moments.randint(2, 4) for _ in range(9))]):
        words = ["--resume"] if kill else []
        process = forker.start(recipe, "--data", dataset.folder, "--out", killed, *words)
        step_seconds = wait_for_checkpoints(killed, checkpoints, process)
        time.sleep(moments.uniform(0.0, step_seconds or 0.3))
        os.kill(process, signal.SIGKILL)
        assert forker.status() == -signal.SIGKILL, f"{kill} kills; {(tmp_path / 'train.log').read_text()}"
    assert torch.load(killed / "last.pt", weights_only=True)["step"] < 63, "the kills came too late to matter"

    resumed = run_script(recipe, "--data", dataset.folder, "--out", killed, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    done = run_script(recipe, "--data", dataset.folder, "--out", whole)
    assert done.returncode == 0, done.stderr

    states = [torch.load(run / "last.pt", weights_only=True) for run in (whole, killed)]
    assert [state["step"] for state in states] == [63, 63]
    for key in ("model", "ema", "optimizer", "scheduler", "epoch", "rng", "best", "config"):
        assert differences(states[0][key], states[1][key], key) == []
    bests = [torch.load(run / "best.pt", weights_only=True) for run in (whole, killed)]
    assert differences(*bests) == []
    tables = [read_records(run).drop(columns=["seconds", "images_per_second"]) for run in (whole, killed)]
    assert repr(tables[0].to_dict("records")) == repr(tables[1].to_dict("records"))
    assert tables[0]["epoch"].tolist() == list(range(1, 10))
    assert (whole / "log.jsonl").read_bytes() == (killed / "log.jsonl").read_bytes()
    listings = [sorted(str(path.relative_to(run)) for path in run.rglob("*")) for run in (whole, killed)]
    assert listings[0] == listings[1], "something half written was left behind"


def test_the_recipe_of_these_tests_uses_all_that_a_resume_must_restore(recipe: Path) -> None:
    config = load_recipe(str(recipe))
    assert config.training.augmentation.active
    assert config.training.ema_decay > 0
    assert config.model.dropout > 0
