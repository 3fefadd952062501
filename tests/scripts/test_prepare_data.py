"""The command line of prepare_data: its exit statuses, what it prints, and what it leaves on the disk."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import prepare_data
import pytest

from derm_core.data.table import load_dataset
from derm_core.errors import ConfigError, DatasetError
from tests.derm_core.data.sources import class_folders, ham10000_pictures, jpeg, write_files, write_ham10000

SCRIPT = Path(prepare_data.__file__)


def run_script(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, arguments)], capture_output=True, text=True, timeout=120
    )


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["prepare_data.py", *map(str, arguments)])
    prepare_data.main()


def test_a_good_source_ends_with_0_and_a_summary(tmp_path: Path) -> None:
    done = run_script("ham10000", write_ham10000(tmp_path / "source"), "--out", tmp_path / "set")
    assert done.returncode == 0, done.stderr
    assert "6 pictures of 5 lesions" in done.stdout
    assert "checking pictures: 6/6 images (100%)" in done.stderr
    assert len(load_dataset(tmp_path / "set")) == 6


def test_a_bad_picture_ends_with_2_one_clear_line_and_nothing_written(tmp_path: Path) -> None:
    pictures = {**ham10000_pictures(), "ISIC_0000002.jpg": b"text"}
    del pictures["ISIC_0000005.jpg"]
    source = write_ham10000(tmp_path / "source", pictures=pictures)
    found = tmp_path / "found.json"
    done = run_script("ham10000", source, "--out", tmp_path / "set", "--json", found)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        "error: Not all pictures can be used: 1 missing (ISIC_0000005.jpg); 1 unreadable (ISIC_0000002.jpg). "
        "Mend the source, or go on without them: --leave-out missing,unreadable."
    )
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["found.json", "source"]
    problems = json.loads(found.read_text())["problems"]
    assert [entry["name"] for entry in problems["missing"]] == ["ISIC_0000005.jpg"]
    assert "not a picture" in problems["unreadable"][0]["reason"]


def test_an_interrupt_ends_with_1_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    source = write_files(tmp_path / "source", class_folders("nv", "mel", each=20))
    (tmp_path / "out").mkdir()
    # The script as it is, but for a disk so slow that the table is not written before the interrupt comes.
    code = (
        "import sys, time\n"
        "import _cli, prepare_data\n"
        "from derm_core.data import table\n"
        "def slow(path, rows):\n"
        "    print('writing', flush=True)\n"
        "    time.sleep(60)\n"
        "table._write_table = slow\n"
        "sys.argv = sys.argv[1:]\n"
        "_cli.run_command(prepare_data.main)\n"
    )
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            code,
            "prepare_data.py",
            "folder",
            str(source),
            "--out",
            str(tmp_path / "out" / "set"),
        ],
        cwd=SCRIPT.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    assert len(list((tmp_path / "out").iterdir())) == 1
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1
    assert stderr.splitlines()[-1] == "interrupted"
    assert list((tmp_path / "out").iterdir()) == []


def test_json_on_standard_output_is_all_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {**class_folders("benign", "malignant", each=10), "benign/copy.jpg": b"", "note.txt": b""}
    files["malignant/copy.jpg"] = files["malignant/1.jpg"]
    source = write_files(tmp_path / "source", files)
    options = (
        "--leave-out",
        "unreadable,duplicate",
        "--licence",
        "CC0",
        "--name",
        "Ours",
        "--val",
        0.1,
        "--test",
        0.2,
    )
    call(monkeypatch, "folder", source, "--out", tmp_path / "set", "--json", "-", *options)
    summary = json.loads(capsys.readouterr().out)
    assert summary["source"] == "Ours"
    assert summary["licence"] == "CC0"
    assert summary["listed"] == 22
    assert summary["pictures"] == 20
    assert summary["diagnoses"] == {"benign": 10, "malignant": 10}
    assert {split: part["lesions"] for split, part in summary["splits"].items()} == {
        "train": 14,
        "val": 2,
        "test": 4,
    }
    assert [entry["name"] for entry in summary["problems"]["duplicate"]] == ["malignant/copy.jpg"]
    assert summary["unused_files"] == ["note.txt"]
    assert summary["fingerprint"] == load_dataset(tmp_path / "set").fingerprint()
    assert summary["provenance"]["left_out"] == {"unreadable": 1, "duplicate": 1}


def test_what_was_left_out_or_not_used_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures = {**ham10000_pictures(), "ISIC_0000099.jpg": jpeg(99)}
    pictures["ISIC_0000002.jpg"] = pictures["ISIC_0000001.jpg"]
    del pictures["ISIC_0000003.jpg"]
    source = write_ham10000(tmp_path / "source", pictures=pictures)
    call(monkeypatch, "ham10000", source, "--out", tmp_path / "set", "--leave-out", "missing", "--folds", 2)
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == [
        "left out, missing: 1 (ISIC_0000003.jpg)",
        "copies within one lesion, kept: 1 (ISIC_0000002.jpg)",
        "files not used: 1 (ISIC_0000099.jpg): the table does not list them",
        f"{tmp_path / 'set'}: 5 pictures of 4 lesions",
    ]
    parts = [line for line in lines[4:] if not line.strip().startswith("none of ")]
    assert [line.split(":")[0].strip() for line in parts] == ["fold-0", "fold-1"]


def test_a_task_takes_only_its_diagnoses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = ham10000_pictures()
    del pictures["ISIC_0000006.jpg"]  # of a diagnosis that the task does not know
    source = write_ham10000(tmp_path / "source", pictures=pictures)
    call(monkeypatch, "ham10000", source, "--out", tmp_path / "set", "--task", "nv-bkl-mel")
    dataset = load_dataset(tmp_path / "set")
    assert sorted(dataset.table["diagnosis"]) == ["bkl", "bkl", "mel", "nv", "nv"]
    assert dataset.provenance["task"] == "nv-bkl-mel"


def test_a_class_that_is_left_without_a_picture_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = class_folders("train/nv", "train/mel", "val/nv", "test/nv", "test/bcc", each=2)
    # The only melanomas are also called naevi.
    folders |= {"train/mel/0.jpg": folders["train/nv/0.jpg"], "train/mel/1.jpg": folders["train/nv/1.jpg"]}
    folders |= {"train/nv/2.jpg": jpeg(90)}
    source = write_files(tmp_path / "source", folders)
    call(monkeypatch, "folder", source, "--out", tmp_path / "set", "--leave-out", "conflicting")
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert lines[-6:] == [
        "test: 4 pictures of 4 lesions (bcc 2, nv 2)",
        "train: 1 pictures of 1 lesions (nv 1)",
        "none of bcc",
        "val: 2 pictures of 2 lesions (nv 2)",
        "none of bcc",
        "left without a picture: mel",
    ]


def test_class_options_map_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_files(tmp_path / "source", class_folders("Klasse=1", "Klasse 2", "rest", each=4))
    mapping = ("--class", "Klasse=1=nv", "--class", "Klasse 2=mel", "--class", "rest=")
    call(monkeypatch, "folder", source, "--out", tmp_path / "set", *mapping)
    assert sorted(set(load_dataset(tmp_path / "set").table["diagnosis"])) == ["mel", "nv"]
    assert "no pictures of a kind that is read" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="wanted: NAME=CODE"):
        call(monkeypatch, "folder", source, "--out", tmp_path / "other", "--class", "nv")


def test_wrong_arguments_are_refused_before_a_picture_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_ham10000(tmp_path / "source")
    out = tmp_path / "set"
    monkeypatch.setattr(prepare_data, "inspect_pictures", lambda *_, **__: pytest.fail("pictures were read"))
    for options, error in (
        (("--val", 0.9, "--test", 0.2), ConfigError),
        (("--folds", 5, "--val", 0.1), ConfigError),
        (("--json", tmp_path / "absent" / "file.json"), ConfigError),
        (("--leave-out", "mising"), SystemExit),
        (("--task", "ham8"), SystemExit),
        (("--val", "much"), SystemExit),
    ):
        with pytest.raises(error):
            call(monkeypatch, "ham10000", source, "--out", out, *options)
    assert "Did you mean 'missing'" in capsys.readouterr().err
    out.mkdir()
    with pytest.raises(DatasetError, match="exists already"):
        call(monkeypatch, "ham10000", source, "--out", out)


@pytest.mark.parametrize("source", ["ham10000", "folder"])
def test_help_is_answered(
    source: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        call(monkeypatch, source, "--help")
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert all(option in text for option in ("--out", "--val", "--folds", "--leave-out", "60/20/20"))
