"""What is known of a user beside the answers, as JSON documents: account, lesions, reviews, batches. Writes no file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Row, Select, select

from web.batch_uploads import OPEN_STATES
from web.database import db
from web.models import ApiToken, Batch, BatchItem, Lesion, Prediction, Review, Share, User, UserSession

_AT_ONCE = 500


def account_document(user_id: int) -> str:
    """Returns the account with its signed-in browsers and the names of its API tokens; no secret is in it."""
    account = dict(
        _one(
            select(User.name, User.email, User.role, User.created_at, User.toured_at).where(
                User.id == user_id
            )
        )
    )
    browsers = select(UserSession.user_agent, UserSession.created_at, UserSession.last_seen_at)
    tokens = select(
        ApiToken.name, ApiToken.start, ApiToken.scopes, ApiToken.created_at, ApiToken.expires_at,
        ApiToken.last_used_at, ApiToken.revoked_at,
    )  # fmt: skip
    account["browsers"] = _all(browsers.where(UserSession.user_id == user_id).order_by(UserSession.id))
    account["api_tokens"] = _all(tokens.where(ApiToken.user_id == user_id).order_by(ApiToken.id))
    return _text(account)


def lesion_chunks(user_id: int) -> Iterator[str]:
    """Yields the list of lesions."""
    columns = (
        Lesion.key, Lesion.name, Lesion.site, Lesion.body_view, Lesion.body_x, Lesion.body_y, Lesion.notes,
        Lesion.created_at,
    )  # fmt: skip
    yield from _list_chunks(select(*columns).where(Lesion.user_id == user_id), Lesion.id)


def review_chunks(user_id: int) -> Iterator[str]:
    """Yields the list of what was said of the user's answers afterwards."""
    columns = (
        Prediction.key.label("answer"), Review.verdict, Review.diagnosis, Review.confirmed_by, Review.comment,
        Review.reviewer_name.label("by"), Review.created_at,
    )  # fmt: skip
    said = select(*columns).join(Prediction, Prediction.id == Review.prediction_id)
    yield from _list_chunks(said.where(Prediction.user_id == user_id), Review.id)


def share_chunks(user_id: int) -> Iterator[str]:
    """Yields the list of shared answers and of those who may see them, by name."""
    columns = (Prediction.key.label("answer"), User.name.label("with"), Share.created_at)
    shared = select(*columns).join(Prediction, Prediction.id == Share.prediction_id)
    shared = shared.join(User, User.id == Share.clinician_id)
    yield from _list_chunks(shared.where(Prediction.user_id == user_id), Share.id)


def batch_chunks(user_id: int) -> Iterator[str]:
    """Yields the list of files that were sent in batches, each with the name of its batch and what came of it."""
    columns = (
        Batch.key.label("batch"), Batch.name.label("batch_name"), Batch.created_at, BatchItem.name.label("file"),
        BatchItem.state, BatchItem.error, Prediction.key.label("answer"),
    )  # fmt: skip
    files = select(*columns).join(BatchItem, BatchItem.batch_id == Batch.id)
    files = files.join(Prediction, Prediction.id == BatchItem.prediction_id, isouter=True)
    yield from _list_chunks(files.where(Batch.user_id == user_id), BatchItem.id)


def waiting_keys(user_id: int) -> list[str]:
    """Returns the names of uploads that have no answer yet."""
    query = select(BatchItem.upload_key).join(Batch, Batch.id == BatchItem.batch_id)
    return list(db.session.scalars(query.where(Batch.user_id == user_id, BatchItem.state.in_(OPEN_STATES))))


def _list_chunks(query: Select[*tuple[Any, ...]], number: Any) -> Iterator[str]:
    """Yields a JSON list of the rows of a query, some of them read at a time, in the order of a unique number."""
    query = query.add_columns(number.label("_number")).order_by(number).limit(_AT_ONCE)
    after, between = 0, "[\n"
    while rows := list(db.session.execute(query.where(number > after))):
        db.session.rollback()
        for row in rows:
            values = dict(row._mapping)
            after = values.pop("_number")
            yield between + _text(values)
            between = ",\n"
    yield "[]\n" if between == "[\n" else "\n]\n"


def _one(query: Select[*tuple[Any, ...]]) -> Mapping[str, Any]:
    return dict(db.session.execute(query).one()._mapping)


def _all(query: Select[*tuple[Any, ...]]) -> list[dict[str, Any]]:
    rows: Sequence[Row[Any]] = db.session.execute(query).all()
    return [dict(row._mapping) for row in rows]


def _text(values: Mapping[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> str:
    if isinstance(value, date | datetime):
        return value.isoformat()
    raise TypeError(f"{value!r} cannot stand in an export.")
