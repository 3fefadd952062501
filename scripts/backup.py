#!/usr/bin/env python3
"""Backs up the website while it runs: rows, photographs and registered models, each row with its files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from _cli import CommandParser, progress, run_command


def main() -> None:
    """Parses the arguments, makes the backup and says what is in it."""
    parser = CommandParser(
        description=__doc__,
        epilog="DERM_HOME and DERM_DATABASE_URL say what is backed up, as they do for the server. The backup holds "
        "what patients told: keep it as safe as the server itself. The secret key and who is signed in are not in it.",
    )
    parser.add_argument(
        "folder", type=Path, metavar="FOLDER", help="where the backup is to be; must not exist"
    )
    parser.add_argument("--json", action="store_true", help="print what was backed up as JSON")
    arguments = parser.parse_args()

    from _site import existing_site

    from web.backup import make_backup

    manifest = make_backup(existing_site(), arguments.folder, _show)
    if arguments.json:
        print(manifest.text(), end="")
    else:
        rows = sum(manifest.tables.values())
        print(
            f"{arguments.folder}: {manifest.pictures:,} photographs and {rows:,} rows, as they were at "
            f"{manifest.made_at}; {manifest.files:,} files, {manifest.bytes / 1e6:,.1f} MB."
        )


def _show(keys: Iterable[Any], count: int) -> Iterable[Any]:
    return progress(keys, total=count, description="copying", unit="photographs")


if __name__ == "__main__":
    run_command(main)
