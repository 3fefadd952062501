"""Takes lesion ids from a dataset that knows them, for pictures of another one that are copies of its pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from derm_core.data.audit import run_audit
from derm_core.data.audit_set import AuditSet, read_audit_sets
from derm_core.data.inspection import Progress
from derm_core.data.source import Source, SourceRow


def adopt_lesions(
    source: Source, known: Path, *, workers: int | None = None, progress: Progress | None = None
) -> Source:
    """Returns the source with a lesion id for every picture that shows a lesion of the known dataset.

    Public sets often repeat each other's pictures without their lesion ids; split by picture, one lesion then lies on
    both sides. Pictures are compared as the audit compares them: copies are found also where they were resized,
    recompressed, mirrored or cropped. Copies within the source share an id too. An id that the source has stays.

    Args:
        source: its rows may lack lesion ids.
        known: a dataset folder, or anything else that the audit reads.
        workers: processes that decode.
        progress: as in `inspection.inspect_pictures`.

    Raises:
        DatasetError: `known` is not there or holds no picture.
    """
    sets = [AuditSet(source.name, Path(), source.rows), *read_audit_sets([known])]
    audit = run_audit(sets, workers=workers, progress=progress)
    own, theirs = audit.places_of
    ids: dict[int, str] = {}
    for place in theirs:
        row = audit.pictures[place].row
        ids.setdefault(int(audit.lesions[place]), row.lesion_id or row.image)
    members: dict[int, list[SourceRow]] = {}
    for place in own:
        members.setdefault(int(audit.lesions[place]), []).append(audit.pictures[place].row)
    for lesion, rows in members.items():
        if len(rows) > 1:
            ids.setdefault(lesion, next((row.lesion_id for row in rows if row.lesion_id), rows[0].image))
    adopted = [
        row if row.lesion_id else replace(row, lesion_id=ids.get(int(audit.lesions[place]), ""))
        for place, row in zip(own, source.rows, strict=True)
    ]
    return replace(source, rows=tuple(adopted))
