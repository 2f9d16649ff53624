"""Commands about architects: start, stop, list, add, remove. Several share the repository as siblings."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from afx.api.errors import BadInputError, NotFoundError

from .commands import REST, Command, LazyGroup
from .door import complete_agent, connect, connect_here
from .making import make_agent
from .naming import MAIN, Found, everyone, find_agent, label_of, labelled
from .output import duration, json_option, plain, print_json, print_notes, print_table
from .resuming import chosen, print_revival, resume, resume_options

if TYPE_CHECKING:
    from afx.client.http import TowerClient

_KIND = "architect/"


def _complete(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    items = complete_agent(context, parameter, f"{_KIND}{begun.removeprefix(_KIND)}")
    return [CompletionItem(item.value.removeprefix(_KIND), help=item.help) for item in items]


_NAME = click.argument("name", shell_complete=_complete)
_NAME_OR_MAIN = click.argument("name", required=False, default=MAIN, shell_complete=_complete)
_HARNESS = click.option(
    "--harness", metavar="NAME", help="The agent program to run; else that of the settings."
)


@click.group(cls=LazyGroup, example="afx architect list\nafx architect add review\n")
def architect() -> None:
    """Start, stop, list, add and remove architects. All of them work in the repository itself.

    NAME is main unless given.
    """


@architect.command(
    "start",
    cls=Command,
    takes_rest=True,
    example="afx architect start\nafx architect start review --fresh\n",
)
@_NAME_OR_MAIN
@resume_options
@_HARNESS
@json_option
@click.pass_context
def start(
    context: click.Context,
    *,
    name: str,
    session_id: str | None,
    fresh: bool,
    harness: str | None,
    as_json: bool,
) -> None:
    """Bring an architect back by the resume chain; the architect main is made where there is none.

    Of siblings only the stored conversations count, since a transcript in the repository may be anybody's.
    """
    name = name.removeprefix(_KIND)
    chosen(session_id, fresh=fresh)
    tower, workspace = connect_here()
    found = labelled(tower.state(), workspace["path"], f"{_KIND}{name}")
    if found is not None:
        if harness is not None or context.meta.get(REST):
            raise BadInputError(
                f"{found.label} comes back with the program and the arguments it was made with.",
                hint="Leave them out, or add another architect with `afx architect add NAME`.",
            )
        print_revival(resume(tower, found.id, session_id, fresh=fresh), as_json=as_json)
    elif session_id is not None or name != MAIN:
        raise NotFoundError(
            f"There is no architect {name!r} in {plain(workspace['name'])}.",
            hint=f"`afx architect add {name}` makes one." if session_id is None else "`afx architect list`",
        )
    else:
        _make(tower, workspace, name, harness, as_json=as_json)


@architect.command("stop", cls=Command, example="afx architect stop\nafx architect stop review\n")
@_NAME_OR_MAIN
@json_option
def stop(*, name: str, as_json: bool) -> None:
    """Stop an architect. It stays stopped through crashes and reboots, until it is started."""
    tower, found = _connect_to(name)
    answer = tower.post(f"/api/agents/{found.id}/stop")
    if as_json:
        print_json(answer)
    else:
        short = found.agent["name"]
        click.echo(f"{found.label} is stopped. `afx architect start {short}` brings it back.")


@architect.command("list", cls=Command, example="afx architect list --json\n")
@json_option
def list_architects(*, as_json: bool) -> None:
    """List the architects of this workspace."""
    from .repository import workspace_here

    workspace = str(workspace_here())
    mine = [
        found.agent
        for found in everyone(connect().state())
        if found.workspace == workspace and found.agent["kind"] == "architect"
    ]
    if as_json:
        print_json(mine)
    elif not mine:
        click.echo("No architect yet. `afx architect start` makes one.")
    else:
        now = time.time()
        print_table(
            [
                [
                    agent["name"],
                    agent["state"],
                    agent["harness"] or "",
                    agent["conversation"]["id"] if agent["conversation"] else "",
                    f"{duration(now - agent['created_at'])} old",
                    agent["reason"],
                ]
                for agent in mine
            ],
            color_of=1,
        )


@architect.command("add", cls=Command, takes_rest=True, example="afx architect add review --harness codex\n")
@click.argument("name")
@_HARNESS
@json_option
def add(*, name: str, harness: str | None, as_json: bool) -> None:
    """Add an architect beside the others, and start it.

    What stands after -- is added to the agent program's own arguments.
    """
    tower, workspace = connect_here()
    _make(tower, workspace, name.removeprefix(_KIND), harness, as_json=as_json)


@architect.command("remove", cls=Command, example="afx architect remove review\n")
@_NAME
@json_option
def remove(*, name: str, as_json: bool) -> None:
    """Remove an architect with its terminal. The repository is left alone."""
    tower, found = _connect_to(name)
    answer = tower.delete(f"/api/agents/{found.id}")
    if as_json:
        print_json(answer)
    else:
        print_notes(answer["notes"])
        click.echo(f"{found.label} is removed.")


def _make(
    tower: TowerClient, workspace: dict[str, Any], name: str, harness: str | None, *, as_json: bool
) -> None:
    agent = make_agent(tower, workspace, "architect", name, {"harness": harness}, as_json=as_json)
    if agent is not None:
        label = label_of(agent)
        click.echo(plain(f"{label} runs {agent['harness']} in {workspace['path']}."))
        click.echo(f"Look at it with `afx attach {label}`.")


def _connect_to(name: str) -> tuple[TowerClient, Found]:
    tower = connect()
    return tower, find_agent(tower.state(), f"{_KIND}{name.removeprefix(_KIND)}")
