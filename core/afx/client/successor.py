"""Which terminal of an agent came after one that is gone; pure, over the state as the Tower gives it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from afx.api.errors import AfxError


def successor(
    state: Mapping[str, Any], agent_id: str, label: str, terminal_id: str, *, late: bool
) -> Mapping[str, Any] | None:
    """Return the terminal that an agent has after `terminal_id`; None where one may still come.

    Args:
        state: The whole state.
        agent_id: The agent.
        label: What it is called, such as ``builder/fix``.
        terminal_id: The terminal that is gone.
        late: Whether it has been waited for long enough.

    Raises:
        AfxError: There is none, and none will come by itself.
    """
    agents = (agent for workspace in state["workspaces"] for agent in workspace["agents"])
    agent = next((agent for agent in agents if agent["id"] == agent_id), None)
    if agent is None:
        raise AfxError(f"{label} was removed, and its terminal with it.", code="terminal-gone")
    terminal: Mapping[str, Any] | None = agent["terminal"]
    if terminal is None:
        # Unless a person stopped it, it may be about to be brought back, and gets another terminal then.
        if agent["state"] != "stopped" and not late:
            return None
        why = f": {agent['reason'].rstrip('.')}" if agent.get("reason") else ""
        raise AfxError(
            f"{label} has no terminal any more; it is {agent['state']}{why}.",
            hint=f"Start it with `afx start {label}`.",
            code="terminal-gone",
        )
    if terminal["id"] != terminal_id:
        return terminal
    if late:
        raise AfxError(
            f"The terminal of {label} is listed, and yet not there.",
            hint="See `afx tower log`.",
            code="terminal-gone",
        )
    return None
