"""Commands about who has a terminal, and what holds it: orphans, adopt, workspace convert."""

from __future__ import annotations

import time
from pathlib import Path

import click

from afx.api.errors import BadInputError

from .commands import Command
from .door import agent_argument, connect, connect_to
from .naming import label_of
from .output import duration, json_option, plain, print_json, print_notes, print_table
from .repository import workspace_of
from .resuming import outcome

_PATIENCE = 90.0


@click.command(cls=Command, example="afx orphans\nafx adopt shell-shop-1\n")
@json_option
def orphans(*, as_json: bool) -> None:
    """List live terminals that belong to no agent: those that afx lost track of, and sessions named like one.

    They are only listed. `afx adopt` makes one an agent's terminal.
    """
    found = connect().get("/api/orphans")["orphans"]
    if as_json:
        print_json(found)
    elif not found:
        click.echo("No orphans.")
    else:
        now = time.time()
        print_table(
            [
                [
                    one["terminal_id"],
                    one["strategy"],
                    duration(max(0.0, now - one["started_at"])),
                    one["note"],
                ]
                for one in found
            ]
        )


@click.command(
    cls=Command,
    example="afx adopt builder-shop-fix\nafx adopt 4f1c2d3e --as shell/watch --workspace ~/src/shop\n",
)
@click.argument("session")
@click.option("--as", "identity", metavar="KIND/NAME", help="The agent; else what the session's name says.")
@click.option(
    "--workspace", metavar="PATH", type=click.Path(path_type=Path), help="Its workspace; else where it works."
)
@click.option("--harness", metavar="NAME", help="Which agent program runs in it.")
@json_option
def adopt(
    *, session: str, identity: str | None, workspace: Path | None, harness: str | None, as_json: bool
) -> None:
    """Make an orphan the terminal of an agent. SESSION is its name or its id, as `afx orphans` lists them.

    Nothing in it is disturbed. An agent is made where there is none of that name.
    """
    request: dict[str, object] = {"orphan": session, "harness": harness}
    if identity is not None:
        kind, slash, name = identity.partition("/")
        if not slash or not name or kind not in {"architect", "builder", "shell"}:
            raise BadInputError(f"{identity!r} is no agent.", hint="Write KIND/NAME, such as builder/fix.")
        request |= {"kind": kind, "name": name}
    if workspace is not None:
        request["workspace"] = str(workspace_of(workspace))
    answer = connect().post(
        "/api/orphans/adopt", {key: value for key, value in request.items() if value is not None}
    )
    if as_json:
        print_json(answer)
        return
    label = label_of(answer["agent"])
    click.echo(plain(f"{session} is the terminal of {label} now. Look at it with `afx attach {label}`."))


@click.command(cls=Command, example="afx plugins\nafx workspace convert builder/fix --strategy NAME\n")
@agent_argument
@click.option("--strategy", required=True, metavar="NAME", help="The reconnect strategy to move it to.")
@click.option("--now", is_flag=True, help="Do not wait for an idle moment; what runs is interrupted.")
@json_option
def convert(*, agent: str, strategy: str, now: bool, as_json: bool) -> None:
    """Have another reconnect strategy hold an agent's terminal.

    At an idle moment the agent's process is ended, and its conversation is resumed in the new terminal. A
    shell has no conversation: it is started anew, and only with --now.
    """
    _, found = connect_to(agent)
    answer = connect(timeout=_PATIENCE).post(
        f"/api/agents/{found.id}/convert", {"strategy": strategy, "now": now}
    )
    if as_json:
        print_json(answer)
        return
    print_notes(answer["notes"])
    if answer["plan"] is None:
        click.echo(plain(f"{found.label} does not run. It is started with {strategy} next."))
    else:
        click.echo(plain(outcome(answer["agent"], answer["plan"])))
        click.echo(plain(f"Its terminal is held by {strategy} now."))
