"""What is to go works on, and whoever uses it is named."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from afx import deprecation
from afx.api.doctor import Level
from afx.deprecation import Attribute, Hook
from afx.doctor.installation import judge_plugins
from afx.loader import Plugins
from cli.conftest import Afx
from distribution import harness, write_plugin

OBSERVER = """
    from afx.plugin import hookimpl

    @hookimpl
    def afx_terminal_event(event):
        pass
"""
TO_GO = """
    from afx import deprecation
    from afx.deprecation import Hook

    deprecation.DEPRECATED = (Hook("afx_harnesses", "Use afx_programs."),)
"""


def test_whoever_uses_what_is_to_go_is_named(
    site: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    to_go = (
        Hook("afx_harnesses", "Use afx_programs."),
        Hook("afx_terminal_event", "Ask for `news`.", argument="event"),
        Attribute("HarnessProvider", "commands", "Say `programs`."),
        Attribute("HarnessProvider", "keystrokes", "Say `types`."),
    )
    monkeypatch.setattr(deprecation, "DEPRECATED", to_go)
    write_plugin(site, "old", harness("old"))
    write_plugin(site, "ear", OBSERVER)
    with caplog.at_level(logging.WARNING, "afx.plugins"):
        plugins = Plugins.load()
        assert plugins.harness("old").name == "old", "it works as before"
    rows = {row.distribution: row for row in plugins.rows() if row.distribution in {"afx-old", "afx-ear"}}
    assert rows["afx-old"].warnings == (
        "It uses the hook afx_harnesses, which is to go. Use afx_programs.",
        "Its class Harness has commands, which is to go. Say `programs`.",
    )
    assert rows["afx-ear"].warnings == (
        "It uses the argument 'event' of afx_terminal_event, which is to go. Ask for `news`.",
    )
    assert "The plugin old of afx-old 1.0: Its class Harness has commands" in caplog.text
    found = [one for one in judge_plugins(list(rows.values())) if one.level is Level.WARNING]
    assert sorted(one.what.split(" of ")[1][:11] for one in found) == ["afx-ear 1.0", "afx-old 1.0"]


def test_it_is_said_in_the_list(afx: Afx, site: Path) -> None:
    write_plugin(site, "old", harness("old"), sitecustomize=TO_GO)
    said = " ".join(afx("plugins").out.split())
    assert (
        "harness old of afx-old 1.0: It uses the hook afx_harnesses, which is to go. Use afx_programs."
        in said
    )


def test_nothing_is_to_go_without_a_word_in_the_changelog() -> None:
    changelog = Path(__file__).parents[2].joinpath("CHANGELOG.md").read_text()
    for one in deprecation.DEPRECATED:
        assert one.name in changelog
