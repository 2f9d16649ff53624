"""Every command teaches by an example, is documented, and loads nothing that it does not need."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from afx import __version__
from afx.cli.commands import Command, LazyGroup
from afx.cli.main import root
from cli.conftest import Afx
from cli.stub import StubTower

DOCS = Path(__file__).parents[2] / "docs/reference/cli.md"


def every_command(group: LazyGroup = root, path: str = "afx") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield f"{path} {name}", command
        if isinstance(command, LazyGroup):
            yield from every_command(command, f"{path} {name}")


ALL = dict(every_command())


@pytest.mark.parametrize("path", ALL)
def test_help_teaches_by_an_example(path: str, afx: Afx) -> None:
    done = afx(*path.split()[1:], "--help")
    assert done.status == 0
    example = done.out.split("Example:\n")[1]
    assert path in example
    command = ALL[path]
    assert isinstance(command, (Command, LazyGroup))
    assert (command.help or "").split("\n")[0].endswith(".")


@pytest.mark.parametrize("path", ALL)
def test_every_command_and_option_is_documented(path: str) -> None:
    text = DOCS.read_text()
    section = text.split(f"`{path}", 1)
    assert len(section) == 2
    for option in ALL[path].params:
        if isinstance(option, click.Option):
            assert all(f"`{name}" in text for name in option.opts if name.startswith("--"))


def test_the_table_of_commands_says_what_the_commands_say(afx: Afx) -> None:
    listed = afx("--help").out
    for name, entry in root.lazy.items():
        assert f"  {name} " in listed
        assert entry.help in " ".join(listed.split())


def test_no_arguments_show_the_help(afx: Afx) -> None:
    done = afx()
    assert done.status == 2
    assert "Commands:" in done.err


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def imported_by(*arguments: str) -> set[str]:
    code = (
        f"import sys; sys.argv = ['afx', *{list(arguments)!r}]\n"
        "import afx.cli, json\nstatus = afx.cli.main()\n"
        "print('\\n' + json.dumps(sorted(sys.modules)))"
    )
    return set(json.loads(python(code).splitlines()[-1]))


HEAVY = {
    "msgspec",
    "pluggy",
    "asyncio",
    "anyio",
    "importlib.metadata",
    "starlette",
    "uvicorn",
    "websockets",
    "apsw",
}


def test_help_loads_no_plugin_no_server_and_no_command() -> None:
    loaded = imported_by("--help")
    assert "click" in loaded
    assert not loaded & {*HEAVY, "http.client", "tomllib", "platformdirs", "subprocess"}
    assert not [
        name for name in loaded if name.startswith(("afx_", "afx.client", "afx.loader", "afx.settings"))
    ]
    assert not loaded & {f"afx.cli.{name}" for name in ("agents", "look", "tower", "up", "status")}


def test_version_loads_not_even_click() -> None:
    assert not imported_by("--version") & {*HEAVY, "click", "typing", "afx.cli.main"}


def test_status_loads_little(tower: StubTower) -> None:
    loaded = imported_by("status")
    assert tower.asked
    assert not loaded & {*HEAVY, "tomllib", "subprocess"}


def test_version() -> None:
    for arguments in (["--version"], ["--version", "--version"]):
        done = subprocess.run(
            [sys.executable, "-m", "afx.cli", *arguments], check=True, capture_output=True, text=True
        )
        assert done.stdout == f"afx {__version__}\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str, afx: Afx) -> None:
    done = afx("completion", shell)
    assert done.status == 0
    assert "_AFX_COMPLETE" in done.out


def complete(*words: str) -> list[str]:
    env = {
        **os.environ,
        "_AFX_COMPLETE": "zsh_complete",
        "COMP_WORDS": " ".join(["afx", *words]),
        "COMP_CWORD": str(len(words)),
    }
    done = subprocess.run(
        [sys.executable, "-m", "afx.cli"], check=False, capture_output=True, text=True, env=env
    )
    assert not done.stderr
    return done.stdout.splitlines()[1::3]


def test_names_of_agents_are_completed(tower: StubTower) -> None:
    from cli.stub import agent, workspace

    tower.set_state(
        workspace("/w", agent("builder", "fix"), agent("builder", "docs"), agent("shell", "fish"))
    )
    assert complete("attach", "builder/") == ["builder/fix", "builder/docs"]
    assert complete("attach", "fi") == ["builder/fix", "shell/fish"]


def test_without_a_tower_nothing_is_completed_and_nothing_said() -> None:
    assert complete("attach", "b") == []


def test_commands_and_settings_are_completed() -> None:
    assert complete("sta") == ["status", "start"]
    assert complete("tower", "re") == ["restart"]
    assert complete("config", "tower.p") == ["tower.port"]
