"""The website's settings: what create_app was handed, then DERM_* of the environment, then defaults. Opens nothing."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from derm_core import ConfigError
from web.secret_files import secrets_from_files

MEGABYTE = 1_000_000
SHORTEST_SECRET = 16
REGISTRATIONS = ("open", "invited", "closed")
SECOND_FACTORS = ("optional", "clinicians", "everyone")

DEFAULTS: dict[str, Any] = {
    "DERM_HOME": None,  # folder of the database, the photographs and the secret key; None: Flask's instance folder
    "DERM_DATABASE_URL": None,  # None: SQLite in DERM_HOME
    "DERM_DATABASE_PASSWORD": None,  # None: the one in DERM_DATABASE_URL
    "DERM_SECRET_KEY": None,  # None: made once and kept in DERM_HOME
    "DERM_MODEL": None,  # None: the model that ships
    "DERM_CASES": None,  # folder of an index of confirmed cases; None: no similar cases are shown
    "DERM_HTTPS": False,  # True: cookies are sent over https only
    "DERM_PROXIES": 0,  # how many reverse proxies stand in front and set X-Forwarded-*
    "MAX_CONTENT_LENGTH": 32 * MEGABYTE,
    "MAX_FORM_PARTS": 20,
    "DERM_QUEUE": 24,  # how many requests may wait for the model; more get 503
    "DERM_MICRO_BATCH": 0,  # pictures that share a pass; 1: each has its own; 0: as many as may be asked, on a GPU
    "DERM_MICRO_BATCH_MS": 5,  # how long one of them waits for the others at most, in milliseconds
    "DERM_QUOTA_MB": 20_000,  # what the files of one user's answers may take; 0: no limit
    "DERM_BATCH_MB": 1000,  # the most that a batch may take, also once it is unpacked
    "DERM_MODEL_MB": 1000,  # the most that the file of a model may have that an admin adds on the page
    "BATCH_FILES": 500,
    "BATCHES_AT_ONCE": 3,  # of one user: those that are not answered yet
    "BATCH_ATTEMPTS": 5,  # how often a file is taken again after the server stopped in the middle of it
    "BATCH_CLAIM": timedelta(minutes=1),  # what a server took longer ago and did not answer is taken again
    "CASE_FILE_SECONDS": 25,  # a case file is taken in while its sender waits: what is left after this is told
    "SWEEP_OLDER_THAN": timedelta(hours=1),  # a file without a row may get it until then
    "DERM_LOG": "",  # json or plain; empty: plain on a terminal, json elsewhere
    "DERM_METRICS_TOKEN": None,  # None: /metrics answers this machine only
    "DERM_API_REQUESTS": 600,  # a minute, of each user, in each server process
    "DERM_API_PHOTOGRAPHS": 60,  # of these, photographs to be answered
    "TOKENS_PER_ACCOUNT": 50,  # that have neither ended nor been revoked
    "HISTORY_PAGE_SIZE": 20,
    "DERM_SECOND_FACTOR": "optional",  # who must have one: optional (nobody), clinicians (and admins) or everyone
    "DERM_SCAN_COMMAND": None,  # is given the path of each upload and refuses it by a status other than 0; None: none
    "DERM_BREACHED_PASSWORDS": None,  # a file of SHA-1 hashes; None: only common passwords are refused
    "DERM_REGISTRATION": "open",  # who may make an account: open, invited (by an admin) or closed
    "DERM_IDLE_MINUTES": 60,  # a session that asks for nothing ends after this
    "DERM_SESSION_HOURS": 12,  # and every session after this
    "SESSIONS_PER_ACCOUNT": 20,
    "INVITATION_LIFETIME": timedelta(days=7),
    "RESET_LIFETIME": timedelta(days=1),
    "LOGIN_WINDOW": timedelta(minutes=15),
    "LOGIN_FAILURES_PER_ACCOUNT_AND_ADDRESS": 10,
    "LOGIN_FAILURES_PER_ACCOUNT": 100,
    "LOGIN_FAILURES_PER_ADDRESS": 100,
    "CODE_FAILURES_PER_ACCOUNT": 10,  # of second factors: whoever is asked for one knows the password already
    "CODE_PAGE_LIFETIME": timedelta(minutes=10),  # between the password and the second factor
    "PROOF_LIFETIME": timedelta(minutes=15),  # a session older than this is asked for the password again
    "REGISTRATIONS_PER_ADDRESS": 30,
    "ARGON2": {},  # cost parameters of argon2-cffi; its own defaults follow RFC 9106
    "SESSION_COOKIE_NAME": "dermatrace",
    "SESSION_COOKIE_HTTPONLY": True,
    "SESSION_COOKIE_SAMESITE": "Lax",
    "WTF_CSRF_TIME_LIMIT": None,  # a form may stay open for as long as its session
    "SEND_FILE_MAX_AGE_DEFAULT": timedelta(days=365),  # static files carry their hash in the address
}
FROM_ENVIRONMENT = (
    "DERM_HOME",
    "DERM_DATABASE_URL",
    "DERM_DATABASE_PASSWORD",
    "DERM_SECRET_KEY",
    "DERM_MODEL",
    "DERM_CASES",
    "DERM_HTTPS",
    "DERM_PROXIES",
    "DERM_SECOND_FACTOR",
    "DERM_BREACHED_PASSWORDS",
    "DERM_SCAN_COMMAND",
    "DERM_REGISTRATION",
    "DERM_IDLE_MINUTES",
    "DERM_SESSION_HOURS",
    "DERM_QUEUE",
    "DERM_MICRO_BATCH",
    "DERM_MICRO_BATCH_MS",
    "DERM_BATCH_MB",
    "DERM_MODEL_MB",
    "DERM_QUOTA_MB",
    "DERM_LOG",
    "DERM_METRICS_TOKEN",
    "DERM_API_REQUESTS",
    "DERM_API_PHOTOGRAPHS",
)
COUNTS = (
    "DERM_PROXIES",
    "DERM_QUEUE",
    "DERM_MICRO_BATCH",
    "DERM_MICRO_BATCH_MS",
    "DERM_BATCH_MB",
    "DERM_MODEL_MB",
    "DERM_QUOTA_MB",
    "DERM_API_REQUESTS",
    "DERM_API_PHOTOGRAPHS",
)


def load_settings(app: Flask, config: Mapping[str, Any] | None = None) -> None:
    """Fills `app.config`; makes DERM_HOME and, where none is set, the secret key in it.

    Raises ConfigError for a value that cannot be used.
    """
    app.config.from_mapping(DEFAULTS)
    app.config.from_mapping({name: os.environ[name] for name in FROM_ENVIRONMENT if os.environ.get(name)})
    app.config.from_mapping(secrets_from_files(os.environ))
    app.config.from_mapping(config or {})
    home = Path(app.config["DERM_HOME"] or app.instance_path).expanduser().resolve()
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    app.config["DERM_HOME"] = home
    app.config["DERM_HTTPS"] = _parse_flag("DERM_HTTPS", app.config["DERM_HTTPS"])
    for name in COUNTS:
        app.config[name] = _parse_count(name, app.config[name])
    app.config["DERM_REGISTRATION"] = _parse_word(
        "DERM_REGISTRATION", app.config["DERM_REGISTRATION"], REGISTRATIONS
    )
    app.config["DERM_SECOND_FACTOR"] = _parse_word(
        "DERM_SECOND_FACTOR", app.config["DERM_SECOND_FACTOR"], SECOND_FACTORS
    )
    app.config["IDLE_TIMEOUT"] = timedelta(
        minutes=_parse_positive("DERM_IDLE_MINUTES", app.config["DERM_IDLE_MINUTES"])
    )
    app.config["PERMANENT_SESSION_LIFETIME"] = timedelta(
        hours=_parse_positive("DERM_SESSION_HOURS", app.config["DERM_SESSION_HOURS"])
    )
    if app.config["DERM_LOG"]:
        app.config["DERM_LOG"] = _parse_word("DERM_LOG", app.config["DERM_LOG"], ("json", "plain"))
    if len(app.config["DERM_METRICS_TOKEN"] or "*" * SHORTEST_SECRET) < SHORTEST_SECRET:
        raise ConfigError(
            f"DERM_METRICS_TOKEN is too short; at least {SHORTEST_SECRET} characters are wanted."
        )
    app.config["SESSION_COOKIE_SECURE"] = app.config["DERM_HTTPS"]
    if app.config["DERM_HTTPS"]:
        # A browser takes a cookie of such a name from this host alone, over https, for the whole site.
        app.config["SESSION_COOKIE_NAME"] = f"__Host-{app.config['SESSION_COOKIE_NAME']}"
    app.config["SQLALCHEMY_DATABASE_URI"] = database_url(
        app.config["DERM_DATABASE_URL"], home, app.config["DERM_DATABASE_PASSWORD"]
    )
    app.config["SECRET_KEY"] = _parse_secret(app.config["DERM_SECRET_KEY"]) or kept_secret(
        home / "secret-key"
    )


def database_url(given: str | None, home: Path, password: str | None = None) -> str:
    """Returns the SQLAlchemy address of the database: `postgres://` and `postgresql://` both mean psycopg 3.

    A password that is given beside the address goes before one in it.
    """
    if not given:
        return f"sqlite:///{home / 'dermatrace.sqlite3'}"
    try:
        url = make_url(given)
    except ArgumentError as err:
        raise ConfigError(
            "DERM_DATABASE_URL is not an address that can be read. "
            "Wanted: postgresql://user:password@host/name or sqlite:////folder/file.sqlite3."
        ) from err
    if password:
        url = url.set(password=password)
    if url.drivername in ("postgres", "postgresql"):
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() not in ("postgresql", "sqlite"):
        raise ConfigError(
            f"DERM_DATABASE_URL names {url.get_backend_name()!r}. Wanted: postgresql or sqlite."
        )
    return url.render_as_string(hide_password=False)


def kept_secret(path: Path) -> str:
    """Returns the secret kept at `path` (mode 600), made on first use; of several processes at once, one makes it."""
    if not path.exists():
        fresh = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        try:
            with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(secrets.token_hex(32))
                file.flush()
                os.fsync(file.fileno())
            # A link is made whole or not at all, and never over a key that another process has made meanwhile.
            os.link(fresh, path)
        except FileExistsError:
            pass
        finally:
            fresh.unlink(missing_ok=True)
    path.chmod(0o600)
    secret = path.read_text().strip()
    if len(secret) < SHORTEST_SECRET:
        raise ConfigError(
            f"{path} holds no usable key. Delete it, and a new one is made; everybody signs in again."
        )
    return secret


def _parse_secret(value: str | None) -> str | None:
    if value is not None and len(value) < SHORTEST_SECRET:
        raise ConfigError(
            f"DERM_SECRET_KEY has {len(value)} characters; at least {SHORTEST_SECRET} are wanted. "
            "Leave it unset, and one is made."
        )
    return value


def _parse_flag(name: str, value: str | bool) -> bool:
    word = str(value).strip().lower()
    if word not in ("1", "true", "yes", "on", "0", "false", "no", "off"):
        raise ConfigError(f"{name} is {value!r}. Wanted: 1 or 0.")
    return word in ("1", "true", "yes", "on")


def _parse_count(name: str, value: str | int) -> int:
    try:
        count = int(value)
    except ValueError:
        count = -1
    if count < 0:
        raise ConfigError(f"{name} is {value!r}. Wanted: a whole number, 0 or more.")
    return count


def _parse_positive(name: str, value: str | int) -> int:
    count = _parse_count(name, value)
    if not count:
        raise ConfigError(f"{name} is {value!r}. Wanted: a whole number, 1 or more.")
    return count


def _parse_word(name: str, value: str, words: tuple[str, ...]) -> str:
    word = str(value).strip().lower()
    if word not in words:
        raise ConfigError(f"{name} is {value!r}. Wanted: {', '.join(words[:-1])} or {words[-1]}.")
    return word
