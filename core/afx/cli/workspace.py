"""Commands about workspaces: start, stop, list, forget. Recovering them is a module of its own."""

from __future__ import annotations

import os
from pathlib import Path

import click

from afx.api.errors import AfxError

from .commands import Command, Lazy, LazyGroup
from .door import connect
from .errors import FAILED, say
from .here import current_directory
from .output import counted, json_option, plain, print_json, print_table
from .repository import workspace_of

_PATH = click.argument("path", required=False, type=click.Path(path_type=Path))


@click.group(
    cls=LazyGroup,
    lazy={
        "recover": Lazy("recover:recover", "Bring back the agents that do not run."),
        "convert": Lazy("orphans:convert", "Have another reconnect strategy hold an agent's terminal."),
    },
    example="afx workspace list\nafx workspace stop ~/src/shop\nafx workspace recover --apply\n",
)
def workspace() -> None:
    """Start, stop, list, forget and recover workspaces.

    PATH is a directory in one; else the current directory.
    """


@workspace.command("start", cls=Command, example="afx workspace start ~/src/shop\n")
@_PATH
@json_option
def start(*, path: Path | None, as_json: bool) -> None:
    """Register a repository as a workspace, or make a stopped one active again."""
    place = str(workspace_of(path or current_directory()))
    answer = connect().post("/api/workspaces", {"path": place})
    if as_json:
        print_json(answer)
    else:
        click.echo(plain(f"{answer['path']} is a workspace. `afx up` there starts an architect."))


@workspace.command("stop", cls=Command, example="afx workspace stop\n")
@_PATH
@json_option
def stop(*, path: Path | None, as_json: bool) -> int:
    """Stop all agents of a workspace. They and the workspace stay known."""
    place = known_workspace(path)
    answer = connect().post("/api/workspaces/stop", {"path": place})
    failed = answer.get("failed", [])
    if as_json:
        print_json(answer)
    else:
        stopped = counted(len(answer["stopped"]), "agent")
        click.echo(plain(f"{place} is stopped, and {stopped} with it."))
        for one in failed:
            say(plain(f"{one['name']} could not be stopped. {one['message']}"), "")
    return FAILED if failed else 0


@workspace.command("list", cls=Command, example="afx workspace list --json\n")
@json_option
def list_workspaces(*, as_json: bool) -> None:
    """List the workspaces."""
    workspaces = connect().state()["workspaces"]
    if as_json:
        print_json(workspaces)
    elif not workspaces:
        click.echo("No workspace yet. `afx up` in a git repository makes it one.")
    else:
        print_table(
            [
                [
                    place["name"],
                    "active" if place["active"] else "stopped",
                    counted(len(place["agents"]), "agent"),
                    place["path"],
                ]
                for place in workspaces
            ],
            color_of=1,
        )


@workspace.command("forget", cls=Command, example="afx workspace forget ~/src/gone\n")
@_PATH
def forget(*, path: Path | None) -> None:
    """Forget a workspace. Its agents must have been removed; the repository is left alone."""
    place = known_workspace(path)
    connect().post("/api/workspaces/forget", {"path": place})
    click.echo(plain(f"{place} is forgotten."))


@workspace.command("trust", cls=Command, example="afx workspace trust\nafx workspace trust --revoke\n")
@_PATH
@click.option("--revoke", is_flag=True, help="Trust nothing of it any more.")
def trust(*, path: Path | None, revoke: bool) -> None:
    """Trust what a workspace's afx.toml has afx run.

    These are its harnesses, the leave to work unattended, and worktrees outside the workspace. It counts for
    the file as it is now: when that part of it changes, it has to be trusted again.
    """
    from afx.settings import Settings
    from afx.settings.trust import distrust, trust_present

    place = workspace_of(path or current_directory())
    file = place / "afx.toml"
    try:
        if revoke:
            distrust(place, os.environ)
            click.echo(plain(f"{file} is not trusted."))
            return
        Settings.load(place)  # Says what is wrong with the file, if anything is.
        part = trust_present(place, os.environ)
    except OSError as error:
        raise AfxError(f"What is trusted cannot be stored: {error.strerror}.") from None
    if not part:
        click.echo(plain(f"{file} has nothing run, so there is nothing to trust."))
        return
    click.echo(plain(f"{file} is trusted as it is now. It has afx run:"))
    for name, value in part.items():
        command = value.get("command", "") if isinstance(value, dict) else value
        click.echo(plain(f"  {name}  {command}".rstrip()))


def known_workspace(path: Path | None) -> str:
    """Return the path of a workspace, which may be of a repository that is gone by now."""
    place = Path(os.path.realpath(path or current_directory()))
    return str(workspace_of(place) if place.is_dir() else place)
