"""What viewers that never read cost the Tower while terminals flood: its memory should stay flat."""

from __future__ import annotations

import shlex
import time
from contextlib import ExitStack

from afx.api.process import identify, is_alive

from .flooding import producer
from .measure import Options, Samples, finding, pss
from .stage import stage
from .table import Beside, Finding
from .viewer import Viewer

_LOOK_EVERY = 0.25
_DIES_WITHIN = 10


def run(options: Options) -> list[Finding]:
    """Let one and five terminals flood viewers that never read."""
    return [_measure(count, options.seconds * 3) for count in (1, 5)]


def _measure(count: int, seconds: float) -> Finding:
    with stage() as here, ExitStack() as stack:
        agents = [here.shell("exec " + shlex.join(producer("lines", 0))) for _ in range(count)]
        programs = [identify(agent["terminal"]["pid"]) for agent in agents]
        for agent in agents:
            viewer = Viewer(here.tower.websocket_url(agent["terminal"]["id"]), here.tower.key)
            stack.callback(viewer.close)
        before = pss(here.pid)
        for agent in agents:
            here.tower.request("POST", f"/api/agents/{agent['id']}/send", {"text": "go"})
        early, late = Samples(), Samples()
        began = time.monotonic()
        while (gone := time.monotonic() - began) < seconds:
            (early if gone < seconds / 2 else late).append(pss(here.pid))
            time.sleep(_LOOK_EVERY)
        written = sum(_written(agent) for agent in here.tower.agents().values())
        for agent in agents:
            here.tower.request("DELETE", f"/api/agents/{agent['id']}")
        deadline = time.monotonic() + _DIES_WITHIN
        while any(one and is_alive(one) for one in programs) and time.monotonic() < deadline:
            time.sleep(0.01)
        left = sum(one is not None and is_alive(one) for one in programs)
    return finding(
        "stalled-viewer",
        f"Tower's PSS, {count} flood{'s' * (count > 1)}, viewers never read, second half of {seconds:.0f} s",
        late,
        "MB",
        scale=1e-6,
        beside=[Beside("before", before * 1e-6), Beside("most in the first half", max(early) * 1e-6)],
        target="flat",
        note=f"{written / 1e6:.0f} MB were written; {left} programs outlived their agents",
    )


def _written(agent: object) -> int:
    terminal = agent["terminal"] if isinstance(agent, dict) else None
    return int(terminal["position"].rpartition(":")[2]) if terminal else 0
