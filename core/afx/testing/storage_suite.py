"""What every storage must do, as tests that an author of a storage runs.

The suite knows a storage only through its contract. What is particular to one, such as its file, its
migrations or its durability, its author tests beside it.
"""
# ruff: noqa: S101 - a suite of tests asserts

from __future__ import annotations

import string
import tempfile
from pathlib import Path

import anyio
import anyio.lowlevel
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from afx.api.errors import StorageError
from afx.api.model import AgentState, Exit, Size
from afx.api.storage import Changes, Record, Snapshot

from .storage_claims import ClaimChecks
from .storage_records import (
    AGENTS,
    ELSEWHERE,
    HOST,
    PATHS,
    Ledger,
    Step,
    a_conversation,
    a_message,
    a_process,
    a_terminal,
    a_workspace,
    agents,
    an_agent,
    conversations,
    histories,
    messages,
    put,
    terminals,
    workspaces,
)


@pytest.mark.anyio
class StorageSuite(ClaimChecks):
    """Tests of a storage, for its author to subclass.

    The subclass says how one is made::

        from afx.testing.storage_suite import StorageSuite

        class TestMyStorage(StorageSuite):
            def storage_factory(self, directory: Path) -> Storage:
                return MyStorage(StorageContext(directory, {}))

    Two storages that are made for one directory must be the same place, opened twice; those of different
    directories must share nothing. The suite needs pytest, anyio's pytest plugin (it comes with anyio) and
    hypothesis.
    """

    async def test_a_new_storage_is_empty(self, tmp_path: Path) -> None:
        """Nothing is there before something is stored."""
        assert await self.reloaded(tmp_path) == Snapshot()

    async def test_a_storage_that_is_not_open_is_refused(self, tmp_path: Path) -> None:
        """Neither before `open` nor after `aclose` is anything read or written; closing twice is no error."""
        storage = self.storage_factory(tmp_path)
        with pytest.raises(StorageError):
            await storage.load(HOST)
        await storage.open()
        await storage.aclose()
        await storage.aclose()
        with pytest.raises(StorageError):
            await storage.apply(HOST, put(a_workspace()))
        with pytest.raises(StorageError):
            await storage.claim(HOST, "a", a_process())
        with pytest.raises(StorageError):
            await storage.release(HOST, "a", a_process())

    async def test_what_was_stored_is_there_after_a_restart(self, tmp_path: Path) -> None:
        """One of each, in an order in which none has what it needs before it."""
        records = (a_terminal(), a_message(), a_conversation(), an_agent(), a_workspace())
        async with self.opened(tmp_path) as storage:
            await storage.apply(HOST, put(*records))
            at_once = await storage.load(HOST)
        assert at_once == await self.reloaded(tmp_path)
        assert at_once == Snapshot(
            workspaces=(a_workspace(),),
            agents=(an_agent(),),
            conversations=(a_conversation(),),
            messages=(a_message(),),
            terminals=(a_terminal(),),
        )

    async def test_a_rehearsal_beside_a_storage_in_use_refuses_nothing_and_changes_nothing(
        self, tmp_path: Path
    ) -> None:
        """Before a Tower is stopped another process asks whether it could start again."""
        await self.storage_factory(tmp_path).rehearse()
        async with self.opened(tmp_path) as storage:
            await storage.apply(HOST, put(a_workspace(), an_agent()))
            await self.storage_factory(tmp_path).rehearse()
            await storage.apply(HOST, put(a_conversation()))
            at_the_end = await storage.load(HOST)
        await self.storage_factory(tmp_path).rehearse()
        assert at_the_end.agents == (an_agent(),)
        assert at_the_end == await self.reloaded(tmp_path)

    async def test_a_record_replaces_the_one_of_its_identity(self, tmp_path: Path) -> None:
        """The last of an identity counts, in one step and over several."""
        async with self.opened(tmp_path) as storage:
            await storage.apply(HOST, put(a_workspace(), an_agent(), a_terminal(), a_message()))
            renamed = a_workspace(name="other", active=False)
            crashed = an_agent(state=AgentState.CRASHED, reason="It fell.")
            ended = a_terminal(exit=Exit(signal=9, at=6.0))
            await storage.apply(
                HOST,
                put(renamed, an_agent(removed_at=1.0), crashed, a_terminal(), ended, a_message(text="no")),
            )
        found = await self.reloaded(tmp_path)
        assert (found.workspaces, found.agents, found.terminals) == ((renamed,), (crashed,), (ended,))
        assert found.messages == (a_message(text="no"),)

    async def test_what_a_later_launch_needs_lesson_22(self, tmp_path: Path) -> None:
        """The environment, the size and the last plan of an agent come back, and can be taken away again."""
        plan = {"rung": "stored", "passed": [{"rung": "fresh", "why": None}], "at": 1.5, "calm": True}
        full = an_agent(env={"CODEX_HOME": "/a b", "EMPTY": ""}, size=Size(132, 50), plan=plan)
        async with self.opened(tmp_path) as storage:
            await storage.apply(HOST, put(a_workspace(), full, an_agent("b", plan={})))
        assert (await self.reloaded(tmp_path)).agents == (full, an_agent("b", plan={}))
        async with self.opened(tmp_path) as storage:
            await storage.apply(HOST, put(an_agent(), an_agent("b")))
        assert (await self.reloaded(tmp_path)).agents == (an_agent(), an_agent("b"))

    async def test_a_stored_conversation_is_never_changed_or_erased_lesson_18(self, tmp_path: Path) -> None:
        """Not by the same id again, a lost terminal, a removed agent or a forgotten workspace."""
        async with self.opened(tmp_path) as storage:
            await storage.apply(HOST, put(a_workspace(), an_agent(), a_conversation(), a_terminal()))
            await storage.apply(HOST, put(a_conversation(harness="bar", at=99.0)))
            await storage.apply(HOST, put(a_conversation("B", at=1.0)))
            await storage.apply(HOST, Changes(prune=("T",)))
            await storage.apply(HOST, Changes(put=(an_agent(removed_at=9.0),), forget=("/w/one",)))
            await storage.apply(HOST, put(an_agent(reason="looked at again", removed_at=9.0)))
        found = await self.reloaded(tmp_path)
        assert found.conversations == (a_conversation("B", at=1.0), a_conversation())
        assert found.agents == (an_agent(reason="looked at again", removed_at=9.0),)
        assert (found.workspaces, found.terminals) == ((), ())

    async def test_conversations_come_oldest_first(self, tmp_path: Path) -> None:
        """By their time; of one time, in the order in which they were stored."""
        ordered = [a_conversation(id_, at=at) for id_, at in (("Z", 1.0), ("Y", 2.0), ("B", 2.0), ("A", 3.0))]
        async with self.opened(tmp_path) as storage:
            await storage.apply(HOST, put(a_workspace(), an_agent()))
            for conversation in (ordered[3], ordered[1], ordered[2], ordered[0]):
                await storage.apply(HOST, put(conversation))
        assert (await self.reloaded(tmp_path)).conversations == tuple(ordered)

    async def test_only_waiting_messages_are_loaded_lesson_38(self, tmp_path: Path) -> None:
        """A message waits until it was delivered, oldest first."""
        later, sooner = a_message("A", at=9.0), a_message("B", at=8.0)
        async with self.opened(tmp_path) as storage:
            await storage.apply(HOST, put(a_workspace(), an_agent(), later, sooner, a_message("C")))
            await storage.apply(HOST, put(a_message("C", delivered_at=10.0)))
        assert (await self.reloaded(tmp_path)).messages == (sooner, later)

    async def test_pruning_what_is_not_there_is_no_error(self, tmp_path: Path) -> None:
        """Nor is forgetting; a step may be repeated."""
        async with self.opened(tmp_path) as storage:
            await storage.apply(HOST, put(a_workspace()))
            await storage.apply(HOST, Changes(prune=("never was",), forget=("/never/was",)))
            await storage.apply(HOST, Changes(forget=("/w/one",)))
            await storage.apply(HOST, Changes(forget=("/w/one",)))
        assert await self.reloaded(tmp_path) == Snapshot()

    async def test_a_forgotten_workspace_can_return(self, tmp_path: Path) -> None:
        """With its removed agents where they were."""
        gone = an_agent(removed_at=9.0)
        async with self.opened(tmp_path) as storage:
            await storage.apply(HOST, put(a_workspace(), gone))
            await storage.apply(HOST, Changes(forget=("/w/one",)))
            await storage.apply(HOST, put(a_workspace(added_at=10.0), an_agent("b")))
        found = await self.reloaded(tmp_path)
        assert found.workspaces == (a_workspace(added_at=10.0),)
        assert found.agents == (gone, an_agent("b"))

    async def test_a_removed_agents_name_can_be_taken_again(self, tmp_path: Path) -> None:
        """In the very step that removes it, too, in whichever order."""
        old = an_agent("a", name="fix")
        async with self.opened(tmp_path) as storage:
            await storage.apply(HOST, put(a_workspace(), old))
            removed = msgspec.structs.replace(old, removed_at=9.0)
            await storage.apply(HOST, put(an_agent("b", name="fix"), removed))
        assert [agent.id for agent in (await self.reloaded(tmp_path)).agents] == ["a", "b"]

    @pytest.mark.parametrize(
        "refused",
        [
            pytest.param(put(an_agent("b", workspace="/not/stored")), id="unknown workspace"),
            pytest.param(put(a_conversation(agent_id="nobody")), id="conversation of nobody"),
            pytest.param(put(a_message(agent_id="nobody")), id="message to nobody"),
            pytest.param(put(a_terminal(agent_id="nobody")), id="terminal of nobody"),
            pytest.param(put(an_agent("b", name="a")), id="taken name"),
            pytest.param(put(a_workspace(ELSEWHERE)), id="workspace elsewhere"),
            pytest.param(put(an_agent(host=ELSEWHERE)), id="agent elsewhere"),
            pytest.param(put(a_terminal(host=ELSEWHERE)), id="terminal elsewhere"),
            pytest.param(Changes(forget=("/w/one",)), id="forget with agents"),
            pytest.param(put(an_agent("b", workspace="/w/two")), id="agent in a forgotten workspace"),
        ],
    )
    async def test_a_refused_step_leaves_all_as_it_was(self, tmp_path: Path, refused: Changes) -> None:
        """All or none: what comes beside the refused part is not stored either."""
        async with self.opened(tmp_path) as storage:
            await storage.apply(HOST, put(a_workspace(), an_agent(), a_workspace(path="/w/two")))
            await storage.apply(HOST, Changes(forget=("/w/two",)))
            before = await storage.load(HOST)
            others = (a_conversation(), a_terminal("other"), an_agent(reason="changed"), *refused.put)
            with pytest.raises(StorageError) as caught:
                await storage.apply(HOST, msgspec.structs.replace(refused, put=others))
            assert caught.value.message.endswith(".")
            assert await storage.load(HOST) == before
            await storage.apply(HOST, put(a_conversation()))
        assert (await self.reloaded(tmp_path)).conversations == (a_conversation(),)

    async def test_hosts_share_nothing(self, tmp_path: Path) -> None:
        """Two Towers, each with the place open, and with the same paths and ids."""
        here = (a_workspace(), an_agent(), a_conversation(), a_message(), a_terminal())
        there = (
            a_workspace(ELSEWHERE, name="theirs"),
            an_agent(host=ELSEWHERE, reason="theirs"),
            a_conversation(harness="theirs"),
            a_message(text="theirs"),
            a_terminal(host=ELSEWHERE, strategy="theirs"),
        )
        async with self.opened(tmp_path) as mine, self.opened(tmp_path) as theirs:
            await mine.apply(HOST, put(*here))
            await theirs.apply(ELSEWHERE, put(*there))
            stored = await theirs.load(ELSEWHERE)
            await mine.apply(HOST, Changes(put=(an_agent(removed_at=9.0),), prune=("T",), forget=("/w/one",)))
            assert await theirs.load(ELSEWHERE) == stored
            assert [agent.reason for agent in stored.agents] == ["theirs"]
            assert [terminal.strategy for terminal in stored.terminals] == ["theirs"]
            with pytest.raises(StorageError):
                await mine.apply("a third", put(a_conversation()))
        assert (await self.reloaded(tmp_path)).terminals == ()

    async def test_steps_at_once_are_stored_one_after_the_other(self, tmp_path: Path) -> None:
        """Twenty from each of two that have the place open; none is lost and none fails."""
        async with self.opened(tmp_path) as one, self.opened(tmp_path) as other:
            await one.apply(HOST, put(a_workspace(), an_agent()))
            async with anyio.create_task_group() as tasks:
                for number in range(40):
                    storage = one if number % 2 else other
                    tasks.start_soon(storage.apply, HOST, put(a_conversation(str(number))))
        stored = (await self.reloaded(tmp_path)).conversations
        assert {conversation.id for conversation in stored} == {str(number) for number in range(40)}

    async def test_a_step_that_is_cancelled_is_done_or_not_begun(self, tmp_path: Path) -> None:
        """Never half of it, and the storage goes on."""
        async with self.opened(tmp_path) as storage:
            await storage.apply(HOST, put(a_workspace(), an_agent()))
            for number in range(5):
                ids = [f"{number} {letter}" for letter in string.ascii_letters]
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(storage.apply, HOST, put(*map(a_conversation, ids)))
                    for _ in range(number):
                        await anyio.lowlevel.checkpoint()
                    tasks.cancel_scope.cancel()
                found = {conversation.id for conversation in (await storage.load(HOST)).conversations}
                assert len(found & set(ids)) in (0, len(ids))

    @given(record=st.one_of(workspaces(), agents(), conversations(), messages(), terminals()))
    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    async def test_every_record_comes_back_as_it_was(self, record: Record) -> None:
        """Whatever its texts, numbers and times are."""
        with tempfile.TemporaryDirectory(prefix="afx") as directory:
            ledger = Ledger()
            support: list[Record] = [a_workspace(path=path) for path in PATHS]
            support += [an_agent(agent_id, workspace=PATHS[0], removed_at=1.0) for agent_id in AGENTS]
            ledger.put([*support, record])
            async with self.opened(Path(directory)) as storage:
                await storage.apply(HOST, put(*support, record))
            assert await self.reloaded(Path(directory)) == ledger.snapshot()

    @given(history=histories())
    @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
    async def test_any_history_equals_the_ledger(self, history: list[Step]) -> None:
        """After steps of two hosts, some of which are refused whole, all is read again."""
        ledgers = {HOST: Ledger(), ELSEWHERE: Ledger()}
        with tempfile.TemporaryDirectory(prefix="afx") as directory:
            async with self.opened(Path(directory)) as storage:
                for step in history:
                    if step.refused:
                        with pytest.raises(StorageError):
                            await storage.apply(step.host, step.changes)
                    else:
                        await storage.apply(step.host, step.changes)
                        ledgers[step.host].note(step.changes)
            for host, ledger in ledgers.items():
                assert await self.reloaded(Path(directory), host) == ledger.snapshot()
