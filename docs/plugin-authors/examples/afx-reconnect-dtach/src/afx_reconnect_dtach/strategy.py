"""How terminals outlive the Tower here: each is a dtach, with a process beside it that keeps its output."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence

from afx.plugin import (
    AfxError,
    Command,
    Life,
    Survival,
    TerminalId,
    TerminalRecord,
    TerminalSpec,
)
from afx_holding.tower.places import short_path
from afx_holding.tower.strategy import HolderStrategy


class DtachStrategy(HolderStrategy):
    """Holders that may be killed: what they hold is in a dtach, and another holder attaches to that."""

    name = "dtach"
    terminal = "afx_reconnect_dtach.holder:DtachTerminal"

    async def survey(
        self, records: Sequence[TerminalRecord], deadline: float
    ) -> Mapping[TerminalId, Survival]:
        """Find out which survived. One whose holder is gone, and whose dtach is not, gets another holder."""
        found = dict(await super().survey(records, deadline))
        for record in records:
            if found[record.id].life is Life.DEAD and self.has_dtach(record.id):
                found[record.id] = await self.hold_again(record)
        return found

    async def hold_again(self, record: TerminalRecord) -> Survival:
        """Start a holder, which finds the dtach and attaches to it. It begins with no output."""
        nothing = Command(argv=("false",), env={}, cwd="/")
        spec = TerminalSpec(
            id=record.id,
            agent_id=record.agent_id,
            label=f"again-{record.id}",
            command=nothing,
            size=record.size,
        )
        try:
            await self.hold(spec)
        except AfxError as error:
            return Survival(Life.NO_ANSWER, f"Its dtach runs, and its holder is gone. {error.message}")
        return Survival(Life.ALIVE)

    async def terminate(self, record: TerminalRecord) -> None:
        """End the terminal. What only a dtach holds is held again first, and is then ended like any other."""
        await self.survey([record], 3.0)
        await super().terminate(record)

    async def forget(self, record: TerminalRecord) -> None:
        """Remove what a terminal left behind that was found dead."""
        await super().forget(record)
        if not self.has_dtach(record.id):
            for suffix in (".dtach", ".pid"):
                (self.context.directory / f"{record.id}{suffix}").unlink(missing_ok=True)

    def has_dtach(self, terminal_id: TerminalId) -> bool:
        """Tell whether there is, or may be, a dtach of this terminal."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.setblocking(False)
            try:
                probe.connect(short_path(self.context.directory, f"{terminal_id}.dtach"))
            except (FileNotFoundError, ConnectionRefusedError):
                return False
            except OSError:
                return True
        return True
