"""Where Optuna keeps the trials of a search: a file in its folder, or a database that several machines share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna

from derm_core.errors import ConfigError
from derm_core.experiments.search_plan import SearchPlan

DATABASE = "search.db"
_SQLITE_SECONDS = 120


def open_study(
    folder: Path, plan: SearchPlan, url: str | None
) -> tuple[optuna.Study, optuna.storages.RDBStorage]:
    """Opens a search's study, or makes it where there is none.

    Args:
        folder: the search folder. On a server the study has its name.
        plan: what is searched.
        url: of a database server; None for a file in the folder.

    Raises:
        ConfigError: there is no such storage, or it cannot be shared.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    options: dict[str, Any] = {}
    name = folder.resolve().name
    if url is None:
        # Braces are a template to Optuna.
        path = str((folder / DATABASE).resolve()).replace("{", "{{").replace("}", "}}")
        # The folder may be renamed.
        url, name = f"sqlite:///{path}", "search"
        options = {"connect_args": {"timeout": _SQLITE_SECONDS}}
    elif url.startswith("sqlite"):
        raise ConfigError(
            "SQLite serves one machine, and needs no storage to be named. Name a database server that all machines "
            "reach."
        )
    try:
        return _connect(url, options, name, plan)
    except Exception:
        # Of two machines that make the tables at the same moment, one finds them made the second time.
        try:
            return _connect(url, options, name, plan)
        except Exception as err:
            # Optuna hands on whatever SQLAlchemy and the driver of each database raise.
            reason = next(iter(str(err).splitlines()), type(err).__name__)
            raise ConfigError(
                f"The storage of the search cannot be opened ({reason}). Give another URL."
            ) from err


def _connect(
    url: str, options: dict[str, Any], name: str, plan: SearchPlan
) -> tuple[optuna.Study, optuna.storages.RDBStorage]:
    storage = optuna.storages.RDBStorage(url, engine_kwargs=options)
    study = optuna.create_study(
        storage=storage,
        study_name=name,
        direction="maximize",
        sampler=plan.sampler(0),
        pruner=plan.build_pruner(),
        load_if_exists=True,
    )
    return study, storage
