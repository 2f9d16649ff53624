"""How long the Tower takes to be ready with many survivors, its memory then, and what hung ones cost.

Ready is the first answer of ``/api/state`` that lists all. The Towers of all crowds run side by side and are
booted by turns with the reference, a Python that imports the web server that the Tower uses.
"""

from __future__ import annotations

from contextlib import ExitStack

import msgspec

from .measure import Options, Samples, finding, pss, python, seconds_of
from .stage import QUIET, WITH_SCROLLBACK, Stage, stage, stopped
from .table import Beside, Finding

_REFERENCE = "import uvicorn, starlette.applications"


class Crowd(msgspec.Struct, frozen=True):
    """A number of terminals of one kind, and what is promised of booting with them."""

    what: str
    size: int
    script: str
    output: int
    target: str
    memory_target: str = ""


def run(options: Options) -> list[Finding]:
    """Boot with each crowd, and with some of a crowd stopped."""
    many = options.terminals
    crowds = [
        Crowd("none", 0, QUIET, 0, "< 2.5 x the import"),
        Crowd(f"{many} idle", many, QUIET, 0, "< 1.5 x none; < 1.5 s"),
        Crowd(
            f"{many} with 1 MiB",
            many,
            WITH_SCROLLBACK,
            2**20,
            "< 1.8 x none",
            "< 90 MB; < 1.3 x idle",
        ),
    ]
    if options.large:
        crowds.append(Crowd("1000 idle", 1000, QUIET, 0, "< 3 x none"))
    return [*_ready(options, crowds), *_hung(options)]


def _ready(options: Options, crowds: list[Crowd]) -> list[Finding]:
    imports = Samples()
    times = [Samples() for _ in crowds]
    memory = [Samples() for _ in crowds]
    with ExitStack() as stack:
        stages = [_set(stack, crowd) for crowd in crowds]
        for number in range(options.runs + 1):
            taken = seconds_of(python(_REFERENCE))
            if number:
                imports.append(taken)
            for crowd, here, ready, size in zip(crowds, stages, times, memory, strict=True):
                taken = here.reboot()
                _check_all_run(here, crowd.size)
                if number:
                    ready.append(taken)
                    size.append(pss(here.pid))
    reference = Beside(f"python -c '{_REFERENCE}'", imports.median)
    findings = []
    for index, (crowd, ready) in enumerate(zip(crowds, times, strict=True)):
        beside = [reference, *([Beside("none", times[0].median)] if index else [])]
        what = f"Tower ready, {crowd.what}"
        findings.append(finding("boot", what, ready, "s", beside=beside, target=crowd.target))
    for index, (crowd, size) in enumerate(zip(crowds, memory, strict=True)):
        beside = [Beside(crowds[1].what, memory[1].median * 1e-6)] if index > 1 else []
        what = f"Tower's PSS when ready, {crowd.what}"
        findings.append(
            finding("boot", what, size, "MB", scale=1e-6, beside=beside, target=crowd.memory_target)
        )
    return findings


def _set(stack: ExitStack, crowd: Crowd) -> Stage:
    here = stack.enter_context(stage())
    here.crowd(crowd.size, crowd.script)
    here.await_output(crowd.output)
    return here


def _hung(options: Options) -> list[Finding]:
    """Boot with holders that are stopped and do not answer."""
    findings = []
    for size, hung, target in ((100, 20, "inside the deadline of 3 s"), (3, 1, "< 1.5 s")):
        with stage() as here:
            here.crowd(size)
            holders = here.holders()
            times = Samples()
            for _ in range(options.runs):
                here.tower.stop()
                with stopped(holders[:hung]):
                    times.append(here.boot())
                    _check_all_run(here, size - hung)
                here.tower.eventually(lambda: _running(here) == size)  # noqa: B023
        findings.append(finding("boot", f"Tower ready, {size}, {hung} stopped", times, "s", target=target))
    return findings


def _check_all_run(here: Stage, size: int) -> None:
    running = _running(here)
    if running != size:
        raise RuntimeError(f"The state lists {running} running agents; it should list {size}.")


def _running(here: Stage) -> int:
    return sum(agent["state"] == "running" for agent in here.tower.agents().values())
