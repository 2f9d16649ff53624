"""The command that explains how an agent was last brought back, and how it would be now."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import click

from .commands import Command
from .door import agent_argument, connect_to
from .output import duration, json_option, plain, print_json
from .resuming import print_steps


@click.command(cls=Command, example="afx explain builder/fix\nafx explain architect --json\n")
@agent_argument
@json_option
def explain(*, agent: str, as_json: bool) -> None:
    """Explain how an agent was last started: what was weighed, chosen and passed over, and why.

    Of an agent that does not run, also how it would be brought back now. Nothing is changed.
    """
    tower, found = connect_to(agent)
    last = tower.get(f"/api/agents/{found.id}/plan")
    now = None
    if found.agent["state"] != "running":
        now = tower.post(f"/api/agents/{found.id}/resume", {"dry_run": True})["plan"]
    if as_json:
        print_json({**last, "now": now})
        return
    if last["plan"] is None:
        click.echo(f"{found.label} was never started.")
    else:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(last["at"]))
        click.echo(
            f"{found.label} was last started {duration(time.time() - last['at'])} ago, at {when}: "
            f"{_verdict(last['plan'], found.agent['harness'])}"
        )
        print_steps(last["plan"]["steps"])
    if now is not None:
        reason = f": {found.agent['reason']}" if found.agent["reason"] else "."
        click.echo("\n" + plain(f"It is {found.agent['state']}{reason}"))
        click.echo(f"Brought back now: {_verdict(now, found.agent['harness'])}")
        print_steps(now["steps"])


def _verdict(plan: Mapping[str, Any], harness: str | None) -> str:
    match plan["action"]:
        case "resume":
            did = f"conversation {plan['session_id']} is resumed ({plan['rung']}, {plan['confidence']})."
        case "begin" if harness is None:
            did = "it is started."
        case "begin":
            did = "a new conversation begins."
        case "attach":
            did = "nothing is started."
        case _:
            did = "it does not come back."
    return plain(f"{did} {plan['why']}")
