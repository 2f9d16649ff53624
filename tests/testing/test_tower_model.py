"""The Tower keeps its promises through whatever hypothesis thinks of, and the model can tell when not."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from afx.api.model import AgentKind, AgentState, TerminalId, TerminalRecord
from afx.api.storage import Snapshot, Storage, StorageContext
from afx.api.strategy import Life, ReconnectStrategy, StrategyContext, Survival
from afx.testing.memory_storage import MemoryStorage
from afx.testing.memory_strategy import MemoryStrategy, World
from afx.testing.model import TowerModel, model_settings


@pytest.mark.timeout(3600)
def test_the_tower_keeps_its_promises(pytestconfig: pytest.Config) -> None:
    lives, shrink = pytestconfig.getoption("model_lives"), pytestconfig.getoption("model_shrink")
    known = settings(model_settings(lives, shrink=shrink), derandomize=os.environ.get("CI") == "true")
    run_state_machine_as_test(TowerModel, settings=known)


def test_who_crashed_comes_back_once_the_disk_is_no_longer_full() -> None:
    model = TowerModel()
    model.begin(tells_holders=True, crew=[(AgentKind.BUILDER, 1)])
    try:
        model.promises_are_kept()
        model.end_program(who=0, how=(1, None))
        model.machine.pass_time(0.1)
        model.fill_the_disk(steps=4)
        model.machine.pass_time(0.5)
        assert model.machine.ledger.failures < 4, "it was tried meanwhile"
        model.settle()
        assert model.machine.tower is not None
        assert {agent.state for agent in model.machine.tower.agents.all()} == {AgentState.RUNNING}
    finally:
        model.teardown()


class TakesSilenceForDeath(MemoryStrategy):
    async def survey(
        self, records: Sequence[TerminalRecord], deadline: float
    ) -> Mapping[TerminalId, Survival]:
        found = await super().survey(records, deadline)
        dead = Survival(Life.DEAD, "It does not answer.")
        return {one: dead if it.life is Life.NO_ANSWER else it for one, it in found.items()}


class KillsWhatHangs(MemoryStrategy):
    async def survey(
        self, records: Sequence[TerminalRecord], deadline: float
    ) -> Mapping[TerminalId, Survival]:
        found = await super().survey(records, deadline)
        for one, survival in found.items():
            if survival.life is Life.NO_ANSWER:
                self.world.kill(one)
        return found


class ForgetsTheUnrecorded(MemoryStorage):
    async def load(self, host: str) -> Snapshot:
        found = await super().load(host)
        with_terminal = {one.agent_id for one in found.terminals}
        kept = tuple(one for one in found.conversations if one.agent_id in with_terminal)
        return msgspec.structs.replace(found, conversations=kept)


def with_strategy(strategy: type[MemoryStrategy]) -> type[TowerModel]:
    class Model(TowerModel):
        def strategy_factory(self, directory: Path, world: World) -> ReconnectStrategy:
            return strategy(StrategyContext(directory, {}), world)

    return Model


def with_storage(storage: type[MemoryStorage]) -> type[TowerModel]:
    class Model(TowerModel):
        def storage_factory(self, directory: Path) -> Storage:
            return storage(StorageContext(directory, {}))

    return Model


@pytest.mark.parametrize(
    ("model", "promise"),
    [
        (with_strategy(TakesSilenceForDeath), "is pruned; its holder lives"),
        (with_strategy(KillsWhatHangs), "ended by nobody's wish"),
        (with_storage(ForgetsTheUnrecorded), "stored no more"),
    ],
)
def test_what_breaks_a_promise_is_caught(model: type[TowerModel], promise: str) -> None:
    known = settings(model_settings(300, shrink=False), derandomize=True)
    with pytest.raises(AssertionError, match=promise):
        run_state_machine_as_test(model, settings=known)
