"""Draws what the benchmark `growth` found: ``python -m benchmarks.plot FINDINGS.jsonl PICTURE.svg``.

The picture is plain SVG that follows the reader's light or dark theme; no library is needed to draw it.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from .kept import read
from .table import Finding

_WHAT = re.compile(r"(?P<panel>.+), (?P<size>\d+) (?P<line>.+)")
_WIDTH, _HEIGHT, _LEFT, _TOP, _GAP = 340, 220, 56, 36, 70
_COLOURS = ("#2f7dd1", "#d1782f")
_STYLE = (
    "text{font:12px sans-serif;fill:#555}.title{font-weight:bold}.axis{stroke:#999}.line{fill:none;"
    "stroke-width:2}@media(prefers-color-scheme:dark){text{fill:#bbb}}"
)

Line: TypeAlias = list[tuple[int, float]]


def main() -> int:
    """Draw one picture of a file of findings; return the exit status."""
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    target.write_text(draw([one for one in read(source) if one.figure == "growth"]), encoding="utf-8")
    return 0


def draw(findings: Sequence[Finding]) -> str:
    """Return the picture: a panel for each thing that grows, and in it a line for each kind of crowd."""
    panels: dict[str, dict[str, Line]] = defaultdict(lambda: defaultdict(list))
    for finding in findings:
        said = _WHAT.fullmatch(finding.what)
        if said is not None:
            panels[said["panel"]][said["line"]].append((int(said["size"]), finding.value))
    width = len(panels) * (_WIDTH + _GAP) + _LEFT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {_HEIGHT + 100}" role="img">',
        f"<style>{_STYLE}</style>",
    ]
    for number, (title, lines) in enumerate(panels.items()):
        parts.append(f'<g transform="translate({_LEFT + number * (_WIDTH + _GAP)} {_TOP})">')
        parts += [*_panel(title, lines), "</g>"]
    return "\n".join([*parts, "</svg>", ""])


def _panel(title: str, lines: Mapping[str, Line]) -> list[str]:
    most = max(size for line in lines.values() for size, _ in line)
    highest = max(value for line in lines.values() for _, value in line)
    parts = [
        f'<text class="title" y="-14">{title}</text>',
        f'<path class="axis" fill="none" d="M0 0V{_HEIGHT}H{_WIDTH}"/>',
        f'<text x="-8" y="4" text-anchor="end">{highest:.3g}</text>',
        f'<text x="-8" y="{_HEIGHT}" text-anchor="end">0</text>',
        f'<text x="{_WIDTH / 2}" y="{_HEIGHT + 36}" text-anchor="middle">terminals that survived</text>',
    ]
    sizes = sorted({size for line in lines.values() for size, _ in line})
    for size in sizes:
        if size == 0 or size >= most / 10:
            x = _x(size, most)
            parts.append(f'<text x="{x:.1f}" y="{_HEIGHT + 18}" text-anchor="middle">{size}</text>')
    for number, (name, line) in enumerate(lines.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        points = [(_x(size, most), _HEIGHT * (1 - value / highest)) for size, value in sorted(line)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline class="line" stroke="{colour}" points="{path}"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in points]
        legend = 18 * number
        parts.append(f'<rect x="14" y="{legend}" width="10" height="10" fill="{colour}"/>')
        parts.append(f'<text x="30" y="{legend + 10}">{name}</text>')
    return parts


def _x(size: int, most: int) -> float:
    return _WIDTH * size / most if most else 0.0


if __name__ == "__main__":
    sys.exit(main())
