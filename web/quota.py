"""How many bytes a user's files may take, and whether there is room for more. Removes nothing."""

from __future__ import annotations

from flask import current_app
from sqlalchemy import func, select

from web.database import db
from web.models import Prediction, User

MEGABYTE = 1_000_000


class QuotaFullError(Exception):
    """There is no room for another picture; the message says so to its owner, with what to do."""


def bytes_kept(user: User) -> int:
    """Returns how many bytes the files of a user's answers take."""
    query = select(func.coalesce(func.sum(Prediction.bytes), 0)).where(Prediction.user_id == user.id)
    return int(db.session.scalar(query) or 0)


def room_left(user: User) -> int | None:
    """Returns how many bytes a user may still keep, 0 where it is full; None where there is no limit."""
    limit = current_app.config["DERM_QUOTA_MB"] * MEGABYTE
    return max(0, limit - bytes_kept(user)) if limit else None


def require_room(left: int | None, wanted: int) -> None:
    """Raises QuotaFullError where `wanted` bytes are more than are `left`; None is no limit.

    Pictures that arrive at the same moment may together go a little over: by what the server answers at once.
    """
    if left is not None and wanted > left:
        raise QuotaFullError(
            f"Your pictures take all of the {megabytes_text(current_app.config['DERM_QUOTA_MB'] * MEGABYTE)} that an "
            "account has here. Delete answers that you no longer need, then send it again. Nothing was stored."
        )


def megabytes_text(size: int) -> str:
    """Writes a number of bytes: 0.4 MB, 84 MB, 12,400 MB."""
    megabytes = size / MEGABYTE
    return f"{megabytes:.1f} MB" if 0 < megabytes < 10 else f"{megabytes:,.0f} MB"
