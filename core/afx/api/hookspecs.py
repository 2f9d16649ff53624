"""The hooks by which plugins register what they bring.

Hooks only register. An entry names a class by its import path, and the class is imported on first use, so
that listing plugins imports none of them. Hook implementations are plain functions: a coroutine function
is refused when the plugin is loaded.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import msgspec
import pluggy

from afx import __version__

from .model import AgentId, AgentState, TerminalId, WorkspacePath

API_VERSION = 1
"""The number of this API. It grows when something that a plugin may rely on changes its meaning."""

RELEASE = __version__
"""The version of the afx that runs, for people to read. For what may be relied on there is `API_VERSION`."""

hookspec = pluggy.HookspecMarker("afx")
hookimpl = pluggy.HookimplMarker("afx")


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What a plugin says about one thing it brings.

    Attributes:
        name: The name people choose it by: lower-case letters, digits and dashes.
        summary: One line about it.
        factory: Where its class is, as ``"package.module:Class"``.
        api_version: The `API_VERSION` it was written for.
    """

    name: str
    summary: str
    factory: str
    api_version: int


class HarnessEntry(Entry, frozen=True, kw_only=True):
    """A harness: the factory names a subclass of `HarnessProvider`.

    Attributes:
        commands: The program's executables, so that an installed harness is recognised without an import.
        declares: Whether this makes a harness out of each section ``[harness.NAME]`` of the settings that no
            plugin brings, rather than being one. Its class is made once for each such NAME.
    """

    commands: tuple[str, ...] = ()
    declares: bool = False


class StrategyEntry(Entry, frozen=True, kw_only=True):
    """A reconnect strategy: the factory names a subclass of `ReconnectStrategy`."""


class StorageEntry(Entry, frozen=True, kw_only=True):
    """A storage: the factory names a subclass of `Storage`."""


class CheckEntry(Entry, frozen=True, kw_only=True):
    """A check of `afx doctor`: the factory names a subclass of `DoctorCheck`."""


class EventKind(StrEnum):
    """What happened to an agent's terminal. Kinds may be added: pass over those that you do not know."""

    SPAWNED = "spawned"
    """Its program was started, in a new conversation where it has any."""
    RESUMED = "resumed"
    """Its program was started again, in a conversation it had before."""
    RECONNECTED = "reconnected"
    """Its terminal survived a restart of the Tower, or answers again."""
    WAITING = "waiting"
    """It begins to wait for the person: for an answer, a permission, or the next task."""
    EXITED = "exited"
    """Its program ended by itself with exit code 0."""
    CRASHED = "crashed"
    """Its program ended by a signal or with another exit code. It may be resumed next."""
    STOPPED = "stopped"
    """A person stopped it."""
    UNREACHABLE = "unreachable"
    """Its terminal's holder does not answer."""
    LOST = "lost"
    """Its terminal is provably gone, and nobody asked for that."""
    NEEDS_ATTENTION = "needs-attention"
    """All that could be done by itself was done. A person has to look."""
    REMOVED = "removed"
    """A person cleaned it up."""


class TerminalEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something happened to an agent's terminal.

    Attributes:
        agent_name: Its kind and name, such as ``builder/fix``.
        terminal_id: The terminal it has after the event, if any.
        state: The agent's state after the event.
        reason: One sentence where there is more to say than the kind; else empty.
        at: When it was noticed, in seconds since the epoch.
    """

    kind: EventKind
    agent_id: AgentId
    agent_name: str
    workspace: WorkspacePath
    terminal_id: TerminalId | None
    state: AgentState
    reason: str
    at: float


class AfxSpecs:
    """The hooks of afx. A plugin implements those it needs, each marked with `hookimpl`."""

    @hookspec
    def afx_harnesses(self) -> Iterable[HarnessEntry]:
        """Return the harnesses that this plugin brings. Called once, when the plugin is loaded.

        Example::

            @hookimpl
            def afx_harnesses():
                return [
                    HarnessEntry(
                        name="foo",
                        summary="The Foo agent.",
                        factory="afx_harness_foo.provider:FooHarness",
                        commands=("foo",),
                        api_version=1,
                    )
                ]
        """
        raise NotImplementedError

    @hookspec
    def afx_reconnect_strategies(self) -> Iterable[StrategyEntry]:
        """Return the reconnect strategies that this plugin brings. Called once, when the plugin is loaded.

        Example::

            @hookimpl
            def afx_reconnect_strategies():
                return [
                    StrategyEntry(
                        name="foo",
                        summary="Each terminal is held by Foo.",
                        factory="afx_reconnect_foo.strategy:FooStrategy",
                        api_version=1,
                    )
                ]
        """
        raise NotImplementedError

    @hookspec
    def afx_storages(self) -> Iterable[StorageEntry]:
        """Return the storages that this plugin brings. Called once, when the plugin is loaded.

        Example::

            @hookimpl
            def afx_storages():
                return [
                    StorageEntry(
                        name="foo",
                        summary="One file for each state directory.",
                        factory="afx_storage_foo.storage:FooStorage",
                        api_version=1,
                    )
                ]
        """
        raise NotImplementedError

    @hookspec
    def afx_doctor_checks(self) -> Iterable[CheckEntry]:
        """Return the checks that this plugin brings to `afx doctor`. Called once, when the plugin is loaded.

        Example::

            @hookimpl
            def afx_doctor_checks():
                return [
                    CheckEntry(
                        name="foo",
                        summary="Whether Foo is installed and new enough.",
                        factory="afx_reconnect_foo.check:FooCheck",
                        api_version=1,
                    )
                ]
        """
        raise NotImplementedError

    @hookspec
    def afx_terminal_event(self, event: TerminalEvent) -> None:
        """Observe what happens to agents. Called after the change is stored, for one event after the other.

        It runs in a thread beside the Tower, so it may block; while it does, events wait. More than 1024 are
        dropped and counted. What it raises is logged with the plugin's name, and changes nothing; the first
        of it is shown by ``afx plugins``. Whatever observers a Tower has, it ends without waiting for them
        longer than a second.

        Example::

            @hookimpl
            def afx_terminal_event(event):
                if event.kind is EventKind.CRASHED:
                    print(f"{event.agent_name} crashed: {event.reason}")
        """
