"""The exceptions that derm_core raises on purpose.

    DermError
    ├── InvalidImageError      (ValueError)         a picture that cannot be read or must not be
    ├── DatasetError           (ValueError)         a dataset folder or its source is not as it should be
    ├── ConfigError            (ValueError)         a setting, recipe or name that is not known
    ├── CheckpointError        (RuntimeError)       a run cannot be continued from what is on the disk
    ├── BundleError            (ValueError)         a model bundle is incomplete, altered or unknown
    ├── CaseFileError          (ValueError)         a file of lesions is damaged, altered or of a newer version
    └── WeightsNotFoundError   (FileNotFoundError)  pretrained weights are neither at hand nor reachable

Each message says what came, what was wanted and what to do next. Command lines print it and exit with status 2.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class DermError(Exception):
    """Anything that derm_core refuses, for a reason its message explains."""


class InvalidImageError(DermError, ValueError):
    """A picture cannot be read, is not of an accepted format, or is too large."""


class DatasetError(DermError, ValueError):
    """A dataset folder, its table or its source cannot be used as it is."""


class ConfigError(DermError, ValueError):
    """A setting or a name is unknown, of the wrong type or out of range."""


class CheckpointError(DermError, RuntimeError):
    """A run folder holds no checkpoint that training can continue from."""


class BundleError(DermError, ValueError):
    """A model bundle is incomplete, altered or not registered."""


class CaseFileError(DermError, ValueError):
    """A file of lesions is damaged, altered, too large or of a newer version."""


class WeightsNotFoundError(DermError, FileNotFoundError):
    """Pretrained weights are not in the weights folder and no model hub answered."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Returns one sentence for a name that is not known, with all that are and the nearest match."""
    names = sorted(known)
    message = f"Unknown {kind} {name!r}. Known: {', '.join(names)}."
    nearest = difflib.get_close_matches(name, names, n=1)
    return f"{message} Did you mean {nearest[0]!r}?" if nearest else message
