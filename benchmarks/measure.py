"""How things are measured: wall time of a call or a program, memory by PSS, one thing and another by turns.

Measuring by turns is what makes a ratio mean something on a machine that does other work: whatever slows the
one slows the other.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from .table import Beside, Finding


class Options(msgspec.Struct, frozen=True):
    """What the command line says of how to measure.

    Attributes:
        runs: How often a thing is measured, where that is not given by its nature.
        seconds: How long keys are typed; floods of viewers that never read last three times as long.
        terminals: How many terminals a crowd has.
        large: Whether to measure what takes minutes, too.
    """

    runs: int
    seconds: float
    terminals: int
    large: bool


class Samples(list[float]):
    """Measurements of one thing."""

    @property
    def median(self) -> float:
        """The median."""
        return statistics.median(self)

    def percentile(self, percent: int) -> float:
        """Return a percentile."""
        return statistics.quantiles(self, n=100, method="inclusive")[percent - 1]


def finding(
    figure: str,
    what: str,
    samples: Samples,
    unit: str,
    *,
    scale: float = 1.0,
    beside: Sequence[Beside] = (),
    target: str = "",
    note: str = "",
) -> Finding:
    """Make a finding of the median of samples, each multiplied by `scale` to be in `unit`."""
    return Finding(
        figure=figure,
        what=what,
        value=samples.median * scale,
        unit=unit,
        samples=len(samples),
        low=min(samples) * scale,
        high=max(samples) * scale,
        beside=tuple(beside),
        target=target,
        note=note,
    )


def seconds_of(call: Callable[[], object]) -> float:
    """Return how many seconds a call takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def by_turns(runs: int, calls: Mapping[str, Callable[[], object]]) -> dict[str, Samples]:
    """Time each of several calls `runs` times, by turns, after one turn that does not count."""
    times: dict[str, Samples] = {name: Samples() for name in calls}
    for number in range(runs + 1):
        for name, call in calls.items():
            taken = seconds_of(call)
            if number:
                times[name].append(taken)
    return times


def program(*argv: str, env: Mapping[str, str] | None = None) -> Callable[[], object]:
    """Return a call that runs a program to its end and hides what it prints.

    Raises:
        subprocess.CalledProcessError: From the call, where the program fails.
    """

    def run() -> None:
        subprocess.run(
            argv,
            env={**os.environ, **(env or {})},
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )

    return run


def python(code: str) -> Callable[[], object]:
    """Return a call that runs a line of Python in this environment's interpreter."""
    return program(sys.executable, "-c", code)


def pss(pid: int) -> int:
    """Return the memory of a process in bytes, with each shared page divided among those that share it."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise ProcessLookupError(pid)


def parent_of(pid: int) -> int:
    """Return the pid of a process's parent."""
    stat = Path(f"/proc/{pid}/stat").read_bytes()
    return int(stat[stat.rindex(b")") + 1 :].split()[1])
