"""The command line of audit_data: what it prints and writes, and its exit statuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import audit_data
import pytest
from PIL import Image

from derm_core.errors import ConfigError, DatasetError
from tests.derm_core.data.drawn import encoded, lesion
from tests.derm_core.data.sources import write_files

SCRIPT = Path(audit_data.__file__)


@pytest.fixture
def leaking(tmp_path: Path) -> Path:
    """Class folders of one picture each, and a mirrored copy of one on the other side of the split."""
    files = {
        "train/nv/1.jpg": encoded(lesion(1)),
        "train/mel/2.jpg": encoded(lesion(2)),
        "test/nv/3.jpg": encoded(lesion(1).transpose(Image.Transpose.FLIP_LEFT_RIGHT), quality=60),
        "test/mel/4.jpg": encoded(lesion(4)),
    }
    return write_files(tmp_path / "leaking", files)


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["audit_data.py", *map(str, arguments), "--workers", "1"])
    return audit_data.main()


def test_findings_are_printed_and_are_no_failure(leaking: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(leaking)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == [
        "leaking: 4 pictures of 3 lesions (mel 2, nv 2)",
        "4 pictures in 1 dataset: 1 fault and 0 warnings.",
    ]
    assert lines[2].startswith(
        "fault: leaking: 1 lesion is in more than one split: 1 of the 2 test pictures shows"
    )
    assert "reading pictures: 4/4 images (100%)" in done.stderr


def test_strict_ends_with_1_only_where_there_is_a_fault(
    leaking: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call(monkeypatch, leaking, "--strict") == 1
    clean = write_files(tmp_path / "clean", {"nv/1.jpg": encoded(lesion(1)), "mel/2.jpg": encoded(lesion(2))})
    assert call(monkeypatch, clean, "--strict") == 0


def test_json_on_standard_output_is_all_that_is_there(
    leaking: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, leaking, "--json", "-") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["summary"] == "4 pictures in 1 dataset: 1 fault and 0 warnings."
    assert found["findings"][0]["level"] == "fault"
    assert found["findings"][0]["dataset"] == "leaking"
    assert found["datasets"][0]["crossing"]["shared"] == {"test": {"train": 1}, "train": {"test": 1}}
    (pair,) = found["pairs"]
    assert {pair["first"]["image"], pair["second"]["image"]} == {"train/nv/1.jpg", "test/nv/3.jpg"}
    assert pair["turn"] == "mirrored"


def test_a_page_and_a_json_file_are_written(
    leaking: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = write_files(tmp_path / "other", {"naevi/copy.jpg": encoded(lesion(4), quality=40)})
    found, page = tmp_path / "found.json", tmp_path / "page.html"
    assert call(monkeypatch, leaking, other, "--json", found, "--page", page, "--pairs", 1) == 0
    assert [entry["dataset"] for entry in json.loads(found.read_text())["overlaps"]] == ["leaking", "other"]
    assert "Diagnoses that contradict each other" in page.read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["found.json", "leaking", "other", "page.html"]


def test_wrong_arguments_are_refused_before_a_picture_is_read(
    leaking: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("derm_core.data.audit.run_audit", lambda *_, **__: pytest.fail("pictures were read"))
    for arguments, error in (
        ((leaking / "absent",), DatasetError),
        ((leaking, leaking), DatasetError),
        ((leaking, "--pairs", 0), ConfigError),
        ((leaking, "--json", leaking / "absent" / "found.json"), ConfigError),
        ((leaking, "--page", leaking / "absent" / "page.html"), ConfigError),
        ((), SystemExit),
    ):
        with pytest.raises(error):
            call(monkeypatch, *arguments)


def test_help_is_answered(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        call(monkeypatch, "--help")
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert all(option in text for option in ("DATASET", "--json", "--page", "--pairs", "--strict"))
