"""Brings a backup into an empty home and an empty database, of either kind. Makes no backup.

What had been ended since the backup must not come back with it. So nobody is signed in afterwards, no API token works,
and no invitation is open.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from flask import Flask
from sqlalchemy import Connection, inspect, select, update

from web.answering import store
from web.backup import expected_files
from web.backup_folder import (
    IMAGES,
    MODELS,
    ROWS,
    UPLOADS,
    BackupError,
    Manifest,
    Progress,
    read_manifest,
    verify_backup,
)
from web.batch_uploads import waiting_uploads
from web.database import Base, db, now, upgrade_database
from web.models import ApiToken, Invitation, Prediction
from web.row_files import copied_tables, head_revision, insert_rows, read_rows


def restore_backup(app: Flask, source: Path, progress: Progress = lambda items, count: items) -> Manifest:
    """Restores a backup and returns its manifest. No server may run on the target.

    Every checksum is compared first. Then the files are copied, and then all rows are committed at once: a restore that
    was stopped leaves no row, and can be run again. API tokens and open invitations are ended.
    Raises BackupError where the backup is not whole, was made by another version, or the target holds anything.
    """
    source = source.expanduser().absolute()
    manifest = read_manifest(source)
    with app.app_context():
        if manifest.revision != head_revision():
            raise BackupError(
                f"The backup was made at revision {manifest.revision}; this version works with {head_revision()}. "
                "Restore it with the version that made it, then start the new one."
            )
        pictures = {path.name: path for path in (source / IMAGES).glob("*/*/*")}
        _require_empty(app.config["DERM_HOME"], set(pictures))
        verify_backup(source, progress)
        upgrade_database(app)
        _copy_files(source, app.config["DERM_HOME"], pictures)
        _insert_all(source, manifest)
        _check_files(manifest)
    return manifest


def _require_empty(home: Path, own: set[str]) -> None:
    """Refuses a target with rows, models, or pictures that are not `own`: those of this backup, copied before."""
    with db.engine.connect() as connection:
        there = set(inspect(connection).get_table_names())
        for table in Base.metadata.sorted_tables:
            if table.name in there and connection.execute(select(table.c.id).limit(1)).first():
                raise BackupError(
                    f"The database is not empty: {table.name} has rows. A backup is restored into an empty one: "
                    "set DERM_DATABASE_URL, or DERM_HOME to a new folder."
                )
    if not own.issuperset(store().keys()):
        raise BackupError(
            f"{store().root} holds pictures that are not of this backup. Set DERM_HOME to a new folder."
        )
    if (home / MODELS / "registry.json").exists():
        raise BackupError(f"{home / MODELS} holds registered models. Set DERM_HOME to a new folder.")


def _copy_files(source: Path, home: Path, pictures: dict[str, Path]) -> None:
    for key, folder in pictures.items():
        if not store().folder(key).is_dir():
            store().save(key, {path.name: path.read_bytes() for path in folder.iterdir()})
    for path in (source / UPLOADS).glob("*"):
        waiting_uploads().delete([path.name])  # what a restore that was stopped has left
        waiting_uploads().save(path.name, [path.read_bytes()])
    waiting_uploads().sync()
    if (source / MODELS).is_dir():
        # The list comes last: whoever reads it finds the bundles.
        for path in sorted((source / MODELS).iterdir(), key=lambda path: (path.is_file(), path.name)):
            if path.is_dir():
                shutil.copytree(path, home / MODELS / path.name, dirs_exist_ok=True)
            else:
                shutil.copyfile(path, home / MODELS / path.name)


def _insert_all(source: Path, manifest: Manifest) -> None:
    with db.engine.begin() as connection:
        for table in copied_tables():
            count = insert_rows(connection, table, read_rows(source / ROWS / f"{table.name}.jsonl", table))
            if count != manifest.tables.get(table.name):
                raise BackupError(
                    f"{table.name} has {count} rows; {manifest.tables.get(table.name)} were backed up. "
                    "Nothing was restored; take another backup."
                )
        _end_ways_in(connection)


def _end_ways_in(connection: Connection) -> None:
    """Ends the tokens and the invitations that the backup holds as open. Sessions are not in it."""
    connection.execute(update(ApiToken).where(ApiToken.revoked_at.is_(None)).values(revoked_at=now()))
    connection.execute(update(Invitation).where(Invitation.used_at.is_(None)).values(used_at=now()))


def _check_files(manifest: Manifest) -> None:
    answers = select(Prediction.key, Prediction.advice, Prediction.probabilities)
    for key, advice, probabilities in db.session.execute(answers.execution_options(yield_per=500)):
        found = {path.name for path in store().folder(key).glob("*")}
        if not expected_files(advice, probabilities) <= found:
            raise BackupError(f"The answer {key} lacks files after the restore. Take another backup.")
