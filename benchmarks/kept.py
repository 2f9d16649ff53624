"""The findings of the last release, and what has become worse since.

Only ratios are compared: of a finding to the first thing that was measured beside it in the same run. A
number of another day on another machine says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from .table import Finding

RESULTS = Path(__file__).with_name("results")
_MUCH = 4 / 3
_MORE_IS_BETTER = "MB/s"


def read(path: Path) -> list[Finding]:
    """Read findings, one JSON object a line."""
    lines = path.read_bytes().splitlines()
    return [msgspec.json.decode(line, type=Finding) for line in lines if line.strip()]


def newest() -> Path | None:
    """Return the file of the last release's findings; None where none is kept."""
    files = sorted(RESULTS.glob("*.jsonl"), key=lambda path: [int(n) for n in path.stem.split(".")])
    return files[-1] if files else None


def ratio(finding: Finding) -> float | None:
    """Return how a finding relates to what was measured beside it: the larger, the worse."""
    beside = next((other.value for other in finding.beside if other.value), None)
    if beside is None or not finding.value:
        return None
    return beside / finding.value if finding.unit == _MORE_IS_BETTER else finding.value / beside


def worse(kept: Iterable[Finding], found: Sequence[Finding]) -> list[str]:
    """Return a sentence for each ratio that is worse than it was by more than a third."""
    before: Mapping[tuple[str, str], Finding] = {(one.figure, one.what): one for one in kept}
    sentences = []
    for finding in found:
        old, new = before.get((finding.figure, finding.what)), ratio(finding)
        was = None if old is None else ratio(old)
        if was is not None and new is not None and new > was * _MUCH:
            sentences.append(
                f"{finding.figure}: {finding.what} is {new / was:.2f} times as bad as it was beside "
                f"{finding.beside[0].what} (x{was:.2f} then, x{new:.2f} now)."
            )
    return sentences
