"""What may happen to a Tower, as rules, and what must hold whatever does, as invariants.

The Tower is the real one. Around it the machine, its programs and its terminals are played.
"""
# ruff: noqa: S101 - a model is a test

from __future__ import annotations

import itertools
import sys
from collections.abc import Coroutine, Sequence
from functools import partial
from pathlib import Path

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from afx.api.harness import HarnessProvider
from afx.api.model import AgentId, AgentKind, ConversationId
from afx.api.process import ProcessIdentity
from afx.api.storage import Storage, StorageContext
from afx.api.strategy import Cause, ReconnectStrategy, StrategyContext
from afx.testing.memory_storage import MemoryStorage
from afx.testing.memory_strategy import Holder, MemoryStrategy, World

from .machine import Machine
from .people import WISHES, fulfil, spawn
from .programs import Program, Programs, model_harnesses
from .settled import amiss

_MOST_AGENTS = 4
_WHO = st.integers(0, _MOST_AGENTS - 1)
_WISH = st.sampled_from(WISHES)
_KIND = st.sampled_from([AgentKind.ARCHITECT, AgentKind.BUILDER])
_NUMBER = st.integers(0, 2)
_STEPS = st.integers(0, 40)


class TowerModel(RuleBasedStateMachine):
    """A model of a Tower and its world, to run as it is, or over a storage, strategy or harness of yours.

    Its promises are: never are two live programs in one conversation; no id of a conversation is ever lost;
    nothing is pruned that was not proven to be gone, and nothing ended that nobody asked to be ended. Say
    what is yours, and run it as hypothesis's state machines are run::

        from afx.testing.model import TowerModel

        class MyModel(TowerModel):
            def storage_factory(self, directory: Path) -> Storage:
                return MyStorage(StorageContext(directory, {}))

        TestMyStorageUnderTheTower = MyModel.TestCase

    A failure is shown as the shortest program of rules that leads to it.

    Attributes:
        grace: How many real seconds the model's clock waits for threads and processes of yours before it lets
            time pass. What is done in anyio's threads, or in none, needs none.
    """

    grace = 0.0

    def storage_factory(self, directory: Path) -> Storage:
        """Return a storage that keeps its records in `directory`, not opened yet."""
        return MemoryStorage(StorageContext(directory, {}))

    def strategy_factory(self, directory: Path, world: World) -> ReconnectStrategy:
        """Return a strategy, not started yet, whose terminals live in `world`."""
        return MemoryStrategy(StrategyContext(directory, {}), world)

    def harness_factory(self, programs: Programs, *, tells_holders: bool) -> Sequence[HarnessProvider]:
        """Return the harnesses of agents. Their programs are played: no program of theirs is run.

        Args:
            programs: The programs that live, and what they have written.
            tells_holders: Whether it can be told who has a conversation open, where you have a choice.
        """
        return model_harnesses(programs, tells_holders=tells_holders)

    def record(self, program: Program, session_id: ConversationId) -> None:
        """Write the transcript of a conversation as the program would; for a harness of yours."""

    @initialize(tells_holders=st.booleans(), crew=st.lists(st.tuples(_KIND, _NUMBER), min_size=1, max_size=3))
    def begin(self, tells_holders: bool, crew: list[tuple[AgentKind, int]]) -> None:
        """Have a machine with a Tower and some agents, which have begun to work."""
        self.tells_holders = tells_holders
        self.machine = Machine(
            storage_factory=self.storage_factory,
            strategy_factory=self.strategy_factory,
            harnesses=lambda programs: self.harness_factory(programs, tells_holders=tells_holders),
            record=self.record,
            grace=self.grace,
        )
        self.agents: list[AgentId] = []
        self.numbers = itertools.count(1)
        assert not (why := self.machine.boot()), why
        for kind, which in crew:
            self.machine.run(self._spawned(kind, which))
        for holder in self.machine.world.holders.values():
            self.machine.change(partial(self.machine.say_something, holder))
        self.machine.pass_time(1.0)

    def _who(self, number: int) -> AgentId:
        return self.agents[number % len(self.agents)]

    def _holder(self, number: int) -> Holder | None:
        return self.machine.holder_of(self._who(number))

    # What people do.

    @precondition(lambda self: self.machine.tower is not None and len(self.agents) < _MOST_AGENTS)
    @rule(kind=_KIND, which=_NUMBER)
    def spawn(self, kind: AgentKind, which: int) -> None:
        """A person starts an agent."""
        self.machine.run(self._spawned(kind, which))

    @precondition(lambda self: self.machine.tower is not None and len(self.agents) < _MOST_AGENTS)
    @rule(kind=_KIND, which=_NUMBER, steps=_STEPS)
    def crash_while_spawning(self, kind: AgentKind, which: int, steps: int) -> None:
        """The Tower crashes while it starts an agent."""
        self.machine.crash(steps, self._spawned(kind, which))

    def _spawned(self, kind: AgentKind, which: int) -> Coroutine[None, None, None]:
        harnesses = sorted(self.machine.programs.harnesses)
        name = f"a{next(self.numbers)}"
        return spawn(self.machine, kind, name, harnesses[which % len(harnesses)])

    @precondition(lambda self: self.machine.tower is not None and self.agents)
    @rule(wish=_WISH, who=_WHO)
    def ask(self, wish: str, who: int) -> None:
        """A person wants something of an agent."""
        self.machine.run(fulfil(self.machine, [(wish, self._who(who))]))

    @precondition(lambda self: self.machine.tower is not None and self.agents)
    @rule(wishes=st.lists(_WISH, min_size=2, max_size=3), who=_WHO)
    def ask_at_once(self, wishes: list[str], who: int) -> None:
        """People want several things of an agent at the same time."""
        self.machine.run(fulfil(self.machine, [(wish, self._who(who)) for wish in wishes]))

    @precondition(lambda self: self.machine.tower is not None and self.agents)
    @rule(wish=_WISH, who=_WHO, steps=_STEPS)
    def crash_while_asked(self, wish: str, who: int, steps: int) -> None:
        """The Tower crashes while it does what a person wants."""
        self.machine.crash(steps, fulfil(self.machine, [(wish, self._who(who))]))

    # What programs do.

    @precondition(lambda self: self.agents)
    @rule(who=_WHO)
    def say_something(self, who: int) -> None:
        """There is a turn of a conversation."""
        holder = self._holder(who)
        if holder is not None and holder.exit is None:
            self.machine.change(lambda: self.machine.say_something(holder))

    @precondition(lambda self: self.agents)
    @rule(who=_WHO, how=st.sampled_from([(0, None), (1, None), (None, 9)]))
    def end_program(self, who: int, how: tuple[int | None, int | None]) -> None:
        """A program ends."""
        holder = self._holder(who)
        if holder is not None:
            self.machine.end_program(holder, *how)

    @precondition(lambda self: self.tells_holders and self.agents)
    @rule(who=_WHO)
    def run_it_by_hand(self, who: int) -> None:
        """A person resumes what an agent had in a terminal of their own, where it is not open."""
        for one in sorted(self.machine.ledger.stored.get(self._who(who), ())):
            if self.machine.programs.holder_of(one) is None:
                self.machine.programs.by_hand[one] = ProcessIdentity(pid=1, start="by hand", boot_id="model")

    @rule()
    def end_what_runs_by_hand(self) -> None:
        """That person leaves."""
        self.machine.programs.by_hand.clear()

    # What befalls holders and the machine.

    @precondition(lambda self: self.agents)
    @rule(who=_WHO, cause=st.sampled_from(Cause))
    def kill_holder(self, who: int, cause: Cause) -> None:
        """A holder dies without a word."""
        holder = self._holder(who)
        if holder is not None:
            self.machine.kill_holder(holder, cause)

    @precondition(lambda self: self.agents)
    @rule(who=_WHO, hangs=st.booleans())
    def hang_or_go_on(self, who: int, hangs: bool) -> None:
        """A holder that is recorded answers nobody, or answers again."""
        holder = self._holder(who)
        if holder is not None and (holder.spec.id in self.machine.ledger.recorded or not hangs):
            self.machine.change(lambda: setattr(holder, "hangs", hangs))

    @precondition(lambda self: self.agents)
    @rule(who=_WHO)
    def break_connection(self, who: int) -> None:
        """A connection to a holder breaks."""
        holder = self._holder(who)
        if holder is not None and holder.hold is not None:
            self.machine.change(holder.hold.lose)

    @rule(steps=st.integers(1, 4))
    def fill_the_disk(self, steps: int) -> None:
        """The next few things cannot be stored."""
        self.machine.ledger.failures = steps

    @rule(why=st.sampled_from(["", "There are no more processes."]))
    def refuse_to_start(self, why: str) -> None:
        """Nothing can be started, or everything again."""
        self.machine.world.refuses = why

    @rule(seconds=st.sampled_from([0.01, 0.3, 2.0, 20.0]))
    def pass_time(self, seconds: float) -> None:
        """Time passes."""
        self.machine.pass_time(seconds)

    # Towers.

    @precondition(lambda self: self.machine.tower is None)
    @rule()
    def boot(self) -> None:
        """A Tower boots."""
        self.machine.boot()

    @precondition(lambda self: self.machine.tower is None)
    @rule(steps=_STEPS)
    def crash_while_booting(self, steps: int) -> None:
        """A Tower crashes while it boots."""
        self.machine.crash_while_booting(steps)

    @precondition(lambda self: self.machine.tower is not None)
    @rule(steps=_STEPS)
    def crash(self, steps: int) -> None:
        """The Tower crashes in the middle of whatever it does."""
        self.machine.crash(steps)

    @precondition(lambda self: self.machine.tower is not None)
    @rule()
    def stop(self) -> None:
        """The Tower stops."""
        self.machine.stop()

    @rule()
    def reboot(self) -> None:
        """The machine reboots."""
        self.machine.reboot()

    @rule()
    def settle(self) -> None:
        """Everything is well again but what hangs, and stays so for minutes."""
        self._settle()

    def _settle(self) -> None:
        machine = self.machine
        machine.ledger.failures, machine.world.refuses = 0, ""
        if machine.tower is None:
            assert not (why := machine.boot()), f"The Tower does not boot: {why}"
        machine.pass_time(120.0)
        assert machine.tower is not None
        assert not (wrong := list(amiss(machine, machine.tower))), " ".join(wrong)

    # What must always hold.

    @invariant()
    def promises_are_kept(self) -> None:
        """Nobody was ended, and no id was lost."""
        machine = self.machine
        machine.check()
        for terminal_id in machine.ledger.living:
            assert terminal_id in machine.world.holders, f"Terminal {terminal_id} was ended by nobody's wish."
        sent = {one: holder.signals for one, holder in machine.world.holders.items() if holder.signals}
        assert not sent, f"Signals were sent: {sent}."
        had = {(agent_id, one) for agent_id, ids in machine.ledger.stored.items() for one in ids}
        lost = had - {(one.agent_id, one.id) for one in machine.stored().conversations}
        assert not lost, f"Agents and ids that are stored no more: {sorted(lost)}."
        if machine.tower is not None:
            agents = machine.tower.agents
            lost = {
                (who, one) for who, one in had if one not in {had.id for had in agents.conversations(who)}
            }
            assert not lost, f"Agents and ids that the Tower knows no more: {sorted(lost)}."
            self.agents = [agent.id for agent in sorted(agents.all(), key=lambda agent: int(agent.name[1:]))]

    def teardown(self) -> None:
        """Every life ends well, and nothing is left behind."""
        if not hasattr(self, "machine"):
            return
        try:
            if sys.exc_info()[0] is None:
                self._settle()
        finally:
            self.machine.close()


def model_settings(lives: int = 100, *, shrink: bool = True) -> settings:
    """Return settings for a run of the model.

    Args:
        lives: How many Towers live, each through at most thirty things that happen. A hundred take seconds.
        shrink: Whether the shortest way to a failure is looked for, which may take minutes.
    """
    phases = (Phase.explicit, Phase.reuse, Phase.generate, *([Phase.shrink] if shrink else []))
    return settings(
        max_examples=lives,
        stateful_step_count=30,
        deadline=None,
        phases=phases,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


TowerModel.TestCase.settings = model_settings()
