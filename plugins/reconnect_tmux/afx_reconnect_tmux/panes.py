"""What tmux says about its panes, one line for each of them, and what is to be made of it. All is pure."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence

import msgspec

from afx.plugin import (
    Cause,
    Exit,
    Life,
    ProcessIdentity,
    Survival,
    TerminalId,
    TerminalRecord,
    identify,
    is_alive,
)

from .names import looks_like_ours

_FIELDS = (
    "pid", "session_id", "window_id", "pane_id", "pane_pid", "pane_dead", "pane_dead_status",
    "pane_dead_signal", "pane_dead_time", "pane_tty", "session_created", "@afx_terminal", "@afx_agent",
    "@afx_home", "session_name", "pane_current_path",
)  # fmt: skip
FORMAT = "\t".join(f"#{{{field}}}" for field in _FIELDS)
"""What tmux is asked for. Names and paths, which may hold anything, come last."""


class Handle(msgspec.Struct, frozen=True):
    """What is stored of a terminal: the server it lives in, and what that calls its pane.

    Attributes:
        holder: The tmux server.
    """

    socket: str
    holder: ProcessIdentity
    session: str
    pane: str


class Pane(msgspec.Struct, frozen=True, kw_only=True):
    """One pane of a tmux server.

    Attributes:
        server: The server's process id.
        dead: Whether its program has ended; the pane then stays to be read.
        terminal, agent, home: What afx noted on the pane: ids, and the directory of the strategy.
    """

    server: int
    session: str
    window: str
    pane: str
    pid: int
    dead: bool
    status: str
    signal: str
    died_at: str
    tty: str
    created: float
    terminal: str
    agent: str
    home: str
    name: str
    path: str

    @property
    def tells_end(self) -> bool:
        """Whether tmux knows by now how the program ended. It learns of the end before it learns how."""
        return self.dead and (self.status.isdigit() or self.signal.isdigit())

    def exit(self, now: float) -> Exit:
        """Return how its program ended, as far as tmux says; older versions say less, and not when."""
        at = float(self.died_at) if self.died_at.isdigit() else now
        if self.signal.isdigit():
            return Exit(signal=int(self.signal), at=at)
        return Exit(code=int(self.status) if self.status.isdigit() else None, at=at)

    @property
    def unclaimed_id(self) -> TerminalId:
        """The id it is known by, and would have, while afx has noted none on it."""
        return hashlib.sha256(f"{self.server} {self.created} {self.pane}".encode()).hexdigest()[:16]

    def handle(self, socket: str, server: ProcessIdentity) -> Handle:
        """Return what is to be stored of it."""
        return Handle(socket, server, self.session, self.pane)


def read(lines: str) -> list[Pane]:
    """Read what tmux printed for `FORMAT`; a line that is no such thing is passed over."""
    found = []
    for line in lines.splitlines():
        fields = line.split("\t", len(_FIELDS) - 1)
        # From tmux 3.8 on a dead pane has no process id.
        if len(fields) != len(_FIELDS) or not (fields[0].isdigit() and (fields[4] or "0").isdigit()):
            continue
        (server, session, window, pane, pid, dead, status, signal, died_at, tty, created,
         terminal, agent, home, name, path) = fields  # fmt: skip
        found.append(
            Pane(
                server=int(server),
                session=session,
                window=window,
                pane=pane,
                pid=int(pid or "0"),
                dead=dead == "1",
                status=status,
                signal=signal,
                died_at=died_at,
                tty=tty,
                created=float(created) if created.isdigit() else 0.0,
                terminal=terminal,
                agent=agent,
                home=home,
                name=name,
                path=path,
            )
        )
    return found


def read_handle(record: TerminalRecord) -> Handle | None:
    """Return what is stored of a terminal; None where that cannot be read."""
    try:
        return msgspec.convert(record.handle, Handle)
    except msgspec.ValidationError:
        return None


def by_terminal(panes: Sequence[Pane], home: str) -> Mapping[TerminalId, Pane]:
    """Return the panes that are terminals of this state directory, by terminal id."""
    return {pane.terminal: pane for pane in panes if pane.terminal and pane.home == home}


def offered(panes: Sequence[Pane], home: str, named: Collection[TerminalId]) -> list[Pane]:
    """Return the panes that are ours, or look like ours and are nobody's, and that nobody has `named`."""
    return [
        pane
        for pane in panes
        if pane.terminal not in named
        and pane.home in {"", home}
        and (pane.terminal or looks_like_ours(pane.name))
    ]


def judge_missing(record: TerminalRecord, server: int, socket: str) -> Survival:
    """Judge a terminal that no pane of the server that answered is.

    Only the server that it lived in can prove that it is gone: by answering without it, or by being gone.
    """
    handle = read_handle(record)
    if handle is None:
        return Survival(Life.NO_ANSWER, "Its record does not say where it is.")
    if handle.socket == socket and handle.holder == identify(server):
        return Survival(Life.DEAD, "Its tmux session was ended in tmux.", record.exit, Cause.CLOSED)
    return judge_without_server(record, f"Another tmux server answers, process {server}.")


def judge_without_server(record: TerminalRecord, why: str, ended: Cause | None = None) -> Survival:
    """Judge a terminal whose server does not answer: it is dead if that server is proven not to run.

    Args:
        record: What is stored of the terminal.
        why: What was seen instead of an answer.
        ended: Why the server is gone, where it is and that is known.
    """
    handle = read_handle(record)
    if handle is None:
        return Survival(Life.NO_ANSWER, "Its record does not say where it is.")
    if is_alive(handle.holder):
        return Survival(Life.NO_ANSWER, f"Its tmux server (process {handle.holder.pid}) runs. {why}")
    server = f"its tmux server (process {handle.holder.pid})"
    if ended is Cause.SHUT_DOWN:
        reason = f"The terminal was ended with {server}, as by `tmux kill-server`."
        return Survival(Life.DEAD, reason, cause=Cause.SHUT_DOWN)
    return Survival(Life.DEAD, f"The terminal did not survive: {server} is gone.")
