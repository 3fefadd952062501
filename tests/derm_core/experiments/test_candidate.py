"""A run, or the bundle that was made of one, as it would serve: alone and in an average."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
import torch

from derm_core.data.table import Dataset
from derm_core.errors import BundleError, ConfigError
from derm_core.experiments.candidate import answer_split, open_average, open_candidate, probability_table
from derm_core.serving.bundle import load_bundle, save_bundle
from derm_core.serving.context import contexts_of
from derm_core.serving.loading import load_predictor
from derm_core.serving.prediction import Prediction
from derm_core.training.checkpoint import load_best, load_last
from tests.derm_core.evaluation.fake_predictor import FakePredictor, make_dataset, sex_model
from tests.derm_core.experiments.conftest import TinyRuns


@pytest.fixture(scope="module")
def soup(tiny_runs: TinyRuns, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of the average of both runs, which sees pictures larger than in training."""
    return write_bundle(
        tmp_path_factory.mktemp("soup") / "soup", [tiny_runs.short, tiny_runs.long], tiny_runs
    )


def write_bundle(folder: Path, runs: Sequence[Path], tiny_runs: TinyRuns) -> Path:
    candidate = open_average(runs, tiny_runs.dataset, image_size=48)
    description = candidate.describe(name=folder.name, version="2", origin="spots on skin")
    save_bundle(folder, model_state=candidate.state, description=description)
    return folder


def digest(bundle: Path) -> str:
    return load_bundle(bundle).description.weights_sha256[:12]


def test_a_run_is_its_best_epoch_and_its_last_file_the_last_one(tiny_runs: TinyRuns) -> None:
    best = open_candidate(tiny_runs.long, tiny_runs.dataset)
    assert best.epoch == load_best(tiny_runs.long)["epoch"]
    assert best.image_size == best.config.data.image_size == 32
    assert best.commands[0].startswith("scripts/train.py long --set ")
    assert best.ingredients == (f"{tiny_runs.long.parent.name}/long",)
    last = open_candidate(tiny_runs.long / "last.pt", tiny_runs.dataset)
    assert last.epoch == load_last(tiny_runs.long)["epoch"] == 5
    assert last.ingredients == ("long/last.pt",)
    assert last.commands == best.commands


def test_runs_are_named_as_they_were_given(tiny_runs: TinyRuns, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny_runs.long.parent)
    assert open_candidate(Path("long"), tiny_runs.dataset).ingredients == ("long",)


def test_a_bundle_stands_for_what_it_was_made_of(tiny_runs: TinyRuns, soup: Path) -> None:
    runs = [tiny_runs.short, tiny_runs.long]
    made_of, opened = open_average(runs, tiny_runs.dataset), open_candidate(soup, tiny_runs.dataset)
    assert opened.runs == (soup,)
    assert opened.classes == made_of.classes
    assert opened.epoch == made_of.epoch
    assert opened.made_with == made_of.made_with
    assert opened.commands == made_of.commands
    assert len(opened.commands) == 2
    assert opened.config.name == "long"
    assert opened.config.data.image_size == 32
    assert opened.config.training.epochs == 5
    assert opened.state.keys() == made_of.state.keys()
    assert all(torch.equal(opened.state[name], made_of.state[name]) for name in made_of.state)
    for split in ("train", "val"):
        assert opened.split(split).table.equals(made_of.split(split).table)


def test_it_sees_pictures_at_the_bundles_size_unless_told_otherwise(tiny_runs: TinyRuns, soup: Path) -> None:
    assert open_candidate(soup, tiny_runs.dataset).image_size == 48
    assert open_candidate(soup, tiny_runs.dataset, image_size=64).image_size == 64


def test_it_answers_as_the_bundle_does(tiny_runs: TinyRuns, soup: Path) -> None:
    opened = open_candidate(soup, tiny_runs.dataset)
    description = load_bundle(soup).description
    subset = opened.split("val")
    ours = answer_split(opened.predictor(description, half=False), subset)
    theirs = answer_split(load_predictor(soup), subset)
    assert (probability_table(ours) == probability_table(theirs)).all()


def test_described_anew_it_tells_the_same_and_which_bundle_it_was(tiny_runs: TinyRuns, soup: Path) -> None:
    before = load_bundle(soup).description
    after = open_candidate(soup, tiny_runs.dataset).describe(name=before.name, version=before.version)
    assert after.origin == "spots on skin"
    assert before.training["weights"].startswith("mean of ")
    named = f"those of the bundle soup 2 of commands 1 to 2 (SHA-256 {digest(soup)})"
    assert after.training == {**before.training, "weights": named}
    assert (
        dataclasses.replace(after, training=before.training, weights_sha256=before.weights_sha256) == before
    )


def test_a_bundle_of_one_run_needs_no_word_on_its_weights(tiny_runs: TinyRuns, tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "one", [tiny_runs.long], tiny_runs)
    opened = open_candidate(bundle, tiny_runs.dataset)
    training = opened.describe(name="one", version="2").training
    assert "weights" not in training
    assert training == load_bundle(bundle).description.training
    assert opened.ingredients == (f"the bundle one 2 of command 1 (SHA-256 {digest(bundle)})",)


def test_a_bundle_may_be_one_of_those_that_are_averaged(tiny_runs: TinyRuns, soup: Path) -> None:
    average = open_average([soup, tiny_runs.long], tiny_runs.dataset)
    in_soup, alone = load_bundle(soup).model_state, load_best(tiny_runs.long)["model"]
    torch.testing.assert_close(
        average.state["fc.weight"], (in_soup["fc.weight"] + alone["fc.weight"]) / 2, rtol=0, atol=0
    )
    assert average.runs == (soup, tiny_runs.long)
    assert len(average.commands) == 3
    assert average.ingredients == (
        f"the bundle soup 2 of commands 1 to 2 (SHA-256 {digest(soup)})",
        f"{tiny_runs.long.parent.name}/long",
    )
    training = average.describe(name="more", version="1").training
    assert [key for key in training if key.startswith("command")] == ["command 1", "command 2", "command 3"]
    assert training["weights"] == f"mean of {', '.join(average.ingredients)}"


def test_the_numbers_of_commands_are_those_of_the_average(
    tiny_runs: TinyRuns, soup: Path, tmp_path: Path
) -> None:
    one = write_bundle(tmp_path / "one", [tiny_runs.short], tiny_runs)
    average = open_average([tiny_runs.long, soup, one], tiny_runs.dataset)
    assert average.ingredients[1].startswith("the bundle soup 2 of commands 2 to 3 (SHA-256 ")
    assert average.ingredients[2].startswith("the bundle one 2 of command 4 (SHA-256 ")
    training = average.describe(name="more", version="1").training
    assert (
        training["command 2"]
        == training["command 4"]
        == open_candidate(tiny_runs.short, tiny_runs.dataset).commands[0]
    )
    # The origin of one is not that of all.
    assert average.origin == ""
    assert "spots" not in average.describe(name="more", version="1").origin


def test_a_bundle_of_other_data_is_refused(tiny_runs: TinyRuns, soup: Path) -> None:
    other = dataclasses.replace(tiny_runs.dataset, table=tiny_runs.dataset.table.iloc[:-1])
    with pytest.raises(ConfigError, match=r"The bundle in .*soup was made of other data than .*dataset\."):
        open_candidate(soup, other)
    with pytest.raises(ConfigError, match="made of other data"):
        open_average([soup, soup], other)


def test_an_altered_bundle_is_refused(tiny_runs: TinyRuns, soup: Path, tmp_path: Path) -> None:
    shutil.copytree(soup, tmp_path / "cut")
    weights = tmp_path / "cut" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(BundleError, match="altered or cut short"):
        open_candidate(tmp_path / "cut", tiny_runs.dataset)


@pytest.mark.parametrize("change", [{"architecture": "resnet34"}, {"head_units": 8}])
def test_a_bundle_of_another_network_is_not_averaged(
    tiny_runs: TinyRuns, soup: Path, tmp_path: Path, change: dict[str, object]
) -> None:
    bundle = load_bundle(soup)
    described = dataclasses.replace(bundle.description, **change)  # type: ignore[arg-type]
    save_bundle(tmp_path / "other", model_state=bundle.model_state, description=described)
    with pytest.raises(ConfigError, match="Weights of different networks cannot be averaged: resnet"):
        open_average([tmp_path / "other", tiny_runs.long], tiny_runs.dataset)


def test_pictures_are_answered_with_the_patients_that_are_given_and_no_others(tmp_path: Path) -> None:
    dataset: Dataset = make_dataset(tmp_path / "data", of_each=3)
    predictor = FakePredictor(context=sex_model(7))
    alone = answer_split(predictor, dataset)  # type: ignore[arg-type]
    assert set(predictor.told) == {None}
    predictor.told.clear()
    totals: list[int] = []

    def progress(answers: Iterable[Prediction], total: int) -> Iterable[Prediction]:
        totals.append(total)
        return answers

    moved = answer_split(predictor, dataset, progress, contexts=contexts_of(dataset))  # type: ignore[arg-type]
    assert predictor.told == contexts_of(dataset)
    assert totals == [len(dataset)] == [21]
    assert [answer.context for answer in alone] == [()] * 21
    assert all("sex" in answer.context for answer in moved)
    assert (probability_table(alone) != probability_table(moved)).any()
