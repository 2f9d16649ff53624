"""Writes kept findings into a page: ``python -m benchmarks.report FINDINGS.jsonl PAGE.md``.

The table goes between the two comments there that say so. What grows is left to the picture: see `plot`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from .kept import read
from .table import Beside, Finding, number

_PLACE = re.compile(r"(?<=<!-- figures -->\n).*?(?=<!-- end of figures -->)", re.DOTALL)


def main() -> int:
    """Write one file of findings into one page; return the exit status."""
    source, page = Path(sys.argv[1]), Path(sys.argv[2])
    page.write_text(filled(page.read_text(encoding="utf-8"), read(source)), encoding="utf-8")
    return 0


def filled(page: str, findings: Sequence[Finding]) -> str:
    """Return a page with the table of these findings in its place.

    Raises:
        ValueError: The page has no place for it.
    """
    rows = [_row(one) for one in findings if one.figure != "growth"]
    table = "\n".join(["| what | afx | beside | target |", "| --- | --- | --- | --- |", *rows, ""])
    text, places = _PLACE.subn(lambda _: table, page)
    if places != 1:
        raise ValueError("The page has no place for the figures.")
    return text


def _row(finding: Finding) -> str:
    beside = "; ".join(_beside(finding, one) for one in finding.beside if one.value is not None)
    what = f"{finding.what} ({finding.note})" if finding.note else finding.what
    return f"| {what} | {number(finding.value)} {finding.unit} | {beside} | {finding.target} |"


def _beside(finding: Finding, other: Beside) -> str:
    ratio = f"{finding.value / other.value:.2f} x " if other.value else ""
    return f"{ratio}{other.what} ({number(other.value or 0)})"


if __name__ == "__main__":
    sys.exit(main())
