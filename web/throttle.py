"""Slows down guessing: failed attempts are counted in the database, by account and by address. Checks no password."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import math
from datetime import datetime, timedelta

from flask import current_app, request
from sqlalchemy import ColumnElement, delete, func, select

from web.database import db, now
from web.models import LoginAttempt

REGISTRATION = "registration"
"""Stands in place of an account where somebody makes one."""
PASSWORD, CODE = "account", "code"
"""What is tried: a right password must not forget that codes were guessed, and so each is counted by itself."""


class TooManyAttemptsError(Exception):
    """There were too many failures lately; `seconds` says when the next attempt is allowed."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"Too many attempts. Wait {seconds} seconds.")
        self.seconds = seconds


class Attempt:
    """One attempt, counted as a failure from its start until it succeeds.

    It is counted before the password is checked, so that many at once cannot slip past the limit together.
    """

    def __init__(self, account: str, what: str = PASSWORD) -> None:
        """Counts the attempt; raises TooManyAttemptsError, and does not count it, where a limit is reached."""
        config = current_app.config
        self._account = _digest(what, account)
        self._address = _digest("address", _network(request.remote_addr))
        here = LoginAttempt.address == self._address
        whose = LoginAttempt.account == self._account
        row = LoginAttempt(account=self._account, address=self._address)
        db.session.execute(
            delete(LoginAttempt).where(LoginAttempt.created_at < now() - config["LOGIN_WINDOW"])
        )
        db.session.add(row)
        db.session.commit()
        limits: list[tuple[ColumnElement[bool], int]]
        if account == REGISTRATION:
            limits = [(whose & here, config["REGISTRATIONS_PER_ADDRESS"])]
        elif what == CODE:
            limits = [
                (whose, config["CODE_FAILURES_PER_ACCOUNT"]),
                (here, config["LOGIN_FAILURES_PER_ADDRESS"]),
            ]
        else:
            limits = [
                (whose & here, config["LOGIN_FAILURES_PER_ACCOUNT_AND_ADDRESS"]),
                (whose, config["LOGIN_FAILURES_PER_ACCOUNT"]),
                (here, config["LOGIN_FAILURES_PER_ADDRESS"]),
            ]
        try:
            for which, most in limits:
                _check(which, most, config["LOGIN_WINDOW"])
        except TooManyAttemptsError:
            db.session.delete(row)
            db.session.commit()
            raise

    def succeed(self) -> None:
        """Forgets this attempt and the failures before it, of this account from this address."""
        db.session.execute(
            delete(LoginAttempt).where(
                LoginAttempt.account == self._account, LoginAttempt.address == self._address
            )
        )
        db.session.commit()


def _check(which: ColumnElement[bool], most: int, window: timedelta) -> None:
    since = now() - window
    count, oldest = db.session.execute(
        select(func.count(), func.min(LoginAttempt.created_at)).where(which, LoginAttempt.created_at >= since)
    ).one()
    if count > most:
        raise TooManyAttemptsError(_seconds_until(oldest + window))


def _seconds_until(moment: datetime) -> int:
    return max(1, math.ceil((moment - now()).total_seconds()))


def _digest(kind: str, value: str) -> str:
    key = current_app.config["SECRET_KEY"].encode()
    return hmac.new(key, f"{kind}:{value}".encode(), hashlib.sha256).hexdigest()[:32]


def _network(address: str | None) -> str:
    """Returns what one customer of a provider shares: an IPv4 address, or the first 64 bits of an IPv6 one."""
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return address or "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
