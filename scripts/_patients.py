"""What is known of the patients beside their pictures: the same for all, or a table's rows. Reads no picture."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from derm_core.errors import ConfigError

if TYPE_CHECKING:
    from derm_core.serving.context import PatientContext

COLUMNS = ("file", "age", "sex", "site")


def context_of(age: str | None, sex: str | None, site: str | None) -> PatientContext:
    """Returns what is known of a patient; empty is what is not. Raises ConfigError where a value makes no sense."""
    # Here, because it takes a moment that --help need not wait for.
    from derm_core.serving.context import PatientContext

    age, sex, site = ((value or "").strip().lower() for value in (age, sex, site))
    try:
        years = float(age) if age else None
    except ValueError as err:
        raise ConfigError(
            f"The age is {age!r}; it must be a number of years, such as 54, or left out."
        ) from err
    return PatientContext(years, sex, site)


def read_contexts(table: Path, files: Sequence[Path]) -> list[PatientContext | None]:
    """Returns what a table knows of the patient of each picture, None where it has no row for one.

    Args:
        table: a CSV with the columns `file`, `age`, `sex` and `site`; others are left alone. `file` is a picture as it
            was given, or as much of the end of its path as tells it from the others: its name, say.
        files: the pictures.

    Raises:
        ConfigError: the table cannot be read, a row matches no picture or several, two match the same one, or a value
            makes no sense.
    """
    by_name: dict[str, set[Path]] = {}
    for file in files:
        by_name.setdefault(file.name, set()).add(file)
    found: dict[Path, PatientContext] = {}
    for line, row in _rows(table):
        try:
            file = _picture_of(row["file"], by_name)
            if file in found:
                raise ConfigError(f"There is another row for {str(file)!r}. Leave one of them out.")
            found[file] = context_of(row["age"], row["sex"], row["site"])
        except ConfigError as err:
            raise ConfigError(f"{table}, line {line}: {err}") from err
    return [found.get(file) for file in files]


def _picture_of(name: str | None, by_name: Mapping[str, set[Path]]) -> Path:
    wanted = Path((name or "").strip())
    if not wanted.name:
        raise ConfigError("No picture is named. Write its path or name into the column file.")
    candidates = by_name.get(wanted.name, set())
    if wanted in candidates:
        return wanted
    length = len(wanted.parts)
    ending = [file for file in candidates if file.parts[-length:] == wanted.parts]
    if not ending:
        raise ConfigError(
            f"{str(wanted)!r} is none of the pictures. Name it as it is given, or leave the row out."
        )
    if len(ending) > 1:
        raise ConfigError(f"{str(wanted)!r} may be {len(ending)} of the pictures. Write more of its path.")
    return ending[0]


def _rows(table: Path) -> Iterator[tuple[int, Mapping[str, str | None]]]:
    """Yields the rows of a table with the numbers of their lines."""
    try:
        with table.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            if missing := [column for column in COLUMNS if column not in (reader.fieldnames or ())]:
                raise ConfigError(
                    f"--patients {table} has no column {', '.join(missing)}. "
                    f"Wanted: {', '.join(COLUMNS)}, separated by commas; cells may be empty."
                )
            for row in reader:
                yield reader.line_num, row
    except OSError as err:
        raise ConfigError(f"--patients {table} cannot be read: {err.strerror or err}.") from err
    except (UnicodeDecodeError, csv.Error) as err:
        raise ConfigError(f"--patients {table} is no CSV in UTF-8: {err}.") from err
