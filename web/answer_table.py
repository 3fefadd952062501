"""Answers as plain records, as the rows of a CSV table and as a JSON document. Runs no query and knows no request.

Where the model gave no answer its figures are left out, as they are on the page.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from derm_core import NOTICE, diagnosis_name
from web.models import Prediction

_BOM = "\ufeff"
"""At the head of a CSV file: without it a spreadsheet takes UTF-8 for something else."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_COLUMNS_BEFORE = (
    *("answer", "answered_at", "taken_on", "lesion", "lesion_key", "advice"),
    *("malignant_probability", "operating_point", "top", "diagnosis"),
)
_COLUMNS_AFTER = (
    *("plausible", "quality", "age", "sex", "site", "answered_with", "note", "review", "confirmed", "sample"),
    *("imported_at", "model", "model_version", "model_sha256", "notice"),
)


def record_of(row: Prediction) -> dict[str, Any]:
    """Returns an answer as plain values that JSON can hold; null where something is not known or withheld."""
    answered = row.advice != "unsure"
    return {
        "answer": row.key,
        "answered_at": row.created_at.isoformat(timespec="seconds"),
        "taken_on": row.taken_on.isoformat() if row.taken_on else None,
        "lesion": row.lesion.name if row.lesion else None,
        "lesion_key": row.lesion.key if row.lesion else None,
        "advice": row.advice,
        "malignant_probability": row.malignant_probability if answered else None,
        "operating_point": row.operating_point,
        "top": row.top if answered else None,
        "diagnosis": diagnosis_name(row.top) if answered else None,
        "probabilities": row.probabilities if answered else None,
        "plausible": row.plausible if answered else None,
        "plausible_level": row.plausible_level if answered else None,
        "quality": row.quality,
        "age": row.age,
        "sex": row.sex or None,
        "site": row.site or None,
        "answered_with": row.context.split(),
        "note": row.note,
        "review": row.review or None,
        "confirmed": row.confirmed or None,
        "sample": row.is_sample,
        "imported_at": row.imported_at.isoformat(timespec="seconds") if row.imported_at else None,
        "width": row.width,
        "height": row.height,
        "model": {"name": row.model_name, "version": row.model_version, "sha256": row.model_sha256},
    }


def csv_chunks(rows: Iterable[Prediction], codes: Sequence[str]) -> Iterator[str]:
    """Yields a CSV table, line by line, its header first.

    Args:
        rows: the answers, in the order of the lines.
        codes: the classes that have a column p_<code>; an answer of another model leaves those it does not know empty.
    """
    header = [*_COLUMNS_BEFORE, *(f"p_{code}" for code in codes), *_COLUMNS_AFTER]
    yield _BOM + _line(header)
    for row in rows:
        values = record_of(row)
        model = values.pop("model")
        probabilities = values.pop("probabilities") or {}
        values |= {
            "plausible": " ".join(values["plausible"] or ()),
            "quality": " ".join(flag["name"] for flag in row.quality),
            "answered_with": " ".join(values["answered_with"]),
            "sample": "yes" if row.is_sample else "",
            "model": model["name"],
            "model_version": model["version"],
            "model_sha256": model["sha256"],
            "notice": NOTICE,
        }
        values |= {f"p_{code}": probabilities.get(code) for code in codes}
        yield _line([harmless(values[name]) for name in header])


def json_chunks(rows: Iterable[Prediction]) -> Iterator[str]:
    """Yields a JSON document, one answer a line: {"notice": ..., "answers": [...]}."""
    yield f'{{"notice": {json.dumps(NOTICE)}, "answers": ['
    between = "\n"
    for row in rows:
        yield between + json.dumps(record_of(row), ensure_ascii=False)
        between = ",\n"
    yield "\n]}\n"


def harmless(value: object) -> object:
    """Keeps a spreadsheet from taking what somebody wrote for a formula; None is an empty cell."""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return "" if value is None else value


def _line(values: Sequence[object]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\r\n").writerow(values)
    return buffer.getvalue()
