from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.derm_core.experiments.fake_runs import fake_run

SCRIPT = Path(__file__).parents[2] / "scripts" / "report.py"


def report(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1", "HOME": str(folder)}
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, env=environment, cwd=folder
    )


def test_a_report_is_a_page_a_table_and_figures(tmp_path: Path) -> None:
    fake_run(tmp_path / "runs" / "one", errors=(0.5,))
    done = report("runs/one", "--out", "out", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "out/report.html: 5 figures, also as PNG and SVG in out/figures.\n"
    names = {path.name for path in (tmp_path / "out").rglob("*") if path.is_file()}
    figures = {f"nv-bkl-mel-{name}" for name in ("error", "learning", "metrics", "confusion", "weights")}
    assert names == {"report.html", "records.parquet", "records.csv"} | {
        f"{name}{ending}" for name in figures for ending in (".png", ".svg")
    }
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "<code>scripts/report.py runs/one --out out</code>" in page
    # Whoever reads the page need not know where it was made.
    assert str(tmp_path) not in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing", "--out", "out"], "nothing is not a run folder"),
        (["run", "--out", "out", "--split", "test"], "--split names a split of a dataset: give --data too"),
        (["run", "--out", "out", "--bootstrap", "0"], "0 is not a number above 0"),
    ],
)
def test_wrong_input_ends_with_status_2_and_one_line(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    fake_run(tmp_path / "run", errors=(0.5,))
    done = report(*arguments, folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert message in done.stderr
    assert not (tmp_path / "out").exists()
