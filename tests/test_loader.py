"""The loader, against distributions that are written to disk as an installer would leave them."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from afx.api.doctor import DoctorContext, Finding
from afx.api.errors import PluginError
from afx.api.hookspecs import EventKind, TerminalEvent
from afx.api.model import AgentState
from afx.api.storage import StorageContext
from afx.api.strategy import StrategyContext
from afx.loader import Plugins
from afx.quarantine import PluginInfo, PluginState, recall
from distribution import write_distribution

Install = Callable[..., None]

HARNESS = """
    from afx.plugin import Command, HarnessProvider

    class {cls}(HarnessProvider):
        name = "{name}"
        commands = ("{name}",)

        def launch(self, request):
            return Command(argv=("{name}",), env={{}}, cwd="/")
"""


def plugin(entries: str, hook: str = "afx_harnesses") -> str:
    return f"""
    '''A plugin of a test.

    More about it.
    '''
    from afx.plugin import HarnessEntry, StorageEntry, StrategyEntry, hookimpl

    @hookimpl
    def {hook}():
        return {entries}
    """


def entry(name: str = "foo", factory: str = "foo_provider:Foo", api_version: object = 1) -> str:
    return (
        f"HarnessEntry(name={name!r}, summary='The {name} agent.', factory={factory!r}, "
        f"api_version={api_version!r}, commands=({name!r},))"
    )


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install a distribution with one entry point and the modules given, for this test only."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    before = set(sys.modules)

    def put(distribution: str, points: str, version: str = "1.0", **modules: str) -> None:
        write_distribution(site, distribution, points, version, **modules)

    yield put
    for name in set(sys.modules) - before:
        if str(site) in str(getattr(sys.modules[name], "__file__", None)):
            del sys.modules[name]


def load(*disabled: str) -> Plugins:
    """Load what is installed, without the built-in plugins."""
    return Plugins.load(["afx", *disabled])


def rows(plugins: Plugins) -> list[PluginInfo]:
    return [row for row in plugins.rows() if row.distribution != "afx"]


def only(plugins: Plugins) -> PluginInfo:
    (row,) = rows(plugins)
    return row


def an_event() -> TerminalEvent:
    return TerminalEvent(
        kind=EventKind.LOST,
        agent_id="a",
        agent_name="fix",
        workspace="/w",
        terminal_id=None,
        state=AgentState.LOST,
        reason="",
        at=1.0,
    )


def test_a_plugin_is_listed_without_importing_what_is_behind_it(install: Install) -> None:
    install("afx-foo", "foo = foo_plugin", foo_plugin=plugin(f"[{entry()}]"), foo_provider=HARNESS)
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
    install(
        "afx-foo",
        "foo = foo_plugin",
        foo_plugin=plugin(f"[{entry()}]"),
        foo_provider=HARNESS.format(cls="Foo", name="foo"),
    )
    plugins = load()
    harness = plugins.harness("foo")
    assert (type(harness).__name__, harness.name) == ("Foo", "foo")
    assert plugins.harness("foo") is harness
    assert plugins.harnesses() == [harness]


def test_the_built_in_plugins_are_found() -> None:
    found = {(row.kind, row.distribution) for row in Plugins.load().rows()}
    assert found
    assert {distribution for _, distribution in found} == {"afx"}


def test_strategies_and_storages_get_their_context(install: Install, tmp_path: Path) -> None:
    install(
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


BROKEN = {
    "import error": ("import nowhere_to_be_found", "nowhere_to_be_found"),
    "syntax error": ("def", "SyntaxError"),
    "exits": ("raise SystemExit(3)", "SystemExit"),
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
        "RuntimeError: no foo here",
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
    install("afx-bad", "bad = bad_plugin", version="0.3", bad_plugin=text)
    install(
        "afx-foo",
        "foo = good_plugin",
        good_plugin=plugin(f"[{entry('good', 'good_provider:Good')}]"),
        good_provider=HARNESS.format(cls="Good", name="good"),
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


def test_two_distributions_may_use_one_entry_point_name(install: Install) -> None:
    install("afx-a", "same = same_a", same_a=plugin(f"[{entry('a')}]"))
    install("afx-b", "same = same_b", same_b=plugin(f"[{entry('b')}]"))
    assert [(row.name, row.distribution) for row in rows(load())] == [("a", "afx-a"), ("b", "afx-b")]


def test_a_name_claimed_twice_fails_when_it_is_asked_for(install: Install) -> None:
    install("afx-a", "a = claim_a", claim_a=plugin(f"[{entry('foo')}]"))
    install(
        "afx-b",
        "b = claim_b",
        version="2.0",
        claim_b=plugin(f"[{entry('foo')}, {entry('bar', 'bar_provider:Bar')}]"),
        bar_provider=HARNESS.format(cls="Bar", name="bar"),
    )
    plugins = load()
    with pytest.raises(PluginError, match=r"afx-a 1\.0 and by afx-b 2\.0") as caught:
        plugins.harness("foo")
    assert "AFX_DISABLED_PLUGINS" in caught.value.hint
    assert plugins.harness("bar").name == "bar"
    assert [found.name for found in plugins.harness_entries()] == ["bar"]
    # As the hint says, switching one off gives the name to the other.
    (row,) = (row for row in load("Afx_B").rows() if row.kind == "harness" and row.distribution != "afx")
    assert (row.name, row.distribution, row.state) == ("foo", "afx-a", PluginState.ACTIVE)


@pytest.mark.parametrize(
    ("disabled", "kind"), [("point", "plugin"), ("afx-foo", "plugin"), ("foo", "harness")]
)
@pytest.mark.parametrize("how", ["environment", "argument"])
def test_a_plugin_can_be_switched_off(
    install: Install, monkeypatch: pytest.MonkeyPatch, disabled: str, kind: str, how: str
) -> None:
    install("afx-foo", "point = off_plugin", off_plugin=plugin(f"[{entry()}]"))
    if how == "environment":
        monkeypatch.setenv("AFX_DISABLED_PLUGINS", f"other, {disabled}")
        plugins = load()
    else:
        plugins = load(disabled)
    row = only(plugins)
    assert (row.kind, row.state) == (kind, PluginState.BLOCKED)
    assert row.error
    assert ("AFX_DISABLED_PLUGINS" in row.hint, "afx plugins enable" in row.hint) == (
        how == "environment",
        how == "argument",
    )
    assert ("off_plugin" in sys.modules) == (kind == "harness")
    with pytest.raises(PluginError):
        plugins.harness("foo")


@pytest.mark.parametrize(("version", "words"), [(99, "Upgrade afx"), (0, "Upgrade the plugin")])
def test_an_entry_for_another_api_is_incompatible(install: Install, version: int, words: str) -> None:
    entries = f"[{entry('old', api_version=version)}, {entry('new')}]"
    install("afx-foo", "foo = version_plugin", version_plugin=plugin(entries))
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
        (HARNESS.format(cls="Foo", name="fu"), "calls itself 'fu'"),
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
    install("afx-foo", "foo = made_plugin", made_plugin=plugin(f"[{entry()}]"), foo_provider=provider)
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


@pytest.mark.parametrize(
    ("text", "disabled", "says", "hint"),
    [
        (plugin(f"[{entry()}]"), ["foo"], "'foo' is blocked: It is switched off", "afx plugins enable foo"),
        ("import nothing_like_it", [], "'foo' is broken: ModuleNotFoundError", "afx plugins disable foo"),
    ],
)
def test_a_name_whose_plugin_was_not_loaded_is_answered_with_the_reason(
    install: Install, text: str, disabled: list[str], says: str, hint: str
) -> None:
    install("afx-harness-foo", "foo = unloaded_plugin", unloaded_plugin=text)
    with pytest.raises(PluginError, match="no harness 'foo'") as caught:
        load(*disabled).harness("foo")
    assert says in caught.value.message
    assert hint in caught.value.hint


def test_an_unknown_name_is_answered_with_the_known_ones(install: Install) -> None:
    install("afx-foo", "foo = known_plugin", known_plugin=plugin(f"[{entry('one')}, {entry('another')}]"))
    with pytest.raises(PluginError, match="no harness 'tow'") as caught:
        load().harness("tow")
    assert caught.value.hint == "Known are: another, one."


def test_one_raising_observer_does_not_stop_the_others(
    install: Install, caplog: pytest.LogCaptureFixture
) -> None:
    observer = """
    '''Watches.'''
    from afx.plugin import hookimpl

    seen = []

    @hookimpl
    def afx_terminal_event(event):
        seen.append(event)
        {then}
    """
    install("afx-a", "a = watch_a", watch_a=observer.format(then=""))
    install("afx-b", "b = watch_b", watch_b=observer.format(then="raise RuntimeError('dizzy')"))
    install("afx-c", "c = watch_c", watch_c=observer.format(then=""))
    plugins = load()
    assert [(row.kind, row.name, row.summary) for row in rows(plugins)] == [
        ("plugin", "a", "Watches."),
        ("plugin", "b", "Watches."),
        ("plugin", "c", "Watches."),
    ]
    event = an_event()
    with caplog.at_level(logging.ERROR, logger="afx.plugins"):
        plugins.emit(event)
    assert [sys.modules[f"watch_{which}"].seen for which in "abc"] == [[event], [event], [event]]
    (record,) = caplog.records
    assert "b of afx-b" in record.getMessage()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("afx.discovery.PATIENCE", 0.2)
    monkeypatch.setattr("afx.loader.OBSERVER_PATIENCE", 0.2)


HANGS = "import threading; threading.Event().wait(20)"


@pytest.mark.usefixtures("impatient")
def test_a_plugin_that_hangs_is_given_up(install: Install) -> None:
    install("afx-a", "a = hang_import", hang_import=HANGS)
    install(
        "afx-b", "b = hang_hook", hang_hook=plugin(f"(__import__('threading').Event().wait(20), {entry()})")
    )
    install("afx-c", "c = hang_class", hang_class=plugin(f"[{entry('c', 'hang_made:C')}]"), hang_made=HANGS)
    plugins = load()
    broken = {row.name: row.error for row in rows(plugins) if row.state is PluginState.BROKEN}
    assert broken == dict.fromkeys("ab", "Loading it took longer than 0.2 s and was given up.")
    with pytest.raises(PluginError, match="Its import took longer"):
        plugins.harness("c")


@pytest.mark.usefixtures("impatient")
def test_an_observer_that_hangs_is_told_once(install: Install) -> None:
    observer = """
    from afx.plugin import hookimpl

    seen = []

    @hookimpl
    def afx_terminal_event(event):
        seen.append(event)
        {then}
    """
    install(
        "afx-a", "a = stuck_a", stuck_a=observer.format(then="import threading; threading.Event().wait(20)")
    )
    install("afx-b", "b = stuck_b", stuck_b=observer.format(then=""))
    plugins = load()
    for _ in range(3):
        plugins.emit(an_event())
    assert [len(sys.modules[f"stuck_{which}"].seen) for which in "ab"] == [1, 3]
    assert [(row.name, row.state) for row in rows(plugins)] == [("a", "broken"), ("b", "active")]


def test_since_when_is_remembered(install: Install, tmp_path: Path) -> None:
    install("afx-a", "a = since_a", since_a="import nowhere")
    first = load()
    first.remember(tmp_path / "plugins.json")
    later = load()
    later.remember(tmp_path / "plugins.json")
    assert only(later).since == only(first).since
    assert only(later).hint == "Tell its author. `afx plugins disable a` switches it off."
    (tmp_path / "plugins.json").write_text("nonsense")
    load().remember(tmp_path / "plugins.json")
    assert recall(tmp_path / "plugins.json")


def test_an_unreadable_distribution_costs_nobody_else(install: Install) -> None:
    install("afx-foo", "foo = near_plugin", near_plugin=plugin(f"[{entry()}]"))
    install("afx-torn", "this line is no entry point")
    found = {row.name: row.state for row in rows(load())}
    assert found["foo"] is PluginState.ACTIVE
    assert found.get("afx-torn", PluginState.BROKEN) is PluginState.BROKEN


def test_rows_are_sorted_and_stable(install: Install) -> None:
    install("afx-b", "b = order_b", order_b=plugin(f"[{entry('z')}, {entry('y')}]"))
    install("afx-a", "a = order_a", order_a="import nowhere")
    install("afx-c", "c = order_c", order_c=plugin(f"[{entry('x')}]"))
    assert [row.name for row in rows(load())] == ["x", "y", "z", "a"]
    plugins = load()
    assert plugins.rows() == plugins.rows()


CHECK = """
    from afx.plugin import DoctorCheck, Finding

    class Foo(DoctorCheck):
        name = "foo"

        def examine(self, context):
            return [Finding.ok(f"Nothing in {context.home}.")]
"""


def check_plugin(factory: str) -> str:
    return f"""
    from afx.plugin import CheckEntry, hookimpl

    @hookimpl
    def afx_doctor_checks():
        return [CheckEntry(name="foo", summary="Looks at Foo.", factory={factory!r}, api_version=1)]
    """


def test_a_plugin_brings_checks_for_the_doctor(install: Install) -> None:
    install("afx-foo", "foo = foo_plugin", foo_plugin=check_plugin("foo_check:Foo"), foo_check=CHECK)
    plugins = load()
    assert only(plugins).kind == "check"
    assert "foo_check" not in sys.modules
    (check,) = plugins.doctor_checks()
    (finding,) = check.examine(DoctorContext(home=Path("/h"), env={}))
    assert finding == Finding.ok("Nothing in /h.")


def test_a_check_that_cannot_be_made_is_broken_and_left_out(install: Install) -> None:
    install("afx-foo", "foo = foo_plugin", foo_plugin=check_plugin("foo_check:Gone"), foo_check=CHECK)
    plugins = load()
    assert plugins.doctor_checks() == []
    assert only(plugins).state is PluginState.BROKEN


def test_plugins_are_loaded_where_the_system_has_no_thread_left(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refused)
    plugins = Plugins.load()
    assert {row.state for row in plugins.rows()} == {PluginState.ACTIVE}
    assert plugins.harness("claude").name == "claude"
