"""The run folder: made once with the settings as resolved, opened again only by the same run."""

from __future__ import annotations

import os
import platform
import subprocess
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import tomli_w

from derm_core.data.table import Dataset
from derm_core.errors import CheckpointError, ConfigError
from derm_core.file_lock import hold_file
from derm_core.files import write_synced
from derm_core.training.checkpoint import BEST, LAST, PREVIOUS, load_last
from derm_core.training.config import FOUND_BY_TRAINING, flat_settings, parse_config
from derm_core.training.sections import RunConfig

CONFIG = "config.toml"
# The processes that prepare pictures outlive a killed run by some seconds, and hold what it held.
_PATIENCE_SECONDS = 15.0
_LIBRARIES = ("torch", "torchvision", "numpy", "pillow", "scikit-learn")
EXTRA = "extra_fingerprint"
TEACHER = "teacher_fingerprint"
MADE_WITH = ("data_fingerprint", EXTRA, TEACHER, "python", *_LIBRARIES, "git_commit")
"""What stands beside a run's settings."""


def find_checkpoint(
    out: Path,
    config: RunConfig,
    dataset: Dataset,
    *,
    resume: bool,
    extra: Dataset | None = None,
    teacher: str = "",
) -> dict[str, Any] | None:
    """Looks where a run stands that is to be begun or continued in a folder. Writes nothing.

    `extra` and `teacher` are as for begin_run.

    Returns:
        The checkpoint to continue from; None where training begins.

    Raises:
        ConfigError: the folder exists and `resume` is not asked for, or its run had other settings, other data or
            another teacher.
        CheckpointError: there were checkpoints, and none is whole.
    """
    if not resume and out.exists():
        raise ConfigError(f"{out} exists already. Name another run folder, or continue it with --resume.")
    if not (out / CONFIG).exists():
        if out.exists() and not _is_empty(out):
            raise ConfigError(f"{out} is not a run folder: it has no {CONFIG}. Name another.")
        return None
    _check_same(out, config, dataset, extra, teacher)
    if any((out / name).exists() for name in (LAST, PREVIOUS, BEST)):
        try:
            return load_last(out)
        except CheckpointError:
            # Killed between the first best.pt and the first last.pt: there is nothing to lose.
            if (out / LAST).exists() or (out / PREVIOUS).exists():
                raise
    return None


def read_run_config(run: Path) -> tuple[RunConfig, dict[str, Any]]:
    """Returns the settings of a run and what stands beside them: `data` fingerprint, library versions, git commit.

    Raises:
        ConfigError: the folder is not a run's.
    """
    path = run / CONFIG
    if not path.is_file():
        raise ConfigError(f"{run} is not a run folder: it has no {CONFIG}. Train one with train.py.")
    try:
        values = tomllib.loads(path.read_text("utf-8"))
        # Runs of version 0.1 had no second dataset, and did not tell which weights their teacher had.
        made, name = {EXTRA: "", TEACHER: ""} | values.pop("made_with"), values.pop("name")
    except (tomllib.TOMLDecodeError, KeyError) as err:
        raise ConfigError(f"{path} is not a run's settings ({err}).") from err
    return parse_config(values, name), made


def begin_run(
    out: Path, config: RunConfig, dataset: Dataset, *, extra: Dataset | None = None, teacher: str = ""
) -> None:
    """Makes the run folder with its settings as resolved; does nothing where they stand there already.

    `extra` holds the pictures of a second dataset that are learnt from; `teacher` is the fingerprint of the network
    that teaches, empty where there is none.
    """
    if (out / CONFIG).exists():
        return
    out.mkdir(parents=True, exist_ok=True)
    values = config.to_dict() | {
        "made_with": {
            "data_fingerprint": dataset.fingerprint(),
            EXTRA: "" if extra is None else extra.fingerprint(),
            TEACHER: teacher,
            "python": platform.python_version(),
            **{library: metadata.version(library) for library in _LIBRARIES},
            "git_commit": _git_commit(),
        }
    }
    growing = out / f".{CONFIG}.partial"
    write_synced(growing, tomli_w.dumps(values).encode())
    os.replace(growing, out / CONFIG)


@contextmanager
def hold_run(out: Path) -> Iterator[None]:
    """Lets no other process train into a run folder that has been begun; raises ConfigError where one does."""
    with ExitStack() as held:
        try:
            held.enter_context(hold_file(out / CONFIG, patience=_PATIENCE_SECONDS))
        except TimeoutError as err:
            raise ConfigError(
                f"{out} is being trained by another process. Wait for its end, or name another run folder."
            ) from err
        yield


def _is_empty(out: Path) -> bool:
    # What begins with a dot is a file that was being written when its writer was killed.
    return out.is_dir() and all(entry.name.startswith(".") for entry in out.iterdir())


def _check_same(out: Path, config: RunConfig, dataset: Dataset, extra: Dataset | None, teacher: str) -> None:
    before, made = read_run_config(out)
    if made["data_fingerprint"] != dataset.fingerprint():
        raise ConfigError(
            f"{out} was trained on other data than {dataset.folder}. Resume it with the same dataset."
        )
    if extra is not None and before.data.extra and made[EXTRA] != extra.fingerprint():
        raise ConfigError(
            f"{out} was trained beside other data than {extra.folder}. Resume it with the same data.extra."
        )
    old, new = flat_settings(before.to_dict()), flat_settings(config.to_dict())
    changed = [
        f"{key} was {old.get(key)!r} and is now {new[key]!r}"
        for key in new
        if new[key] != old.get(key) and not (key in FOUND_BY_TRAINING and not new[key])
    ]
    if changed:
        raise ConfigError(
            f"{out} was begun with other settings: {'; '.join(changed)}. Resume it with the same ones."
        )
    if made[TEACHER] and made[TEACHER] != teacher:
        raise ConfigError(
            f"{out} was begun with another teacher than {config.training.distillation.teacher!r} is now. Resume it "
            "with the same one."
        )


def _git_commit() -> str:
    """Returns the commit of the code that trains, marked where it was changed since; empty outside a checkout."""
    folder = Path(__file__).parent
    try:
        commit = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return commit.stdout.strip()
