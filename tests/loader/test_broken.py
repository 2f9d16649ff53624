"""What is broken is kept apart from what is not, and says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from afx.api.errors import PluginError
from afx.quarantine import PluginState, recall
from distribution import write_distribution
from loader.plugins import Install, entry, load, only, plugin, provider, rows

BROKEN = {
    "import error": ("import nowhere_to_be_found", "nowhere_to_be_found"),
    "syntax error": ("def", "SyntaxError"),
    "exits": ("raise SystemExit(3)", "SystemExit"),
    "interrupts": ("raise KeyboardInterrupt", "Its import raised KeyboardInterrupt."),
    "async hook": (
        """
        from afx.plugin import hookimpl

        @hookimpl
        async def afx_harnesses():
            return []
        """,
        "asynchronous",
    ),
    "hook that returns a coroutine": (
        """
        from afx.plugin import hookimpl

        async def later():
            return []

        @hookimpl
        def afx_harnesses():
            return later()
        """,
        "asynchronous",
    ),
    "async generator": (
        """
        from afx.plugin import hookimpl

        @hookimpl
        async def afx_storages():
            yield 1
        """,
        "asynchronous",
    ),
    "unknown argument": (
        """
        from afx.plugin import hookimpl

        @hookimpl
        def afx_harnesses(config):
            return []
        """,
        "config",
    ),
    "unknown hook": (
        """
        from afx.plugin import hookimpl

        @hookimpl
        def afx_harness():
            return []
        """,
        "unknown hook 'afx_harness'",
    ),
    "wrapper": (
        """
        import pluggy

        @pluggy.HookimplMarker("afx")(wrapper=True)
        def afx_harnesses():
            return (yield)
        """,
        "wrapper",
    ),
    "hook that raises": (
        """
        from afx.plugin import hookimpl

        @hookimpl
        def afx_harnesses():
            raise RuntimeError("no foo\\nhere")
        """,
        "Its hook afx_harnesses raised RuntimeError: no foo here.",
    ),
    "hook that interrupts": (
        """
        from afx.plugin import hookimpl

        @hookimpl
        def afx_harnesses():
            raise KeyboardInterrupt
        """,
        "Its hook afx_harnesses raised KeyboardInterrupt.",
    ),
    "hook that raises after a good entry": (
        f"""
        from afx.plugin import HarnessEntry, hookimpl

        @hookimpl
        def afx_harnesses():
            yield {entry()}
            raise RuntimeError("half way")
        """,
        "half way",
    ),
    "one entry, no list": (plugin(entry()), "no list"),
    "another kind's entry": (plugin(f"[{entry()}]", "afx_storages"), "no StorageEntry"),
    "no entry": (plugin("['foo']"), "'foo', which is no HarnessEntry"),
    "bad name": (plugin(f"[{entry(name='../Foo')}]"), "'../Foo'"),
    "bad factory": (plugin(f"[{entry(factory='foo.Foo')}]"), "'package.module:Class'"),
    "bad type": (plugin(f"[{entry(api_version='1')}]"), "api_version"),
    "twice": (plugin(f"[{entry()}, {entry()}]"), "twice"),
}


@pytest.mark.parametrize(("text", "error"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_plugin_is_kept_apart(install: Install, text: str, error: str) -> None:
    install("bad", text, version="0.3")
    install(
        "foo",
        plugin(f"[{entry('good', 'good_provider:Good')}]"),
        good_provider=provider("good"),
    )
    plugins = load()
    good, bad = rows(plugins)
    assert (good.name, good.state) == ("good", PluginState.ACTIVE)
    assert (bad.kind, bad.name, bad.distribution, bad.version) == ("plugin", "bad", "afx-bad", "0.3")
    assert bad.state is PluginState.BROKEN
    assert error in bad.error
    assert "\n" not in bad.error
    assert plugins.harness("good").name == "good"
    with pytest.raises(PluginError, match="no harness 'foo'"):
        plugins.harness("foo")


@pytest.mark.parametrize(("version", "words"), [(99, "Upgrade afx"), (0, "Upgrade the plugin")])
def test_an_entry_for_another_api_is_incompatible(install: Install, version: int, words: str) -> None:
    entries = f"[{entry('old', api_version=version)}, {entry('new')}]"
    install("foo", plugin(entries))
    plugins = load()
    new, old = rows(plugins)
    assert (new.state, old.state) == (PluginState.ACTIVE, PluginState.INCOMPATIBLE)
    assert str(version) in old.error
    with pytest.raises(PluginError, match="incompatible") as caught:
        plugins.harness("old")
    assert words in caught.value.hint


@pytest.mark.parametrize(
    ("provider", "error"),
    [
        ("import nowhere_at_all", "nowhere_at_all"),
        ("Bar = 1", "no attribute 'Foo'"),
        ("Foo = 1", "no subclass of HarnessProvider"),
        ("class Foo: name = 'foo'", "no subclass of HarnessProvider"),
        (provider("fu", cls="Foo"), "calls itself 'fu'"),
        ("from afx.plugin import HarnessProvider\nclass Foo(HarnessProvider): name = 'foo'", "abstract"),
        (
            (
                "from afx.plugin import HarnessProvider, PluginError\n"
                "class Foo(HarnessProvider):\n"
                "    name = 'foo'\n"
                "    launch = None\n"
                "    def __init__(self, context): raise PluginError('No Foo today.', hint='Come tomorrow.')"
            ),
            "No Foo today.",
        ),
    ],
)
def test_a_class_that_cannot_be_made_becomes_broken(install: Install, provider: str, error: str) -> None:
    install("foo", plugin(f"[{entry()}]"), foo_provider=provider)
    plugins = load()
    assert only(plugins).state is PluginState.ACTIVE
    with pytest.raises(PluginError, match=r"The harness 'foo' of afx-foo 1\.0 is broken") as caught:
        plugins.harness("foo")
    assert error in caught.value.message
    assert caught.value.hint
    row = only(plugins)
    assert row.state is PluginState.BROKEN
    assert error in row.error
    with pytest.raises(PluginError, match="broken"):
        plugins.harness("foo")
    assert plugins.harnesses() == []


HANGS = "import threading; threading.Event().wait(20)"


@pytest.mark.usefixtures("impatient")
def test_a_plugin_that_hangs_is_given_up(install: Install) -> None:
    install("a", HANGS)
    install("b", plugin(f"(__import__('threading').Event().wait(20), {entry()})"))
    install("c", plugin(f"[{entry('c', 'hang_made:C')}]"), hang_made=HANGS)
    plugins = load()
    broken = {row.name: row.error for row in rows(plugins) if row.state is PluginState.BROKEN}
    assert broken == {
        "a": "Its import took longer than 0.2 s and was given up.",
        "b": "Its hook afx_harnesses took longer than 0.2 s and was given up.",
    }
    with pytest.raises(PluginError, match="Its import took longer"):
        plugins.harness("c")


def test_since_when_is_remembered(install: Install, tmp_path: Path) -> None:
    install("a", "import nowhere")
    first = load()
    first.remember(tmp_path / "plugins.json")
    later = load()
    later.remember(tmp_path / "plugins.json")
    assert only(first).since is not None
    assert only(later).since == only(first).since
    assert only(later).hint == "Tell its author. `afx plugins disable a` switches it off."
    (tmp_path / "plugins.json").write_text("nonsense")
    load().remember(tmp_path / "plugins.json")
    assert recall(tmp_path / "plugins.json")


def test_an_unreadable_distribution_costs_nobody_else(install: Install, site: Path) -> None:
    install("foo", plugin(f"[{entry()}]"))
    write_distribution(site, "afx-torn", "this line is no entry point")
    found = {row.name: row.state for row in rows(load())}
    assert found["foo"] is PluginState.ACTIVE
    assert found.get("afx-torn", PluginState.BROKEN) is PluginState.BROKEN
