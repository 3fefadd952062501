"""Makes a backup while the server runs. Stops nobody, and knows no restore.

Pictures lie under random keys and never change. So those that are there are copied first; then the rows are read as
they are at one moment, and the pictures that came meanwhile are copied too. Where one of these is gone by then, its row
was deleted, and the rows are read anew. In the end each row has its files, and no file is without its row.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flask import Flask
from sqlalchemy import Engine, select

from web.answering import store
from web.backup_folder import (
    FORMAT,
    IMAGES,
    MANIFEST,
    MODELS,
    ROWS,
    SUMS,
    UPLOADS,
    BackupError,
    Manifest,
    Progress,
    sha256_of,
    write_sums,
)
from web.batch_uploads import OPEN_STATES, waiting_uploads
from web.database import db, now
from web.models import BatchItem, Prediction
from web.pictures import PHOTO, THUMBNAIL, heatmap_name
from web.row_files import copied_tables, head_revision, revision_of, snapshot, write_rows

_TRIES = 10
_WAITING = select(BatchItem.upload_key).where(BatchItem.state.in_(OPEN_STATES))


@dataclass(frozen=True)
class Rows:
    """What was read at one moment: how many rows of each table, and the files that they name.

    `pictures` is an answer's key to the names of its files; `uploads` are the keys of files that wait for their answer.
    """

    made_at: str
    revision: str
    tables: dict[str, int]
    pictures: dict[str, frozenset[str]]
    uploads: frozenset[str]


def make_backup(app: Flask, target: Path, progress: Progress = lambda items, count: items) -> Manifest:
    """Backs up the app's rows, pictures, waiting uploads and models into a new folder, and returns its manifest.

    The folder appears whole or not at all. Raises BackupError where it exists already, where the database is at another
    revision than this version, or where so much changes that rows and pictures cannot be brought together.
    """
    target = target.expanduser().absolute()
    if target.exists():
        raise BackupError(f"{target} exists already. Name a folder that does not.")
    target.parent.mkdir(parents=True, exist_ok=True)
    growing = target.with_name(f".{target.name}.{secrets.token_hex(8)}.partial")
    growing.mkdir(mode=0o700)
    try:
        with app.app_context():
            manifest = _fill(growing, app.config["DERM_HOME"], progress)
        os.sync()
        growing.rename(target)
    except BaseException:
        shutil.rmtree(growing, ignore_errors=True)
        raise
    return manifest


def expected_files(advice: str, probabilities: Mapping[str, float]) -> frozenset[str]:
    """Returns the names of the files of an answer: without an answer to explain there are no heatmaps."""
    heatmaps = () if advice == "unsure" else probabilities
    return frozenset({PHOTO, THUMBNAIL, *(heatmap_name(code) for code in heatmaps)})


def _fill(folder: Path, home: Path, progress: Progress) -> Manifest:
    _check_revision(db.engine)
    # Only what has a row: an upload that has none yet may still be growing.
    keys = db.session.scalars(select(Prediction.key)).all()
    uploads = db.session.scalars(_WAITING).all()
    db.session.rollback()
    for key in progress(keys, len(keys)):
        _copy_picture(folder, key)
    for key in uploads:
        _copy_upload(folder, key)
    rows = _rows_with_files(folder)
    _drop_files_without_rows(folder, rows)
    _copy_models(folder, home)
    count, size = write_sums(folder)
    manifest = Manifest(
        format=FORMAT,
        made_at=rows.made_at,
        revision=rows.revision,
        tables=rows.tables,
        pictures=len(rows.pictures),
        files=count,
        bytes=size,
        sums_sha256=sha256_of(folder / SUMS),
    )
    (folder / MANIFEST).write_text(manifest.text(), "utf-8")
    return manifest


def _check_revision(engine: Engine) -> None:
    with engine.connect() as connection:
        found = revision_of(connection)
    if found != head_revision():
        raise BackupError(
            f"The database is at revision {found or 'none'}; this version works with {head_revision()}. "
            "Start the server once, then make the backup."
        )


def _rows_with_files(folder: Path) -> Rows:
    for _ in range(_TRIES):
        rows = _read_rows(folder)
        came = [_has_picture(folder, key, names) for key, names in rows.pictures.items()]
        came += [_has_upload(folder, key) for key in rows.uploads]
        if all(came):
            return rows
    raise BackupError(
        "Pictures come and go faster than they can be copied. Make the backup at a quieter time."
    )


def _read_rows(folder: Path) -> Rows:
    (folder / ROWS).mkdir(exist_ok=True)
    answers = select(Prediction.key, Prediction.advice, Prediction.probabilities)
    with snapshot(db.engine) as connection:
        return Rows(
            made_at=now().isoformat(timespec="seconds"),
            revision=revision_of(connection),
            tables={
                table.name: write_rows(connection, table, folder / ROWS / f"{table.name}.jsonl")
                for table in copied_tables()
            },
            pictures={
                key: expected_files(advice, probabilities)
                for key, advice, probabilities in connection.execute(answers)
            },
            uploads=frozenset(connection.scalars(_WAITING)),
        )


def _has_picture(folder: Path, key: str, names: frozenset[str]) -> bool:
    """Says whether all files of an answer are in the backup, copied now if need be."""
    target = _picture_in(folder, key)
    if target.is_dir() and names <= {path.name for path in target.iterdir()}:
        return True
    shutil.rmtree(target, ignore_errors=True)
    _copy_picture(folder, key)
    return target.is_dir() and names <= {path.name for path in target.iterdir()}


def _copy_picture(folder: Path, key: str) -> None:
    """Copies what there is of an answer's files; one that is being deleted may come in part, and is dropped later."""
    target = _picture_in(folder, key)
    try:
        shutil.copytree(store().folder(key), target)
    except (FileNotFoundError, shutil.Error):
        shutil.rmtree(target, ignore_errors=True)


def _has_upload(folder: Path, key: str) -> bool:
    if not (folder / UPLOADS / key).is_file():
        _copy_upload(folder, key)
    return (folder / UPLOADS / key).is_file()


def _copy_upload(folder: Path, key: str) -> None:
    target = folder / UPLOADS / key
    target.parent.mkdir(exist_ok=True)
    try:
        shutil.copyfile(waiting_uploads().root / key, target)
    except FileNotFoundError:
        target.unlink(missing_ok=True)  # It was answered meanwhile.


def _drop_files_without_rows(folder: Path, rows: Rows) -> None:
    for path in (folder / IMAGES).glob("*/*/*"):
        if path.name not in rows.pictures:
            shutil.rmtree(path)
    for path in (folder / UPLOADS).glob("*"):
        if path.name not in rows.uploads:
            path.unlink()


def _copy_models(folder: Path, home: Path) -> None:
    """Copies the registered models: their list first, because a bundle is there before the list names it."""
    registered = home / MODELS
    if not registered.is_dir():
        return
    for path in sorted(registered.iterdir(), key=lambda path: (path.is_dir(), path.name)):
        if path.name.startswith("."):
            continue  # A bundle that is being copied in, or a lock.
        if path.is_dir():
            shutil.copytree(path, folder / MODELS / path.name)
        else:
            (folder / MODELS).mkdir(exist_ok=True)
            shutil.copyfile(path, folder / MODELS / path.name)


def _picture_in(folder: Path, key: str) -> Path:
    return folder / IMAGES / store().folder(key).relative_to(store().root)
