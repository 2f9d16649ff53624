"""What each reconnect strategy has between the Tower and a terminal, and how tests let it end or hang."""

from __future__ import annotations

import signal
from abc import ABC, abstractmethod
from pathlib import Path

import msgspec

from afx.api.process import ProcessIdentity, identify, is_alive, send_signal
from afx.testing.tower_process import TowerProcess
from e2e.rows import rows
from e2e.tmux import Tmux


def holder_of(tower: TowerProcess, terminal_id: str) -> ProcessIdentity:
    """Return the identity of a terminal's holder, as it is stored."""
    with rows(tower.home / "afx.db") as database:
        (handle,) = database.execute(
            "SELECT handle FROM terminal_sessions WHERE id = ?", [terminal_id]
        ).fetchone()
    return msgspec.convert(msgspec.json.decode(handle)["holder"], ProcessIdentity)


class Holding(ABC):
    """What holds terminals.

    Attributes:
        ended_state: The state of an agent whose terminal was ended by `end`.
    """

    ended_state: str

    def __init__(self, tower: TowerProcess) -> None:
        self.tower = tower

    @abstractmethod
    def recorder(self, terminal_id: str) -> ProcessIdentity:
        """Return the process that keeps the terminal's output, and answers for it."""

    @abstractmethod
    def end(self, terminal_id: str) -> None:
        """Let one terminal be gone, as happens without afx, and return when it is."""


class ShellperHolding(Holding):
    """A shellper is both the holder and the recorder."""

    ended_state = "lost"

    def recorder(self, terminal_id: str) -> ProcessIdentity:
        return holder_of(self.tower, terminal_id)

    def end(self, terminal_id: str) -> None:
        self.kill(holder_of(self.tower, terminal_id))

    def kill(self, *processes: ProcessIdentity) -> None:
        """Kill processes, and return when they are gone."""
        assert all(send_signal(process, signal.SIGKILL) for process in processes)
        TowerProcess.eventually(self.tower, lambda: not any(map(is_alive, processes)))


class TmuxHolding(Holding):
    """The tmux server holds all terminals; each has a recorder. A person may end any session."""

    ended_state = "exited"

    def recorder(self, terminal_id: str) -> ProcessIdentity:
        for process in Path("/proc").glob("[0-9]*"):
            try:
                words = (process / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"record" in words and terminal_id.encode() in words:
                found = identify(int(process.name))
                assert found is not None
                return found
        raise AssertionError(f"nobody records terminal {terminal_id}")

    def end(self, terminal_id: str) -> None:
        tmux = Tmux(self.tower)
        tmux.run("kill-session", "-t", tmux.session_of(terminal_id))


class DtachHolding(ShellperHolding):
    """A dtach holds each terminal; beside it is a process that keeps the output."""

    def end(self, terminal_id: str) -> None:
        (path,) = self.tower.home.rglob(f"{terminal_id}.pid")
        stat = Path(f"/proc/{path.read_text().strip()}/stat").read_text(encoding="ascii", errors="replace")
        dtach = identify(int(stat.rpartition(")")[2].split()[1]))
        assert dtach is not None
        recorder = self.recorder(terminal_id)
        self.kill(dtach, recorder)
