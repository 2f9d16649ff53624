"""What a boot spends on finding out which terminals in tmux survived: one question for all of them.

Measured with terminals of the strategy's own, beside one ``has-session`` for each of the same sessions,
which is what asking one by one costs. A Tower that comes back also greets each recorder: told apart.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from anyio.from_thread import BlockingPortal, start_blocking_portal

from afx.api.model import Command, TerminalRecord, TerminalSpec
from afx.api.process import ProcessIdentity, identify
from afx.api.strategy import Life, ReconnectStrategy, StrategyContext
from afx.loader import Plugins

from .measure import Options, Samples, finding, pss, seconds_of
from .sessions import NOT_INSTALLED
from .stage import QUIET, short_directory
from .table import Beside, Finding

_DEADLINE = 60.0


class _Sessions:
    """A tmux server with many terminals of the strategy, and Towers that come and go over it."""

    def __init__(self, directory: Path, portal: BlockingPortal) -> None:
        self.socket = f"afx-bench-{directory.name}"
        self.records: list[TerminalRecord] = []
        self._directory = directory
        self._portal = portal
        self._strategy = self._new()

    def _new(self) -> ReconnectStrategy:
        context = StrategyContext(self._directory, {"socket": self.socket})
        strategy = Plugins.load().strategy("tmux", context)
        self._portal.call(strategy.start)
        return strategy

    def start(self, number: int) -> None:
        """Start one more terminal."""
        command = Command(argv=("/bin/sh", "-c", QUIET), env=dict(os.environ), cwd="/")
        spec = TerminalSpec(id=f"t{number}", agent_id="bench", label=f"shell-bench-{number}", command=command)
        spawned = self._portal.call(self._strategy.spawn, spec)
        self.records.append(
            TerminalRecord(
                id=spec.id, agent_id="bench", host="", strategy="tmux", handle=spawned.handle, started_at=0.0
            )
        )

    def come_back(self) -> None:
        """Let the next Tower come."""
        self._portal.call(self._strategy.aclose)
        self._strategy = self._new()

    def survey(self) -> None:
        """Survey all terminals, as a boot does."""
        found = self._portal.call(self._strategy.survey, self.records, _DEADLINE)
        if any(found[record.id].life is not Life.ALIVE for record in self.records):
            raise RuntimeError("A terminal was not found alive.")

    def ask_once(self) -> None:
        """Ask tmux for all panes, as the survey does."""
        self._tmux("list-panes", "-a", "-F", "#{pane_id} #{pane_pid} #{@afx_terminal}")

    def ask_each(self) -> None:
        """Ask tmux for each session."""
        for record in self.records:
            self._tmux("has-session", "-t", record.handle["session"])

    def recorders(self) -> list[ProcessIdentity]:
        """Return the process that records each terminal."""
        server = self.records[0].handle["holder"]["pid"]
        listed = subprocess.run(
            ["ps", "--ppid", str(server), "-o", "pid=,args=", "-ww"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        found = [identify(int(line.split()[0])) for line in listed.splitlines() if " record " in line]
        return [recorder for recorder in found if recorder is not None]

    def _tmux(self, *arguments: str) -> None:
        subprocess.run(["tmux", "-L", self.socket, *arguments], check=True, stdout=subprocess.DEVNULL)

    def end(self) -> None:
        """End the server, and with it everything."""
        self._portal.call(self._strategy.aclose)
        subprocess.run(["tmux", "-L", self.socket, "kill-server"], check=False, capture_output=True)


@contextmanager
def _sessions(size: int) -> Iterator[_Sessions]:
    with short_directory() as directory, start_blocking_portal() as portal:
        sessions = _Sessions(directory, portal)
        try:
            for number in range(size):
                sessions.start(number)
            yield sessions
        finally:
            sessions.end()


def run(options: Options) -> list[Finding]:
    """Survey by turns with asking for each."""
    if shutil.which("tmux") is None:
        return [_absent()]
    whole, once, each = Samples(), Samples(), Samples()
    with _sessions(options.terminals) as sessions:
        for number in range(options.runs + 1):
            sessions.come_back()
            times = [seconds_of(call) for call in (sessions.survey, sessions.ask_once, sessions.ask_each)]
            if number:
                for samples, taken in zip((whole, once, each), times, strict=True):
                    samples.append(taken)
        memory = Samples(pss(recorder.pid) for recorder in sessions.recorders())
    beside = [Beside(f"{options.terminals} x has-session", each.median * 1e3)]
    figure, terminals = "survey", f"{options.terminals} terminals in tmux"
    return [
        finding(
            figure, f"the question about {terminals}", once, "ms", scale=1e3, beside=beside, target="< 1/50"
        ),
        finding(figure, f"the whole survey of {terminals}", whole, "ms", scale=1e3, beside=beside),
        finding(figure, "memory of one recorder", memory, "MB", scale=1 / 2**20),
    ]


def _absent() -> Finding:
    return finding("survey", "terminals in tmux", Samples([0.0]), "ms", note=f"tmux is {NOT_INSTALLED}")
