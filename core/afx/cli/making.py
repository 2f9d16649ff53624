"""How commands have the Tower make an agent."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from .commands import REST
from .output import print_json, print_notes

if TYPE_CHECKING:
    from afx.client.http import TowerClient


def make_agent(
    tower: TowerClient,
    workspace: dict[str, Any],
    kind: str,
    name: str | None,
    wanted: dict[str, Any],
    *,
    as_json: bool,
) -> dict[str, Any] | None:
    """Make an agent in a workspace; return it where it is still to be printed.

    What stands after -- on the command line goes to the agent's program.

    Args:
        tower: Who makes it.
        workspace: As the Tower gives it.
        kind: Of the agent.
        name: Of the agent; None for one that the Tower chooses.
        wanted: More fields of the request; those that are None are left out.
        as_json: Whether the answer is printed as it is.
    """
    request = {"workspace": workspace["path"], "kind": kind, "name": name, **wanted}
    request["args"] = list(click.get_current_context().meta.get(REST, ()))
    request["spawned_by"] = os.environ.get("AFX_AGENT")
    answer = tower.post(
        "/api/agents", {key: value for key, value in request.items() if value not in (None, [])}
    )
    if as_json:
        print_json(answer)
        return None
    print_notes(answer["notes"])
    agent: dict[str, Any] = answer["agent"]
    return agent
