"""How long the storage takes to keep 1000 changed rows durably, beside plain SQLite."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import anyio
import msgspec

from afx.api.model import Agent, AgentKind, AgentState, TerminalRecord, Workspace
from afx.api.storage import Changes, StorageContext
from afx.loader import Plugins

from .measure import Options, Samples, finding
from .stage import short_directory
from .table import Beside, Finding

_HOST = "bench"
_AGENTS = 500


def run(options: Options) -> list[Finding]:
    """Change 500 agents and their 500 terminals in one step."""
    with short_directory() as directory:
        times, plain = anyio.run(_measure, directory, options.runs * 2)
    return [
        finding(
            "storage",
            "1000 changed rows in one step",
            times,
            "ms",
            scale=1e3,
            beside=[Beside("sqlite3, one table, one commit", plain.median * 1e3)],
            target="< 30 ms",
        )
    ]


async def _measure(directory: Path, runs: int) -> tuple[Samples, Samples]:
    storage = Plugins.load().storage("sqlite", StorageContext(directory, {}))
    await storage.open()
    ours, plain = Samples(), Samples()
    other = _plain_database(directory / "plain.db")
    try:
        workspace = Workspace(host=_HOST, path="/w", name="w", added_at=0.0)
        await storage.apply(_HOST, Changes(put=(workspace, *_rows("0"))))
        for number in range(runs):
            changed = _rows(str(number))
            began = time.perf_counter()
            await storage.apply(_HOST, Changes(put=changed))
            ours.append(time.perf_counter() - began)
            rows = [(row.id, msgspec.json.encode(row).decode()) for row in changed]
            began = time.perf_counter()
            with other:
                other.executemany("INSERT OR REPLACE INTO rows VALUES (?, ?)", rows)
            plain.append(time.perf_counter() - began)
    finally:
        other.close()
        await storage.aclose()
    return ours, plain


def _plain_database(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("CREATE TABLE rows (id TEXT PRIMARY KEY, value TEXT) STRICT")
    return database


def _rows(reason: str) -> tuple[Agent | TerminalRecord, ...]:
    """Return agents and their terminals that differ from those of another reason."""
    agents = [
        Agent(
            id=f"a{number}",
            host=_HOST,
            workspace="/w",
            kind=AgentKind.SHELL,
            name=f"agent-{number}",
            strategy="shellper",
            state=AgentState.RUNNING,
            reason=reason,
            cwd="/w",
            created_at=0.0,
        )
        for number in range(_AGENTS)
    ]
    terminals = [
        TerminalRecord(
            id=f"t{agent.id}",
            agent_id=agent.id,
            host=_HOST,
            strategy="shellper",
            handle={"socket": f"t{agent.id}.sock", "run": reason},
            started_at=0.0,
        )
        for agent in agents
    ]
    return (*agents, *terminals)
