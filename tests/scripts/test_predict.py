"""predict.py: a row for every picture, whatever the files are like, and nothing half written."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import _answers
import numpy as np
import predict
import pytest
import torch
from PIL import Image

from derm_core.data.transforms import Preprocessing
from derm_core.diagnoses import NOTICE, TASKS
from derm_core.errors import BundleError, ConfigError
from derm_core.models import build_model
from derm_core.serving.bundle import BundleDescription, OperatingPoint, load_bundle, save_bundle
from derm_core.serving.context import SEXES, ContextModel, PatientContext
from derm_core.serving.loading import load_predictor

SCRIPT = Path(predict.__file__)
CLASSES = TASKS["ham7"].classes
COLUMNS = [
    *("file", "top", "malignant_probability", "advice", "quality"),
    *(f"p_{code}" for code in CLASSES),
    *("seconds", "error", "plausible"),
]

Run = Callable[..., list[dict[str, str]]]


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small bundle with random weights."""
    torch.manual_seed(4)
    network = build_model("mobilenet_v3_small", 7)
    description = BundleDescription(
        name="untrained",
        version="0",
        architecture="mobilenet_v3_small",
        task="ham7",
        classes=CLASSES,
        preprocessing=Preprocessing(image_size=64, working_side=100),
        temperature=1.0,
        operating_points=(OperatingPoint("half", 0.5),),
        default_operating_point="half",
    )
    folder = tmp_path_factory.mktemp("models") / "untrained"
    save_bundle(folder, model_state=network.state_dict(), description=description)
    return folder


@pytest.fixture(scope="session")
def context_model(model: Path) -> Path:
    """The folder of the same bundle, to which each part of what is known of a patient speaks for another class."""
    bundle = load_bundle(model)
    shifts = np.zeros((len(CLASSES), 5))
    shifts[range(1, 6), range(5)] = 2.0
    context = ContextModel(
        knots=(20.0, 80.0),
        sexes=SEXES,
        sites=("back",),
        coefficients=tuple(map(tuple, shifts.tolist())),
        intercepts=(0.0,) * len(CLASSES),
        log_prior=(-np.log(len(CLASSES)),) * len(CLASSES),
        weight=1.0,
        temperature=1.0,
    )
    description = replace(
        bundle.description, context=context, context_operating_points=(OperatingPoint("half", 0.25),)
    )
    folder = model.with_name("with-context")
    state = bundle.build_model().state_dict()
    save_bundle(folder, model_state=state, description=description)
    return folder


@pytest.fixture
def folder(tmp_path: Path, tiny_pictures: list[Path]) -> Path:
    """Four good pictures in a folder and its sub-folder, and files that are none."""
    place = tmp_path / "clinic"
    (place / "left" / "arm").mkdir(parents=True)
    for path, target in zip(tiny_pictures, ("b.jpg", "a.JPEG", "left/c.jpg", "left/arm/a.jpg"), strict=True):
        path.rename(place / target)
    (place / "notes.txt").write_text("not a picture")
    (place / ".hidden.jpg").write_text("left by a camera")
    return place


@pytest.fixture
def run(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command in this process and returns the rows of its CSV."""

    def call(*arguments: object, out: Path | None = None, model: Path = model) -> list[dict[str, str]]:
        target = out or tmp_path / "answers.csv"
        command = ["predict.py", *arguments, "--model", model, "--device", "cpu", "--out", target]
        monkeypatch.setattr(sys, "argv", [str(word) for word in command])
        predict.main()
        return read_rows(target)

    return call


@pytest.fixture(autouse=True)
def _no_models_of_somebody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DERM_HOME", str(tmp_path / "home"))


def read_rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text("utf-8").splitlines()))


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
    assert "1 files that are not named like pictures were left out." in capsys.readouterr().err
    flat = run(folder, "--no-recursive", "--overwrite")
    assert [Path(row["file"]).name for row in flat] == ["a.JPEG", "b.jpg"]


def test_files_named_on_the_command_line_are_tried_whatever_they_are_called(run: Run, folder: Path) -> None:
    (folder / "b.jpg").rename(folder / "picture.dat")
    rows = run(folder / "picture.dat", folder / "none.jpg", folder / "notes.txt")
    assert [bool(row["error"]) for row in rows] == [False, True, True]
    assert "does not exist" in rows[1]["error"]


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


def test_one_patient_is_known_of_all_pictures(run: Run, context_model: Path, folder: Path) -> None:
    rows = run(folder, "--age", 54, "--sex", "Female", "--site", "back", model=context_model)
    assert list(rows[0]) == [*COLUMNS, "context"]
    predictor = load_predictor(context_model)
    for row in rows:
        answer = predictor.predict(row["file"], PatientContext(54, "female", "back"))
        assert {code: float(row[f"p_{code}"]) for code in CLASSES} == answer.probabilities
        assert answer.probabilities != predictor.predict(row["file"]).probabilities
        assert row["context"] == "age;sex;site"


def test_a_table_says_what_is_known_of_each_picture(
    run: Run, context_model: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "broken.jpg").touch()
    table = tmp_path / "patients.csv"
    table.write_text(
        "\ufefffile,clinic,age,sex,site\n"
        f"{folder / 'b.jpg'},x,54,,\n"
        "arm/a.jpg,x,,Male ,back\n"
        "c.jpg,x,,,\n"
        "broken.jpg,x,1,,\n",
        "utf-8",
    )
    given = {"b.jpg": PatientContext(54), "left/arm/a.jpg": PatientContext(sex="male", site="back")}
    rows = run(folder, "--patients", table, model=context_model)
    assert "1 of 5 pictures have no row" in capsys.readouterr().err
    predictor = load_predictor(context_model)
    known = {}
    for row in rows:
        name = str(Path(row["file"]).relative_to(folder))
        known[name] = row["context"]
        if not row["error"]:
            answer = predictor.predict(row["file"], given.get(name))
            assert {code: float(row[f"p_{code}"]) for code in CLASSES} == answer.probabilities
    assert known == {
        "a.JPEG": "",
        "b.jpg": "age",
        "broken.jpg": "",
        "left/arm/a.jpg": "sex;site",
        "left/c.jpg": "",
    }
    run(folder, "--patients", table, model=context_model, out=tmp_path / "answers.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text("utf-8").splitlines()]
    assert [line["context"] for line in lines] == [[], ["age"], None, ["sex", "site"], []]


def test_heatmaps_come_with_answers_that_know_of_the_patient(
    run: Run, context_model: Path, folder: Path, tmp_path: Path
) -> None:
    plain = run(folder, "--sex", "male", model=context_model)
    rows = run(folder, "--sex", "male", "--heatmaps", tmp_path / "maps", "--overwrite", model=context_model)
    assert [row | {"seconds": ""} for row in rows] == [row | {"seconds": ""} for row in plain]


def test_a_model_that_cannot_use_it_says_so_and_answers(
    run: Run, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = run(folder)
    rows = run(folder, "--age", 54, "--overwrite")
    assert "This model does not use age, sex and site" in capsys.readouterr().err
    assert [row | {"seconds": ""} for row in rows] == [row | {"seconds": "", "context": ""} for row in plain]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--age", "200"], "The age is 200; it must be from 0 to 120 years"),
        (["--age", "old"], "The age is 'old'; it must be a number of years"),
        (["--sex", "f"], "Unknown sex 'f'. Known: female, male."),
        (["--site", "knee"], "Unknown body site 'knee'. Known: abdomen, acral, "),
        (["--patients", "none.csv"], "--patients none.csv cannot be read: No such file"),
        (["--patients", "none.csv", "--age", "5"], "leave out --age, --sex and --site"),
    ],
)
def test_a_wrong_patient_is_one_sentence_before_anything_is_answered(
    run: Run, folder: Path, tmp_path: Path, options: list[str], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        run(folder, *options, model=tmp_path / "never loaded")
    assert not (tmp_path / "answers.csv").exists()


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ("file,age,sex,site\nb.jpg,54,,\nz.jpg,54,,\n", ", line 3: 'z.jpg' is none of the pictures."),
        ("file,age,sex,site\nb.jpg,,,knee\n", ", line 2: Unknown body site 'knee'. Known: abdomen, "),
        ("file,age,sex,site\nb.jpg,121,,\n", ", line 2: The age is 121; it must be from 0 to 120 years"),
        ("file,age,sex,site\nb.jpg,x,,\n", ", line 2: The age is 'x'; it must be a number of years"),
        ("file,age,sex,site\nb.jpg,1,,\nclinic/b.jpg,2,,\n", ", line 3: There is another row for "),
        (
            "file,age,sex,site\na.jpg,1,,\n",
            ", line 2: 'a.jpg' may be 2 of the pictures. Write more of its path.",
        ),
        ("file,age,sex,site\n,1,,\n", ", line 2: No picture is named."),
        ("file,age,sex,site\nb.jpg\nb.jpg\n", ", line 3: There is another row for "),
        (
            "file;age;sex;site\nb.jpg;1;;\n",
            "has no column file, age, sex, site. Wanted: file, age, sex, site",
        ),
        ("file,age,site\nb.jpg,1,\n", "has no column sex."),
        ("", "has no column file, age, sex, site."),
        ('file,age,sex,site\n"b.jpg,1,,\n', "is no CSV in UTF-8"),
        ("file,age,sex,site\nb.jpg,1,,\udcff\n", "is no CSV in UTF-8"),
    ],
)
def test_a_table_that_is_wrong_is_one_sentence_with_its_line(
    run: Run, folder: Path, tmp_path: Path, table: str, sentence: str
) -> None:
    (folder / "left" / "a.jpg").write_bytes(b"")
    path = tmp_path / "patients.csv"
    path.write_bytes(table.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError, match=re.escape(sentence)) as caught:
        run(folder, "--patients", path, model=tmp_path / "never loaded")
    assert str(path) in str(caught.value)
    assert not (tmp_path / "answers.csv").exists()


def test_a_row_that_matches_no_picture_ends_with_2_and_one_line(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "patients.csv").write_text("file,age,sex,site\nnobody.jpg,54,female,back\n")
    done = subprocess.run(
        [sys.executable, SCRIPT, folder, "--patients", tmp_path / "patients.csv"],
        env=os.environ | {"PYTHONPATH": str(SCRIPT.parent.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    lines = [line for line in done.stderr.splitlines() if "left out" not in line]
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert "'nobody.jpg' is none of the pictures." in lines[0]


def test_a_table_on_a_terminal_tells_the_operating_point_of_a_known_patient(
    context_model: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["predict.py", folder, "--age", "54", "--model", context_model, "--device", "cpu"]
    monkeypatch.setattr(sys, "argv", [str(word) for word in command])
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    predict.main()
    printed = capsys.readouterr().out
    assert "malignancy of 50% on, or 25% where something is known of the patient (half)." in printed
