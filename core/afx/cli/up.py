"""The commands of every day: up, down, open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from afx.api.errors import AfxError
from afx.settings import state_directory

from . import browser, launcher
from .commands import Command
from .door import connect, connect_here
from .errors import FAILED, say
from .naming import MAIN, everyone, label_of
from .output import json_option, plain, print_json, print_notes
from .resuming import outcome, resume

if TYPE_CHECKING:
    from afx.client.http import TowerClient


@click.command(cls=Command, example="cd ~/src/shop && afx up\nafx up --no-open\n")
@click.option("--no-open", is_flag=True, help="Leave the browser alone.")
@click.option("--harness", metavar="NAME", help="The architect's program; else that of the settings.")
@json_option
def up(*, no_open: bool, harness: str | None, as_json: bool) -> None:
    """Get going in this repository: start the Tower, register the workspace, start an architect.

    An architect that was there before is brought back with its own conversation, and what runs already is
    left as it is. Where no agent program is installed, a shell takes the architect's place.
    """
    from .repository import workspace_here

    workspace_here()  # Before anything is started: outside a repository nothing shall be.
    started = launcher.start(state_directory())
    tower, workspace = connect_here()
    agent, notes, already = _first_agent(tower, workspace["path"], harness)
    if as_json:
        print_json({"tower": started._asdict(), "workspace": workspace, "agent": agent, "notes": notes})
        return
    label = label_of(agent)
    print_notes(notes)
    if started.already and already:
        click.echo(f"All runs already: the Tower, this workspace, {label}.")
    program = f" ({agent['harness']})" if agent["harness"] else ""
    click.echo(f"Tower       {started.url}")
    click.echo(plain(f"Workspace   {workspace['path']}"))
    click.echo(plain(f"Agent       {label}{program}, {agent['state']}"))
    click.echo(f"Look at it with `afx attach {label}`, or in the browser with `afx open`.")
    if not no_open and not already and browser.is_there():
        browser.show(tower)


@click.command(cls=Command, example="afx down\nafx down --agents\n")
@click.option("--agents", is_flag=True, help="Stop all agents first. They stay known.")
def down(*, agents: bool) -> int:
    """Stop the Tower. Terminals and the agents in them live on, unless --agents stops them too.

    An agent that cannot be stopped is named, and keeps neither the others nor the Tower from being stopped.
    """
    all_stopped = not agents or _stop_agents(connect())
    if launcher.stop(state_directory()) is None:
        click.echo("The Tower is not running.")
    elif agents:
        click.echo("The Tower is stopped.")
    else:
        click.echo("The Tower is stopped; terminals live on. `afx up` brings it back.")
    return 0 if all_stopped else FAILED


@click.command("open", cls=Command, example="afx open\n")
def open_page() -> None:
    """Open the Tower's page in the browser, or print its address where there is none.

    The address holds a code that lets one browser in, once and for two minutes.
    """
    tower = connect()
    if browser.is_there():
        browser.show(tower)
    else:
        click.echo(browser.address_of(tower))


def _stop_agents(tower: TowerClient) -> bool:
    """Stop every agent, and tell whether all of them could be."""
    all_stopped = True
    for found in everyone(tower.state()):
        if found.agent["state"] == "stopped":
            continue
        try:
            tower.post(f"/api/agents/{found.id}/stop")
        except AfxError as error:
            all_stopped = False
            say(f"{found.label} could not be stopped. {error.message}", error.hint)
        else:
            click.echo(f"{found.label} is stopped.")
    return all_stopped


def _first_agent(
    tower: TowerClient, workspace: str, harness: str | None
) -> tuple[dict[str, Any], list[str], bool]:
    """Return the agent that runs in a workspace after `afx up`, what is to be said, whether it ran before."""
    mine = {
        found.agent["kind"]: found.agent
        for found in everyone(tower.state())
        if found.workspace == workspace and found.agent["name"] == MAIN
    }
    if (architect := mine.get("architect")) is not None:
        agent, notes, already = _back(tower, architect)
        if harness is not None and harness != agent["harness"]:
            label = f"architect/{MAIN}"
            notes.append(
                f"{label} keeps its program, {agent['harness']}. To have it run {harness}: "
                f"`afx architect remove {MAIN}`, then `afx up --harness {harness}`."
            )
        return agent, notes, already
    request = {"workspace": workspace, "kind": "architect", "name": MAIN}
    try:
        answer = tower.post("/api/agents", {**request, **({"harness": harness} if harness else {})})
    except AfxError as error:
        if error.code != "no-harness":
            raise
        if (shell := mine.get("shell")) is not None:
            return _back(tower, shell)
        answer = tower.post("/api/agents", {**request, "kind": "shell"})
        note = f"{error.message} So a plain shell takes the architect's place. {error.hint}"
        return answer["agent"], [note, *answer["notes"]], False
    notes = list(answer["notes"])
    if "shell" in mine:
        notes.append(f"shell/{MAIN}, which took the architect's place, is left as it is.")
    return answer["agent"], notes, False


def _back(tower: TowerClient, agent: Mapping[str, Any]) -> tuple[dict[str, Any], list[str], bool]:
    """Bring an agent back unless it runs; return the same as `_first_agent`."""
    if agent["state"] in ("running", "unreachable"):
        return dict(agent), [], True
    answer = resume(tower, agent["id"])
    said = [] if answer["plan"]["action"] == "attach" else answer["notes"]
    return answer["agent"], [outcome(answer["agent"], answer["plan"]), *said], False
