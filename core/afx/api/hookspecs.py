"""The hooks by which plugins register what they bring.

Hooks only register. An entry names a class by its import path, and the class is imported on first use, so
that listing plugins imports none of them. Hook implementations are plain functions: a coroutine function
is refused when the plugin is loaded.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pluggy

from .model import AgentId, AgentState, TerminalId, WorkspacePath

API_VERSION = 1
"""The number of this API. It grows when something that a plugin may rely on changes its meaning."""

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
    """

    commands: tuple[str, ...]


class StrategyEntry(Entry, frozen=True, kw_only=True):
    """A reconnect strategy: the factory names a subclass of `ReconnectStrategy`."""


class StorageEntry(Entry, frozen=True, kw_only=True):
    """A storage: the factory names a subclass of `Storage`."""


class CheckEntry(Entry, frozen=True, kw_only=True):
    """A check of `afx doctor`: the factory names a subclass of `DoctorCheck`."""


class TerminalEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An agent's state changed."""

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
        """Return the reconnect strategies that this plugin brings. Called once, when it is loaded."""
        raise NotImplementedError

    @hookspec
    def afx_storages(self) -> Iterable[StorageEntry]:
        """Return the storages that this plugin brings. Called once, when it is loaded."""
        raise NotImplementedError

    @hookspec
    def afx_doctor_checks(self) -> Iterable[CheckEntry]:
        """Return the checks that this plugin brings to `afx doctor`. Called once, when it is loaded."""
        raise NotImplementedError

    @hookspec
    def afx_terminal_event(self, event: TerminalEvent) -> None:
        """Observe that an agent's state changed. Called in a worker thread, after the change is stored.

        What it raises is logged with the plugin's name and changes nothing.
        """
