"""The audits of dataset folders, each by a job of its own; a dataset that has not changed is audited once."""

from __future__ import annotations

import hashlib
from pathlib import Path

from derm_core import load_dataset
from desktop.training_job import Job
from desktop.uploads import home


def audit_job(dataset: Path) -> Job:
    """Returns the job that audits a dataset folder: of the same folder always the same one."""
    return Job(home() / "training" / "audits" / hashlib.sha256(str(dataset).encode()).hexdigest()[:16])


def audit(dataset: Path) -> None:
    """Starts the audit of a dataset folder; raises DatasetError where it is none."""
    load_dataset(dataset)
    audit_job(dataset).start({"do": "audit", "dataset": str(dataset)})


def is_audited(dataset: Path) -> bool:
    """Returns whether a dataset folder was audited as it is now."""
    found = audit_job(dataset).state().result
    return bool(found) and found["fingerprint"] == load_dataset(dataset).fingerprint()
