"""Observers are told of events, each apart from the others."""

from __future__ import annotations

import logging
import sys

import pytest

from afx.api.hookspecs import EventKind, TerminalEvent
from afx.api.model import AgentState
from afx.quarantine import PluginState
from loader.plugins import Install, entry, load, only, plugin, rows

OBSERVER = """
    '''Watches.'''
    from afx.plugin import hookimpl

    seen = []

    @hookimpl
    def afx_terminal_event(event):
        seen.append(event)
        {then}
"""


def an_event(reason: str = "") -> TerminalEvent:
    return TerminalEvent(
        kind=EventKind.LOST,
        agent_id="a",
        agent_name="fix",
        workspace="/w",
        terminal_id=None,
        state=AgentState.LOST,
        reason=reason,
        at=1.0,
    )


def test_one_raising_observer_does_not_stop_the_others(
    install: Install, caplog: pytest.LogCaptureFixture
) -> None:
    install("a", OBSERVER.format(then=""))
    install("b", OBSERVER.format(then="raise RuntimeError('dizzy')"))
    install("c", OBSERVER.format(then=""))
    plugins = load()
    assert [(row.kind, row.name, row.summary) for row in rows(plugins)] == [
        ("plugin", "a", "Watches."),
        ("plugin", "b", "Watches."),
        ("plugin", "c", "Watches."),
    ]
    event = an_event()
    with caplog.at_level(logging.ERROR, logger="afx.plugins"):
        plugins.emit(event)
    assert [sys.modules[f"{which}_plugin"].seen for which in "abc"] == [[event], [event], [event]]
    (record,) = caplog.records
    assert "b of afx-b" in record.getMessage()


@pytest.mark.parametrize("brings", [f"[{entry()}]", "[]"])
def test_the_first_that_an_observer_raised_is_a_warning(install: Install, brings: str) -> None:
    observer = """
    @hookimpl
    def afx_terminal_event(event):
        raise RuntimeError(event.reason)
    """
    install("a", plugin(brings) + observer)
    plugins = load()
    assert only(plugins).warnings == ()
    for reason in ("dizzy", "dizzier"):
        plugins.emit(an_event(reason))
    row = only(plugins)
    assert row.state is PluginState.ACTIVE
    assert row.warnings == ("At an event it raised RuntimeError: dizzy; the Tower's log tells each time.",)


@pytest.mark.usefixtures("impatient")
def test_an_observer_that_hangs_is_told_once(install: Install) -> None:
    install("a", OBSERVER.format(then="import threading; threading.Event().wait(20)"))
    install("b", OBSERVER.format(then=""))
    plugins = load()
    for _ in range(3):
        plugins.emit(an_event())
    assert [len(sys.modules[f"{which}_plugin"].seen) for which in "ab"] == [1, 3]
    assert [(row.name, row.state) for row in rows(plugins)] == [("a", "broken"), ("b", "active")]
