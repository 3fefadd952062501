from __future__ import annotations

import html
import json
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from derm_core.diagnoses import NOTICE
from derm_core.errors import ConfigError, DatasetError
from derm_core.experiments import report
from derm_core.experiments.report import Report, write_report
from derm_core.experiments.run_table import read_runs
from derm_core.training.checkpoint import load_best
from derm_core.training.records import read_records
from tests.derm_core.experiments.conftest import TinyRuns
from tests.derm_core.experiments.fake_runs import FINGERPRINT, fake_run

COMMAND = "scripts/report.py runs/long runs/other --out report --data dataset"
OF_RECORDS = ["error", "learning", "metrics", "confusion", "weights"]
OF_PHOTOGRAPHS = ["roc", "precision-recall", "reliability", "selective", "classes", "subgroups", "samples"]


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves out the files of the figures, which are most of the time and tested elsewhere."""
    monkeypatch.setattr(report, "save_figure", lambda figure, folder: None)


@pytest.fixture(scope="module")
def written(tiny_runs: TinyRuns, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The report of a trained run, and of one of another task and of other data; figures as files are left out."""
    folder = tmp_path_factory.mktemp("written")
    other = fake_run(folder / "other", task="malignancy", augmented=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "save_figure", lambda figure, folder: None)
        return write_report(
            [tiny_runs.long, other],
            folder / "report",
            dataset=tiny_runs.dataset,
            bootstrap=20,
            command=COMMAND,
        )


def page_of(written: Report) -> str:
    return written.page.read_text("utf-8")


def embedded(page: str, name: str) -> Any:
    found = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_runs_that_know_the_data_have_every_figure_and_others_those_of_their_records(written: Report) -> None:
    assert list(written.figures) == [
        *(f"nv-bkl-mel-{name}" for name in (*OF_RECORDS, *OF_PHOTOGRAPHS)),
        *(f"malignancy-{name}" for name in OF_RECORDS),
    ]
    (note,) = written.notes
    assert note.startswith("other is left out of the figures that need photographs:")
    assert "was trained on other data" in note
    page = page_of(written)
    assert page.count("<figure ") == len(written.figures)
    assert note.split(":")[0] in page
    assert "no run of this task was trained on the dataset given" in page


def test_every_figure_says_on_what_and_by_which_command(written: Report) -> None:
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", page_of(written), re.DOTALL)
    assert len(captions) == len(written.figures)
    assert all(COMMAND in caption for caption in captions)
    on = [caption for caption in captions if "12 validation photographs of 12 lesions of dataset" in caption]
    # All but the weights, which belong to no photograph.
    assert len(on) == len(OF_RECORDS) + len(OF_PHOTOGRAPHS) - 1
    other = [caption for caption in captions if f"(data with fingerprint {FINGERPRINT[:12]})" in caption]
    assert len(other) == len(OF_RECORDS) - 1


def test_the_page_says_what_it_is_and_loads_nothing(written: Report) -> None:
    page = page_of(written)
    assert html.unescape(page).count(NOTICE) == 2
    assert "default-src 'none'; img-src data:;" in page
    # Addresses stand in the scripts as names of formats and help texts; nothing of the page itself refers to any.
    body = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r"""(?:src|href|action|poster)=(?!["'](?:#|data:))""", body)
    assert not re.search(r"@import|url\(", body)
    addresses = set(re.findall(r"https?://[^\s\"'`)<]+", body))
    assert addresses <= {"https://vega.github.io/schema/vega-lite/v6.4.1.json"}


def test_every_chart_has_its_place_and_every_sample_its_two_pictures(written: Report) -> None:
    page = page_of(written)
    places = [int(place) for place in re.findall(r'data-chart="(\d+)"', page)]
    assert places == list(range(len(embedded(page, "charts"))))
    assert set(embedded(page, "themes")) == {"light", "dark"}
    samples = re.search(r'<ul class="samples">(.*?)</ul>', page, re.DOTALL)
    assert samples
    assert samples[1].count("data:image/jpeg;base64,") == 2 * samples[1].count("<li>") > 0


@pytest.mark.usefixtures("undrawn")
def test_a_run_may_be_called_anything(tmp_path: Path) -> None:
    run = fake_run(tmp_path / "<b>'run' & \"more\"<")
    page = page_of(write_report([run], tmp_path / "out"))
    assert "<b>" not in re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert html.escape(run.name, quote=False).split("'")[0] in page


def test_the_table_of_the_page_has_intervals_where_photographs_were_answered(written: Report) -> None:
    rows = re.findall(r'<th scope="row">.*?</tr>', page_of(written), re.DOTALL)
    assert len(rows) == 2
    assert len(re.findall(r"<small>\d\.\d\d–\d\.\d\d</small>", rows[0])) == 5
    assert "<small>" not in rows[1]
    # Errors of 0.6, 0.4 and 0.5: the second epoch of three is the best.
    assert "<td>2 of 3</td><td>0.60</td>" in rows[1]


def test_what_was_measured_is_told_by_run(written: Report, tiny_runs: TinyRuns) -> None:
    assert list(written.measured) == [tiny_runs.long]
    figures = written.measured[tiny_runs.long]
    low, high = figures["ci95"]["macro_f1"]
    assert low <= figures["macro_f1"] <= high


def test_the_records_of_all_runs_are_one_table(written: Report, tiny_runs: TinyRuns) -> None:
    table = pd.read_parquet(written.folder / "records.parquet")
    assert list(table["run"]) == ["long"] * 5 + ["other"] * 3
    assert list(table["task"]) == ["nv-bkl-mel"] * 5 + ["malignancy"] * 3
    own = read_records(tiny_runs.long)
    for name in own:
        for ours, theirs in zip(table[name][:5], own[name], strict=True):
            np.testing.assert_array_equal(
                np.array(ours.tolist() if isinstance(ours, np.ndarray) else ours, dtype=object).astype(str),
                np.array(theirs.tolist() if isinstance(theirs, np.ndarray) else theirs, dtype=object).astype(
                    str
                ),
            )
    plain = pd.read_csv(written.folder / "records.csv")
    assert set(table) - set(plain) == {"classifier.weight", "classifier.bias"}
    assert json.loads(plain["confusion_matrix"][5]) == [[4, 6], [6, 4]]
    assert plain["macro_f1"][6] == 0.6


@pytest.mark.usefixtures("undrawn")
def test_without_data_the_page_says_what_is_missing_and_what_adds_it(tmp_path: Path) -> None:
    run = fake_run(tmp_path / "run")
    done = write_report([run], tmp_path / "out", command="scripts/report.py run --out out")
    assert list(done.figures) == [f"nv-bkl-mel-{name}" for name in OF_RECORDS]
    page = page_of(done)
    assert "Not drawn, because no dataset was given: ROC and precision-recall curves" in page
    assert "<code>scripts/report.py run --out out --data DATASET</code>" in page


@pytest.mark.usefixtures("undrawn")
def test_a_dataset_that_no_run_knows_is_refused(tiny_runs: TinyRuns, tmp_path: Path) -> None:
    run = fake_run(tmp_path / "run")
    with pytest.raises(ConfigError, match=r"None of the runs can answer .* was trained on other data"):
        write_report([run], tmp_path / "out", dataset=tiny_runs.dataset)
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("undrawn")
def test_a_split_that_is_not_there_is_refused_and_nothing_is_left(
    tiny_runs: TinyRuns, tmp_path: Path
) -> None:
    with pytest.raises(DatasetError, match=r"no split 'fold-9'"):
        write_report([tiny_runs.short], tmp_path / "out", dataset=tiny_runs.dataset, split="fold-9")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("undrawn")
def test_an_earlier_report_is_replaced_and_anything_else_is_kept(tmp_path: Path) -> None:
    run, out = fake_run(tmp_path / "run"), tmp_path / "out"
    write_report([run], out)
    (out / "figures" / "gone.svg").write_text("an earlier figure", "utf-8")
    write_report([run], out)
    assert not (out / "figures" / "gone.svg").exists()
    (out / "figures" / "notes.txt").write_text("mine", "utf-8")
    with pytest.raises(ConfigError, match=r"notes\.txt is not part of one"):
        write_report([run], out)
    with pytest.raises(ConfigError, match=r"config\.toml is not part of one"):
        write_report([run], run)
    assert (out / "figures" / "notes.txt").read_text("utf-8") == "mine"


@pytest.mark.usefixtures("undrawn")
def test_it_tells_how_far_it_is(tmp_path: Path) -> None:
    told: list[tuple[int, str]] = []

    def show(items: Iterable[Any], total: int, what: str) -> Iterable[Any]:
        told.append((total, what))
        return items

    write_report([fake_run(tmp_path / "run")], tmp_path / "out", progress=show)
    assert told == [(len(OF_RECORDS), "drawing")]


def test_runs_are_named_apart_and_counted_once(tmp_path: Path) -> None:
    one, two = fake_run(tmp_path / "a" / "run"), fake_run(tmp_path / "b" / "run")
    runs = read_runs([one, two, tmp_path / "a" / ".." / "a" / "run"])
    assert [run.label for run in runs] == ["a/run", "b/run"]
    assert [run.label for run in read_runs([one])] == ["run"]


def test_the_best_epoch_is_the_one_that_training_kept(tiny_runs: TinyRuns) -> None:
    for folder in (tiny_runs.short, tiny_runs.long):
        (run,) = read_runs([folder])
        assert run.best_epoch == load_best(folder)["epoch"]
        assert run.command.startswith(f"scripts/train.py {folder.name} --set ")
        assert run.augmented is False


def test_a_folder_that_is_no_run_and_one_without_records_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not a run folder"):
        read_runs([tmp_path])
    run = fake_run(tmp_path / "run")
    shutil.rmtree(run / "records")
    with pytest.raises(DatasetError, match="holds no records"):
        read_runs([run])


def test_a_matrix_of_another_task_is_refused(tmp_path: Path) -> None:
    run = fake_run(tmp_path / "run", changed={"confusion_matrix": [[1, 0], [0, 1]]})
    with pytest.raises(DatasetError, match="counts 2 classes, and its task 'nv-bkl-mel' has 3"):
        read_runs([run])
