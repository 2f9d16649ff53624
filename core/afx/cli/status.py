"""The command that shows everything: workspaces, agents, and what needs a look."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

import click

from .commands import Command
from .door import connect
from .output import duration, json_option, plain, print_json, print_table, shorten


@click.command(cls=Command, example="afx status\nafx status --json\n")
@json_option
def status(*, as_json: bool) -> None:
    """Show every workspace and agent, and whether the Tower runs."""
    state = connect().state()
    if as_json:
        print_json(state)
        return
    tower, now = state["tower"], time.time()
    click.echo(f"Tower {tower['version']} at {tower['url']}, up {duration(now - tower['started_at'])}")
    for workspace in state["workspaces"]:
        _print_workspace(workspace, now)
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


def _print_workspace(workspace: Mapping[str, Any], now: float) -> None:
    inactive = "" if workspace["active"] else "  (stopped)"
    click.echo(f"\n{click.style(plain(_tilde(workspace['path'])), bold=True)}{inactive}")
    rows = []
    for agent in workspace["agents"]:
        terminal = agent["terminal"]
        heard = terminal["last_output_at"] if terminal else None
        rows.append(
            [
                f"{agent['kind']}/{agent['name']}",
                agent["state"],
                agent["harness"] or "",
                f"{duration(now - heard)} ago" if heard else "",
                shorten(agent["reason"] or agent["branch"] or "", 60),
            ]
        )
    if rows:
        print_table(rows, indent=2, color_of=1)
    else:
        click.echo("  no agents")


def _tilde(path: str) -> str:
    home = os.environ.get("HOME", "")
    return f"~{path[len(home) :]}" if home and path.startswith(f"{home}/") else path
