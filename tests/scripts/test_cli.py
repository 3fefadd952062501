"""The shared command line: statuses, one-line errors, and progress for a terminal and for a log."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import _cli
from _cli import CommandParser, PlainLines, progress, run_command

import pytest

from derm_core.errors import DatasetError

SCRIPTS = Path(_cli.__file__).parent


def status_of(main: Callable[[], int | None]) -> int:
    with pytest.raises(SystemExit) as ending:
        run_command(main)
    assert isinstance(ending.value.code, int)
    return ending.value.code


@pytest.mark.parametrize(("returned", "status"), [(None, 0), (0, 0), (1, 1), (3, 3)])
def test_what_main_returns_is_the_status(returned: int | None, status: int) -> None:
    assert status_of(lambda: returned) == status


def test_a_refusal_is_one_line_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> None:
        raise DatasetError("metadata.csv has no column 'image'.\n  Wanted: image, diagnosis.")

    assert status_of(main) == 2
    captured = capsys.readouterr()
    assert captured.err == "error: metadata.csv has no column 'image'. Wanted: image, diagnosis.\n"
    assert captured.out == ""


def test_wrong_arguments_are_one_line_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> None:
        CommandParser(prog="train.py").parse_args(["--speed", "9"])

    assert status_of(main) == 2
    assert capsys.readouterr().err == "error: unrecognized arguments: --speed 9 (see train.py --help)\n"


def test_an_unexpected_exception_shows_where_it_came_from(capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> None:
        raise ZeroDivisionError("by hand")

    assert status_of(main) == 1
    error = capsys.readouterr().err
    assert "Traceback" in error
    assert "ZeroDivisionError: by hand" in error


def test_a_warning_is_one_line_without_a_place_in_the_code() -> None:
    code = (
        "import warnings; from _cli import run_command\n"
        "def main():\n"
        "    warnings.warn('cuda cannot be used;\\nanswering on the CPU.')\n"
        "    warnings.warn('soon gone', FutureWarning)\n"
        "run_command(main)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=SCRIPTS, capture_output=True, text=True)
    assert ended.returncode == 0
    first, *others = ended.stderr.splitlines()
    assert first == "warning: cuda cannot be used; answering on the CPU."
    assert "<string>:4: FutureWarning: soon gone" in "\n".join(others)


@pytest.mark.parametrize(
    ("number", "path", "status", "sentence"),
    [
        (errno.ENOSPC, None, 1, "The disk is full ("),
        (errno.EACCES, "runs/x", 2, f"{Path('runs/x')} may not be opened or written ("),
        (errno.EROFS, "out/.model.onnx.65c925c0.partial", 2, "out may not be opened or written ("),
    ],
)
def test_a_disk_that_takes_nothing_is_one_line_and_no_traceback(
    number: int, path: str | None, status: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def main() -> None:
        raise OSError(number, os.strerror(number), path)

    assert status_of(main) == status
    told = capsys.readouterr().err
    assert told.startswith(f"error: {sentence}")
    assert told.count("\n") == 1


def test_an_interruption_has_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    def main() -> None:
        raise KeyboardInterrupt

    assert status_of(main) == 1
    assert capsys.readouterr().err == "interrupted\n"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no closed pipes of this kind")
def test_a_reader_that_goes_away_causes_no_traceback() -> None:
    code = "from _cli import run_command; run_command(lambda: print('line\\n' * 100_000))"
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=SCRIPTS, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(1)
        process.stdout.close()
        error = process.stderr.read()
    assert error == b""
    assert process.returncode == 1


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_a_log_gets_a_line_about_every_ten_seconds_and_one_at_the_end() -> None:
    clock, log = Clock(), io.StringIO()
    bar = PlainLines(range(24), 24, "epoch 1/2", file=log, clock=clock)
    for _ in bar:
        clock.seconds += 1
        bar.set_postfix_str("loss 0.5")
    assert log.getvalue().splitlines() == [
        "epoch 1/2: 10/24 images (42%), 1.0 images/s, 0:14 left, loss 0.5",
        "epoch 1/2: 20/24 images (83%), 1.0 images/s, 0:04 left, loss 0.5",
        "epoch 1/2: 24/24 images (100%), 1.0 images/s, took 0:24, loss 0.5",
    ]


def test_a_slow_log_tells_its_end_once_and_no_rate_of_nought() -> None:
    clock, log = Clock(), io.StringIO()
    for _ in PlainLines(range(2), 2, unit="figures", file=log, clock=clock):
        clock.seconds += 12
    assert log.getvalue().splitlines() == [
        "1/2 figures (50%), 12 s each, 0:12 left",
        "2/2 figures (100%), 12 s each, took 0:24",
    ]


def test_a_continued_loop_counts_from_where_it_was_and_rates_only_what_it_did() -> None:
    clock, log = Clock(), io.StringIO()
    with_nothing_to_loop_over: PlainLines[int] = PlainLines(
        total=8000, unit="steps", initial=400, file=log, clock=clock
    )
    clock.seconds = 10
    with_nothing_to_loop_over.update(20)
    assert log.getvalue() == "420/8000 steps (5%), 2.0 steps/s, 1:03:10 left\n"


def test_a_loop_that_fails_says_how_far_it_came() -> None:
    log = io.StringIO()

    def stop_at_the_fourth() -> None:
        for number in PlainLines(range(5), 5, file=log, clock=Clock()):
            if number == 3:
                raise RuntimeError

    with pytest.raises(RuntimeError):
        stop_at_the_fourth()
    # The fourth was begun, not done.
    assert log.getvalue().startswith("3/5 images (60%)")


def test_without_a_terminal_progress_is_plain_and_knows_its_total(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert list(progress([1, 2, 3], description="reading", unit="rows")) == [1, 2, 3]
    assert capsys.readouterr().err.startswith("reading: 3/3 rows (100%)")


def test_on_a_terminal_progress_is_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    bar = progress(range(3), description="reading")
    for _ in bar:
        bar.set_postfix_str("loss 0.25")
    assert "reading: 100%" in terminal.getvalue()
    assert "3/3" in terminal.getvalue()
    assert "loss 0.25" in terminal.getvalue()


def test_what_went_on_before_it_was_shown_counts_in_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = io.StringIO()
    shown: PlainLines[object] = PlainLines(
        None, 64, "preparing", passed_seconds=16.0, file=lines, clock=lambda: 100.0
    )
    shown.update(64)
    shown.close()
    assert lines.getvalue() == "preparing: 64/64 images (100%), 4.0 images/s, took 0:16\n"


def test_on_a_terminal_it_counts_in_the_rate_too(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stderr", terminal)
    bar = progress(total=64, description="preparing", passed_seconds=3200.0)
    bar.update(64)
    bar.close()
    last = terminal.getvalue().split("\r")[-1]
    assert "64/64" in last
    assert "[53:20<" in last
    assert "50.00s/ images" in last


@pytest.mark.parametrize("script", sorted(path.name for path in SCRIPTS.glob("[a-z]*.py")))
def test_another_python_is_told_which_one_is_wanted(script: str) -> None:
    # -S leaves out site-packages, as a shell without the environment would.
    done = subprocess.run(
        [sys.executable, "-ES", SCRIPTS / script, "--help"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(
        f"error: {sys.executable} is not the Python that Dermatrace is installed in"
    )
    assert done.stderr.count("\n") == 1
