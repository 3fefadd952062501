"""What is asked of the case list: pages of lesions, one lesion, one photograph. Changes nothing; knows no page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session, selectinload

from desktop.case_pictures import CasePictures
from desktop.case_schema import Lesion, Photograph, open_database

PAGE_SIZE = 24
FILE = "cases.sqlite3"
_WHOLE = (selectinload(Lesion.photographs).selectinload(Photograph.reviews),)


@dataclass(frozen=True)
class Page:
    """Some lesions, the last changed first, with all that belongs to them; `total` counts those of all pages."""

    lesions: list[Lesion]
    total: int
    number: int


class CaseReader:
    """What the case list in a folder holds. Threads and windows share it.

    Raises:
        ConfigError: a newer version of the app wrote it.
        OSError: the folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.pictures = CasePictures(folder / "pictures")
        self._engine = open_database(folder / FILE)

    def page(self, text: str = "", number: int = 0) -> Page:
        """Returns a page of lesions, from 0; `text` is looked for in patients' codes, names, sites and notes."""
        found = select(Lesion)
        for word in text.split():
            columns = (Lesion.patient, Lesion.name, Lesion.site, Lesion.notes)
            found = found.where(or_(*(column.icontains(word, autoescape=True) for column in columns)))
        with self._reading() as session:
            total = session.scalar(select(func.count()).select_from(found.subquery())) or 0
            number = min(number, max(0, (total - 1) // PAGE_SIZE))
            query = found.order_by(Lesion.changed_at.desc(), Lesion.id.desc()).options(*_WHOLE)
            lesions = list(session.scalars(query.limit(PAGE_SIZE).offset(number * PAGE_SIZE)))
        return Page(lesions, total, number)

    def lesion(self, key: str) -> Lesion | None:
        """Returns a lesion with all that belongs to it; None where there is none of that key."""
        with self._reading() as session:
            return session.scalar(select(Lesion).where(Lesion.key == key).options(*_WHOLE))

    def each(self) -> Iterator[Lesion]:
        """Yields all lesions with all that belongs to them, one at a time."""
        with self._reading() as session:
            keys = list(session.scalars(select(Lesion.key).order_by(Lesion.id)))
        yield from filter(None, map(self.lesion, keys))

    def titles(self) -> list[tuple[str, str]]:
        """Returns what each lesion is called and its key, the last changed first."""
        query = select(Lesion).order_by(Lesion.changed_at.desc(), Lesion.id.desc())
        with self._reading() as session:
            return [(title(lesion), lesion.key) for lesion in session.scalars(query)]

    def photograph(self, key: str) -> Photograph | None:
        """Returns a photograph with its lesion and its reviews; None where there is none of that key."""
        query = select(Photograph).where(Photograph.key == key)
        with self._reading() as session:
            return session.scalar(
                query.options(selectinload(Photograph.reviews), selectinload(Photograph.lesion))
            )

    @contextmanager
    def _reading(self) -> Iterator[Session]:
        with Session(self._engine, expire_on_commit=False) as session:
            yield session


def title(lesion: Lesion) -> str:
    """Returns what a lesion is called in a list: the patient's code and its own name."""
    return ", ".join(part for part in (lesion.patient, lesion.name) if part)
