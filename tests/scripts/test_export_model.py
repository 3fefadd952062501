"""export_model.py: a checked export or nothing, statuses 0, 1 and 2, and one clear line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import export_model
import pytest
import torch

from derm_core.diagnoses import NOTICE
from derm_core.errors import BundleError, ConfigError
from derm_core.serving import export_torch
from derm_core.serving.bundle import Bundle
from derm_core.serving.export import drawn_pictures
from derm_core.serving.export_check import Outputs
from derm_core.serving.export_formats import FORMATS
from tests.tiny_bundle import tiny_bundle

SCRIPT = Path(export_model.__file__)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bundle]:
    with tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny") as made:
        yield made


@pytest.fixture(autouse=True)
def _no_models_of_somebody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DERM_HOME", str(tmp_path / "home"))


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int | None:
    monkeypatch.setattr(sys, "argv", ["export_model.py", *map(str, arguments)])
    return export_model.main()


def test_an_export_is_checked_on_the_pictures_given_and_reported(
    bundle: Bundle,
    tmp_path: Path,
    tiny_pictures: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "deep" / "model.pt2"
    common = ["--model", bundle.folder, "--format", "torch", "--out", out, "--verify-on", tmp_path]
    assert run(monkeypatch, *common) is None
    shown = capsys.readouterr().out
    assert f"answers as the model does on {len(drawn_pictures()) + len(tiny_pictures)} pictures" in shown
    assert shown.count("\n") == 1
    assert torch.export.load(out).module()(torch.zeros(1, 64, 64, 3, dtype=torch.uint8))[0].shape == (1, 7)
    before = out.read_bytes()
    with pytest.raises(ConfigError, match="exists already"):
        run(monkeypatch, *common)
    assert out.read_bytes() == before
    assert run(monkeypatch, *common, "--overwrite", "--json") is None
    told = json.loads(capsys.readouterr().out)
    assert (told["format"], told["bytes"], told["pictures"]) == ("torch", out.stat().st_size, 10)
    assert told["difference"] < 1e-6
    assert told["correlation"] > 0.999


def test_an_export_that_answers_otherwise_is_status_1_one_line_and_nothing_written(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    load = export_torch.load

    def load_wrongly(path: Path) -> object:
        program = load(path)

        def answer(pixels: object) -> Outputs:
            given = program(pixels)
            return Outputs(given.logits, given.probabilities * 0.9, given.heatmaps, given.features)

        return answer

    monkeypatch.setattr(export_torch, "load", load_wrongly)
    out = tmp_path / "model.pt2"
    assert run(monkeypatch, "--model", bundle.folder, "--format", "torch", "--out", out) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = [line for line in captured.err.splitlines() if line.startswith("error: ")]
    assert "On picture 1 a probability differs" in line
    assert list(tmp_path.iterdir()) == []


def test_what_was_asked_for_is_checked_before_the_model_is_read(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match=r"must end in \.onnx"):
        run(monkeypatch, "--model", "nobody", "--format", "onnx", "--out", tmp_path / "model")
    (tmp_path / "empty").mkdir()
    options = ["--format", "torch", "--out", tmp_path / "model.pt2"]
    with pytest.raises(ConfigError, match=r"no picture in .*empty"):
        run(monkeypatch, "--model", bundle.folder, *options, "--verify-on", tmp_path / "empty")
    with pytest.raises(BundleError, match="nobody"):
        run(monkeypatch, "--model", tmp_path / "nobody", *options)


def run_process(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, arguments)],
        env=os.environ | {"COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_wrong_input_is_one_line_and_status_2(tmp_path: Path) -> None:
    for arguments in (
        ("--model", "bundled", "--format", "onx", "--out", tmp_path / "m"),
        ("--model", "bundled", "--format", "torch", "--out", tmp_path / "m.onnx"),
        ("--model", "bundled", "--format", "torch"),
    ):
        ended = run_process(*arguments)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert ended.stderr.startswith("error: ")
        assert ended.stderr.count("\n") == 1


def test_help_names_every_format_and_does_not_wait_for_torch() -> None:
    code = (
        "import runpy, sys\nsys.modules['torch'] = None\n"
        f"sys.argv = [{str(SCRIPT)!r}, '--help']\nsys.path.insert(0, {str(SCRIPT.parent)!r})\n"
        f"runpy.run_path({str(SCRIPT)!r}, run_name='__main__')"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=SCRIPT.parent.parent
    )
    assert ended.returncode == 0, ended.stderr
    for kind in (*FORMATS.values(), export_model.LAMBDA):
        assert f"  {kind.name}" in ended.stdout
        assert kind.summary in ended.stdout
    assert NOTICE in ended.stdout
