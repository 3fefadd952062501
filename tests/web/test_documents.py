"""The little Markdown of model cards."""

from __future__ import annotations

from pathlib import Path

import derm_core
from web.documents import Block, Piece, read_document

CARD = """# Name 3

**Supports** a `clinician`
and more.

- one
- **two**

| Figure | Value |
| --- | --- |
| AUC | 0.9 |

```
scripts/evaluate.py
```
"""


def test_every_part_is_read_in_its_order() -> None:
    assert read_document(CARD) == [
        Block("heading", [Piece("Name 3")], level=1),
        Block(
            "paragraph",
            [Piece("Supports", "bold"), Piece(" a "), Piece("clinician", "code"), Piece(" and more.")],
        ),
        Block("list", rows=[[[Piece("one")]], [[Piece("two", "bold")]]]),
        Block(
            "table",
            rows=[[[Piece("Figure")], [Piece("Value")]], [[Piece("AUC")], [Piece("0.9")]]],
        ),
        Block("code", rows=[[[Piece("scripts/evaluate.py")]]]),
    ]


def test_nothing_of_the_bundled_card_is_left_out() -> None:
    text = (Path(derm_core.__file__).parent / "bundled" / "MODEL_CARD.md").read_text("utf-8")
    blocks = read_document(text)
    read = "".join(
        piece.text
        for block in blocks
        for cell in [block.pieces, *(c for row in block.rows for c in row)]
        for piece in cell
    )
    words = [
        word for word in text.replace("|", " ").replace("*", " ").replace("`", " ").split() if word.isalnum()
    ]
    assert all(word in read for word in words)


def test_what_is_not_known_is_a_paragraph_and_an_open_code_block_ends_with_the_text() -> None:
    assert read_document("> quoted\n\n```\nopen") == [
        Block("paragraph", [Piece("> quoted")]),
        Block("code", rows=[[[Piece("open")]]]),
    ]
