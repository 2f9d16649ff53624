"""The file in the hands of several processes: those that are killed, and those that race."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from afx.testing.storage_records import HOST, a_process
from plugins.storage_sqlite.file import filled, make

WRITER = """
import sys
from pathlib import Path

import anyio

from afx.plugin import Changes, Conversation, ConversationSource, StorageContext
from afx_storage_sqlite.storage import SqliteStorage


async def main(directory, host, prefix):
    storage = SqliteStorage(StorageContext(Path(directory), {}))
    await storage.open()
    for number in range(100_000):
        conversations = tuple(
            Conversation(
                agent_id="a",
                id=f"{prefix}-{number}-{part}",
                harness="foo",
                source=ConversationSource.MINTED,
                at=1.0,
            )
            for part in range(3)
        )
        await storage.apply(host, Changes(put=conversations))
        print(number, flush=True)


anyio.run(main, *sys.argv[1:])
"""


def write_until_killed(directory: Path, prefix: int, steps: int) -> set[str]:
    """Let another process write, kill it after so many steps, and return those that it reported as stored."""
    command = [sys.executable, "-c", WRITER, str(directory), HOST, str(prefix)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        said = [writer.stdout.readline() for _ in range(steps)]
        writer.kill()
        said += [line for line in writer.stdout if line.endswith("\n")]
    assert writer.returncode == -signal.SIGKILL
    return {f"{prefix}-{int(line)}" for line in said}


async def test_kill_9_loses_nothing_that_apply_returned_from(tmp_path: Path) -> None:
    await filled(tmp_path)
    promised: set[str] = set()
    for prefix in range(4):
        # At an ever later moment: at the first step, and further on.
        promised |= write_until_killed(tmp_path, prefix, 1 + 17 * prefix)
        storage = make(tmp_path)
        await storage.open()
        stored = [conversation.id for conversation in (await storage.load(HOST)).conversations]
        await storage.aclose()
        steps = {id_.rpartition("-")[0] for id_ in stored if "-" in id_}
        assert promised <= steps
        # Each step is there whole.
        assert len(stored) == 1 + 3 * len(steps)
    assert len(promised) > 100


CLAIMANT = """
import sys
from pathlib import Path

import anyio
import anyio.to_thread

from afx.plugin import ProcessIdentity, StorageContext
from afx_storage_sqlite.storage import SqliteStorage


async def main(directory, host, pid):
    storage = SqliteStorage(StorageContext(Path(directory), {}))
    await storage.open()
    me = ProcessIdentity(pid=int(pid), start="7", boot_id="a boot")
    dead = ProcessIdentity(pid=1, start="7", boot_id="a boot")
    print("ready", flush=True)
    for line in sys.stdin:
        holder = await storage.claim(host, line.strip(), me, displacing=dead)
        print(holder.pid, flush=True)
    await storage.aclose()


anyio.run(main, *sys.argv[1:])
"""


async def test_of_processes_that_race_one_has_each_claim_lesson_28(tmp_path: Path) -> None:
    pids = (100, 200, 300)
    storage = make(tmp_path)
    await storage.open()
    for agent_id in range(0, 200, 2):
        # Half of the claims are free, half are a dead process's.
        await storage.claim(HOST, str(agent_id), a_process(1))
    with ExitStack() as stack:
        racers = [stack.enter_context(racing(tmp_path, pid)) for pid in pids]
        told = [race(racers, agent_id) for agent_id in range(200)]
    for agent_id, holders in enumerate(told):
        # All name the same holder, so that exactly one of them is named to itself.
        assert len(set(holders)) == 1
        assert holders[0] in pids
        assert await storage.claim(HOST, str(agent_id), a_process(400)) == a_process(holders[0])
    await storage.aclose()
    # It was a race: nobody was always first.
    assert len({holders[0] for holders in told}) > 1


@contextmanager
def racing(directory: Path, pid: int) -> Iterator[subprocess.Popen[str]]:
    """Start a process that claims, under the identity of `pid`, what it is told to; end it afterwards."""
    command = [sys.executable, "-c", CLAIMANT, str(directory), HOST, str(pid)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as racer:
        try:
            yield racer
        finally:
            racer.kill()


def race(racers: Sequence[subprocess.Popen[str]], agent_id: int) -> list[int]:
    """Tell all at once to claim, and return the pids of the holders that they were told."""
    if agent_id == 0:
        assert [answer(racer) for racer in racers] == ["ready"] * len(racers)
    # Whoever is told first changes from round to round.
    first = agent_id % len(racers)
    for racer in (*racers[first:], *racers[:first]):
        assert racer.stdin is not None
        racer.stdin.write(f"{agent_id}\n")
        racer.stdin.flush()
    return [int(answer(racer)) for racer in racers]


def answer(racer: subprocess.Popen[str]) -> str:
    assert racer.stdout is not None
    return racer.stdout.readline().strip()
