"""Looking at the tmux server: which panes it has, and what became of a terminal that is not among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from afx.plugin import Cause, ProcessIdentity, Survival, TerminalId, TerminalRecord, is_alive

from . import panes
from .panes import Pane
from .tmux import NoSessionsError, Tmux, TmuxError
from .vigil import Vigil


class Seen(NamedTuple):
    """What a server showed: the process that it is, and its panes."""

    server: int
    panes: list[Pane]


class Lookout:
    """Looks at the server for one strategy, whose directory is `home`.

    Attributes:
        vigil: Waits on the server, so that its end can be told from that of its last session.
    """

    def __init__(self, tmux: Tmux, home: str) -> None:
        self.vigil = Vigil(tmux)
        self._tmux = tmux
        self._home = home

    async def look(self, deadline: float) -> Seen:
        """Ask the server for all its panes. One that has no session any more has none.

        Raises:
            TmuxError: It cannot be asked, or does not answer.
        """
        try:
            answer = await self._tmux.ask(["list-panes", "-a", "-F", panes.FORMAT], deadline=deadline)
        except NoSessionsError:
            pid = (await self._tmux.ask(["display-message", "-p", "#{pid}"], deadline=deadline)).strip()
            return Seen(int(pid) if pid.isdigit() else 0, [])
        found = panes.read(answer)
        return Seen(found[0].server if found else 0, found)

    async def find(self, terminal_id: TerminalId, deadline: float) -> Pane | None:
        """Return the pane that is a terminal of ours, or None where the server has no such pane.

        Raises:
            TmuxError: It cannot be asked, or does not answer.
        """
        return self.ours(await self.look(deadline)).get(terminal_id)

    def ours(self, seen: Seen) -> dict[TerminalId, Pane]:
        """Return the panes that are terminals of ours."""
        return dict(panes.by_terminal(seen.panes, self._home))

    def judge_missing(self, record: TerminalRecord, seen: Seen) -> Survival:
        """Judge a terminal of which the server that was seen has no pane."""
        return panes.judge_missing(record, seen.server, self._tmux.socket)

    async def judge_unseen(
        self, records: Sequence[TerminalRecord], error: TmuxError
    ) -> dict[TerminalId, Survival]:
        """Judge terminals whose server could not be looked at."""
        causes: dict[ProcessIdentity, Cause | None] = {}
        found: dict[TerminalId, Survival] = {}
        for record in records:
            handle = panes.read_handle(record)
            if handle is not None and handle.holder not in causes:
                is_gone = not is_alive(handle.holder)
                causes[handle.holder] = await self.vigil.verdict(handle.holder) if is_gone else None
            cause = None if handle is None else causes[handle.holder]
            found[record.id] = panes.judge_without_server(record, error.message, cause)
        return found
