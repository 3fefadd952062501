"""predict.py: a run that was killed or failed goes on where it was, and only where it is the same run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import predict
import pytest
import torch

from derm_core.errors import ConfigError
from derm_core.serving.bundle import load_bundle, save_bundle
from tests.scripts.predicting import Run, read_rows

pytestmark = pytest.mark.usefixtures("no_models_of_somebody")

SCRIPT = Path(predict.__file__)


@pytest.fixture
def many(tmp_path: Path, tiny_pictures: list[Path]) -> list[Path]:
    """Fourteen pictures in a folder; the fifth cannot be read."""
    folder = tmp_path / "many"
    folder.mkdir()
    files = [folder / f"{number:02d}.jpg" for number in range(14)]
    for number, file in enumerate(files):
        file.write_bytes(tiny_pictures[number % 4].read_bytes())
    files[4].write_bytes(b"no picture")
    return files


def without_seconds(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    return [row | {"seconds": ""} for row in rows]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a picture that keeps a run waiting is a named pipe")
@pytest.mark.parametrize("extension", ["csv", "jsonl"])
def test_a_run_that_is_killed_goes_on_where_it_was(
    run: Run, model: Path, many: list[Path], tmp_path: Path, extension: str
) -> None:
    whole, out = tmp_path / f"whole.{extension}", tmp_path / f"answers.{extension}"
    arguments = [*many, "--model", model, "--device", "cpu", "--heatmaps", tmp_path / "maps", "--out"]
    content = many[9].read_bytes()
    many[9].unlink()
    os.mkfifo(many[9])
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT), *map(str, arguments), str(out)], stderr=subprocess.DEVNULL
    )
    try:
        partial = out.with_name(out.name + ".partial")
        until = time.monotonic() + 120
        while (partial.read_bytes().count(b"\n") if partial.exists() else 0) < 10:
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    assert not out.exists()
    kept = [json.loads(line) for line in partial.read_text("utf-8").splitlines()[1:]]
    assert [row["file"] for row in kept] == [str(file) for file in many[:9]]
    with partial.open("ab") as stream:
        stream.write(b'{"file": "' + str(many[9]).encode()[:9])
    many[9].unlink()
    many[9].write_bytes(content)

    with pytest.raises(
        ConfigError, match=r"partial holds the rows of a run that was ended early. Add --resume"
    ):
        run(*many, out=out)
    # What it may have been writing when it was killed.
    (tmp_path / "maps" / ".09.png.0123456789abcdef.partial").write_bytes(b"half")
    run(*many, "--heatmaps", tmp_path / "maps", "--resume", out=out)
    run(*many, out=whole)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [*(f"tiny-{number}.jpg" for number in range(4)), "many", "maps", out.name, whole.name]
    )
    assert len(list((tmp_path / "maps").iterdir())) == 13
    if extension == "csv":
        assert without_seconds(read_rows(out)) == without_seconds(read_rows(whole))
        seconds = [row["seconds"] for row in read_rows(out)]
    else:
        lines, expected = (
            [json.loads(line) for line in path.read_text().splitlines()] for path in (out, whole)
        )
        assert without_seconds(lines) == without_seconds(expected)
        seconds = [line["seconds"] for line in lines]
    # The time each took tells that the first nine were not asked about again.
    assert [str(value) for value in seconds[:9]] == [
        "" if row["seconds"] is None and extension == "csv" else str(row["seconds"]) for row in kept
    ]


@pytest.mark.parametrize("extension", ["csv", "jsonl"])
def test_an_out_that_exists_is_gone_on_with(
    run: Run, many: list[Path], tmp_path: Path, extension: str, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, out = tmp_path / f"whole.{extension}", tmp_path / f"answers.{extension}"
    run(*many, out=whole)
    lines = whole.read_bytes().splitlines(keepends=True)
    out.write_bytes(b"".join(lines[:8]) + lines[8][:20])
    capsys.readouterr()
    run(*many, "--resume", out=out)
    done = 7 if extension == "csv" else 8
    assert f"{done} of 14 pictures were done." in capsys.readouterr().err
    assert out.read_bytes().splitlines()[:8] == whole.read_bytes().splitlines()[:8]
    if extension == "csv":
        assert without_seconds(read_rows(out)) == without_seconds(read_rows(whole))
    finished = out.read_bytes()
    run(*many, "--resume", out=out)
    assert out.read_bytes() == finished


def test_a_picture_that_is_given_twice_has_two_rows_however_often_it_is_resumed(
    run: Run, many: list[Path], tmp_path: Path
) -> None:
    run(many[0], out=tmp_path / "answers.csv")
    rows = run(many[0], many[1], many[0], "--resume")
    assert [Path(row["file"]).name for row in rows] == ["00.jpg", "01.jpg", "00.jpg"]
    assert len(run(many[0], many[1], many[0], "--resume")) == 3


def test_rows_of_another_model_or_other_options_are_not_gone_on_with(
    run: Run, model: Path, many: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "answers.csv"
    run(*many, out=out)
    before = out.read_bytes()
    bundle = load_bundle(model)
    state = {name: tensor.clone() for name, tensor in bundle.build_model().state_dict().items()}
    state["classifier.3.bias"] += torch.arange(7.0)
    other = tmp_path / "other"
    save_bundle(other, model_state=state, description=bundle.description)
    with pytest.raises(ConfigError, match="are not this model's"):
        run(*many, "--resume", model=other)
    with pytest.raises(ConfigError, match="has other columns"):
        run(*many, "--resume", "--age", 50)
    assert out.read_bytes() == before
    assert not (tmp_path / "answers.csv.partial").exists()

    with stopped_at_row(3):
        run(*many, out=tmp_path / "new.csv")
    with pytest.raises(ConfigError, match=r"new\.csv\.partial was left by another run: model differ"):
        run(*many, "--resume", out=tmp_path / "new.csv", model=other)
    with pytest.raises(ConfigError, match="heatmaps differ"):
        run(*many, "--resume", "--heatmaps", tmp_path / "maps", out=tmp_path / "new.csv")
    assert len(run(*many, "--overwrite", out=tmp_path / "new.csv")) == 14


def test_a_run_that_fails_keeps_its_rows_and_says_so(
    run: Run, many: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with stopped_at_row(6):
        run(*many)
    assert "answers.csv.partial. Add --resume to go on with them." in capsys.readouterr().err
    assert not (tmp_path / "answers.csv").exists()
    assert len(run(*many, "--resume")) == 14
    assert "6 of 14 pictures were done." in capsys.readouterr().err


@contextmanager
def stopped_at_row(number: int) -> Iterator[None]:
    """Lets the disk be full after so many rows."""
    written, row_of = [], predict.answer_row

    def fails(*arguments: object, **options: object) -> object:
        if len(written) == number:
            raise OSError("No space left on device")
        written.append(arguments)
        return row_of(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(predict, "answer_row", fails)
        with pytest.raises(OSError, match="No space left"):
            yield


def test_resume_needs_an_out_and_no_overwrite(
    run: Run, many: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="--resume goes on with the rows of --out"):
        run(*many, "--resume", "--overwrite")
    monkeypatch.setattr(sys, "argv", ["predict.py", str(many[0]), "--resume"])
    with pytest.raises(ConfigError, match="name it"):
        predict.main()


def test_what_a_kill_left_before_the_first_row_is_no_hindrance(
    run: Run, many: list[Path], tmp_path: Path
) -> None:
    for left in (b"", b'{"columns": ["fi'):
        (tmp_path / "answers.csv.partial").write_bytes(left)
        (tmp_path / "answers.csv").unlink(missing_ok=True)
        assert len(run(*many[:2], "--resume")) == 2
