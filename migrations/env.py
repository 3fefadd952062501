"""Runs the revisions against the website's database, in one transaction that holds off any other migration."""

from __future__ import annotations

from alembic import context
from flask import current_app

from web.database import db, lock_for_migration

settings = current_app.extensions["migrate"].configure_args


def run_migrations_offline() -> None:
    """Writes the statements instead of executing them (`flask db upgrade --sql`)."""
    context.configure(
        url=db.engine.url.render_as_string(hide_password=False),
        target_metadata=db.metadata,
        literal_binds=True,
        **settings,
    )
    with context.begin_transaction():
        context.run_migrations()


def run_migrations_online() -> None:
    """Executes the statements: all of them or none."""
    with db.engine.connect() as connection:
        is_sqlite = connection.dialect.name == "sqlite"
        if is_sqlite:
            # A batch operation copies a table and drops the old one: with foreign keys on, that empties its children.
            connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
            connection.rollback()
        try:
            lock_for_migration(connection)
            context.configure(
                connection=connection, target_metadata=db.metadata, transactional_ddl=True, **settings
            )
            context.run_migrations()
            if is_sqlite and (broken := connection.exec_driver_sql("PRAGMA foreign_key_check").first()):
                raise RuntimeError(
                    f"The migration would leave rows whose parents are gone, first in {broken[0]}."
                )
            connection.commit()
        finally:
            connection.rollback()
            if is_sqlite:
                connection.exec_driver_sql("PRAGMA foreign_keys = ON")
                connection.rollback()


if context.is_offline_mode():
    run_migrations_offline()
else:
    run_migrations_online()
