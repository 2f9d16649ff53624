"""Commands about an agent's conversations: list them, choose which one is resumed next."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from .commands import Command, DefaultGroup
from .door import agent_argument, complete_agent, connect_to
from .output import byte_count, duration, json_option, plain, print_json, shorten
from .resuming import meant

if TYPE_CHECKING:
    from .naming import Found

_WIDEST = 100


@click.group(
    cls=DefaultGroup,
    default="list",
    subcommand_metavar="AGENT | COMMAND [ARGS]...",
    complete=complete_agent,
    example="""\
afx conversations builder/fix
afx conversations use builder/fix 3f2a9c1e
afx conversations undo builder/fix
""",
)
def conversations() -> None:
    """List an agent's conversations, or choose the one that is resumed next. None is ever erased."""


@conversations.command(
    "list", cls=Command, example="afx conversations builder/fix\nafx conversations list builder/fix --json\n"
)
@agent_argument
@json_option
def list_conversations(*, agent: str, as_json: bool) -> None:
    """List an agent's conversations, newest first, with what lies of each on disk."""
    tower, found = connect_to(agent)
    _print(found, tower.get(f"/api/agents/{found.id}/conversations"), as_json=as_json)


@conversations.command("use", cls=Command, example="afx conversations use builder/fix 3f2a9c1e\n")
@agent_argument
@click.argument("id_", metavar="ID")
@json_option
def use(*, agent: str, id_: str, as_json: bool) -> None:
    """Choose the conversation that an agent is resumed with next. The beginning of an id is enough."""
    tower, found = connect_to(agent)
    answer = tower.post(f"/api/agents/{found.id}/conversations", {"use": meant(tower, found.id, id_)})
    if as_json:
        print_json(answer)
    else:
        _print_choice(found, answer)


@conversations.command("undo", cls=Command, example="afx conversations undo builder/fix\n")
@agent_argument
@json_option
def undo(*, agent: str, as_json: bool) -> None:
    """Take the last choice of a conversation back. Taken back twice, it holds again."""
    tower, found = connect_to(agent)
    answer = tower.post(f"/api/agents/{found.id}/conversations", {"undo": True})
    if as_json:
        print_json(answer)
    else:
        _print_choice(found, answer)


def _print_choice(found: Found, answer: dict[str, Any]) -> None:
    current = next((one["id"] for one in answer["conversations"] if one["current"]), None)
    which = "a new conversation" if current is None else f"conversation {current}"
    click.echo(plain(f"{found.label} goes on with {which} when it is next brought back."))
    if found.agent["state"] == "running":
        click.echo(f"It runs. `afx stop {found.label}` and `afx start {found.label}` change it now.")


def _print(found: Found, answer: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(answer)
        return
    if not answer["conversations"]:
        click.echo(f"{found.label} has had no conversation yet.")
    now = time.time()
    for one in answer["conversations"]:
        transcript = one["transcript"]
        size = "no transcript" if transcript is None else byte_count(transcript["size"])
        mark = "*" if one["current"] else " "
        facts = f"{one['id']}  {one['harness']}  {one['source']}  {duration(now - one['at'])} ago  {size}"
        click.echo(plain(f"{mark} {facts}"))
        if transcript is None:
            continue
        for name in ("first", "last"):
            if line := " ".join(transcript[name].split()):
                click.echo(plain(f"    {name:5}  {shorten(line, _WIDEST)}"))
        click.echo(plain(f"    file   {transcript['path']}"))
