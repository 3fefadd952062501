"""The audit of one dataset folder in a few sentences, with its page beside them. Finds nothing itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from derm_core.data.audit import run_audit
from derm_core.data.audit_page import render_page
from derm_core.data.audit_report import make_report
from derm_core.data.audit_sentences import findings_of, headline
from derm_core.data.audit_set import read_audit_sets
from derm_core.data.inspection import Progress
from derm_core.files import replace_file


@dataclass(frozen=True)
class AuditSummary:
    """What an audit found in one dataset.

    Attributes:
        headline: one sentence that sums it up.
        findings: level ("fault", "warning" or "note") and sentence of each, the grave ones first.
        pictures, lesions: how many there are.
        splits: pictures of each split.
        classes: pictures of each diagnosis, the most frequent first.
    """

    headline: str
    findings: tuple[tuple[str, str], ...]
    pictures: int
    lesions: int
    splits: dict[str, int]
    classes: dict[str, int]


def audit_dataset(
    folder: Path, *, page: Path | None = None, workers: int | None = None, progress: Progress | None = None
) -> AuditSummary:
    """Audits a dataset folder.

    Args:
        folder: anything that `read_audit_sets` takes.
        page: where the page with the pictures beside each other is written; None for nowhere.
        workers, progress: as `run_audit` takes them.

    Raises:
        DatasetError: the folder is not there, or holds no picture.
    """
    report = make_report(run_audit(read_audit_sets([folder]), workers=workers, progress=progress))
    if page is not None:
        replace_file(page, render_page(report).encode())
    (found,) = report.sets
    return AuditSummary(
        headline=headline(report),
        findings=tuple((finding.level, finding.sentence) for finding in findings_of(report)),
        pictures=found.pictures,
        lesions=found.lesions,
        splits={split: found.in_split(split) for split in found.counts if split},
        classes=found.classes,
    )
