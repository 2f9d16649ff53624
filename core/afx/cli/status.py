"""The command that shows everything: workspaces, agents, and what needs a look."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Mapping
from typing import Any

import click

from .commands import Command
from .door import connect
from .here import current_directory_or_none
from .naming import label_of, workspace_around
from .output import duration, json_option, plain, print_json, print_other_version, print_table, shorten

_PATIENCE = 10.0
"""So many seconds are enough even for a busy Tower to tell its state."""
_TROUBLED = ("needs-attention", "unreachable", "lost", "crashed")


@click.command(cls=Command, example="afx status\nafx status --json\n")
@json_option
def status(*, as_json: bool) -> None:
    """Show every workspace and agent, and whether the Tower runs."""
    state = connect(timeout=_PATIENCE).state()
    if as_json:
        print_json(state)
        return
    tower, now = state["tower"], time.time()
    click.echo(f"Tower {tower['version']} at {tower['url']}, up {duration(now - tower['started_at'])}")
    print_other_version(tower["version"])
    here = workspace_around(state, current_directory_or_none())
    for workspace in state["workspaces"]:
        _print_workspace(workspace, now, is_here=workspace["path"] == here)
    if not state["workspaces"]:
        click.echo("\nNo workspace yet. `afx up` in a git repository makes it one.")
    if state["orphans"]:
        click.echo("\nTerminals that no record names:")
        print_table(
            [[orphan["terminal_id"], orphan["strategy"], orphan["note"]] for orphan in state["orphans"]],
            indent=2,
        )
    if state["plugins"]:
        click.echo("\nPlugins that are not active (`afx plugins` says more):")
        print_table([[plugin["name"], plugin["state"]] for plugin in state["plugins"]], indent=2, color_of=1)


def _print_workspace(workspace: Mapping[str, Any], now: float, *, is_here: bool) -> None:
    inactive = "" if workspace["active"] else "  (stopped)"
    click.echo(f"\n{click.style(plain(_tilde(workspace['path'])), bold=True)}{inactive}")
    rows = []
    for agent in workspace["agents"]:
        terminal = agent["terminal"]
        heard = terminal["last_output_at"] if terminal else None
        note = agent["reason"] or agent["branch"] or ""
        if agent.get("doing") == "waiting":
            note = f"waits for you{note and f' ({note})'}"
        rows.append(
            [
                label_of(agent),
                agent["state"],
                agent["harness"] or "",
                f"{duration(now - heard)} ago" if heard else "",
                note if agent["state"] in _TROUBLED else shorten(note, 60),
            ]
        )
    if rows:
        print_table(rows, indent=2, color_of=1)
    else:
        click.echo("  no agents")
    for line in _what_helps(workspace, is_here=is_here):
        click.echo(plain(f"  {line}"))


def _what_helps(workspace: Mapping[str, Any], *, is_here: bool) -> list[str]:
    """Say for the agents that are in trouble what a person can do."""
    troubled: dict[str, list[str]] = {state: [] for state in _TROUBLED}
    for agent in workspace["agents"]:
        if agent["state"] in troubled:
            troubled[agent["state"]].append(label_of(agent))
    lines = [
        f"{label} needs attention: `afx attach {label}` shows its screen, `afx explain {label}` what was "
        f"tried, and `afx start {label}` tries again."
        for label in troubled["needs-attention"]
    ]
    if troubled["unreachable"]:
        names = ", ".join(troubled["unreachable"])
        lines.append(f"{names}: no answer. The Tower goes on asking; `afx tower log` says more.")
    down = troubled["lost"] + troubled["crashed"]
    if down:
        place = "" if is_here else f" {shlex.quote(workspace['path'])}"
        lines.append(
            f"{len(down)} {'agent is' if len(down) == 1 else 'agents are'} down: "
            f"`afx workspace recover{place}` shows how to bring back {', '.join(down)}."
        )
    return lines


def _tilde(path: str) -> str:
    home = os.environ.get("HOME", "")
    return f"~{path[len(home) :]}" if home and path.startswith(f"{home}/") else path
