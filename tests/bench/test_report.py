"""The page about performance says what was found."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.kept import newest, read
from benchmarks.plot import draw
from benchmarks.report import filled
from benchmarks.table import Beside, Finding

DOCS = Path(__file__).parents[2] / "docs"
PAGE = "Before.\n<!-- figures -->\nold\n<!-- end of figures -->\nAfter.\n"


def test_each_finding_is_a_row_beside_what_was_measured_with_it() -> None:
    found = Finding(
        figure="echo",
        what="a key",
        value=3.0,
        unit="ms",
        beside=(Beside("bare PTY", 1.5), Beside("ttyd", None, "not installed")),
        target="< 4 ms",
        note="one core",
    )
    grown = Finding(figure="growth", what="seconds to ready, 0 idle", value=1.0, unit="s")
    assert filled(PAGE, [found, grown]).splitlines() == [
        "Before.",
        "<!-- figures -->",
        "| what | afx | beside | target |",
        "| --- | --- | --- | --- |",
        "| a key (one core) | 3.00 ms | 2.00 x bare PTY (1.50) | < 4 ms |",
        "<!-- end of figures -->",
        "After.",
    ]


def test_a_page_without_a_place_for_them_is_an_error() -> None:
    with pytest.raises(ValueError, match="no place"):
        filled("Nothing here.\n", [])


def test_page_and_picture_are_of_the_findings_that_are_kept() -> None:
    kept = newest()
    assert kept is not None
    page = (DOCS / "explanation/performance.md").read_text(encoding="utf-8")
    assert filled(page, read(kept)) == page
    picture = (DOCS / "images/growth.svg").read_text(encoding="utf-8")
    assert draw([one for one in read(kept) if one.figure == "growth"]) == picture
