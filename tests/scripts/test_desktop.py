"""The start of the offline app: what it refuses in one line, where it listens, and what it leaves behind."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import _desktop
import pytest

from derm_core.data.transforms import Preprocessing
from derm_core.diagnoses import TASKS
from derm_core.errors import BundleError
from derm_core.models import build_model
from derm_core.serving.bundle import BundleDescription, OperatingPoint, save_bundle
from desktop.training_job import JobProcess, write_values
from desktop.training_runs import TrainingRun

SCRIPT = Path(_desktop.__file__)


def start_and_fail(home: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCRIPT, "--no-browser", *arguments],
        env=os.environ | {"DERM_HOME": str(home)} | settings,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        yield listener.getsockname()[1]


@pytest.fixture
def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A model with random weights."""
    description = BundleDescription(
        name="tiny",
        version="1",
        architecture="mobilenet_v3_small",
        task="ham7",
        classes=TASKS["ham7"].classes,
        preprocessing=Preprocessing(image_size=64, working_side=100),
        temperature=1.0,
        operating_points=(OperatingPoint("half", 0.5),),
        default_operating_point="half",
    )
    state = build_model("mobilenet_v3_small", 7).state_dict()
    save_bundle(tmp_path / "tiny", model_state=state, description=description)
    return tmp_path / "tiny"


def test_a_taken_port_is_one_sentence_that_says_where_the_app_may_be(tmp_path: Path, taken_port: int) -> None:
    done = start_and_fail(tmp_path, "--port", str(taken_port))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"open http://127.0.0.1:{taken_port};" in done.stderr
    assert f"--port {taken_port + 1}" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "reason"), [(("--port", "0"), "1 to 65535"), (("--host", "nowhere"), "wanted: an address")]
)
def test_wrong_arguments_are_one_line(tmp_path: Path, arguments: tuple[str, ...], reason: str) -> None:
    done = start_and_fail(tmp_path, *arguments)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert reason in done.stderr


def test_a_model_that_is_not_there_is_one_line(tmp_path: Path, free_port: int) -> None:
    done = start_and_fail(tmp_path, "--port", str(free_port), DERM_MODEL="nobody")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "nobody" in done.stderr


def test_the_network_is_let_in_only_by_a_password(tmp_path: Path, free_port: int) -> None:
    short = tmp_path / "short"
    short.write_text("too short\n")
    for arguments, reason in (
        ((), "On 0.0.0.0 others of the network could use the app: that takes a password of 12"),
        (("--password-file", str(short)), "takes a password of 12 characters or more"),
        (("--password-file", str(tmp_path / "gone")), "cannot be read"),
    ):
        done = start_and_fail(tmp_path, "--port", str(free_port), "--host", "0.0.0.0", *arguments)
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
        assert reason in done.stderr


def test_an_entry_is_added_to_the_menu(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT, "--menu"],
        env=os.environ | {"XDG_DATA_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if sys.platform != "linux":
        assert done.returncode == 2
        return
    assert (done.returncode, done.stderr) == (0, "")
    entry = (tmp_path / "applications" / "dermatrace.desktop").read_text("utf-8")
    assert f'Exec="{SCRIPT.with_name("desktop")}"' in entry


def test_a_model_that_was_chosen_and_is_gone_gives_way_to_the_bundled_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def load(model: str | None) -> str:
        if model == "gone@1":
            raise BundleError("There is no 'gone@1'.")
        return model or "bundled"

    loader = SimpleNamespace(load=load)
    assert _desktop.load_remembered(loader, "ham7@2") == "ham7@2"
    assert _desktop.load_remembered(loader, None) == "bundled"
    assert _desktop.load_remembered(loader, "gone@1") == "bundled"
    assert "There is no 'gone@1'." in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="Windows knows no SIGTERM for one process")
def test_it_says_where_it_is_answers_there_alone_and_leaves_nothing(
    tmp_path: Path, free_port: int, bundle: Path
) -> None:
    home = tmp_path / "home"
    with subprocess.Popen(
        [sys.executable, SCRIPT, "--no-browser", "--port", str(free_port)],
        env=os.environ | {"DERM_HOME": str(home), "DERM_MODEL": str(bundle), "GRADIO_SERVER_NAME": "0.0.0.0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as app:
        try:
            assert app.stdout is not None
            assert app.stdout.readline() == "Loading the model ...\n"
            line = app.stdout.readline()
            found = re.fullmatch(
                r"Dermatrace is ready on (http://127\.0\.0\.1:\d+) \(Ctrl\+C stops it\)\n", line
            )
            assert found, line + app.communicate(timeout=60)[1]
            with urllib.request.urlopen(found[1], timeout=60) as answer:
                assert b"Dermatrace" in answer.read()
            assert (home / "desktop" / str(free_port)).is_dir()
            with socket.socket() as elsewhere:
                elsewhere.settimeout(2)
                assert elsewhere.connect_ex(("127.0.0.2", free_port)) != 0
        finally:
            app.send_signal(signal.SIGTERM)
            output, errors = app.communicate(timeout=60)
    assert app.returncode == 0
    assert (output, errors) == ("", "")
    assert list((home / "desktop").iterdir()) == []


def test_it_says_what_goes_on_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DERM_HOME", str(tmp_path))
    for name in ("one", "two"):
        run = TrainingRun(name)
        for job in (run.training, run.registering):
            job.folder.mkdir(parents=True)
            write_values(job.folder / "task.json", {"do": "train"})
        write_values(run.training.folder.parent / "run.json", {})
    with JobProcess(TrainingRun("two").registering.folder):
        _desktop.tell_of_trainings()
    assert capsys.readouterr().out == (
        "The work on two goes on by itself; the next start of the app finds it again.\n"
    )
