"""How fast a flood in one terminal reaches one viewer, and whether every byte of it does.

The reader does the same on both sides: it reads, counts and adds to a checksum. Only what lies between it and
the program differs: a PTY, or a PTY, its holder, the Tower and a WebSocket.
"""

from __future__ import annotations

import shlex
from contextlib import closing

from .bare_pty import BarePty
from .flooding import Flood, follow, producer
from .measure import Options, Samples, finding
from .rivals import RIVALS, Rival
from .stage import Stage, stage
from .table import Beside, Finding
from .viewer import Viewer

_SIZES = {"lines": 32_000_000, "frames": 192_000_000}
_TARGETS = {
    "lines": "whole; >= 0.9 x bare, >= terminado",
    "frames": "whole; >= 0.8 x bare, >= terminado",
}
_NAMES = {"lines": "short lines", "frames": "full-screen frames"}


def run(options: Options) -> list[Finding]:
    """Measure floods through the Tower and through a bare PTY, by turns."""
    with stage() as here:
        return [_measure(here, kind, options.runs) for kind in _SIZES]


def _measure(here: Stage, kind: str, runs: int) -> Finding:
    bare, delivered = Samples(), Samples()
    others = {name: Samples() for name in RIVALS}
    lost: list[str] = []
    for _ in range(runs):
        bare.append(_through_bare(kind).rate)
        flood, resyncs = _through_tower(here, kind)
        delivered.append(flood.rate)
        for name, rival in RIVALS.items():
            if rival.is_installed():
                others[name].append(_through(rival, kind).rate)
        if not flood.whole:
            lost.append(f"{flood.received} of {flood.expected} bytes, {resyncs} resyncs")
    return finding(
        "flood",
        f"{_NAMES[kind]} to one WebSocket",
        delivered,
        "MB/s",
        scale=1e-6,
        beside=[
            Beside("bare PTY", bare.median * 1e-6),
            *(
                Beside(name, rates.median * 1e-6 if rates else None, "not installed")
                for name, rates in others.items()
            ),
        ],
        target=_TARGETS[kind],
        note="; ".join(lost) or f"checksums of all {runs} floods are right",
    )


def _through_bare(kind: str) -> Flood:
    terminal = BarePty(producer(kind, _SIZES[kind]))
    try:
        return follow(kind, _SIZES[kind], terminal.read, terminal.type)
    finally:
        terminal.close()


def _through(rival: Rival, kind: str) -> Flood:
    with rival.serving(producer(kind, _SIZES[kind])) as (url,), closing(rival.viewer(url)) as viewer:
        return follow(kind, _SIZES[kind], viewer.read_output, viewer.type)


def _through_tower(here: Stage, kind: str) -> tuple[Flood, int]:
    """Return what came of a flood, and how often the viewer was told to begin anew."""
    agent = here.shell("exec " + shlex.join(producer(kind, _SIZES[kind])))
    viewer = Viewer(here.tower.websocket_url(agent["terminal"]["id"]), here.tower.key)
    try:
        return follow(kind, _SIZES[kind], viewer.read_output, viewer.type), viewer.resyncs
    finally:
        viewer.close()
        here.tower.request("DELETE", f"/api/agents/{agent['id']}")
