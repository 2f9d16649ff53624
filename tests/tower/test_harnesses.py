"""Each agent has its harness with the settings of its workspace, and keeps it while they cannot be read."""

from __future__ import annotations

import os
import tomllib
from contextlib import suppress
from pathlib import Path

import pytest

from afx.api.errors import PluginError
from afx.api.model import Agent
from afx.loader import Plugins
from afx.settings import Settings
from afx.settings.trust import trust_present
from afx.testing.storage_records import an_agent
from afx.tower.harnesses import Harnesses


def agent_in(workspace: Path, harness: str | None = "foo") -> Agent:
    return an_agent(workspace=str(workspace), cwd=str(workspace), harness=harness)


def write(workspace: Path, text: str) -> None:
    (workspace / "afx.toml").write_text(text)
    with suppress(tomllib.TOMLDecodeError):
        trust_present(workspace, os.environ)


def test_a_change_counts_and_a_mistake_takes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    harnesses = Harnesses(Plugins.load(), Settings.load)
    agent = agent_in(tmp_path)
    with pytest.raises(PluginError, match="no harness 'foo'"):
        harnesses.of(agent)
    write(tmp_path, '[harness.foo]\ncommand = "one"\n')
    first = harnesses.of(agent)
    assert first is not None
    assert first.commands == ("one",)
    assert harnesses.of(agent) is first
    write(tmp_path, '[harness.foo]\ncommand = "two"\n')
    second = harnesses.of(agent)
    assert second is not None
    assert second.commands == ("two",)
    for mistake in ("[harness.foo]\ncommand = 3\n", "[harness.foo\n"):
        write(tmp_path, mistake)
        caplog.clear()
        assert harnesses.of(agent) is second
        assert harnesses.of(agent) is second
        messages = [record.message for record in caplog.records]
        assert len(messages) == len(set(messages)) >= 1, "A mistake is told once."
    assert "foo" in harnesses.names(str(tmp_path))


def test_a_shell_has_none(tmp_path: Path) -> None:
    assert Harnesses(Plugins.load(), Settings.load).of(agent_in(tmp_path, None)) is None
