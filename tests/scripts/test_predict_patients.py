"""predict.py: what is known of the patients, given for all pictures or by a table, and wrong ones refused."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import predict
import pytest

from derm_core.errors import ConfigError
from derm_core.serving.context import PatientContext
from derm_core.serving.loading import load_predictor
from tests.scripts.predicting import CLASSES, COLUMNS, Run

pytestmark = pytest.mark.usefixtures("no_models_of_somebody")

SCRIPT = Path(predict.__file__)


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
