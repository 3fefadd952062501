#!/usr/bin/env python3
"""Restores a backup into an empty home and an empty database, or only checks that the backup is whole."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from _cli import CommandParser, progress, run_command


def main() -> None:
    """Parses the arguments, then restores or checks."""
    parser = CommandParser(
        description=__doc__,
        epilog="DERM_HOME and DERM_DATABASE_URL say where it is restored to; both must be empty, and no server may run "
        "there. A backup of SQLite may be restored into PostgreSQL, and the other way round. Everybody signs in anew; "
        "API tokens and open invitations are ended. Give the new server the secret key of the old one (DERM_SECRET_KEY "
        "or the file secret-key in its home): without it the codes of second factors cannot be checked.",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="a folder that backup.py made")
    parser.add_argument(
        "--check", action="store_true", help="read every file of the backup, and restore nothing"
    )
    parser.add_argument("--json", action="store_true", help="print what the backup holds as JSON")
    arguments = parser.parse_args()

    from web.backup_folder import verify_backup
    from web.restore import restore_backup

    if arguments.check:
        manifest = verify_backup(arguments.folder, _show)
    else:
        from _site import new_site

        manifest = restore_backup(new_site(), arguments.folder, _show)
    if arguments.json:
        print(manifest.text(), end="")
    else:
        rows = sum(manifest.tables.values())
        done = "is whole" if arguments.check else "is restored"
        print(
            f"{arguments.folder} {done}: {manifest.pictures:,} photographs and {rows:,} rows, as they were at "
            f"{manifest.made_at}."
        )
        if not arguments.check:
            print(
                "Nobody is signed in, and every API token and open invitation is ended: make new ones. Passwords and "
                "roles are those of the backup."
            )


def _show(files: Iterable[Any], count: int) -> Iterable[Any]:
    return progress(files, total=count, description="checking", unit="files")


if __name__ == "__main__":
    run_command(main)
