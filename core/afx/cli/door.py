"""What most commands begin with: the Tower of this state directory, and the agent that was named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from .here import current_directory_or_none
from .naming import Found, everyone, find_agent, workspace_around

if TYPE_CHECKING:
    from afx.client.http import TowerClient

_COMPLETION_PATIENCE = 0.5


def complete_agent(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Return the agents whose name begins so; nothing where no Tower answers at once."""
    from afx.api.errors import AfxError

    try:
        state = connect(timeout=_COMPLETION_PATIENCE).state()
    except AfxError:
        return []
    here = workspace_around(state, current_directory_or_none())
    agents = everyone(state)
    near = [found for found in agents if found.workspace == here] or agents
    return [
        CompletionItem(found.label, help=found.agent["state"])
        for found in near
        if found.label.startswith(begun) or found.agent["name"].startswith(begun)
    ]


agent_argument = click.argument("agent", shell_complete=complete_agent)
"""Gives a command the argument that names an agent."""


def connect(*, timeout: float = 60.0) -> TowerClient:
    """Connect to the Tower of this state directory.

    Args:
        timeout: How many seconds an answer may take.

    Raises:
        TowerDownError: None runs.
    """
    from afx.client.http import TowerClient, TowerDownError
    from afx.settings import state_directory

    home = state_directory()
    try:
        return TowerClient.connect(home, timeout=timeout)
    except TowerDownError:
        from afx.client.presence import absence

        raise absence(home) from None


def connect_to(name: str) -> tuple[TowerClient, Found]:
    """Connect to the Tower and find an agent there.

    Raises:
        TowerDownError: No Tower runs.
        BadInputError: Several agents may be meant.
        NotFoundError: None is.
    """
    tower = connect()
    return tower, find_agent(tower.state(), name)


def connect_here() -> tuple[TowerClient, dict[str, Any]]:
    """Connect to the Tower, and register the repository around the current directory or make it active again.

    Raises:
        BadInputError: There is no repository.
        TowerDownError: No Tower runs.
    """
    from .repository import workspace_here

    path = workspace_here()
    tower = connect()
    return tower, tower.post("/api/workspaces", {"path": str(path)})
