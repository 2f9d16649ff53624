"""What is installed is found, listed and made on first use."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from afx.api.storage import StorageContext
from afx.api.strategy import StrategyContext
from afx.loader import Plugins
from afx.quarantine import PluginInfo, PluginState
from distribution import write_distribution
from loader.plugins import Install, entry, load, only, plugin, provider, rows


def test_a_plugin_is_listed_without_importing_what_is_behind_it(install: Install) -> None:
    install("foo", plugin(f"[{entry()}]"), foo_provider=provider())
    plugins = load()
    assert only(plugins) == PluginInfo(
        kind="harness",
        name="foo",
        summary="The foo agent.",
        distribution="afx-foo",
        version="1.0",
        state=PluginState.ACTIVE,
        error="",
    )
    assert [found.commands for found in plugins.harness_entries()] == [("foo",)]
    assert "foo_plugin" in sys.modules
    assert "foo_provider" not in sys.modules


def test_a_harness_is_made_once_on_first_use(install: Install) -> None:
    install("foo", plugin(f"[{entry()}]"), foo_provider=provider())
    plugins = load()
    harness = plugins.harness("foo")
    assert (type(harness).__name__, harness.name) == ("Foo", "foo")
    assert plugins.harness("foo") is harness
    assert plugins.harnesses() == [harness]


def test_the_built_in_plugins_are_found() -> None:
    found = {(row.kind, row.distribution) for row in Plugins.load().rows()}
    assert found
    assert {distribution for _, distribution in found} == {"afx"}


def test_strategies_and_storages_get_their_context(site: Path, tmp_path: Path) -> None:
    write_distribution(
        site,
        "afx-kept",
        "kept = kept_plugin:Kept",
        kept_plugin="""
        from afx.plugin import StorageEntry, StrategyEntry, hookimpl

        class Kept:
            @hookimpl
            def afx_storages(self):
                yield StorageEntry(name="kept", summary="", factory="kept_made:Kept", api_version=1)

            @hookimpl
            def afx_reconnect_strategies(self):
                yield StrategyEntry(name="held", summary="", factory="kept_made:Outer.Held", api_version=1)
        """,
        kept_made="""
        from afx.plugin import ReconnectStrategy, Storage

        class Kept(Storage):
            name = "kept"
            open = load = apply = claim = release = aclose = None

        class Outer:
            class Held(ReconnectStrategy):
                name = "held"
                spawn = survey = reconnect = respawn = terminate = None
        """,
    )
    plugins = load()
    assert [(row.kind, row.name) for row in rows(plugins)] == [("strategy", "held"), ("storage", "kept")]
    assert plugins.storage("kept", StorageContext(tmp_path, {})).context.directory == tmp_path
    assert plugins.strategy("held", StrategyContext(tmp_path, {"a": 1})).context.settings == {"a": 1}


def test_rows_are_sorted_and_stable(install: Install) -> None:
    install("b", plugin(f"[{entry('z')}, {entry('y')}]"))
    install("a", "import nowhere")
    install("c", plugin(f"[{entry('x')}]"))
    assert [row.name for row in rows(load())] == ["x", "y", "z", "a"]
    plugins = load()
    assert plugins.rows() == plugins.rows()


def test_plugins_are_loaded_where_the_system_has_no_thread_left(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refused)
    plugins = Plugins.load()
    assert {row.state for row in plugins.rows()} == {PluginState.ACTIVE}
    assert plugins.harness("claude").name == "claude"
