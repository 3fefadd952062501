"""Reads the little Markdown that model cards are written in: headings, text, lists, tables, code. Writes no HTML."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

_MARKS = re.compile(r"\*\*(?P<bold>.+?)\*\*|`(?P<code>[^`]+)`")
_RULE = re.compile(r"\|?\s*:?-{3,}.*")

Kind = Literal["heading", "paragraph", "list", "table", "code"]


@dataclass(frozen=True)
class Piece:
    """A stretch of text; `look` is bold, code or empty."""

    text: str
    look: str = ""


@dataclass(frozen=True)
class Block:
    """One part of a document, with the `level` of a heading.

    `rows` holds a list's items, a table's rows or a code block's lines, in cells of pieces.
    """

    kind: Kind
    pieces: list[Piece] = field(default_factory=list)
    rows: list[list[list[Piece]]] = field(default_factory=list)
    level: int = 0


def read_document(text: str) -> list[Block]:
    """Returns the parts of a text in order. What it does not know is a paragraph: nothing is left out."""
    return list(_blocks(text.splitlines()))


def _blocks(lines: list[str]) -> Iterator[Block]:
    position = 0
    while position < len(lines):
        line = lines[position]
        if not line.strip():
            position += 1
        elif line.startswith("```"):
            end = next(
                (at for at in range(position + 1, len(lines)) if lines[at].startswith("```")), len(lines)
            )
            yield Block("code", rows=[[[Piece(row)]] for row in lines[position + 1 : end]])
            position = end + 1
        elif heading := re.fullmatch(r"(#{1,4})\s+(.*)", line):
            yield Block("heading", _pieces(heading[2]), level=len(heading[1]))
            position += 1
        else:
            kind = _kind(line)
            end = position + 1
            while end < len(lines) and lines[end].strip() and _kind(lines[end]) == kind:
                end += 1
            yield _block(kind, lines[position:end])
            position = end


def _kind(line: str) -> Kind:
    if line.startswith(("#", "```")):
        return "heading"
    return "table" if line.startswith("|") else "list" if re.match(r"[-*]\s", line) else "paragraph"


def _block(kind: Kind, lines: list[str]) -> Block:
    if kind == "list":
        return Block(kind, rows=[[_pieces(line[2:].strip())] for line in lines])
    if kind == "table":
        cells = [line.strip().strip("|").split("|") for line in lines if not _RULE.fullmatch(line)]
        return Block(kind, rows=[[_pieces(cell.strip()) for cell in row] for row in cells])
    return Block("paragraph", _pieces(" ".join(line.strip() for line in lines)))


def _pieces(text: str) -> list[Piece]:
    pieces, end = [], 0
    for found in _MARKS.finditer(text):
        if found.start() > end:
            pieces.append(Piece(text[end : found.start()]))
        pieces.append(Piece(found["bold"] or found["code"], "bold" if found["bold"] else "code"))
        end = found.end()
    return [*pieces, Piece(text[end:])] if end < len(text) else pieces
