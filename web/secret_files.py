"""Settings that are secrets and come as files, as containers are given them: DERM_SECRET_KEY_FILE and the like."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from derm_core import ConfigError

AS_FILES = {
    "DERM_SECRET_KEY_FILE": "DERM_SECRET_KEY",
    "DERM_DATABASE_PASSWORD_FILE": "DERM_DATABASE_PASSWORD",
    "DERM_METRICS_TOKEN_FILE": "DERM_METRICS_TOKEN",
}
"""Variables that hold a file's path, and the setting that stands in the file."""


def secrets_from_files(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns the settings that files hold, without the line end of each.

    Raises ConfigError where a file cannot be read or is empty, or where a setting is given both ways.
    """
    found = {}
    for variable, name in AS_FILES.items():
        path = environment.get(variable)
        if not path:
            continue
        if environment.get(name):
            raise ConfigError(f"{name} and {variable} are both set. Set one of them.")
        try:
            value = Path(path).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as err:
            raise ConfigError(
                f"{variable} names {path}, which cannot be read ({err}). Let the server read it."
            ) from err
        if not value:
            raise ConfigError(f"{variable} names {path}, which is empty. Write the secret into it.")
        found[name] = value
    return found
