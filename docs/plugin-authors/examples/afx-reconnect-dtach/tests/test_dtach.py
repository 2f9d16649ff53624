"""What every reconnect strategy must do, and what only this one can: terminals outlive their holders."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from afx.plugin import Ended, Life, ProcessIdentity, TerminalRecord, identify
from afx.testing.holder_stage import HolderStage
from afx.testing.strategy_suite import StrategySuite
from afx.testing.theatre import Stage, Theatre, next_notice, output_until
from afx_reconnect_dtach.strategy import DtachStrategy

pytestmark = pytest.mark.skipif(
    shutil.which("dtach") is None and "CI" not in os.environ, reason="dtach is not installed"
)


class DtachStage(HolderStage):
    """A terminal is gone when its dtach is gone too."""

    def kill(self, record: TerminalRecord) -> None:
        """Kill the dtach, and then the holder."""
        self.end(dtach_of(self.directory, record))
        super().kill(record)


def dtach_of(directory: Path, record: TerminalRecord) -> ProcessIdentity:
    """Return the parent of the program."""
    pid = int((directory / f"{record.id}.pid").read_text())
    stat = Path(f"/proc/{pid}/stat").read_text()
    found = identify(int(stat.rpartition(")")[2].split()[1]))
    assert found is not None
    return found


class TestDtachStrategy(StrategySuite):
    def stage_factory(self, directory: Path) -> Stage:
        return DtachStage(directory, DtachStrategy)

    async def test_a_terminal_outlives_its_holder(self, theatre: Theatre) -> None:
        """Another one attaches to its dtach; what is ended then is all of it."""
        connection = await theatre.spawn(await theatre.tower())
        await output_until(await theatre.watch(connection), b"ready")
        process = connection.facts.process
        stage, record = theatre.stage, theatre.records["t1"]
        assert isinstance(stage, DtachStage)
        stage.end(stage.holder(record))
        strategy, connection = await theatre.back()
        assert connection.facts.process == process
        await connection.write(b"say still here\r")
        await output_until(await theatre.watch(connection), b"still here")
        stage.end(dtach_of(stage.directory, record))
        await next_notice(connection, Ended)
        await strategy.terminate(record)
        assert (await theatre.survey(strategy))["t1"].life is Life.DEAD
        assert list(stage.directory.iterdir()) == []
