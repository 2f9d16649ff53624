"""A storage that is right, and some that are wrong in one way each. Run by `test_storage_suite`."""

from __future__ import annotations

from pathlib import Path

import msgspec

from afx.plugin import Agent, AgentId, Changes, ProcessIdentity, Snapshot, Storage, StorageContext
from afx.testing.memory_storage import MemoryStorage
from afx.testing.storage_suite import StorageSuite
from testing.catching import WrongOnes


class Suite(WrongOnes, StorageSuite):
    made: type[Storage] = MemoryStorage

    def storage_factory(self, directory: Path) -> Storage:
        return self.made(StorageContext(directory, {}))


class TestRight(Suite):
    """The storage in memory, on which other tests stand."""


class ForgetsAnId(MemoryStorage):
    async def load(self, host: str) -> Snapshot:
        found = await super().load(host)
        newest = {one.agent_id: one for one in found.conversations}
        return msgspec.structs.replace(found, conversations=tuple(newest.values()))


class TestForgetsAnId(Suite):
    caught_by = "test_a_stored_conversation_is_never_changed_or_erased_lesson_18"
    made = ForgetsAnId


class StoresHalf(MemoryStorage):
    async def apply(self, host: str, changes: Changes) -> None:
        for record in changes.put:
            await super().apply(host, Changes(put=(record,)))
        await super().apply(host, Changes(prune=changes.prune, forget=changes.forget))


class TestStoresHalf(Suite):
    caught_by = "test_any_history_equals_the_ledger"
    made = StoresHalf


class MixesHosts(MemoryStorage):
    async def load(self, host: str) -> Snapshot:
        del host
        hosts = [await super(MixesHosts, self).load(name) for name in self._opened()]
        return hosts[-1] if hosts else Snapshot()


class TestMixesHosts(Suite):
    caught_by = "test_any_history_equals_the_ledger"
    made = MixesHosts


class LastClaimWins(MemoryStorage):
    async def claim(
        self,
        host: str,
        agent_id: AgentId,
        claimant: ProcessIdentity,
        *,
        displacing: ProcessIdentity | None = None,
    ) -> ProcessIdentity:
        held = await super().claim(host, agent_id, claimant, displacing=displacing)
        if held != claimant:
            await super().release(host, agent_id, held)
        return await super().claim(host, agent_id, claimant)


class TestLastClaimWins(Suite):
    caught_by = "test_of_many_that_claim_at_once_one_has_it_lesson_28"
    made = LastClaimWins


class LosesWhereItRan(MemoryStorage):
    async def apply(self, host: str, changes: Changes) -> None:
        put = tuple(
            msgspec.structs.replace(one, env={}) if isinstance(one, Agent) else one for one in changes.put
        )
        await super().apply(host, msgspec.structs.replace(changes, put=put))


class TestLosesWhereItRan(Suite):
    caught_by = "test_what_a_later_launch_needs_lesson_22"
    made = LosesWhereItRan


class ErasesWithTheTerminal(MemoryStorage):
    async def apply(self, host: str, changes: Changes) -> None:
        await super().apply(host, changes)
        if changes.prune:
            self._opened()[host].conversations.clear()


class TestErasesWithTheTerminal(Suite):
    caught_by = "test_any_history_equals_the_ledger"
    made = ErasesWithTheTerminal


class RehearsesForReal(MemoryStorage):
    async def rehearse(self) -> None:
        await self.open()
        for host in list(self._opened()):
            for agent in (await self.load(host)).agents:
                await self.apply(host, Changes(put=(msgspec.structs.replace(agent, reason="It restarts."),)))
        await self.aclose()


class TestRehearsesForReal(Suite):
    caught_by = "test_a_rehearsal_beside_a_storage_in_use_refuses_nothing_and_changes_nothing"
    made = RehearsesForReal
