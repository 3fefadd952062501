"""predict.py: a row for every picture, whatever the files are like, and nothing half written."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import _answers
import numpy as np
import predict
import pytest
from PIL import Image

from derm_core.diagnoses import NOTICE
from derm_core.errors import BundleError, ConfigError
from derm_core.serving.loading import load_predictor
from tests.scripts.predicting import CLASSES, COLUMNS, Run, read_rows

pytestmark = pytest.mark.usefixtures("no_models_of_somebody")

SCRIPT = Path(predict.__file__)


def test_a_mixed_folder_has_a_row_for_each_picture_in_bounded_memory(
    model: Path, tiny_pictures: list[Path], tmp_path: Path
) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    for path in tiny_pictures:
        path.rename(folder / path.name)
    (folder / "text.jpg").write_text("This is no picture.")
    (folder / "empty.jpg").touch()
    whole = (folder / "tiny-0.jpg").read_bytes()
    (folder / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    for number in range(3):
        huge = Image.new("RGB", (8000, 5000), (190 + number, 150, 130))
        huge.paste((90, 60, 50), (3000, 2000, 5000, 3000))
        huge.save(folder / f"huge-{number}.png", compress_level=1)
    (folder / "readme.md").touch()

    # In a process of its own: the peak before is that of the libraries, the model and a small picture.
    code = (
        "import resource, runpy, sys\n"
        "from derm_core.serving.loading import load_predictor\n"
        "script, model, small, folder, out = sys.argv[1:]\n"
        "load_predictor(model).predict(small)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
        "sys.argv = ['predict.py', '--model', model, '--out', out, folder]\n"
        "try:\n"
        "    runpy.run_path(script, run_name='__main__')\n"
        "finally:\n"
        "    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, SCRIPT, model, folder / "tiny-0.jpg", folder, tmp_path / "out.csv"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(SCRIPT.parent.parent), str(SCRIPT.parent)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    before, after = map(int, done.stdout.split())
    # Two pictures of 40 megapixels are 240 MB as RGB; they are let go before the third is read.
    assert (after - before) / (1024**2 if sys.platform == "darwin" else 1024) < 450
    rows = read_rows(tmp_path / "out.csv")
    assert [Path(row["file"]).name for row in rows] == [
        *("empty.jpg", "huge-0.png", "huge-1.png", "huge-2.png", "text.jpg"),
        *(f"tiny-{number}.jpg" for number in range(4)),
        "truncated.jpg",
    ]
    for row in rows:
        bad = Path(row["file"]).name in ("empty.jpg", "text.jpg", "truncated.jpg")
        assert bool(row["error"]) is bad
        assert (row["top"] in CLASSES) is not bad
        assert not bad or not any(row[column] for column in COLUMNS if column not in ("file", "error"))


def test_the_columns_are_as_agreed_and_hold_what_the_predictor_answers(
    run: Run, model: Path, folder: Path
) -> None:
    rows = run(folder)
    assert list(rows[0]) == COLUMNS
    predictor = load_predictor(model)
    for row in rows:
        answer = predictor.predict(row["file"])
        assert row["top"] == answer.top
        assert float(row["malignant_probability"]) == answer.malignant_probability
        assert row["advice"] == answer.advice
        assert {code: float(row[f"p_{code}"]) for code in CLASSES} == answer.probabilities
        assert float(row["seconds"]) > 0
        assert row["error"] == ""


def test_a_folder_is_read_sorted_and_with_its_folders(
    run: Run, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [str(Path(row["file"]).relative_to(folder)) for row in run(folder)]
    assert names == sorted(["a.JPEG", "b.jpg", "left/arm/a.jpg", "left/c.jpg"])
    assert "1 file that is not named like a picture was left out." in capsys.readouterr().err
    flat = run(folder, "--no-recursive", "--overwrite")
    assert [Path(row["file"]).name for row in flat] == ["a.JPEG", "b.jpg"]


def test_files_named_on_the_command_line_are_tried_whatever_they_are_called(run: Run, folder: Path) -> None:
    (folder / "b.jpg").rename(folder / "picture.dat")
    rows = run(folder / "picture.dat", folder / "none.jpg", folder / "notes.txt")
    assert [bool(row["error"]) for row in rows] == [False, True, True]
    assert "does not exist" in rows[1]["error"]


def test_a_picture_that_was_named_and_has_no_answer_is_told_by_the_status(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    statuses: list[int | None] = []
    main = predict.main

    def noted() -> None:
        statuses.append(main())

    monkeypatch.setattr(predict, "main", noted)
    (folder / "c.jpg").write_bytes(b"")
    assert any(row["error"] for row in run(folder))
    rows = run(folder, folder / "none.jpg", "--overwrite")
    assert [Path(row["file"]).name for row in rows][-1] == "none.jpg"
    # It stays without an answer when the run is taken up again.
    run(folder, folder / "none.jpg", "--resume")
    run(folder / "b.jpg", "--overwrite")
    assert statuses == [None, 1, 1, None]


def test_flags_of_quality_are_named(run: Run, tmp_path: Path) -> None:
    Image.new("RGB", (50, 60), "black").save(tmp_path / "black.png")
    (row,) = run(tmp_path / "black.png")
    assert (row["advice"], row["quality"]) == ("unsure", "too-small;too-dark")
    assert row["top"] in CLASSES


def test_json_lines_hold_the_same_values(run: Run, folder: Path, tmp_path: Path) -> None:
    rows = run(folder, folder / "none.jpg")
    run(folder, folder / "none.jpg", out=tmp_path / "answers.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text("utf-8").splitlines()]
    assert [list(line) for line in lines] == [COLUMNS] * 5
    for row, line in zip(rows, lines, strict=True):
        assert line["file"] == row["file"]
        if line["error"]:
            assert line["top"] is None
            assert line["quality"] is None
        else:
            assert line["malignant_probability"] == float(row["malignant_probability"])
            assert line["quality"] == ["too-small"]


def test_heatmaps_are_transparent_pictures_of_the_size_of_each_picture(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    (folder / "left" / "c.png").write_bytes((folder / "left" / "c.jpg").read_bytes())
    (folder / "broken.jpg").touch()
    plain = run(folder)
    rows = run(folder, "--heatmaps", tmp_path / "maps", "--overwrite")
    assert [row | {"seconds": ""} for row in rows] == [row | {"seconds": ""} for row in plain]
    found = sorted(
        str(path.relative_to(tmp_path / "maps")) for path in (tmp_path / "maps").rglob("*") if path.is_file()
    )
    assert found == ["a.png", "b.png", "left/arm/a.png", "left/c-2.png", "left/c.png"]
    for name in found:
        with Image.open(tmp_path / "maps" / name) as heatmap:
            assert (heatmap.mode, heatmap.size) == ("RGBA", (120, 90))
            cover = np.asarray(heatmap)[..., 3]
            assert cover.min() == 0
            assert 200 < cover.max() < 255


def test_heatmaps_of_huge_pictures_are_reduced(run: Run, tmp_path: Path) -> None:
    Image.linear_gradient("L").resize((4096, 3072)).save(tmp_path / "large.jpg")
    run(tmp_path / "large.jpg", "--heatmaps", tmp_path / "maps")
    with Image.open(tmp_path / "maps" / "large.png") as heatmap:
        assert heatmap.size == (1024, 768)


def test_what_exists_is_only_replaced_when_asked(run: Run, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "answers.csv"
    out.write_text("somebody's work")
    with pytest.raises(ConfigError, match="exists already"):
        run(folder)
    assert out.read_text() == "somebody's work"
    assert len(run(folder, "--overwrite")) == 4
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "work.png").touch()
    with pytest.raises(ConfigError, match="is not empty"):
        run(folder, "--heatmaps", tmp_path / "maps", out=tmp_path / "new.csv")
    assert not (tmp_path / "new.csv").exists()


@pytest.mark.parametrize("target", ["answers.txt", "answers", "no/such/folder/answers.csv"])
def test_an_out_that_cannot_be_written_is_refused_at_once(
    run: Run, folder: Path, tmp_path: Path, target: str
) -> None:
    with pytest.raises(ConfigError, match="--out"):
        run(folder, out=tmp_path / target)


def test_heatmaps_are_not_put_where_a_file_is(run: Run, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "maps").touch()
    with pytest.raises(ConfigError, match="is a file"):
        run(folder, "--heatmaps", tmp_path / "maps")


def test_a_folder_without_pictures_is_one_clear_sentence(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    with pytest.raises(ConfigError, match=r"There is no picture in .*bare\. Wanted: \.bmp"):
        run(tmp_path / "bare")


def test_a_run_that_fails_leaves_no_file(
    run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(predict, "answer_row", fails)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(OSError, match="No space left"):
        run(folder)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not allow such names")
def test_a_file_name_that_is_no_utf8_does_not_end_the_run(run: Run, folder: Path) -> None:
    os.rename(folder / "b.jpg", os.fsencode(folder) + b"/b\xff.jpg")
    (folder / "a.JPEG").write_bytes(b"")
    assert any("\\udcff" in row["file"] for row in run(folder))


def test_without_out_a_pipe_gets_csv(
    model: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["predict.py", str(folder), "--model", str(model), "--device", "cpu"])
    predict.main()
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert len(rows) == 4
    assert list(rows[0]) == COLUMNS


def test_a_model_that_does_not_exist_leaves_no_file(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "answers.csv"
    monkeypatch.setattr(
        sys, "argv", ["predict.py", str(folder), "--model", str(tmp_path / "none"), "--out", str(out)]
    )
    with pytest.raises(BundleError, match="none does not exist"):
        predict.main()
    assert not out.exists()


def test_a_terminal_gets_a_table_with_the_notice(
    model: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "b.jpg").write_bytes(b"")
    Image.new("RGB", (300, 200), "black").save(folder / "left" / "c.jpg")
    monkeypatch.setattr(sys, "argv", ["predict.py", str(folder), "--model", str(model), "--device", "cpu"])
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    predict.main()
    printed = capsys.readouterr().out
    assert NOTICE in printed
    assert "refer from a risk of malignancy of 50% on" in printed
    assert len(printed.strip().splitlines()) == 2 + 1 + 1 + 4
    assert "Not read" in printed
    assert re.search(r"No answer .*\(too-dark\) .*c\.jpg", printed)


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "<1%"),
        (0.0099, "<1%"),
        (0.01, "1%"),
        (0.425, "42%"),
        (0.99, "99%"),
        (0.9999, ">99%"),
        (1.0, ">99%"),
    ],
)
def test_percents_are_whole_and_nothing_is_certain(share: float, text: str) -> None:
    assert _answers.percent(share) == text
