"""The case list of this machine: lesions, their photographs in order of time, and what became known of them.

Files are written before the row that names them and removed after it, inside a transaction that one writer holds at a
time; so no row lacks its file, and a file without its row is swept away (`case_opening`). Knows no page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from derm_core import CaseReview, lesion_share
from desktop.case_entries import Named, NewPhotograph
from desktop.case_pictures import copied, new_key
from desktop.case_reading import CaseReader
from desktop.case_schema import WRITES, Lesion, Photograph, Review

Result = TypeVar("Result")


class CaseList(CaseReader):
    """The case list in a folder. Threads and windows share it. Raises as CaseReader."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.sweep()

    def add_lesion(
        self,
        named: Named,
        *,
        key: str | None = None,
        body: tuple[str, float, float] | None = None,
        created_at: datetime | None = None,
    ) -> str:
        """Adds a lesion and returns its key."""
        now = datetime.now(UTC)
        lesion = Lesion(key=key or new_key(), created_at=created_at or now, changed_at=now)
        lesion.body = list(body) if body else None
        _name(lesion, named)
        with self._writing() as session:
            session.add(lesion)
            return lesion.key

    def rename(self, key: str, named: Named) -> bool:
        """Changes what a lesion is called; returns whether it is there."""

        def change(session: Session) -> bool:
            lesion = session.scalar(select(Lesion).where(Lesion.key == key))
            if lesion is not None:
                _name(lesion, named)
                lesion.changed_at = datetime.now(UTC)
            return lesion is not None

        return self._done(change)

    def keep(self, lesion: str, new: NewPhotograph) -> bool:
        """Keeps a photograph of a lesion; returns whether that is new: a photograph is kept once.

        Raises:
            InvalidImageError: the picture cannot be read.
            LookupError: the lesion is gone.
            OSError: there is no room on the disk.
        """
        image, photograph = copied(new.picture)
        answered = new.prediction.advice != "unsure"
        share = lesion_share(image) if answered else None
        saved = False
        try:
            with self._writing() as session:
                owner = session.scalar(select(Lesion).where(Lesion.key == lesion))
                if owner is None:
                    raise LookupError(lesion)
                if session.scalar(select(Photograph.id).where(Photograph.key == new.key)) is not None:
                    return False
                self.pictures.save(new.key, photograph, new.heatmaps if answered else {})
                saved = True
                now = datetime.now(UTC)
                owner.changed_at = now
                session.add(
                    Photograph(
                        lesion_id=owner.id,
                        key=new.key,
                        answered_at=new.answered_at,
                        kept_at=now,
                        imported_at=now if new.is_imported else None,
                        taken_on=new.taken_on,
                        note=new.note,
                        age=new.patient.age,
                        sex=new.patient.sex,
                        site=new.patient.site,
                        width=image.width,
                        height=image.height,
                        lesion_share=share,
                        answer=new.prediction.to_dict(),
                        measured=dict(new.measured),
                        plausible_level=new.plausible_level,
                    )
                )
        except BaseException:
            if saved:
                self.sweep()
            raise
        return True

    def review(self, photograph: str, new: CaseReview, *, only_newer: bool = False) -> bool:
        """Adds what became known of a photograph; returns whether it was added.

        Args:
            photograph: its key.
            new: what became known; `withdrawn` takes back what was there.
            only_newer: adds nothing where something as new is known already.
        """

        def change(session: Session) -> bool:
            row = session.scalar(select(Photograph).where(Photograph.key == photograph))
            newest = max((one.reviewed_at for one in row.reviews), default=None) if row else None
            if row is None or (only_newer and newest is not None and newest >= new.reviewed_at):
                return False
            session.add(
                Review(
                    photograph_id=row.id,
                    verdict=new.verdict,
                    diagnosis=new.diagnosis,
                    confirmed_by=new.confirmed_by,
                    comment=new.comment,
                    reviewer=new.reviewer,
                    reviewed_at=new.reviewed_at,
                )
            )
            row.lesion.changed_at = datetime.now(UTC)
            return True

        return self._done(change)

    def delete_photograph(self, key: str) -> bool:
        """Removes a photograph with its answer and files, for good; returns whether it was there."""

        def change(session: Session) -> bool:
            row = session.scalar(select(Photograph).where(Photograph.key == key))
            if row is not None:
                row.lesion.changed_at = datetime.now(UTC)
                session.delete(row)
            return row is not None

        found = self._done(change)
        if found:
            self.pictures.delete(key)
        return found

    def delete_lesion(self, key: str) -> int | None:
        """Removes a lesion with all that belongs to it, for good.

        Returns how many photographs went with it; None where it was not there.
        """

        def change(session: Session) -> list[str] | None:
            lesion = session.scalar(select(Lesion).where(Lesion.key == key))
            if lesion is None:
                return None
            keys = [one.key for one in lesion.photographs]
            session.delete(lesion)
            return keys

        keys = self._done(change)
        for one in keys or ():
            self.pictures.delete(one)
        return None if keys is None else len(keys)

    def sweep(self) -> int:
        """Removes files that no row names, and returns how many photographs that were."""
        return self._done(
            lambda session: self.pictures.keep_only(set(session.scalars(select(Photograph.key))))
        )

    def _done(self, change: Callable[[Session], Result]) -> Result:
        with self._writing() as session:
            return change(session)

    @contextmanager
    def _writing(self) -> Iterator[Session]:
        engine = self._engine.execution_options(**WRITES)
        with Session(engine, expire_on_commit=False) as session, session.begin():
            yield session


def _name(lesion: Lesion, named: Named) -> None:
    lesion.patient, lesion.name, lesion.site, lesion.notes = (
        named.patient,
        named.name,
        named.site,
        named.notes,
    )
