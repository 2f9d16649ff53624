"""Each agent has its harness with the settings of its workspace, and keeps it while they cannot be read."""

from __future__ import annotations

import os
import tomllib
from contextlib import suppress
from pathlib import Path

import pytest

from afx.api.errors import PluginError
from afx.api.model import Agent, AgentKind, AgentState
from afx.loader import Plugins
from afx.settings import Settings
from afx.settings.trust import trust_present
from afx.tower.harnesses import Harnesses


def an_agent(workspace: Path, harness: str | None = "foo") -> Agent:
    return Agent(
        id="a",
        host="here",
        workspace=str(workspace),
        kind=AgentKind.BUILDER,
        name="fix",
        harness=harness,
        strategy="memory",
        state=AgentState.RUNNING,
        cwd=str(workspace),
        created_at=1.0,
    )


class Reads:
    """The settings of a workspace, and how often they were read."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, workspace: Path | None) -> Settings:
        self.count += 1
        return Settings.load(workspace)


def write(workspace: Path, text: str, at: int) -> None:
    path = workspace / "afx.toml"
    path.write_text(text)
    os.utime(path, ns=(at, at))
    with suppress(tomllib.TOMLDecodeError):
        trust_present(workspace, os.environ)


def test_a_change_counts_and_a_mistake_takes_nothing(tmp_path: Path) -> None:
    reads = Reads()
    harnesses = Harnesses(Plugins.load(), reads)
    agent = an_agent(tmp_path)
    with pytest.raises(PluginError, match="no harness 'foo'"):
        harnesses.of(agent)
    write(tmp_path, '[harness.foo]\ncommand = "one"\n', 1)
    first = harnesses.of(agent)
    assert first is not None
    assert first.commands == ("one",)
    read = reads.count
    assert harnesses.of(agent) is first
    assert reads.count == read, "What did not change is not read again."
    write(tmp_path, '[harness.foo]\ncommand = "two"\n', 2)
    second = harnesses.of(agent)
    assert second is not None
    assert second.commands == ("two",)
    for number, mistake in enumerate(("[harness.foo]\ncommand = 3\n", "[harness.foo\n"), start=3):
        write(tmp_path, mistake, number)
        assert harnesses.of(agent) is second
        assert harnesses.of(agent) is second
    assert "foo" in harnesses.names(str(tmp_path))


def test_a_shell_has_none(tmp_path: Path) -> None:
    assert Harnesses(Plugins.load(), Reads()).of(an_agent(tmp_path, None)) is None
