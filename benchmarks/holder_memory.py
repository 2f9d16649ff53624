"""How much memory one terminal's holder takes, idle and with 1 MiB of scrollback."""

from __future__ import annotations

from .measure import Options, Samples, finding, pss
from .sessions import memory_beside
from .stage import QUIET, WITH_SCROLLBACK, stage
from .table import Finding

_COUNT = 100


def run(_options: Options) -> list[Finding]:
    """Measure the PSS of each of 100 holders."""
    return [
        _measure("one holder, idle", QUIET, 0, "< 0.7 MB"),
        _measure("one holder, 1 MiB of scrollback", WITH_SCROLLBACK, 2**20, "< 2.3 MB"),
    ]


def _measure(what: str, script: str, output: int, target: str) -> Finding:
    with stage() as here:
        here.crowd(_COUNT, script)
        here.await_output(output)
        memory = Samples(pss(holder.pid) for holder in here.holders())
    beside = memory_beside(script, _COUNT)
    return finding(
        "holder-memory",
        f"{what} (PSS, of {_COUNT})",
        memory,
        "MB",
        scale=1e-6,
        beside=beside,
        target=target,
        note="dtach keeps no scrollback; tmux is one server, its PSS divided by its sessions"
        if output
        else "",
    )
