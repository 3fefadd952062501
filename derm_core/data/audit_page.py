"""The audit as one page for people, each finding with its pairs of pictures. Loads nothing from elsewhere."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape
from typing import TypeVar

from PIL import Image

from derm_core.data.audit import CHANGED, Pair
from derm_core.data.audit_findings import COPIES
from derm_core.data.audit_report import Report, SetReport
from derm_core.data.audit_sentences import (
    FAULT,
    NOTE,
    WARNING,
    Finding,
    evidence_in_words,
    findings_of,
    headline,
)
from derm_core.data.audit_style import STYLE, bar, legend, scale
from derm_core.data.file_properties import BYTES_PER_PIXEL
from derm_core.data.shortcut_sentences import percent
from derm_core.data.shortcuts import ORIGIN, TOGETHER, Shortcuts
from derm_core.diagnoses import NOTICE
from derm_core.images import load_image

Item = TypeVar("Item")

PAIRS = 6
"""Pairs of pictures shown for one finding, unless told otherwise."""
_PHOTO_SIDE = 240
_PHOTO_QUALITY = 80
_LEVELS = {FAULT: "Fault", WARNING: "Warning", NOTE: "Note"}
_TITLES = {
    "unreadable": "Files that cannot be read",
    "blank": "Pictures that show nothing",
    "crossing": "Lesions on both sides of a split",
    "contradictions": "Diagnoses that contradict each other",
    "origin": "Classes that come from different places",
    "file properties": "Classes that can be told by the file",
    BYTES_PER_PIXEL: "Classes that differ in bytes per pixel",
    "two lesions": "One lesion under two ids",
    "copies": "Pictures that are there more than once",
    "overlap": "Datasets that share pictures",
    "balance": "Balance of the classes",
}
_METHOD = (
    "A picture counts as a copy where its fine detail is that of another one, also after resizing, recompression, "
    "mirroring, turning, slight cropping or a change of colours. Pictures are of one lesion where a table gives them "
    "one lesion id, where they are copies, and where a chain of both leads from one to the other."
)
_RING = (
    '<svg viewBox="0 0 28 28" aria-hidden="true"><path d="M14.5 3.2c6-.6 10.2 3.3 9.8 9-.3 4.8-2.8 5.7-4.7 8.3-2.2 '
    '2.9-6.7 3.7-10.1 1.7-3.9-2.2-5.8-6-4.8-10.5 1-4.7 4.7-7.9 9.8-8.5Z" stroke-dasharray="4.6 3.3"/>'
    '<circle cx="13.5" cy="13.8" r="4.2" fill="var(--accent)"/></svg>'
)


def render_page(report: Report, *, pairs: int = PAIRS) -> str:
    """Returns one self-contained HTML page.

    Args:
        report: from `make_report`; the pictures that are shown are read again from their files.
        pairs: how many pairs of pictures are shown for one finding, spread over all that were found.
    """
    body = "".join(_finding(report, finding, pairs) for finding in findings_of(report))
    names = " and ".join(found.name for found in report.sets)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Data audit: {escape(names)} · Dermatrace</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        f'<header class="head"><span class="brand">{_RING}Dermatrace</span><h1>Data audit</h1>'
        f'<p class="lead">{escape(headline(report))}</p></header>\n'
        f'<section class="sets" aria-label="Datasets">{"".join(map(_set, report.sets))}</section>\n{body}'
        f"</main>\n<footer><p>{_METHOD}</p><p>{escape(NOTICE)}</p>"
        "</footer>\n</body>\n</html>\n"
    )


def _set(found: SetReport) -> str:
    facts = {
        "Pictures": f"{found.pictures:,}",
        "Lesions": f"{found.lesions:,}",
        "Classes": str(len(found.classes)),
    }
    rows = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts.items())
    splits = ", ".join(f"{split} {found.in_split(split):,}" for split in found.counts if split) or "no split"
    return (
        f'<div class="card"><h2>{escape(found.name)}</h2><dl class="facts">{rows}</dl>'
        f"{bar(found.classes, list(found.classes))}{legend(found.classes)}"
        f'<p class="small">{escape(splits)}</p></div>'
    )


def _finding(report: Report, finding: Finding, pairs: int) -> str:
    of = "all" if finding.place is None else report.sets[finding.place].name
    tags = f'<span class="tag">{_LEVELS[finding.level]}</span>'
    if finding.place is not None:
        tags += f'<span class="tag">{escape(of)}</span>'
    return (
        f'<section class="card finding" data-level="{finding.level}"><div class="finding-head">'
        f'<div class="tags">{tags}</div><h2>{_TITLES[finding.kind]}</h2>'
        f'<p class="sentence">{escape(finding.sentence)}</p></div>{_evidence(report, finding, pairs)}</section>\n'
    )


def _evidence(report: Report, finding: Finding, pairs: int) -> str:
    """Returns what can be seen of a finding: pairs of pictures, a table, a list of files; nothing for some."""
    if finding.place is None:
        if finding.kind == "contradictions":
            return _pairs(report, [(found.shown, "") for found in report.contradictions], pairs)
        seen = sorted({(min(pair), max(pair)) for found in report.overlaps.values() for pair in found.shown})
        return _pairs(report, [(pair, "") for pair in seen], pairs)
    found = report.sets[finding.place]
    if finding.kind == "crossing":
        shown = [
            (
                lesion.shown,
                "" if lesion.evidence == COPIES else f"One lesion by {evidence_in_words(lesion.evidence)}",
            )
            for lesion in sorted(found.crossing, key=lambda lesion: lesion.evidence)
        ]
        return _pairs(report, shown, pairs)
    if finding.kind == "two lesions":
        return _pairs(report, [(pair, "") for pair in found.repeats.two_lesions], pairs)
    if finding.kind == "copies":
        return _pairs(report, [((group[0], group[1]), "") for group in found.repeats.groups], pairs)
    if finding.kind == "unreadable":
        files = [report.audit.pictures[place] for place in found.unreadable[:20]]
        items = "".join(f"<li><code>{escape(file.name)}</code> {escape(file.error)}</li>" for file in files)
        return f'<ul class="reasons">{items}</ul>'
    if finding.kind in ("origin", "file properties", BYTES_PER_PIXEL) and found.shortcuts:
        return _rules(found.shortcuts, [ORIGIN] if finding.kind == "origin" else None)
    return ""


def _pairs(report: Report, shown: Sequence[tuple[tuple[int, int], str]], limit: int) -> str:
    figures = "".join(_pair(report, places, why) for places, why in _spread(shown, limit))
    more = f'<p class="small">{limit:,} of {len(shown):,} are shown.</p>' if len(shown) > limit else ""
    return f'<div class="pairs">{figures}</div>{more}'


def _pair(report: Report, places: tuple[int, int], why: str) -> str:
    photos, sides = "", ""
    for place in places:
        picture = report.audit.pictures[place]
        told = [picture.row.split, picture.row.diagnosis, picture.row.lesion_id]
        photos += f'<img src="{_photo(report, place)}" alt="{escape(picture.name)}" loading="lazy">'
        sides += (
            f"<div><b>{escape(picture.dataset)}</b> {escape(' · '.join(filter(None, told)))}<br>"
            f'<span class="file">{escape(picture.name)}</span></div>'
        )
    pair = report.audit.pair_of.get(places)
    how = why or (_how(report, pair) if pair else "Copies through a third picture")
    return (
        f'<figure class="pair"><div class="photos">{photos}</div><figcaption>{sides}'
        f'<div class="how">{escape(how)}</div></figcaption></figure>'
    )


def _how(report: Report, pair: Pair) -> str:
    if pair.kind != CHANGED:
        return pair.kind.capitalize()
    sizes = [report.audit.pictures[place].print for place in (pair.first, pair.second)]
    parts = [pair.turn] if pair.turn else []
    if abs(pair.shown) < 1:
        parts.append(f"about {percent(abs(pair.shown))} of a side shown")
    if len({(size.width, size.height) for size in sizes}) > 1:
        parts.append(" and ".join(f"{size.width} x {size.height}" for size in sizes))
    return f"{', '.join(['Changed copy', *parts])}; detail agrees to {pair.score:.2f}"


def _photo(report: Report, place: int) -> str:
    file = report.audit.pictures[place].row.file
    if file is None:
        return "data:,"
    image = load_image(file.read_bytes(), min_side=_PHOTO_SIDE)
    image.thumbnail((_PHOTO_SIDE, _PHOTO_SIDE), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=_PHOTO_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"


def _rules(found: Shortcuts, names: Sequence[str] | None) -> str:
    """Returns a table of the rules with their intervals, and one of the best rule's values by class."""
    rules = [
        rule for rule in found.rules if (rule.name in names if names is not None else rule.name != ORIGIN)
    ]
    rows = "".join(
        f'<tr><td>{escape(rule.name)}</td><td class="number">{percent(rule.accuracy)}</td>'
        f'<td class="number">{percent(rule.balanced_accuracy)}</td>'
        f'<td class="number spare">{rule.auc:.2f}</td><td class="wide">{scale(rule.ci95, found.chance)}</td></tr>'
        for rule in rules
    )
    best = next((rule for rule in rules if rule.name != TOGETHER and rule.table), None)
    values = ""
    if best:
        lines = "".join(
            f'<tr><td>{escape(value)}</td><td class="number">{sum(counts.values()):,}</td>'
            f'<td class="wide">{bar(counts, found.classes)}</td></tr>'
            for value, counts in best.table
        )
        totals = {name: sum(counts[name] for _, counts in best.table) for name in found.classes}
        values = (
            f'<div class="table"><table><thead><tr><th>{escape(best.name.capitalize())}</th>'
            f'<th class="number">Pictures</th><th>Classes</th></tr></thead><tbody>{lines}</tbody></table></div>'
            f"{legend(totals)}"
        )
    return (
        '<div class="table"><table><thead><tr><th>Told by</th><th class="number">Right</th>'
        '<th class="number">Balanced</th><th class="number spare">AUC</th>'
        f"<th>95% CI (dashed: chance)</th></tr></thead><tbody>{rows}</tbody></table></div>{values}"
    )


def _spread(items: Sequence[Item], limit: int) -> list[Item]:
    """Returns at most `limit` items, evenly spread over all."""
    if len(items) <= limit:
        return list(items)
    return [items[number * len(items) // limit] for number in range(limit)]
