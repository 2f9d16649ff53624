"""Commands that make agents, bring them back and act on them: spawn, shell, send, start, stop, cleanup."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from afx.api.errors import BadInputError

from .commands import REST, Command
from .door import agent_argument, connect_here, connect_to
from .here import current_directory_or_none
from .making import make_agent
from .naming import label_of, labelled
from .output import json_option, plain, print_json, print_notes
from .resuming import chosen, meant, print_revival, resume, resume_options


@click.command(
    cls=Command,
    takes_rest=True,
    example="""\
afx spawn fix-login --task "The login fails with an empty password. Repair it."
afx spawn --file task.md --harness claude -- --model opus
afx spawn fix-login --resume
""",
)
@click.argument("name", required=False)
@click.option("--task", "-t", metavar="TEXT", help="What it is told to do.")
@click.option(
    "--file",
    "-f",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    help="A file with what it is told to do; - is standard input.",
)
@click.option("--harness", metavar="NAME", help="The agent program to run; else that of the settings.")
@click.option("--branch", metavar="BRANCH", help="The branch of its worktree; else builder/NAME.")
@click.option("--strategy", metavar="NAME", help="The reconnect strategy of its terminal.")
@click.option(
    "--resume", "resumed", is_flag=True, help="Bring the builder NAME back, or take its worktree in."
)
@resume_options
@json_option
@click.pass_context
def spawn(
    context: click.Context,
    *,
    name: str | None,
    task: str | None,
    file: Path | None,
    harness: str | None,
    branch: str | None,
    strategy: str | None,
    resumed: bool,
    session_id: str | None,
    fresh: bool,
    as_json: bool,
) -> None:
    """Start a builder: an agent in a git worktree and on a branch of its own.

    What stands after -- is added to the agent program's own arguments.

    With --resume, the builder NAME is brought back by the resume chain, as it was made. Where only its
    worktree is left, it is taken in, and --task says what to do should there be no conversation to resume.
    """
    wanted = {"harness": harness, "branch": branch, "strategy": strategy}
    if resumed:
        wanted["task"] = None if task is None and file is None else _task(task, file)
        _resume_builder(name, context, wanted, chosen(session_id, fresh=fresh), as_json=as_json)
        return
    if session_id is not None or fresh:
        raise BadInputError(
            f"{'--fresh' if session_id is None else '--id'} is about a builder that comes back.",
            hint="Add --resume, or leave it out.",
        )
    wanted["task"] = _task(task, file)
    tower, workspace = connect_here()
    agent = make_agent(tower, workspace, "builder", name, wanted, as_json=as_json)
    if agent is not None:
        label = label_of(agent)
        program = agent["harness"] or "shell"
        click.echo(plain(f"{label} runs {program} in {_nearby(agent['cwd'])} on branch {agent['branch']}."))
        click.echo(f"Look at it with `afx attach {label}`.")


@click.command(cls=Command, takes_rest=True, example="afx shell watch\nafx attach shell/watch\n")
@click.argument("name", required=False)
@click.option("--strategy", metavar="NAME", help="The reconnect strategy of its terminal.")
@json_option
def shell(*, name: str | None, strategy: str | None, as_json: bool) -> None:
    """Start a shell in this workspace: $SHELL in a terminal that outlives the Tower.

    What stands after -- is given to the shell.
    """
    tower, workspace = connect_here()
    agent = make_agent(tower, workspace, "shell", name, {"strategy": strategy}, as_json=as_json)
    if agent is not None:
        label = label_of(agent)
        click.echo(f"{label} runs. Look at it with `afx attach {label}`.")


@click.command(cls=Command, example='afx send builder/fix "Use the new client."\ngit diff | afx send fix -\n')
@agent_argument
@click.argument("text")
@json_option
def send(*, agent: str, text: str, as_json: bool) -> None:
    """Type a message into an agent's terminal and submit it. TEXT - is standard input.

    While the agent does not run, is starting, shows a question, or somebody is typing there, it waits.
    """
    message = sys.stdin.read() if text == "-" else text
    if not message.strip():
        raise BadInputError("The message is empty.", hint=f'Write `afx send {agent} "what to say"`.')
    tower, found = connect_to(agent)
    answer = tower.post(f"/api/agents/{found.id}/send", {"text": message})
    if as_json:
        print_json(answer)
    elif answer["delivered"]:
        click.echo(f"Sent to {found.label}.")
    elif found.agent["state"] == "running":
        click.echo(
            f"{found.label} cannot take a message now: its program is starting or shows a question, or "
            "somebody is typing. The message waits."
        )
    else:
        click.echo(f"{found.label} is {found.agent['state']}; the message waits until it runs.")


@click.command(cls=Command, example="afx start builder/fix\nafx start builder/fix --fresh\n")
@agent_argument
@resume_options
@json_option
def start(*, agent: str, session_id: str | None, fresh: bool, as_json: bool) -> None:
    """Bring an agent back that does not run, with its own conversation where there is one."""
    chosen(session_id, fresh=fresh)
    tower, found = connect_to(agent)
    print_revival(resume(tower, found.id, session_id, fresh=fresh), as_json=as_json)


@click.command(cls=Command, example="afx stop builder/fix\n")
@agent_argument
@json_option
def stop(*, agent: str, as_json: bool) -> None:
    """Stop an agent. It stays stopped through crashes and reboots, until it is started."""
    tower, found = connect_to(agent)
    answer = tower.post(f"/api/agents/{found.id}/stop")
    if as_json:
        print_json(answer)
    else:
        click.echo(f"{found.label} is stopped. `afx start {found.label}` brings it back.")


@click.command(cls=Command, example="afx cleanup builder/fix\nafx cleanup builder/fix --force\n")
@agent_argument
@click.option("--force", is_flag=True, help="Also where work would be lost.")
@json_option
def cleanup(*, agent: str, force: bool, as_json: bool) -> None:
    """Remove an agent with its terminal and, for a builder, its worktree.

    Where uncommitted or unpushed work would be lost, nothing is removed and the loss is named.
    """
    tower, found = connect_to(agent)
    answer = tower.delete(f"/api/agents/{found.id}{'?force=1' if force else ''}")
    if as_json:
        print_json(answer)
    else:
        print_notes(answer["notes"])
        click.echo(f"{found.label} is removed.")


def _resume_builder(
    name: str | None,
    context: click.Context,
    wanted: dict[str, Any],
    choice: dict[str, Any],
    *,
    as_json: bool,
) -> None:
    """Bring a builder back; where the Tower does not know it, have it taken in from its worktree."""
    if name is None:
        raise BadInputError("Which builder is to be brought back?", hint="Write `afx spawn NAME --resume`.")
    name = name.removeprefix("builder/")
    tower, workspace = connect_here()
    rest = list(context.meta.get(REST, ()))
    given = [f"--{option}" for option, value in wanted.items() if value is not None] + ["--"] * bool(rest)
    known = labelled(tower.state(), workspace["path"], f"builder/{name}")
    if known is not None and given:
        raise BadInputError(
            f"builder/{name} comes back as it was made, so {given[0]} means nothing here.",
            hint=f"Leave it out. What is new, tell it with `afx send builder/{name} TEXT`.",
        )
    if known is not None and "session_id" in choice:
        choice |= {"session_id": meant(tower, known.id, choice["session_id"])}
    request = {"workspace": workspace["path"], "kind": "builder", "name": name, "resume": True, **choice}
    wanted |= {"args": rest, "spawned_by": os.environ.get("AFX_AGENT")}
    request |= {key: value for key, value in wanted.items() if value}
    print_revival(tower.post("/api/agents", request), as_json=as_json)


def _task(text: str | None, file: Path | None) -> str:
    if text is not None and file is not None:
        raise BadInputError("Both --task and --file say what to do.", hint="Give one of them.")
    if file is None:
        task = text
    elif str(file) == "-":
        task = sys.stdin.read()
    else:
        try:
            task = file.read_bytes().decode()
        except (OSError, UnicodeDecodeError):
            raise BadInputError(f"{file} cannot be read as text.", hint="Name a UTF-8 file.") from None
    if task is None or not task.strip():
        raise BadInputError(
            "A builder needs something to do.",
            hint="Say it with --task TEXT, or --file FILE for a longer text.",
        )
    return task


def _nearby(path: str) -> str:
    """Return a path as seen from the current directory, where it lies within."""
    here = current_directory_or_none()
    return os.path.relpath(path, here) if here and Path(path).is_relative_to(here) else path
