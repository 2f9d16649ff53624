"""What the commands that bring agents back have in common: their options, and how they tell what was done."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from afx.api.errors import BadInputError

from .naming import label_of
from .output import plain, print_json, print_notes, print_table

if TYPE_CHECKING:
    from afx.client.http import TowerClient

_F = TypeVar("_F", bound=Callable[..., Any])


def resume_options(command: _F) -> _F:
    """Give a command the options ``--id`` and ``--fresh``, which it gets as `session_id` and `fresh`."""
    fresh = click.option(
        "--fresh", is_flag=True, help="Begin a new conversation; the ids of before are kept."
    )
    given = click.option(
        "--id",
        "session_id",
        metavar="SESSION",
        help="The conversation to resume. The beginning of an id that the agent had is enough.",
    )
    return given(fresh(command))


def chosen(session_id: str | None, *, fresh: bool) -> dict[str, Any]:
    """Return what a request says about the conversation that is wanted.

    Raises:
        BadInputError: Two are.
    """
    if session_id is not None and fresh:
        raise BadInputError(
            "--id resumes a conversation, and --fresh begins a new one.", hint="Give one of them."
        )
    return {
        **({"session_id": session_id} if session_id is not None else {}),
        **({"fresh": True} if fresh else {}),
    }


def meant(tower: TowerClient, agent_id: str, begun: str) -> str:
    """Return the id of the conversation that is meant by its beginning.

    Where none of the agent's begins so, what was given is returned, for the Tower to judge.

    Raises:
        BadInputError: Several begin so.
    """
    known = tower.get(f"/api/agents/{agent_id}/conversations")["conversations"]
    matches = [one["id"] for one in known if one["id"].startswith(begun)] if begun else []
    if begun in matches or not matches:
        return begun
    if len(matches) > 1:
        raise BadInputError(
            f"{len(matches)} conversations begin with {begun!r}.", hint=f"Write more of it: {matches[0]}"
        )
    found: str = matches[0]
    return found


def resume(
    tower: TowerClient, agent_id: str, session_id: str | None = None, *, fresh: bool = False
) -> dict[str, Any]:
    """Have an agent brought back by the resume chain; return the answer: the agent, the plan, notes.

    The beginning of `session_id` is enough, see `meant`.
    """
    if session_id is not None:
        session_id = meant(tower, agent_id, session_id)
    answer: dict[str, Any] = tower.post(f"/api/agents/{agent_id}/resume", chosen(session_id, fresh=fresh))
    return answer


def print_revival(answer: Mapping[str, Any], *, as_json: bool) -> None:
    """Tell how an agent was brought back, and what was passed over on the way."""
    if as_json:
        print_json(answer)
        return
    agent, plan = answer["agent"], answer["plan"]
    if plan["action"] != "attach":
        print_notes(answer["notes"])
    click.echo(plain(outcome(agent, plan)))
    if passed_over := _passed_over(plan):
        click.echo("Passed over:")
        print_table([_words(step) for step in passed_over], indent=2)
    click.echo(f"Look at it with `afx attach {label_of(agent)}`.")


def outcome(agent: Mapping[str, Any], plan: Mapping[str, Any]) -> str:
    """Say in one or two sentences what a plan has led to."""
    label = label_of(agent)
    match plan["action"]:
        case "attach":
            return f"{label} runs already; nothing was started."
        case "resume":
            how = f"{plan['rung']}, {plan['confidence']}"
            return f"{label} is back with its conversation {plan['session_id']} ({how}). {plan['why']}"
        case "begin" if agent["harness"] is None:
            return f"{label} runs again."
        case "begin":
            return f"{label} has begun a new conversation ({plan['rung']}). {plan['why']}"
        case _:
            return f"{label} does not come back. {plan['why']}"


def grounds(plan: Mapping[str, Any]) -> str:
    """Say why a plan is as it is: of a new conversation, why it was none of before."""
    passed_over = [step["why"] for step in _passed_over(plan)]
    return " ".join(dict.fromkeys(passed_over)) if plan["action"] == "begin" and passed_over else plan["why"]


def print_steps(steps: Sequence[Mapping[str, Any]]) -> None:
    """Print the rungs of a plan: rung, conversation, evidence, verdict, why."""
    rows = []
    for step in steps:
        rung, session_id, evidence, why = _words(step)
        verdict = "chosen" if step["chosen"] else "passed over" if _was_asked(step) else "not asked"
        rows.append([rung, session_id, evidence, verdict, why])
    print_table(rows, indent=2)


def _passed_over(plan: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [step for step in plan["steps"] if not step["chosen"] and _was_asked(step)]


def _was_asked(step: Mapping[str, Any]) -> bool:
    # A plan that an older afx stored says nothing of rungs that were not.
    return bool(step.get("asked", True))


def _words(step: Mapping[str, Any]) -> list[str]:
    return [step["rung"], step["session_id"] or "", step["evidence"] or "", step["why"]]
