"""How the time to a ready Tower, and its memory, grow with the number of survivors: 0 to 300, or to 1000."""

from __future__ import annotations

from .measure import Options, Samples, finding, pss
from .stage import QUIET, WITH_SCROLLBACK, Stage, stage
from .table import Beside, Finding

_SIZES = (0, 10, 100, 300)
_LARGE = 1000
_KINDS = (("idle", QUIET, 0), ("with 1 MiB", WITH_SCROLLBACK, 2**20))


def run(options: Options) -> list[Finding]:
    """Let a crowd grow, and boot at each size."""
    sizes = [*_SIZES, *([_LARGE] if options.large else [])]
    return [one for kind, script, output in _KINDS for one in _grow(options, sizes, kind, script, output)]


def _grow(options: Options, sizes: list[int], kind: str, script: str, output: int) -> list[Finding]:
    times: dict[int, Samples] = {}
    memory: dict[int, Samples] = {}
    with stage() as here:
        for size in sizes:
            here.crowd(size, script)
            here.await_output(output)
            times[size], memory[size] = _boots(here, options.runs)
    return [
        one
        for size in sizes
        for one in (
            finding(
                "growth",
                f"seconds to ready, {size} {kind}",
                times[size],
                "s",
                beside=[Beside("none", times[0].median)],
            ),
            finding(
                "growth",
                f"MB of the Tower, {size} {kind}",
                memory[size],
                "MB",
                scale=1e-6,
                beside=[Beside("none", memory[0].median * 1e-6)],
            ),
        )
    ]


def _boots(here: Stage, runs: int) -> tuple[Samples, Samples]:
    times, memory = Samples(), Samples()
    for number in range(runs + 1):
        taken = here.reboot()
        if number:
            times.append(taken)
            memory.append(pss(here.pid))
    return times, memory
