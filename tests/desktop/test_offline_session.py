"""The app without any network: a picture, a folder of 60 files, models, exports, a training; no other host is asked."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from tests.desktop.offline_session import BROWSERS, ROOT
from tests.desktop.tiny_training import tiny_dataset

# The second one is for those who are not root, where the system lets them have namespaces of their own.
UNSHARED = (["unshare", "-n"], ["unshare", "-rn"])


@pytest.fixture(scope="module")
def without_network() -> list[str]:
    """The words that run a command in a network namespace of its own."""
    if shutil.which("unshare"):
        for words in UNSHARED:
            if subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0:
                return words
    reason = "no network namespace may be made here: that the app needs no network is NOT tested"
    warnings.warn(reason, UserWarning, stacklevel=1)
    pytest.skip(reason)


@pytest.fixture
def sixty(tmp_path: Path, tiny_pictures: list[Path]) -> Path:
    """58 pictures, two files that are called so, and one that is not."""
    folder = tmp_path / "sixty"
    folder.mkdir()
    for number in range(58):
        (folder / f"{number:02d}.jpg").write_bytes(tiny_pictures[number % 4].read_bytes())
    (folder / "letter.jpg").write_text("letter")
    (folder / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (folder / "notes.docx").write_text("notes")
    return folder


@pytest.mark.filterwarnings("default:no network namespace:UserWarning")
def test_everything_works_without_a_network_and_nobody_else_is_asked(
    without_network: list[str], sixty: Path, tmp_path: Path
) -> None:
    if not any(map(shutil.which, BROWSERS)):
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is on the PATH")
    tiny_dataset(tmp_path / "set")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = [sys.executable, "-m", "tests.desktop.offline_session"]
    done = subprocess.run(
        [*without_network, *program, str(tmp_path / "home"), str(sixty), str(port)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
