"""The second factor of an account: codes of an app by RFC 6238, and recovery codes. Asks nobody and shows no page."""

from __future__ import annotations

import hmac
import secrets
import string

import pyotp
from flask import current_app
from sqlalchemy import CursorResult, Update, delete, func, select, update

from web.database import db, now
from web.models import RecoveryCode, SecondFactor, User
from web.passwords import passwords
from web.second_factor_secret import seal, unseal

ISSUER = "Dermatrace"
STEP_SECONDS = 30
SKEW_STEPS = 1
"""A clock may be this many steps early or late."""
RECOVERY_CODES = 10
_CODE_LETTERS = "".join(sorted(set(string.ascii_lowercase + string.digits) - set("01ilo")))
_CODE_LENGTH = 10  # of 31 letters: 49 random bits


def factor_of(user: User) -> SecondFactor | None:
    """Returns the account's second factor; None where there is none, or its setting up was not finished."""
    found = _row(user)
    return found if found is not None and found.confirmed_at is not None else None


def lacks_factor(user: User) -> bool:
    """Says whether DERM_SECOND_FACTOR asks for a second factor that the account does not have."""
    demanded = current_app.config["DERM_SECOND_FACTOR"]
    is_asked = demanded == "everyone" or (demanded == "clinicians" and user.has_role("clinician"))
    return is_asked and factor_of(user) is None


def begin_factor(user: User) -> None:
    """Gives an account that has no second factor a fresh secret; it counts once confirmed. The caller commits."""
    db.session.execute(
        delete(SecondFactor).where(SecondFactor.user_id == user.id, SecondFactor.confirmed_at.is_(None))
    )
    db.session.add(SecondFactor(user_id=user.id, secret=seal(pyotp.random_base32())))


def secret_to_confirm(user: User) -> str | None:
    """Returns the secret that waits to be confirmed, in base32; None where there is none."""
    found = _row(user)
    return unseal(found.secret) if found is not None and found.confirmed_at is None else None


def address_of(user: User, secret: str) -> str:
    """Returns what an app reads out of the QR code: `otpauth://totp/...`."""
    return pyotp.TOTP(secret).provisioning_uri(name=user.email, issuer_name=ISSUER)


def confirm_factor(user: User, code: str) -> bool:
    """Turns the second factor on where `code` shows that the app has the secret; the caller commits."""
    found = _row(user)
    if found is None or not _takes_app_code(found, code):
        return False
    found.confirmed_at = now()
    return True


def is_readable(factor: SecondFactor) -> bool:
    """Says whether codes of the app can be checked: not after the server's key has changed."""
    return unseal(factor.secret) is not None


def takes_app_code(user: User, code: str) -> bool:
    """Says whether a code is the app's now, and was not given before; then it is used up. The caller commits."""
    factor = factor_of(user)
    return factor is not None and _takes_app_code(factor, code)


def takes_recovery_code(user: User, code: str) -> bool:
    """Says whether a code is one of the account's that are left; then it is used up. The caller commits."""
    plain = _plain(code).lower()
    if len(plain) != _CODE_LENGTH:
        return False
    left = select(RecoveryCode).where(RecoveryCode.user_id == user.id, RecoveryCode.used_at.is_(None))
    for row in db.session.scalars(left).all():
        if passwords().verify(row.digest, plain):
            unused = update(RecoveryCode).where(RecoveryCode.id == row.id, RecoveryCode.used_at.is_(None))
            return _changes_one(unused.values(used_at=now()))
    return False


def takes_code(user: User, code: str) -> bool:
    """Says whether a code is the app's or a recovery code; then it is used up. The caller commits."""
    return takes_app_code(user, code) or takes_recovery_code(user, code)


def new_recovery_codes(user: User) -> list[str]:
    """Makes recovery codes in place of those that there were, and returns them; the caller commits."""
    db.session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user.id))
    codes = [
        "".join(secrets.choice(_CODE_LETTERS) for _ in range(_CODE_LENGTH)) for _ in range(RECOVERY_CODES)
    ]
    db.session.add_all(RecoveryCode(user_id=user.id, digest=passwords().hash(code)) for code in codes)
    return [f"{code[:5]}-{code[5:]}" for code in codes]


def recovery_codes_left(user: User) -> int:
    """Returns how many recovery codes have not been used."""
    query = select(func.count()).where(RecoveryCode.user_id == user.id, RecoveryCode.used_at.is_(None))
    return db.session.scalar(query) or 0


def remove_factor(user: User) -> None:
    """Removes the second factor with its recovery codes; the caller commits."""
    db.session.execute(delete(SecondFactor).where(SecondFactor.user_id == user.id))
    db.session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user.id))


def _row(user: User) -> SecondFactor | None:
    return db.session.scalar(select(SecondFactor).where(SecondFactor.user_id == user.id))


def _takes_app_code(factor: SecondFactor, code: str) -> bool:
    secret = unseal(factor.secret)
    if secret is None:
        return False
    app, given = pyotp.TOTP(secret, interval=STEP_SECONDS), _plain(code)
    current = int(now().timestamp()) // STEP_SECONDS
    for step in range(current - SKEW_STEPS, current + SKEW_STEPS + 1):
        if hmac.compare_digest(app.at(step * STEP_SECONDS).encode(), given.encode()):
            # Of two requests with one code, the second changes no row.
            fresh = update(SecondFactor).where(SecondFactor.id == factor.id, SecondFactor.last_step < step)
            return _changes_one(fresh.values(last_step=step))
    return False


def _changes_one(query: Update) -> bool:
    done = db.session.execute(query)
    return isinstance(done, CursorResult) and done.rowcount == 1


def _plain(code: str) -> str:
    """Returns a code without the blanks and hyphens that make it readable."""
    return "".join(code.split()).replace("-", "")
