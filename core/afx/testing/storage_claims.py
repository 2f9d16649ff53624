"""The tests of a storage that are about claims: of those who would start an agent's program, one may."""
# ruff: noqa: S101 - a suite of tests asserts

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from afx.api.errors import StorageError
from afx.api.process import ProcessIdentity
from afx.api.storage import Changes, Snapshot, Storage

from .storage_records import (
    ELSEWHERE,
    HOST,
    PATHS,
    a_conversation,
    a_process,
    a_terminal,
    a_workspace,
    an_agent,
    in_one_order,
    put,
)


class StorageBench:
    """Makes, opens and reads the storage that is tested. Its author says how it is made."""

    def storage_factory(self, directory: Path) -> Storage:
        """Return a storage that keeps its records in `directory`, not opened yet."""
        raise NotImplementedError

    @pytest.fixture
    def anyio_backend(self) -> str:
        """Name the event loop that the tests run on."""
        return "asyncio"

    @asynccontextmanager
    async def opened(self, directory: Path) -> AsyncIterator[Storage]:
        """Make a storage, open it, and close it at the end."""
        storage = self.storage_factory(directory)
        await storage.open()
        try:
            yield storage
        finally:
            await storage.aclose()

    async def reloaded(self, directory: Path, host: str = HOST) -> Snapshot:
        """Return what another storage of the same directory finds."""
        async with self.opened(directory) as storage:
            return in_one_order(await storage.load(host))


@pytest.mark.anyio
class ClaimChecks(StorageBench):
    """Tests of claims."""

    async def test_one_process_at_a_time_has_the_claim_lesson_28(self, tmp_path: Path) -> None:
        """A free claim and one's own are had; another's is not, and its holder is named."""
        mine, theirs = a_process(100), a_process(200)
        async with self.opened(tmp_path) as one, self.opened(tmp_path) as other:
            assert await one.claim(HOST, "a", mine) == mine
            assert await one.claim(HOST, "a", mine) == mine
            assert await other.claim(HOST, "a", theirs) == mine
            assert await other.claim(HOST, "a", theirs) == mine
            assert await one.claim(HOST, "a", mine) == mine

    async def test_a_claim_is_of_one_agent_and_one_host(self, tmp_path: Path) -> None:
        """Hosts share nothing, claims included, and one agent's says nothing of the next."""
        mine, theirs = a_process(100), a_process(200)
        async with self.opened(tmp_path) as storage:
            assert await storage.claim(HOST, "a", mine) == mine
            assert await storage.claim(HOST, "b", theirs) == theirs
            assert await storage.claim(ELSEWHERE, "a", theirs) == theirs
            # The very same identity may hold several: releasing one of them ends that one.
            assert await storage.claim(ELSEWHERE, "b", mine) == mine
            assert await storage.claim(HOST, "c", mine) == mine
            await storage.release(ELSEWHERE, "b", mine)
            await storage.release(HOST, "c", mine)
            await storage.release(ELSEWHERE, "c", theirs)
            await storage.release(HOST, "a", theirs)
            assert await storage.claim(HOST, "a", a_process(300)) == mine
            assert await storage.claim(HOST, "b", a_process(300)) == theirs
            assert await storage.claim(ELSEWHERE, "a", a_process(300)) == theirs
            await storage.claim(ELSEWHERE, "c", mine)
            await storage.claim(HOST, "c", mine)
            await storage.release(ELSEWHERE, "c", mine)
            assert await storage.claim(HOST, "c", a_process(300)) == mine

    @pytest.mark.parametrize(
        "other",
        [
            pytest.param(a_process(101), id="pid"),
            pytest.param(a_process(start="8"), id="start"),
            pytest.param(a_process(boot_id="the next boot"), id="boot"),
        ],
    )
    async def test_a_claim_is_a_whole_identitys_lesson_01(
        self, tmp_path: Path, other: ProcessIdentity
    ) -> None:
        """Who shares two of pid, start time and boot with the holder is still another."""
        mine = a_process()
        async with self.opened(tmp_path) as storage:
            await storage.claim(HOST, "a", mine)
            assert await storage.claim(HOST, "a", other) == mine
            assert await storage.claim(HOST, "a", a_process(300), displacing=other) == mine
            await storage.release(HOST, "a", other)
            assert await storage.claim(HOST, "a", a_process(300)) == mine

    async def test_only_the_named_holder_is_displaced(self, tmp_path: Path) -> None:
        """Whoever displaces a holder that was displaced before is told who holds the claim now."""
        dead, first, second = a_process(100), a_process(200), a_process(300)
        async with self.opened(tmp_path) as one, self.opened(tmp_path) as other:
            await one.claim(HOST, "a", dead)
            assert await one.claim(HOST, "a", first, displacing=second) == dead
            assert await one.claim(HOST, "a", first, displacing=dead) == first
            assert await other.claim(HOST, "a", second, displacing=dead) == first
            assert await other.claim(HOST, "a", second) == first
            # Nobody has to be there to be displaced.
            assert await other.claim(HOST, "b", second, displacing=dead) == second

    async def test_only_the_holder_releases(self, tmp_path: Path) -> None:
        """Another's claim, or none, is left as it is, and that is no error."""
        mine, theirs = a_process(100), a_process(200)
        async with self.opened(tmp_path) as one, self.opened(tmp_path) as other:
            await one.release(HOST, "a", mine)
            await one.claim(HOST, "a", mine)
            await other.release(HOST, "a", theirs)
            assert await other.claim(HOST, "a", theirs) == mine
            await one.release(HOST, "a", mine)
            await one.release(HOST, "a", mine)
            assert await other.claim(HOST, "a", theirs) == theirs
            await one.release(HOST, "a", mine)
            assert await one.claim(HOST, "a", mine) == theirs

    async def test_a_claim_outlives_its_tower(self, tmp_path: Path) -> None:
        """Only a release or a displacement ends it: a Tower that was killed did neither."""
        async with self.opened(tmp_path) as storage:
            await storage.claim(HOST, "a", a_process(100))
            await storage.claim(HOST, "b", a_process(100))
            await storage.release(HOST, "b", a_process(100))
        async with self.opened(tmp_path) as storage:
            assert await storage.claim(HOST, "a", a_process(200)) == a_process(100)
            assert await storage.claim(HOST, "b", a_process(200)) == a_process(200)

    async def test_steps_leave_claims_alone(self, tmp_path: Path) -> None:
        """Those that are refused, too, and claims leave the records alone."""
        mine = a_process()
        async with self.opened(tmp_path) as storage:
            # A claim needs no record: it may be taken before the agent is stored.
            await storage.claim(HOST, "a", mine)
            await storage.apply(HOST, put(a_workspace(), an_agent(), a_terminal()))
            with pytest.raises(StorageError):
                await storage.apply(HOST, put(a_conversation(agent_id="nobody")))
            await storage.apply(HOST, Changes(put=(an_agent(removed_at=9.0),), prune=("T",), forget=PATHS))
            before = await storage.load(HOST)
            assert await storage.claim(HOST, "a", a_process(200)) == mine
            await storage.release(HOST, "a", mine)
            assert await storage.load(HOST) == before
            assert before.agents == (an_agent(removed_at=9.0),)

    async def test_of_many_that_claim_at_once_one_has_it_lesson_28(self, tmp_path: Path) -> None:
        """All are told the same holder, of a free claim and of a dead one's."""
        dead, claimants = a_process(1), [a_process(pid) for pid in range(100, 104)]
        for agent_id in map(str, range(20)):
            told: list[ProcessIdentity] = []

            async def claim(
                claimant: ProcessIdentity, agent_id: str = agent_id, told: list[ProcessIdentity] = told
            ) -> None:
                async with self.opened(tmp_path) as storage:
                    told.append(await storage.claim(HOST, agent_id, claimant, displacing=dead))

            if int(agent_id) % 2:
                async with self.opened(tmp_path) as storage:
                    await storage.claim(HOST, agent_id, dead)
            async with anyio.create_task_group() as tasks:
                for claimant in claimants:
                    tasks.start_soon(claim, claimant)
            assert len(told) == len(claimants)
            assert len(set(told)) == 1
            assert told[0] in claimants
