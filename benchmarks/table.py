"""What a benchmark finds, and how it is printed: a table for people, JSON lines for programs.

A finding is one number with what was measured beside it. Whether a target is met is left to the reader.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TextIO

import msgspec


class Beside(msgspec.Struct, frozen=True):
    """Something comparable that was measured in the same run.

    Attributes:
        what: What it is.
        value: Its value, in the unit of the finding; None where it could not be measured.
        why_not: Why it could not.
    """

    what: str
    value: float | None
    why_not: str = ""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One figure.

    Attributes:
        figure: The name of the benchmark that found it.
        what: What was measured.
        value: The median, or what `what` says.
        unit: The unit of the value and of everything beside it.
        samples: How many measurements stand behind it.
        low: The smallest of them.
        high: The largest of them.
        beside: What was measured in the same run.
        target: What is promised, in words.
        note: What a reader should know of this run.
    """

    figure: str
    what: str
    value: float
    unit: str
    samples: int = 1
    low: float | None = None
    high: float | None = None
    beside: tuple[Beside, ...] = ()
    target: str = ""
    note: str = ""


_COLUMNS = ("what", "afx", "range", "beside", "target")


def print_table(findings: Sequence[Finding], stream: TextIO = sys.stdout) -> None:
    """Print findings of one benchmark as a table."""
    rows = [line for finding in findings for line in _lines(finding)]
    widths = [max(len(row[i]) for row in [_COLUMNS, *rows]) for i in range(len(_COLUMNS))]
    for row in [_COLUMNS, tuple("-" * width for width in widths), *rows]:
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip(),
            file=stream,
        )
    print(file=stream, flush=True)


def print_json(findings: Sequence[Finding], stream: TextIO = sys.stdout) -> None:
    """Print findings as one JSON object a line."""
    for finding in findings:
        print(msgspec.json.encode(finding).decode(), file=stream, flush=True)


def _lines(finding: Finding) -> list[tuple[str, ...]]:
    spread = ""
    if finding.low is not None and finding.high is not None and finding.samples > 1:
        spread = f"{number(finding.low)}-{number(finding.high)} of {finding.samples}"
    beside = [_compared(finding, other) for other in finding.beside] or [""]
    first = (finding.what, f"{number(finding.value)} {finding.unit}", spread, beside[0], finding.target)
    lines: list[tuple[str, ...]] = [first, *(("", "", "", other, "") for other in beside[1:])]
    if finding.note:
        lines.append((f"  ({finding.note})", "", "", "", ""))
    return lines


def _compared(finding: Finding, other: Beside) -> str:
    if other.value is None:
        return f"{other.what}: {other.why_not or 'not measured'}"
    ratio = f" (x{finding.value / other.value:.2f})" if other.value else ""
    return f"{other.what}: {number(other.value)} {finding.unit}{ratio}"


def number(value: float) -> str:
    """Return a value with as many digits as mean something."""
    if value == 0 or abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"
