"""Which plugin a name means, and what is said where it means none."""

from __future__ import annotations

import sys

import pytest

from afx.api.errors import PluginError
from afx.quarantine import PluginState
from loader.plugins import Install, entry, load, only, plugin, provider, rows


def test_two_distributions_may_use_one_entry_point_name(install: Install) -> None:
    install("a", plugin(f"[{entry('a')}]"), point="same")
    install("b", plugin(f"[{entry('b')}]"), point="same")
    assert [(row.name, row.distribution) for row in rows(load())] == [("a", "afx-a"), ("b", "afx-b")]


def test_a_name_claimed_twice_fails_when_it_is_asked_for(install: Install) -> None:
    install("a", plugin(f"[{entry('foo')}]"))
    install(
        "b",
        plugin(f"[{entry('foo')}, {entry('bar', 'bar_provider:Bar')}]"),
        version="2.0",
        bar_provider=provider("bar"),
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
    install("foo", plugin(f"[{entry()}]"), point="point")
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
    assert ("foo_plugin" in sys.modules) == (kind == "harness")
    with pytest.raises(PluginError):
        plugins.harness("foo")


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
    install("harness-foo", text, point="foo")
    with pytest.raises(PluginError, match="no harness 'foo'") as caught:
        load(*disabled).harness("foo")
    assert says in caught.value.message
    assert hint in caught.value.hint


def test_an_unknown_name_is_answered_with_the_known_ones(install: Install) -> None:
    install("foo", plugin(f"[{entry('one')}, {entry('another')}]"))
    with pytest.raises(PluginError, match="no harness 'tow'") as caught:
        load().harness("tow")
    assert caught.value.hint == "Known are: another, one."
