"""A process that asks for its settings again and again reads their files only when they have changed."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from afx.api.errors import BadInputError
from afx.settings.remembered import RememberedSettings
from afx.settings.trust import distrust, trust_present

LONG_AGO = 1_000_000_000


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {"AFX_CONFIG": str(tmp_path / "config.toml"), "AFX_HOME": str(tmp_path / "state")}


def write(path: Path, text: str, at: int = LONG_AGO) -> None:
    """Write a file by putting another in its place, as editors do, and say when that was."""
    new = path.with_suffix(".new")
    new.write_text(text)
    os.utime(new, ns=(at, at))
    new.replace(path)


def test_what_did_not_change_is_not_read_again(tmp_path: Path, env: dict[str, str]) -> None:
    write(tmp_path / "config.toml", 'agent.harness = "one"\n')
    write(tmp_path / "afx.toml", "terminal.scrollback = 1000000\n")
    settings_for = RememberedSettings(env)

    first = settings_for(tmp_path)

    assert settings_for(tmp_path) is first
    assert (first["agent.harness"], first["terminal.scrollback"]) == ("one", 1_000_000)
    assert settings_for(None)["terminal.scrollback"] != 1_000_000


@pytest.mark.parametrize("name", ["config.toml", "afx.toml"])
def test_another_file_counts_even_where_time_and_length_are_the_same(
    name: str, tmp_path: Path, env: dict[str, str]
) -> None:
    write(tmp_path / name, 'agent.harness = "one"\n')
    settings_for = RememberedSettings(env)
    assert settings_for(tmp_path)["agent.harness"] == "one"

    write(tmp_path / name, 'agent.harness = "two"\n')

    assert settings_for(tmp_path)["agent.harness"] == "two"
    (tmp_path / name).unlink()
    assert settings_for(tmp_path)["agent.harness"] == ""


def test_a_file_of_this_moment_is_read_again_since_its_time_may_not_tell(
    tmp_path: Path, env: dict[str, str]
) -> None:
    path, now = tmp_path / "config.toml", time.time_ns()
    write(path, 'agent.harness = "one"\n', now)
    settings_for = RememberedSettings(env)
    assert settings_for(None)["agent.harness"] == "one"

    path.write_text('agent.harness = "two"\n')
    os.utime(path, ns=(now, now))

    assert settings_for(None)["agent.harness"] == "two"


def test_a_mistake_is_told_until_it_is_mended(tmp_path: Path, env: dict[str, str]) -> None:
    settings_for = RememberedSettings(env)
    settings_for(None)
    write(tmp_path / "config.toml", "[agent\n")
    for _ in range(2):
        with pytest.raises(BadInputError, match="is no TOML"):
            settings_for(None)

    write(tmp_path / "config.toml", 'agent.harness = "one"\n')

    assert settings_for(None)["agent.harness"] == "one"


def test_trust_counts_as_soon_as_it_is_given_or_taken(tmp_path: Path, env: dict[str, str]) -> None:
    write(tmp_path / "afx.toml", '[harness.foo]\ncommand = "foo"\n')
    settings_for = RememberedSettings(env)
    with pytest.raises(BadInputError, match="trust"):
        settings_for(tmp_path).section("harness.foo")

    trust_present(tmp_path, env)

    assert settings_for(tmp_path).section("harness.foo") == {"command": "foo"}
    distrust(tmp_path, env)
    with pytest.raises(BadInputError, match="trust"):
        settings_for(tmp_path).section("harness.foo")
