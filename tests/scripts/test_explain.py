"""explain.py: pictures with their heatmaps, a sheet to compare methods, and the measured table."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import _contact_sheet
import explain
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from derm_core.data.table import COLUMNS, write_dataset
from derm_core.diagnoses import NOTICE, TASKS
from derm_core.errors import ConfigError, DatasetError, InvalidImageError
from derm_core.explanation.methods import METHODS

CLASSES = TASKS["ham7"].classes
Run = Callable[..., str]


@pytest.fixture
def run(model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command in this process and returns what it printed."""

    def call(*arguments: object) -> str:
        command = ["explain.py", *arguments, "--model", model, "--device", "cpu"]
        monkeypatch.setattr(sys, "argv", [str(word) for word in command])
        explain.main()
        return capsys.readouterr().out

    return call


@pytest.fixture
def outlined(tmp_path: Path, tiny_pictures: list[Path]) -> Path:
    """A dataset of four photographs with their outlines in a folder beside it."""
    rows = [
        {"image": path.name, "diagnosis": code, "lesion_id": path.stem, "age": np.nan, "sex": "", "site": "",
         "confirmed_by": "", "split": "val"}
        for path, code in zip(tiny_pictures, ("mel", "nv", "nv", "bcc"), strict=True)
    ]  # fmt: skip
    contents = [path.read_bytes() for path in tiny_pictures]
    write_dataset(tmp_path / "data", pd.DataFrame(rows, columns=list(COLUMNS)), contents)
    rows_, columns = np.mgrid[:90, :120]
    spot = ((rows_ - 45) ** 2 + (columns - 60) ** 2 < 25**2).astype(np.uint8) * 255
    (tmp_path / "outlines").mkdir()
    for path in tiny_pictures:
        Image.fromarray(spot).save(tmp_path / "outlines" / f"{path.stem}_segmentation.png")
    return tmp_path / "data"


def test_one_method_writes_one_picture_each(run: Run, tiny_pictures: list[Path], tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    same_name = tmp_path / "again" / tiny_pictures[0].name
    same_name.write_bytes(tiny_pictures[0].read_bytes())
    printed = run(tiny_pictures[0], same_name, "--out", tmp_path / "out", "--class", "mel")
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert written == ["tiny-0-2-grad_cam.png", "tiny-0-grad_cam.png"]
    with Image.open(tmp_path / "out" / written[0]) as overlay:
        assert (overlay.mode, overlay.size) == ("RGB", (120, 90))
    assert printed.count(": Melanoma, ") == 2
    assert NOTICE in printed


def test_all_methods_are_compared_on_a_sheet(run: Run, tiny_pictures: list[Path], tmp_path: Path) -> None:
    run(tiny_pictures[1], "--method", "all", "--out", tmp_path / "out")
    suitable = {"grad_cam", "grad_cam_layers", "layer_cam", "gradient"}
    suitable |= {"integrated_gradients", "gradient_shap", "occlusion"}
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {f"tiny-1-{name}.png" for name in (*suitable, "methods")}
    with Image.open(tmp_path / "out" / "tiny-1-methods.png") as sheet:
        # The photograph and seven methods in two rows of four.
        assert sheet.width == 4 * (_contact_sheet.CELL_WIDTH + 12) + 12
        assert sheet.height > 2 * 240


def test_the_heatmap_colours_only_what_it_covers() -> None:
    photograph = Image.new("RGB", (40, 30), (200, 150, 130))
    heatmap = np.zeros((30, 40), np.float32)
    heatmap[10:20, 10:20] = 1
    covered = np.asarray(_contact_sheet.lay_over(photograph, heatmap))
    assert (covered[:5] == (200, 150, 130)).all()
    assert (covered[15, 15] != (200, 150, 130)).any()


def test_measuring_prints_and_writes_the_table(run: Run, outlined: Path, tmp_path: Path) -> None:
    options = ["--measure", "--data", outlined, "--masks", tmp_path / "outlines", "--bootstrap", 20]
    printed = run(
        *options,
        *("--method", "grad_cam,gradient", "--limit", 3, "--sanity", 1, "--json", tmp_path / "f.json"),
        *("--markdown", tmp_path / "f.md"),
    )
    for words in (
        "3 photographs of 3 lesions",
        "Grad-CAM",
        "a bell in the middle",
        "classifier shuffled",
        "mirrored",
    ):
        assert words in printed
    figures = json.loads((tmp_path / "f.json").read_text("utf-8"))
    assert list(figures["methods"]) == ["grad_cam", "gradient", "centre", "uniform"]
    assert figures["model"]["name"] == "untrained"
    assert figures["data"]["split"] == "val"
    assert set(figures) >= {"sanity", "stability", "bootstrap"}
    assert (tmp_path / "f.md").read_text("utf-8").startswith("## Explanations")
    quick = json.loads(run(*options, "--method", "grad_cam", "--sanity", 0, "--no-stability", "--json", "-"))
    assert set(quick) == {"n", "lesions", "bootstrap", "methods", "model", "data", "threads"}
    again = json.loads(run(*options, "--method", "grad_cam", "--sanity", 0, "--no-stability", "--json", "-"))
    for name in ("energy", "pointing", "deletion", "insertion", "ci95"):
        assert again["methods"]["grad_cam"][name] == quick["methods"]["grad_cam"][name]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], "Name pictures and --out FOLDER"),
        (["a.jpg"], "Name pictures and --out FOLDER"),
        (["--measure"], "--measure needs --data"),
        (["a.jpg", "--measure", "--data", "x"], "leave out pictures"),
        (["--measure", "--data", "x", "--json", "no/such/f.json"], "--json no/such/f.json cannot be written"),
        (["a.jpg", "--out", "{taken}"], "is not empty"),
        (["a.jpg", "--out", "{taken}/work.png"], "is a file"),
    ],
)
def test_a_wrong_command_is_one_sentence_before_anything_is_loaded(
    run: Run, tmp_path: Path, options: list[str], sentence: str
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "work.png").touch()
    with pytest.raises(ConfigError, match=sentence):
        run(*[option.format(taken=tmp_path / "taken") for option in options])


def test_the_help_names_every_method(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("--help")
    words = capsys.readouterr().out.replace(",", " ").replace(";", " ").split()
    assert set(METHODS) <= set(words)


def test_what_cannot_be_explained_is_one_sentence(
    run: Run, tiny_pictures: list[Path], outlined: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(ConfigError, match="Unknown explanation method 'gradcam'"):
        run(tiny_pictures[0], "--out", out, "--method", "grad_cam,gradcam")
    with pytest.raises(ConfigError, match="Unknown class 'naevus'"):
        run(tiny_pictures[0], "--out", out, "--class", "naevus")
    with pytest.raises(InvalidImageError, match="does not exist"):
        run(tmp_path / "none.jpg", "--out", out)
    with pytest.raises(DatasetError, match="holds no masks/"):
        run("--measure", "--data", outlined)


def test_an_overlay_may_replace_another_when_asked(
    run: Run, tiny_pictures: list[Path], tmp_path: Path
) -> None:
    run(tiny_pictures[0], "--out", tmp_path / "out")
    before = (tmp_path / "out" / "tiny-0-grad_cam.png").read_bytes()
    run(tiny_pictures[0], "--out", tmp_path / "out", "--overwrite", "--class", "vasc")
    with Image.open(io.BytesIO(before)) as overlay:
        assert overlay.size == (120, 90)
