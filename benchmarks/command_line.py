"""How long the command line takes, beside a Python that does nothing but start, or import what it must."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from .measure import Options, Samples, by_turns, finding, program, python, seconds_of
from .sessions import NOT_INSTALLED
from .stage import stage
from .table import Beside, Finding

_TURNS = 4
_PASS, _CLICK, _HTTP = "pass", "import click", "import http.client, click"
_TMUX = "tmux -V"
_RE = "import re"


def run(options: Options) -> list[Finding]:
    """Time commands and references by turns."""
    afx = str(Path(sys.executable).with_name("afx"))
    tmux = shutil.which("tmux") is not None
    with stage() as here:
        env = here.tower.env
        times = by_turns(
            options.runs * _TURNS,
            {
                "afx --version": program(afx, "--version"),
                _PASS: python(_PASS),
                "afx --help": program(afx, "--help"),
                _RE: python(_RE),
                _CLICK: python(_CLICK),
                "afx status": program(afx, "status", env=env),
                _HTTP: python(_HTTP),
                **({_TMUX: program("tmux", "-V")} if tmux else {}),
            },
        )
        starting, booting = Samples(), Samples()
        here.tower.stop()
        for _ in range(options.runs):
            starting.append(seconds_of(program(afx, "tower", "start", env=env)))
            program(afx, "tower", "stop", env=env)()
            booting.append(here.boot())
            here.tower.stop()
    tmux_version = Beside(_TMUX, times[_TMUX].median * 1e3 if tmux else None, NOT_INSTALLED)
    regular = Beside(f"python -c '{_RE}'", times[_RE].median * 1e3)
    # Not ours: pip writes the script `afx`, and until pip 26 it had it import `re`.
    launcher = "the launcher imports re: pip < 26" if f"\n{_RE}\n" in Path(afx).read_text("utf-8") else ""
    rows = [
        ("afx --version", _PASS, "< 1.6 x", [regular, tmux_version], launcher),
        ("afx --help", _CLICK, "< 1.8 x", [], ""),
        ("afx status", _HTTP, "< 2 x", [], ""),
    ]
    return [
        *(
            finding(
                "command-line",
                what,
                times[what],
                "ms",
                scale=1e3,
                beside=[Beside(f"python -c '{other}'", times[other].median * 1e3), *more],
                target=target,
                note=note,
            )
            for what, other, target, more, note in rows
        ),
        finding(
            "command-line",
            "afx tower start",
            starting,
            "ms",
            scale=1e3,
            beside=[Beside("the server's own time to ready", booting.median * 1e3)],
            target="< 1.6 x",
        ),
    ]
