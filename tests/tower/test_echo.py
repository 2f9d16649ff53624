"""Whether a program has read what was typed, as far as its screen tells."""

from __future__ import annotations

import pytest

from afx.tower.echo import echoes


@pytest.mark.parametrize(
    ("typed", "screen", "count"),
    [
        (b"What is it?", "> What is it?", 1),
        (b"What is it?", "> What is it?\n  Nothing.\n> What is it?", 2),
        (b"What is it?", "> What is", 0),
        (b"What is it?", "", 0),
        (b"\x1b[200~What is it? \x1b[201~", "> What is it?", 1),
        (b"one line\nand a second line", "│ > one line     │\n│   and a second │\n│   line         │", 1),
        ("Grüße aus Köln".encode(), "> Grüße aus Köln", 1),
        (b"first\n" * 1_000, "> [Pasted Text: 1000 lines]", 1),
        (b"first\n" * 1_000, "> [Pasted Content 6000 chars]", 1),
        (b"?!", "> ?!", 0),
        (b"\xff\xfe", "> ", 0),
    ],
)
def test_it_is_the_end_of_the_text_that_counts_or_a_note_of_a_paste(
    typed: bytes, screen: str, count: int
) -> None:
    assert echoes(typed, screen) == count
