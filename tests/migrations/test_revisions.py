"""Every revision up and down on both databases, with rows in the tables; and the schema that the models describe."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from pathlib import Path

import alembic.command
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask

from tests.web.fakes import FakePredictor
from web import create_app
from web.database import db, migrate, upgrade_database

TABLES = {
    "api_tokens",
    "audit_events",
    "batch_items",
    "batches",
    "idempotent_requests",
    "invitations",
    "lesions",
    "login_attempts",
    "predictions",
    "recovery_codes",
    "reviews",
    "second_factors",
    "shares",
    "user_sessions",
    "users",
}


def revisions() -> list[str]:
    """All revisions, the first one first."""
    folder = Path(__file__).parent.parent.parent / "migrations"
    return [script.revision for script in ScriptDirectory(str(folder)).walk_revisions()][::-1]


def tables() -> set[str]:
    return set(sa.inspect(db.engine).get_table_names()) - {"alembic_version"}


def schema() -> dict[str, object]:
    """Everything that the database says of its tables."""
    inspector = sa.inspect(db.engine)
    return {
        table: {
            "columns": [
                (column["name"], str(column["type"]), column["nullable"], column["default"])
                for column in inspector.get_columns(table)
            ],
            "primary key": inspector.get_pk_constraint(table),
            "foreign keys": sorted(inspector.get_foreign_keys(table), key=lambda key: str(key["name"])),
            "unique": inspector.get_unique_constraints(table),
            "indexes": sorted(inspector.get_indexes(table), key=lambda index: str(index["name"])),
        }
        for table in sorted(tables())
    }


def insert_a_user_and_an_answer() -> None:
    db.session.execute(
        sa.text(
            "INSERT INTO users (id, email, name, password_hash, session_key) "
            "VALUES (1, 'mira@clinic.org', 'Mira', 'hash', 'key')"
        )
    )
    db.session.execute(
        sa.text(
            "INSERT INTO predictions (id, user_id, key, width, height, probabilities, top, malignant_probability, "
            "operating_point, operating_point_measured, advice, quality, model_name, model_version, model_sha256, "
            "seconds) "
            "VALUES (1, 1, 'a', 4, 3, '{\"nv\": 1.0}', 'nv', 0.1, 0.2, '{}', 'routine', '[]', 'm', '1', 's', 0.1)"
        )
    )
    db.session.commit()


def test_the_revisions_are_one_line_of_slugged_names() -> None:
    assert revisions() == [
        "0001_users",
        "0002_predictions",
        "0003_patient_context",
        "0004_lesions",
        "0005_batches",
        "0006_reviews",
        "0007_roles",
        "0008_api",
        "0009_batch_pauses",
        "0010_plausible",
        "0011_second_factors",
        "0012_imported_cases",
    ]


def test_up_and_down_one_by_one_and_up_again(app: Flask) -> None:
    config = migrate.get_config()
    for revision in revisions():
        alembic.command.upgrade(config, revision)
    assert tables() == TABLES
    for _ in revisions():
        alembic.command.downgrade(config, "-1")
    assert tables() == set()
    alembic.command.upgrade(config, "head")
    assert tables() == TABLES


def test_a_revision_that_goes_down_leaves_the_rows_below_it(app: Flask) -> None:
    upgrade_database(app)
    insert_a_user_and_an_answer()
    alembic.command.downgrade(migrate.get_config(), "0001_users")
    assert db.session.scalar(sa.text("SELECT email FROM users")) == "mira@clinic.org"
    db.session.rollback()
    upgrade_database(app)
    assert db.session.scalar(sa.text("SELECT count(*) FROM predictions")) == 0


def test_each_revision_goes_down_to_the_schema_that_was_there_before_it(app: Flask) -> None:
    config = migrate.get_config()
    before = []
    for revision in revisions():
        before.append(schema())
        alembic.command.upgrade(config, revision)
    for expected in reversed(before):
        alembic.command.downgrade(config, "-1")
        assert schema() == expected


def test_answers_from_before_the_patient_was_asked_for_stay_and_know_nothing_of_one(app: Flask) -> None:
    config = migrate.get_config()
    alembic.command.upgrade(config, "0002_predictions")
    insert_a_user_and_an_answer()
    made = db.session.execute(sa.text("SELECT * FROM predictions")).mappings().one()
    db.session.rollback()
    alembic.command.upgrade(config, "0003_patient_context")
    row = db.session.execute(sa.text("SELECT * FROM predictions")).mappings().one()
    assert {name: row[name] for name in ("age", "sex", "site", "context")} == {
        "age": None,
        "sex": "",
        "site": "",
        "context": "",
    }
    assert {name: row[name] for name in made} == made
    db.session.execute(
        sa.text("UPDATE predictions SET age = 54, sex = 'female', site = 'back', context = 'age'")
    )
    db.session.commit()
    alembic.command.downgrade(config, "0002_predictions")
    assert db.session.execute(sa.text("SELECT * FROM predictions")).mappings().one() == made


def test_the_models_are_the_migrated_schema(app: Flask) -> None:
    upgrade_database(app)
    with db.engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True, "render_as_batch": True}
        )
        assert compare_metadata(context, db.metadata) == []


def test_the_database_fills_in_what_is_left_out(app: Flask) -> None:
    upgrade_database(app)
    insert_a_user_and_an_answer()
    row = db.session.execute(sa.text("SELECT note, is_sample, created_at FROM predictions")).one()
    assert (row.note, bool(row.is_sample)) == ("", False)
    assert row.created_at is not None


@pytest.mark.parametrize("deed", ["UPDATE audit_events SET actor = 'nobody'", "DELETE FROM audit_events"])
def test_the_database_itself_refuses_to_change_the_audit_log(app: Flask, deed: str) -> None:
    upgrade_database(app)
    db.session.execute(
        sa.text(
            "INSERT INTO audit_events (actor, action, detail) VALUES ('mira@clinic.org', 'user.invited', '{}')"
        )
    )
    db.session.commit()
    with pytest.raises(sa.exc.DBAPIError, match="audit_events is append-only"):
        db.session.execute(sa.text(deed))
    db.session.rollback()
    assert db.session.scalar(sa.text("SELECT actor FROM audit_events")) == "mira@clinic.org"


def test_deleting_a_user_deletes_the_answers_in_the_database_itself(app: Flask) -> None:
    upgrade_database(app)
    insert_a_user_and_an_answer()
    db.session.execute(sa.text("DELETE FROM users"))
    db.session.commit()
    assert db.session.scalar(sa.text("SELECT count(*) FROM predictions")) == 0


def test_an_answer_without_its_user_is_refused(app: Flask) -> None:
    upgrade_database(app)
    insert_a_user_and_an_answer()
    with pytest.raises(sa.exc.IntegrityError):
        db.session.execute(sa.text("UPDATE predictions SET user_id = 2"))


def test_upgrading_twice_changes_nothing(app: Flask) -> None:
    upgrade_database(app)
    insert_a_user_and_an_answer()
    upgrade_database(app)
    assert db.session.scalar(sa.text("SELECT count(*) FROM predictions")) == 1


def test_a_migration_that_fails_leaves_the_database_as_it_was(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the power went out")

    with monkeypatch.context() as patch:
        patch.setattr("alembic.operations.BatchOperations.create_index", fail)
        with pytest.raises(RuntimeError, match="the power went out"):
            upgrade_database(app)
    assert tables() == set()
    upgrade_database(app)
    assert tables() == TABLES


def test_foreign_keys_are_on_again_after_a_migration(app: Flask) -> None:
    upgrade_database(app)
    if db.engine.dialect.name == "sqlite":
        for _ in range(3):
            with db.engine.connect() as connection:
                assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
                assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def test_servers_that_start_together_migrate_once(app: Flask) -> None:
    config = {name: app.config[name] for name in ("DERM_HOME", "DERM_DATABASE_URL")}
    context = multiprocessing.get_context("spawn")
    together = context.Barrier(3)
    servers = [context.Process(target=start_server, args=[config, together]) for _ in range(3)]
    for server in servers:
        server.start()
    for server in servers:
        server.join(120)
    assert [server.exitcode for server in servers] == [0, 0, 0]
    assert tables() == TABLES


def start_server(config: dict[str, object], together: multiprocessing.Barrier) -> None:
    app = create_app(config, FakePredictor())
    together.wait(60)
    upgrade_database(app)


@pytest.fixture(autouse=True)
def _no_transaction_stays_open(app: Flask) -> Iterator[None]:
    yield
    db.session.rollback()
