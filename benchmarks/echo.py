"""How long a keystroke takes to come back, in quiet and while neighbours flood.

Beside it the same is typed into a bare PTY, while as many bare floods are read by another process, and into
terminals of other servers. Each neighbour has a viewer: a flood that nobody looks at would not reach the
Tower at all.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing

from .bare_pty import BarePty
from .flooding import helper, producer
from .measure import Options, Samples
from .rivals import RIVALS, Rival
from .stage import QUIET, Stage, stage
from .table import Beside, Finding
from .viewer import Viewer

_PACE = 0.005
_TARGETS = {0: ("< 0.7 ms", "< 1.5 ms"), 1: ("", "< 3 ms"), 5: ("< 20 ms", "")}
_NAMES = {0: "idle", 1: "one neighbour floods", 5: "five neighbours flood"}


def run(options: Options) -> list[Finding]:
    """Type with no, one and five neighbours that flood."""
    findings = []
    with stage() as here:
        for neighbours, name in _NAMES.items():
            with ExitStack() as stack:
                _flood(stack, here, neighbours)
                through_tower = _type_through_tower(here, options.seconds)
            with helper("bare_pty", [str(neighbours)]):
                bare = _type_bare(options.seconds)
            others = {
                name: _type_through(rival, neighbours, options.seconds) if rival.is_installed() else None
                for name, rival in RIVALS.items()
            }
            beside = {"bare PTY": bare, **others}
            for percent, target in zip((50, 99), _TARGETS[neighbours], strict=True):
                what = f"keystroke to echo, {name}, p{percent}"
                findings.append(_finding(what, percent, through_tower, beside, target))
    return findings


def _finding(
    what: str, percent: int, through_tower: Samples, beside: Mapping[str, Samples | None], target: str
) -> Finding:
    return Finding(
        figure="echo",
        what=what,
        value=through_tower.percentile(percent) * 1e3,
        unit="ms",
        samples=len(through_tower),
        low=min(through_tower) * 1e3,
        high=max(through_tower) * 1e3,
        beside=tuple(
            Beside(name, times.percentile(percent) * 1e3 if times else None, "not installed")
            for name, times in beside.items()
        ),
        target=target,
    )


def _flood(stack: ExitStack, here: Stage, count: int) -> None:
    """Start floods with a viewer each; the stack ends them."""
    agents = [here.shell("exec " + shlex.join(producer("lines", 0))) for _ in range(count)]
    for agent in agents:
        stack.callback(here.tower.request, "DELETE", f"/api/agents/{agent['id']}")
    urls = [here.tower.websocket_url(agent["terminal"]["id"]) for agent in agents]
    stack.enter_context(helper("neighbours", [str(here.tower.home / "key"), *urls]))


def _type_through_tower(here: Stage, seconds: float) -> Samples:
    agent = here.shell(QUIET)
    viewer = Viewer(here.tower.websocket_url(agent["terminal"]["id"]), here.tower.key)
    try:
        return _typed(seconds, viewer.type, viewer.read_output)
    finally:
        viewer.close()
        here.tower.request("DELETE", f"/api/agents/{agent['id']}")


def _type_through(rival: Rival, neighbours: int, seconds: float) -> Samples:
    commands = [("/bin/sh", "-c", QUIET), producer("lines", 0)]
    with (
        rival.serving(*commands) as (quiet, loud),
        helper("neighbours", [rival.name, *[loud] * neighbours]),
        closing(rival.viewer(quiet)) as viewer,
    ):
        return _typed(seconds, viewer.type, viewer.read_output)


def _type_bare(seconds: float) -> Samples:
    terminal = BarePty(("/bin/sh", "-c", QUIET))
    try:
        return _typed(seconds, terminal.type, terminal.read)
    finally:
        terminal.close()


def _typed(seconds: float, write: Callable[[bytes], None], read: Callable[[], bytes]) -> Samples:
    """Type one key after another and return how long each took to come back."""
    times = Samples()
    until = time.monotonic() + seconds
    while time.monotonic() < until or len(times) < 2:
        began = time.perf_counter()
        write(b"x")
        while b"x" not in read():
            pass
        times.append(time.perf_counter() - began)
        time.sleep(_PACE)
        if len(times) % 1000 == 0:
            # A line of a terminal holds 4095 characters; the rest would not be echoed.
            write(b"\x15")
    return times
