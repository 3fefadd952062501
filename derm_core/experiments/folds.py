"""Runs of one recipe over several folds, taken together: each answers lesions it has not seen. Ranks nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from derm_core.data.split_names import split_names
from derm_core.data.table import Dataset
from derm_core.errors import ConfigError
from derm_core.experiments.candidate import Candidate, open_candidate
from derm_core.training.checkpoint import LAST
from derm_core.training.config import FOUND_BY_TRAINING, flat_settings
from derm_core.training.run_folder import CONFIG, read_run_config
from derm_core.training.sections import RunConfig

_OF_A_FOLD = ("data.train_split", "data.valid_split", "model.start")
"""Settings that runs of one recipe may differ in."""


def open_folds(
    runs: Sequence[Path], dataset: Dataset, *, image_size: int | None = None
) -> tuple[Candidate, ...]:
    """Reads the runs of one recipe, of which each was checked on lesions that the others were not checked on.

    Args:
        runs: run folders, or the last.pt in them.
        dataset: what all of them were trained on.
        image_size: None for that of their training.

    Raises:
        ConfigError: a folder is not a run's, a run was trained on other data, the runs differ in more than their
            splits and their start, two were checked on the same lesions, or one starts from a run that learnt from
            what it was checked on.
        CheckpointError: a run has no whole checkpoint.
    """
    parts = tuple(open_candidate(run, dataset, image_size=image_size) for run in runs)
    for part in parts:
        _check_same_recipe(parts[0], part)
        _check_start(part)
    _check_apart(parts)
    return parts


def valid_pictures(part: Candidate) -> Dataset:
    """Returns the photographs that a run was checked on."""
    return part.split(part.config.data.valid_split)


def _check_same_recipe(first: Candidate, other: Candidate) -> None:
    one, two = (flat_settings(part.config.to_dict()) for part in (first, other))
    free = {"name", *_OF_A_FOLD, *FOUND_BY_TRAINING}
    changed = [
        f"{key} is {one[key]!r} and {two[key]!r}" for key in one if one[key] != two[key] and key not in free
    ]
    if changed:
        raise ConfigError(
            f"{first.runs[0]} and {other.runs[0]} are not two folds of one recipe: {'; '.join(changed)}. Join runs "
            f"with + that differ in {', '.join(_OF_A_FOLD)} alone."
        )


def _check_start(part: Candidate) -> None:
    """Refuses a run whose beginnings, as far as they are at hand, learnt from the split that it was checked on."""
    checked, config = set(split_names(part.config.data.valid_split)), part.config
    while (start := _run_of(config)) is not None:
        config, made_with = read_run_config(start)
        of_same_data = made_with["data_fingerprint"] == part.dataset.fingerprint()
        seen = sorted(checked & set(split_names(config.data.train_split)))
        if of_same_data and seen:
            raise ConfigError(
                f"{part.runs[0]} starts from {start}, which learnt from {', '.join(seen)}: its answers to that split "
                "are not those of a run that has not seen it. Start each fold from a run of the same fold."
            )


def _run_of(config: RunConfig) -> Path | None:
    """Returns the run folder that a run starts from, where it is there."""
    start = Path(config.model.start)
    folder = start.parent if start.name == LAST else start
    return folder if config.model.start and (folder / CONFIG).is_file() else None


def _check_apart(parts: Sequence[Candidate]) -> None:
    checked_by: dict[str, Candidate] = {}
    for part in parts:
        for lesion in sorted(set(valid_pictures(part).lesions)):
            other = checked_by.setdefault(lesion, part)
            if other is not part:
                raise ConfigError(
                    f"{other.runs[0]} ({other.config.data.valid_split}) and {part.runs[0]} "
                    f"({part.config.data.valid_split}) were both checked on the lesion {lesion}. Join runs with + "
                    "whose data.valid_split are different folds."
                )
