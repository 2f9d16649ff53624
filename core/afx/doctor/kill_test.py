"""Proves on this machine that nothing is lost: kills a throwaway Tower and its holders, and looks again.

On every reconnect strategy that works here terminals count aloud, and an agent keeps a conversation, while
the Tower is killed, one holder is stopped, and one is killed. What is seen is told, with how long it took and
whether a line is missing.
"""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable, Iterable, Iterator

import msgspec

from afx.api.errors import AfxError
from afx.api.process import send_signal

from .throwaway import ThrowawayTower, eventually, throwaway_tower, wait_for_death

COUNTER = "i=0; while :; do echo count $i; i=$((i+1)); sleep 0.01; done"
START = "start"
"""What is said to be done of a strategy on which nothing could be started."""
_ENOUGH = 20
_KILLS = 3


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What was done to a terminal, and what became of it.

    Attributes:
        done: What was done.
        became: What became of the terminal, in a word or two.
        passed: Whether that is what afx promises.
        seconds: How long that took; None where it never came to it.
        missing: How many of its lines are missing, doubled or out of order; None where they are not counted.
    """

    strategy: str
    done: str
    became: str
    passed: bool
    seconds: float | None = None
    missing: int | None = None


def kill_test(strategies: Iterable[str], needed: str, tell: Callable[[str], None]) -> Iterator[Trial]:
    """Kill things on each strategy and yield what became of them.

    Args:
        strategies: Names of reconnect strategies.
        needed: The one that has to work here. Another that does not is passed over.
        tell: Is told what is being done.

    Raises:
        AfxError: The throwaway Tower cannot be had at all.
    """
    for strategy in strategies:
        with throwaway_tower() as tower:
            tell(f"{strategy}: starting terminals")
            tower.start()
            tower.make_workspace()
            try:
                for name in ("kept", "stopped"):
                    tower.shell(name, strategy, COUNTER)
                tower.builder("talker", strategy)
            except AfxError as error:
                passed = strategy != needed
                yield Trial(strategy=strategy, done=START, became=error.message, passed=passed)
                continue
            yield from _kill_the_tower(tower, strategy, tell)
            yield from _stop_a_holder(tower, strategy, tell)
            yield from _kill_a_program(tower, strategy, tell)
            yield from _kill_a_holder(tower, strategy, tell)


def missing_lines(output: bytes) -> int:
    """Return how many lines of a counter's output are missing, doubled or out of order.

    The last line may be cut, and does not count.
    """
    numbers = [int(number) for number in re.findall(rb"count (\d+)\r?\n", output)]
    if not numbers:
        return 1
    expected = range(numbers[0], numbers[0] + len(numbers))
    return sum(number != wanted for number, wanted in zip(numbers, expected, strict=True)) + numbers[0]


def _kill_the_tower(tower: ThrowawayTower, strategy: str, tell: Callable[[str], None]) -> Iterator[Trial]:
    before = tower.agents()
    for _ in range(_KILLS):
        tell(f"{strategy}: killing the Tower")
        _await_output(tower, "kept")
        tower.kill()
        took = tower.start()
        after = tower.agents()
        same = [name for name in before if _place(after.get(name)) == _place(before[name])]
        _await_output(tower, "kept")
        outputs = [tower.output(_terminal(tower, name)) for name in same if name != "talker"]
        yield Trial(
            strategy=strategy,
            done="Tower: SIGKILL",
            became=f"{len(same)} of {len(before)} survived",
            passed=len(same) == len(before),
            seconds=took,
            missing=sum(map(missing_lines, outputs)),
        )


def _stop_a_holder(tower: ThrowawayTower, strategy: str, tell: Callable[[str], None]) -> Iterator[Trial]:
    tell(f"{strategy}: stopping a holder, and killing the Tower beside it")
    before = tower.agents()["stopped"]
    holder = tower.holder("stopped")
    if holder is None:
        yield Trial(strategy=strategy, done="holder: SIGSTOP", became="no holder found", passed=False)
        return
    send_signal(holder, signal.SIGSTOP)
    try:
        tower.kill()
        took = tower.start()
        state = tower.agents()["stopped"]["state"]
    finally:
        send_signal(holder, signal.SIGCONT)
    yield Trial(
        strategy=strategy,
        done="holder: SIGSTOP, Tower: SIGKILL",
        became=f"{state}, kept",
        passed=state == "unreachable",
        seconds=took,
    )
    began = time.monotonic()
    back = eventually(lambda: _place(tower.agents()["stopped"]) == _place(before))
    took = time.monotonic() - began
    if back:
        _await_output(tower, "stopped")
    yield Trial(
        strategy=strategy,
        done="holder: SIGCONT",
        became="survived" if back else tower.agents()["stopped"]["state"],
        passed=bool(back),
        seconds=took if back else None,
        missing=missing_lines(tower.output(before["terminal"]["id"])) if back else None,
    )


def _kill_a_program(tower: ThrowawayTower, strategy: str, tell: Callable[[str], None]) -> Iterator[Trial]:
    tell(f"{strategy}: killing a program")
    agent = tower.agents()["kept"]
    terminal = agent["terminal"]["id"]
    tower.ask("POST", f"/api/terminals/{terminal}/signal", {"signal": "KILL"})
    eventually(lambda: tower.agents()["kept"]["state"] != "running")
    missing = missing_lines(tower.output(terminal))
    state = tower.agents()["kept"]["state"]
    yield Trial(
        strategy=strategy,
        done="program: SIGKILL",
        became=f"{state}, its output kept",
        passed=state != "running",
        missing=missing,
    )
    revived = _revive(tower, strategy, "kept")
    same = revived.passed and tower.agents()["kept"]["terminal"]["id"] == terminal
    yield msgspec.structs.replace(revived, became="revived in its terminal" if same else revived.became)


def _kill_a_holder(tower: ThrowawayTower, strategy: str, tell: Callable[[str], None]) -> Iterator[Trial]:
    tell(f"{strategy}: killing a holder")
    conversation = tower.agents()["talker"]["conversation"]["id"]
    holder = tower.holder("talker")
    if holder is None:
        yield Trial(strategy=strategy, done="holder: SIGKILL", became="no holder found", passed=False)
        return
    began = time.monotonic()
    send_signal(holder, signal.SIGKILL)
    wait_for_death(holder)
    noticed = eventually(lambda: tower.agents()["talker"]["state"] == "lost")
    yield Trial(
        strategy=strategy,
        done="holder: SIGKILL",
        became="known to be lost" if noticed else tower.agents()["talker"]["state"],
        passed=bool(noticed),
        seconds=time.monotonic() - began,
    )
    revived = _revive(tower, strategy, "talker")
    if revived.passed:
        said = f"conversation {conversation}, turn 2".encode()
        same = eventually(lambda: said in tower.output(_terminal(tower, "talker")))
        became = f"revived with {'its' if same else 'another'} conversation"
        revived = msgspec.structs.replace(revived, became=became, passed=bool(same))
    yield revived


def _revive(tower: ThrowawayTower, strategy: str, name: str) -> Trial:
    done = "afx start"
    began = time.monotonic()
    try:
        tower.ask("POST", f"/api/agents/{tower.agents()[name]['id']}/resume", {})
    except AfxError as error:
        return Trial(strategy=strategy, done=done, became=error.message, passed=False)
    took = time.monotonic() - began
    runs = eventually(lambda: tower.agents()[name]["state"] == "running")
    return Trial(
        strategy=strategy,
        done=done,
        became="revived" if runs else tower.agents()[name]["state"],
        passed=bool(runs),
        seconds=took,
    )


def _terminal(tower: ThrowawayTower, name: str) -> str:
    return str(tower.agents()[name]["terminal"]["id"])


def _place(agent: dict[str, object] | None) -> tuple[object, ...]:
    """Return what stays the same of an agent that survives: its terminal, its process, that it runs."""
    terminal = None if agent is None else agent["terminal"]
    if agent is None or not isinstance(terminal, dict):
        return ()
    return (terminal["id"], terminal["pid"], agent["state"])


def _await_output(tower: ThrowawayTower, name: str) -> None:
    """Wait until an agent has said some more, as a sign that it works."""
    terminal = tower.agents()[name]["terminal"]["id"]
    before = len(tower.output(terminal))
    eventually(lambda: len(tower.output(terminal)) > before + _ENOUGH * len("count 10\r\n"))
