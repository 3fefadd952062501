"""What is done from the command line: `flask --app web create-admin`, `clear-second-factor` and `export-reviewed`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NoReturn

import click
from flask import Flask
from sqlalchemy import select

from derm_core import DermError
from web.api.tokens import revoke_tokens
from web.audit import record
from web.database import db, upgrade_database
from web.forms import tidy_email, tidy_line
from web.models import NAME_LENGTH, User
from web.passwords import password_fault, passwords
from web.reviewed import export_reviewed
from web.second_factor import remove_factor
from web.sessions import end_all_sessions

WRONG_INPUT = 2


def init_commands(app: Flask) -> None:
    """Gives the app its commands."""

    @app.cli.command("create-admin")
    @click.argument("email")
    @click.option("--name", default="Admin", show_default=True, help="What pages and reviews call them.")
    def create_admin(email: str, name: str) -> None:
        """Make an account that manages people and models; one that exists becomes an admin.

        The password is asked for, or read from standard input where that is no terminal. For an account that exists
        it is set anew, and every browser signed in with it is signed out.
        """
        upgrade_database(app)
        with app.app_context():
            click.echo(_create_admin(tidy_email(email), tidy_line(name)[:NAME_LENGTH]))

    @app.cli.command("clear-second-factor")
    @click.argument("email")
    def clear_second_factor(email: str) -> None:
        """Remove the second factor of an account whose owner lost it, such as that of the only admin.

        From then on the password alone opens it. Every browser signed in with it is signed out.
        """
        with app.app_context():
            click.echo(_clear_second_factor(tidy_email(email)))

    @app.cli.command("export-reviewed")
    @click.argument("folder", type=click.Path(path_type=Path))
    def export(folder: Path) -> None:
        """Write all confirmed cases to FOLDER as a dataset for retraining."""
        with app.app_context():
            try:
                dataset = export_reviewed(folder)
            except DermError as err:
                _fail(str(err))
            click.echo(f"{len(dataset)} {'photograph' if len(dataset) == 1 else 'photographs'} in {folder}")


def _create_admin(email: str, name: str) -> str:
    if "@" not in email:
        _fail(f"{email!r} is no e-mail address. Give the whole address, such as name@clinic.org.")
    password = _read_password()
    if fault := password_fault(password, email, name):
        _fail(fault)
    user = db.session.scalar(select(User).where(User.email == email))
    made = user is None
    if user is None:
        user = User(email=email, name=name or "Admin", password_hash="")
        db.session.add(user)
    else:
        end_all_sessions(user)
        revoke_tokens(user)
    user.role, user.disabled_at, user.password_hash = "admin", None, passwords().hash(password)
    record("account.made" if made else "user.role-changed", "user", email, role="admin")
    db.session.commit()
    return f"{email} is an admin."


def _clear_second_factor(email: str) -> str:
    user = db.session.scalar(select(User).where(User.email == email))
    if user is None:
        _fail(f"There is no account {email!r}. Give the address that it signs in with.")
    remove_factor(user)
    end_all_sessions(user)
    record("second-factor.cleared", "user", email)
    db.session.commit()
    return f"{email} signs in by the password alone."


def _read_password() -> str:
    if sys.stdin.isatty():
        return click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return sys.stdin.readline().rstrip("\r\n")


def _fail(reason: str) -> NoReturn:
    click.echo(reason, err=True)
    raise SystemExit(WRONG_INPUT)
