"""Answers the files of batches in the background of a serving process. Several processes may do so beside each other.

A file is claimed by one conditional UPDATE, and its answer is committed together with the end of the claim: whatever is
killed, and whenever, no file is answered twice and none is forgotten.
"""

from __future__ import annotations

import atexit
import logging
import threading
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from flask import Flask, current_app
from sqlalchemy import CursorResult, and_, exists, or_, select, update
from sqlalchemy.sql.elements import ColumnElement

from derm_core import InvalidImageError
from web.answering import answer_in_turn
from web.batch_uploads import OPEN_STATES, waiting_uploads
from web.database import db, now
from web.inference import ModelUnavailableError, inference
from web.models import Batch, BatchItem, Prediction, User
from web.quota import QuotaFullError

log = logging.getLogger(__name__)

_SECONDS_BETWEEN_LOOKS = 2.0
_SECONDS_WITHOUT_MODEL = 30.0
_CANDIDATES = 8


class ClaimLostError(Exception):
    """The file was cancelled, deleted or taken by another process while it was answered."""


@dataclass(frozen=True)
class Claim:
    """One file that this process answers; `moment` proves that the claim is still its own."""

    item_id: int
    batch_id: int
    user_id: int
    upload_key: str
    moment: datetime

    def end(self, state: str, *, prediction_id: int | None = None, error: str = "") -> None:
        """Writes what came of it; raises ClaimLostError where the claim is another's by now."""
        values = {"state": state, "prediction_id": prediction_id, "error": error}
        mine = [
            BatchItem.id == self.item_id,
            BatchItem.state == "working",
            BatchItem.claimed_at == self.moment,
        ]
        if _changed(update(BatchItem).where(*mine).values(values)) != 1:
            raise ClaimLostError(f"The claim on item {self.item_id} is lost.")


class BatchWorker:
    """The threads that answer batches; one fewer than the model answers at once, so that a request finds it free."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._stop = threading.Event()
        self._news = threading.Condition()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begins to answer what waits, and what a killed server has left."""
        turns = self._app.extensions["inference"].turns
        for number in range(max(1, turns.at_once - 1)):
            thread = threading.Thread(target=self._run, name=f"batch-worker-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()
        atexit.register(self.stop)

    def stop(self, seconds: float = 10.0) -> None:
        """Ends the threads, each after the file that it is at."""
        self._stop.set()
        self.wake()
        for thread in self._threads:
            thread.join(seconds)
        atexit.unregister(self.stop)

    def wake(self) -> None:
        """Has the threads look for files at once."""
        with self._news:
            self._news.notify_all()

    def _run(self) -> None:
        while not self._stop.is_set():
            pause = _SECONDS_BETWEEN_LOOKS
            try:
                if answer_next(self._app, self._stop):
                    continue
            except ModelUnavailableError:
                pause = _SECONDS_WITHOUT_MODEL
            except Exception:
                # The database may be away for a while; nothing is lost, so look again.
                log.exception("A batch could not be worked on")
            with self._news:
                if not self._stop.is_set():
                    self._news.wait(pause)


def init_worker(app: Flask) -> None:
    """Gives the app its worker, which is started by the process that serves."""
    app.extensions["batch_worker"] = BatchWorker(app)


def worker() -> BatchWorker:
    """Returns the app's worker."""
    return current_app.extensions["batch_worker"]


def answer_next(app: Flask, stop: threading.Event | None = None) -> bool:
    """Answers one waiting file and returns True; False where none waits.

    Raises ModelUnavailableError where there is no model to ask; the files go on waiting.
    """
    with app.app_context():
        if not _candidates():
            finish_batches()
            return False
        db.session.rollback()
        inference().load()
        with inference().turns.background(stop or threading.Event()) as granted:
            claim = _claim() if granted else None
            if claim is None:
                return False
            _answer(claim)
        finish_batches(claim.batch_id)
    return True


def finish_batches(batch_id: int | None = None) -> None:
    """Notes the end of each batch whose files all have an answer or a reason; of all batches, or of one."""
    waits = exists().where(BatchItem.batch_id == Batch.id, BatchItem.state.in_(OPEN_STATES))
    done = [Batch.finished_at.is_(None), ~waits]
    if batch_id is not None:
        done.append(Batch.id == batch_id)
    if batch_id is not None or db.session.scalar(select(Batch.id).where(*done).limit(1)) is not None:
        db.session.execute(
            update(Batch).where(*done).values(finished_at=now()),
            execution_options={"synchronize_session": False},
        )
    db.session.commit()


def _free() -> ColumnElement[bool]:
    abandoned = BatchItem.claimed_at < now() - current_app.config["BATCH_CLAIM"]
    return or_(BatchItem.state == "waiting", and_(BatchItem.state == "working", abandoned))


def _paused() -> ColumnElement[bool]:
    return exists().where(Batch.id == BatchItem.batch_id, Batch.paused_at.is_not(None))


def _candidates() -> list[Any]:
    """Returns some files that may be claimed, those first that stand first in their batch: so batches take turns."""
    query = (
        select(BatchItem.id, BatchItem.batch_id, BatchItem.upload_key, BatchItem.attempts, Batch.user_id)
        .join(Batch, Batch.id == BatchItem.batch_id)
        .where(_free(), Batch.cancelled_at.is_(None), Batch.paused_at.is_(None))
        .order_by(BatchItem.position, BatchItem.id)
        .limit(_CANDIDATES)
    )
    return list(db.session.execute(query))


def _claim() -> Claim | None:
    for row in _candidates():
        moment = now()
        taken = _changed(
            update(BatchItem)
            .where(BatchItem.id == row.id, _free(), ~_paused())
            .values(state="working", claimed_at=moment, attempts=BatchItem.attempts + 1)
        )
        db.session.commit()
        if not taken:
            continue
        claim = Claim(row.id, row.batch_id, row.user_id, row.upload_key, moment)
        if row.attempts < current_app.config["BATCH_ATTEMPTS"]:
            return claim
        # Whatever is in it: a file that takes the server down with it is not tried for ever.
        _fail(
            claim,
            "The server stopped several times while it read this file. Save it as JPEG and send it again.",
        )
    return None


def _answer(claim: Claim) -> None:
    """Answers a claimed file: its answer, or the reason why there is none, is committed when this returns."""
    user = db.session.get(User, claim.user_id)
    if user is None:
        return  # The account was deleted, and its batches with it.

    def settle(prediction: Prediction) -> None:
        claim.end("done", prediction_id=prediction.id)

    try:
        # The worker holds its turn already: it claims a file when it can answer it at once.
        answer_in_turn(user, waiting_uploads().read(claim.upload_key), turn=nullcontext(), and_then=settle)
    except ClaimLostError:
        _leave(claim)
    except (InvalidImageError, QuotaFullError) as err:
        _fail(claim, str(err))
    except FileNotFoundError:
        _fail(claim, "This file was lost on the server. Send it again.")
    except ModelUnavailableError:
        db.session.rollback()
        claim.end("waiting")
        db.session.commit()
        raise
    except Exception:
        log.exception("A file of a batch could not be answered")
        _fail(claim, "Something broke on our side while this file was answered. Send it again.")
    else:
        waiting_uploads().delete([claim.upload_key])


def _fail(claim: Claim, reason: str) -> None:
    """Notes why a file has no answer, and removes it."""
    db.session.rollback()
    try:
        claim.end("failed", error=reason)
    except ClaimLostError:
        _leave(claim)
        return
    db.session.commit()
    waiting_uploads().delete([claim.upload_key])


def _leave(claim: Claim) -> None:
    """Drops a file that is another's by now, or nobody's; who took it away sees to its upload."""
    db.session.rollback()
    log.info("The claim on item %d of a batch was lost meanwhile", claim.item_id)


def _changed(statement: Any) -> int:
    """Runs an UPDATE and returns how many rows it changed."""
    result = db.session.execute(statement, execution_options={"synchronize_session": False})
    return cast(CursorResult[Any], result).rowcount
