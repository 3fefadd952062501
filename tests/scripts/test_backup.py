"""Backup and restore: out of SQLite and PostgreSQL, into either, while somebody uploads and deletes."""

from __future__ import annotations

import atexit
import importlib
import json
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from derm_core import ConfigError
from tests.web.api.conftest import Program
from tests.web.authenticator import Authenticator
from tests.web.conftest import CHEAP_ARGON2, Person, close_connections
from tests.web.fakes import FakePredictor
from tests.web.owned import OWNED, user_of
from tests.web.postgres import empty_database
from web import create_app
from web.answering import store
from web.api.tokens import new_token
from web.backup import expected_files, make_backup
from web.backup_folder import BackupError, verify_backup
from web.batch_uploads import waiting_uploads
from web.database import db, upgrade_database
from web.invitations import invite
from web.models import Batch, BatchItem, Lesion, Prediction, User, UserSession
from web.restore import restore_backup
from web.row_files import copied_tables


@cache
def _migrated() -> Path:
    """An SQLite file at head, to be copied: migrating anew for every test would take most of the time."""
    home = Path(tempfile.mkdtemp(prefix="dermatrace-migrated-"))
    atexit.register(shutil.rmtree, home)
    app = create_app({"DERM_HOME": home}, FakePredictor())
    upgrade_database(app)
    close_connections(app)
    return home / "dermatrace.sqlite3"


@contextmanager
def site(home: Path, kind: str, *, migrated: bool = True) -> Iterator[Flask]:
    """A website on a home of its own and a database of this kind."""
    with ExitStack() as stack:
        home.mkdir()
        if kind == "sqlite" and migrated:
            shutil.copy(_migrated(), home)
        config: dict[str, Any] = {"DERM_HOME": home, "ARGON2": CHEAP_ARGON2, "TESTING": True}
        if kind == "postgresql":
            config["DERM_DATABASE_URL"] = stack.enter_context(empty_database())
        app = create_app(config, FakePredictor())
        try:
            if kind == "postgresql" and migrated:
                upgrade_database(app)
            yield app
        finally:
            close_connections(app)


def fill(app: Flask) -> Person:
    """A user with one of everything, and an uploaded file that waits."""
    person = Person(app)
    assert person.register().status_code == 302
    person.answered(note="Ağrı, 2 mm", age="54", site="back")
    person.answered()
    for name, make in OWNED.items():
        if name not in ("key", "user"):
            make(person)
    with app.app_context():
        item = db.session.scalars(select(BatchItem)).one()
        item.state = "waiting"
        db.session.commit()
        waiting_uploads().save(item.upload_key, [b"a photograph that waits"])
    return person


def rows_of(app: Flask) -> dict[str, list[dict[str, Any]]]:
    with app.app_context(), db.engine.connect() as connection:
        return {
            table.name: [dict(row._mapping) for row in connection.execute(select(table).order_by(table.c.id))]
            for table in copied_tables()
        }


def without_ends(rows: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """Leaves out when tokens and invitations ended: a restore ends those that are open."""
    ends = {"api_tokens": "revoked_at", "invitations": "used_at"}
    return {
        table: [{name: value for name, value in row.items() if name != ends.get(table)} for row in some]
        for table, some in rows.items()
    }


def files_of(home: Path) -> dict[str, bytes]:
    return {
        path.relative_to(home).as_posix(): path.read_bytes()
        for folder in ("images", "uploads", "models")
        for path in (home / folder).rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of a website on SQLite, not to be touched."""
    folder = tmp_path_factory.mktemp("pristine")
    with site(folder / "old", "sqlite") as app:
        fill(app)
        make_backup(app, folder / "backup")
    return folder / "backup"


@pytest.fixture
def backed_up(pristine: Path, tmp_path: Path) -> Path:
    """A copy of that backup."""
    return shutil.copytree(pristine, tmp_path / "backup")


@pytest.mark.parametrize(("kind", "into"), [("sqlite", "postgresql"), ("postgresql", "sqlite")])
def test_what_is_restored_is_what_was_there(tmp_path: Path, kind: str, into: str) -> None:
    with site(tmp_path / "old", kind) as app:
        fill(app)
        models = tmp_path / "old" / "models"
        (models / "clinic" / "1").mkdir(parents=True)
        (models / "clinic" / "1" / "model.safetensors").write_bytes(b"weights")
        (models / "registry.json").write_text("{}")
        manifest = make_backup(app, tmp_path / "backup")
        before = rows_of(app)
    assert manifest.tables == {name: len(rows) for name, rows in before.items()}
    assert manifest.pictures == 2
    with site(tmp_path / "new", into, migrated=False) as app:
        restore_backup(app, tmp_path / "backup")
        after = rows_of(app)
        assert without_ends(after) == without_ends(before)
        assert all(row["revoked_at"] for row in after["api_tokens"])
        assert all(row["used_at"] for row in after["invitations"])
        assert files_of(tmp_path / "new") == files_of(tmp_path / "old")
        mira = Person(app)
        assert mira.login().status_code == 302
        for row in before["predictions"]:
            assert mira.get(f"/answers/{row['key']}").status_code == 200
        later = mira.answered()
        with app.app_context():
            newest = db.session.scalars(select(Prediction.id).where(Prediction.key == later)).one()
        assert newest > max(row["id"] for row in before["predictions"])


def test_no_session_token_or_invitation_comes_back_with_a_backup(tmp_path: Path) -> None:
    with site(tmp_path / "old", "sqlite") as app:
        mira = fill(app)
        with app.app_context():
            _, token = new_token(user_of(mira), name="Import", scopes=["read"], days=30)
            link = f"/join/{invite('new@clinic.org', 'admin')}"
            db.session.commit()
        make_backup(app, tmp_path / "backup")
        assert Program(app, token).get("/token").status_code == 200
        assert Person(app).get(link).status_code == 200
    assert not list((tmp_path / "backup").rglob("*secret-key*"))
    with site(tmp_path / "new", "sqlite", migrated=False) as app:
        restore_backup(app, tmp_path / "backup")
        with app.app_context():
            assert db.session.scalar(select(func.count()).select_from(UserSession)) == 0
        assert Program(app, token).get("/token").status_code == 401
        assert Person(app).get(link).status_code == 404
        assert Person(app).login().status_code == 302


def test_a_second_factor_comes_back_with_the_servers_key_and_asks_for_a_recovery_code_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    phone = Authenticator(monkeypatch)
    with site(tmp_path / "old", "sqlite") as app:
        mira = Person(app)
        mira.register()
        codes = phone.set_up(mira)
        key = app.config["SECRET_KEY"]
        make_backup(app, tmp_path / "backup")
    with site(tmp_path / "new", "sqlite", migrated=False) as app:
        restore_backup(app, tmp_path / "backup")
        mira = Person(app)
        assert mira.login().location.startswith("/login/code")
        assert mira.post("/login/code", {"code": phone.next_code()}).status_code == 400
        assert mira.post("/login/recovery-code", {"code": codes[0]}).status_code == 302
        app.config["SECRET_KEY"] = key
        mira = Person(app)
        mira.login()
        assert mira.post("/login/code", {"code": phone.code()}).status_code == 302


def test_a_backup_of_a_busy_server_holds_each_row_with_its_files(tmp_path: Path) -> None:
    with site(tmp_path / "old", "sqlite") as app:
        person = fill(app)
        stop = threading.Event()

        def be_busy() -> None:
            while not stop.is_set():
                key = person.answered()
                person.post(f"/answers/{key}/delete")
                person.answered()

        thread = threading.Thread(target=be_busy)
        thread.start()
        try:
            for number in range(3):
                make_backup(app, tmp_path / f"backup-{number}")
        finally:
            stop.set()
            thread.join()
    for number in range(3):
        folder = tmp_path / f"backup-{number}"
        verify_backup(folder)
        rows = [json.loads(line) for line in (folder / "rows" / "predictions.jsonl").read_text().splitlines()]
        named = {row["key"]: expected_files(row["advice"], row["probabilities"]) for row in rows}
        kept = {
            path.name: {file.name for file in path.iterdir()} for path in (folder / "images").glob("*/*/*")
        }
        assert kept == named
        assert len(named) >= 2


def test_the_rows_are_read_anew_where_an_answer_was_deleted_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from web import backup

    reads: list[int] = []
    with site(tmp_path / "old", "sqlite") as app:
        person = fill(app)
        read = backup._read_rows

        def read_then_delete(folder: Path) -> backup.Rows:
            if not reads:
                person.answered()  # came after the first copying
            rows = read(folder)
            if not reads:
                for key in set(rows.pictures) - {path.name for path in (folder / "images").glob("*/*/*")}:
                    person.post(f"/answers/{key}/delete")
            reads.append(len(rows.pictures))
            return rows

        monkeypatch.setattr(backup, "_read_rows", read_then_delete)
        manifest = make_backup(app, tmp_path / "backup")
    assert reads == [3, 2]
    assert manifest.pictures == 2
    verify_backup(tmp_path / "backup")


def test_a_backup_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with site(tmp_path / "old", "sqlite") as app:
        fill(app)
        with app.app_context():
            store().delete(db.session.scalars(select(Prediction.key)).first() or "")
        with pytest.raises(BackupError, match="quieter time"):
            make_backup(app, tmp_path / "backups" / "one")
    assert list((tmp_path / "backups").iterdir()) == []


def test_a_backup_never_goes_over_another(backed_up: Path, tmp_path: Path) -> None:
    with site(tmp_path / "old", "sqlite") as app, pytest.raises(BackupError, match="exists already"):
        make_backup(app, backed_up)


def corrupt(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "a picture that changed": lambda folder: corrupt(next((folder / "images").rglob("photo.jpg"))),
    "a picture that is missing": lambda folder: next((folder / "images").rglob("photo.jpg")).unlink(),
    "rows that changed": lambda folder: corrupt(folder / "rows" / "users.jsonl"),
    "checksums that changed": lambda folder: (folder / "SHA256SUMS").write_text(""),
    "no manifest": lambda folder: (folder / "manifest.json").unlink(),
    "a manifest of nothing": lambda folder: (folder / "manifest.json").write_text("{}"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_backup_is_refused_before_anything_is_written(
    backed_up: Path, tmp_path: Path, damage: str
) -> None:
    DAMAGES[damage](backed_up)
    with site(tmp_path / "new", "sqlite", migrated=False) as app:
        with pytest.raises(BackupError):
            restore_backup(app, backed_up)
        assert files_of(tmp_path / "new") == {}


def test_a_target_that_holds_anything_is_refused(backed_up: Path, tmp_path: Path) -> None:
    with site(tmp_path / "new", "sqlite") as app:
        Person(app).register()
        with pytest.raises(BackupError, match=r"not empty: \w+ has rows"):
            restore_backup(app, backed_up)
        with app.app_context():
            assert db.session.scalar(select(func.count()).select_from(User)) == 1
    with site(tmp_path / "pictures", "sqlite", migrated=False) as app:
        with app.app_context():
            store().save("0" * 32, {"photo.jpg": b"somebody's"})
        with pytest.raises(BackupError, match="not of this backup"):
            restore_backup(app, backed_up)


def test_a_restore_that_was_stopped_can_be_run_again(
    backed_up: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(tmp_path / "new", "sqlite", migrated=False) as app:
        with monkeypatch.context() as patch:
            patch.setattr("web.restore._insert_all", lambda *given: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                restore_backup(app, backed_up)
        restore_backup(app, backed_up)
        with app.app_context():
            counts = [
                db.session.scalar(select(func.count()).select_from(model))
                for model in (Prediction, Lesion, Batch)
            ]
        assert counts == [2, 1, 1]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command on a home, in this process, and returns what it prints."""

    def run(name: str, *arguments: str, home: Path) -> str:
        monkeypatch.setenv("DERM_HOME", str(home))
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *arguments])
        importlib.import_module(name).main()
        return capsys.readouterr().out

    return run


@pytest.fixture(autouse=True)
def no_connection_is_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Closes what the commands open; their processes would have ended."""
    made: list[Flask] = []

    def make() -> Flask:
        made.append(create_app())
        return made[-1]

    monkeypatch.setattr("_site.create_app", make)
    yield
    for app in made:
        close_connections(app)


def test_the_commands_back_up_check_and_restore(tmp_path: Path, command: Callable[..., str]) -> None:
    with site(tmp_path / "old", "sqlite") as app:
        fill(app)
    folder = str(tmp_path / "backup")
    assert json.loads(command("backup", folder, "--json", home=tmp_path / "old"))["pictures"] == 2
    said = command("restore", folder, home=tmp_path / "new")
    assert "is restored: 2 photographs" in said
    assert "every API token and open invitation is ended" in said
    assert files_of(tmp_path / "new") == files_of(tmp_path / "old")
    assert "is whole: 2 photographs" in command("restore", folder, "--check", home=tmp_path / "nowhere")
    corrupt(next((tmp_path / "backup" / "images").rglob("photo.jpg")))
    with pytest.raises(BackupError, match="is not as it was"):
        command("restore", folder, "--check", home=tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_a_home_without_a_database_is_refused(tmp_path: Path, command: Callable[..., str]) -> None:
    with pytest.raises(ConfigError, match="There is no database"):
        command("backup", str(tmp_path / "backup"), home=tmp_path / "empty")
    assert not (tmp_path / "backup").exists()
