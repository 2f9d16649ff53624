"""Which agent a person means: by ``kind/NAME``, by NAME alone where that is clear, by kind alone, or by id.

Pure functions over the state as the Tower gives it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from afx.api.errors import BadInputError, NotFoundError

from .here import current_directory_or_none

MAIN = "main"
"""The name of the architect that is meant where none is named."""


class Found(NamedTuple):
    """An agent of the state, and the path of its workspace."""

    agent: Mapping[str, Any]
    workspace: str

    @property
    def label(self) -> str:
        """What the agent is called: ``kind/NAME``."""
        return label_of(self.agent)

    @property
    def id(self) -> str:
        """The agent's id."""
        return str(self.agent["id"])


def label_of(agent: Mapping[str, Any]) -> str:
    """Return what an agent of the state is called: ``kind/NAME``."""
    return f"{agent['kind']}/{agent['name']}"


def everyone(state: Mapping[str, Any]) -> list[Found]:
    """Return all agents."""
    return [
        Found(agent, workspace["path"]) for workspace in state["workspaces"] for agent in workspace["agents"]
    ]


def labelled(state: Mapping[str, Any], workspace: str, label: str) -> Found | None:
    """Return the agent of a workspace that is called so, None where there is none."""
    return next(
        (found for found in everyone(state) if (found.workspace, found.label) == (workspace, label)), None
    )


def workspace_around(state: Mapping[str, Any], directory: Path | None) -> str | None:
    """Return the path of the workspace that a directory belongs to, itself or as a builder's worktree."""
    if directory is None:
        return None
    places = [(workspace["path"], workspace["path"]) for workspace in state["workspaces"]]
    places += [(found.agent["cwd"], found.workspace) for found in everyone(state)]
    around = [place for place in places if directory.is_relative_to(place[0])]
    return max(around, key=lambda place: len(place[0]))[1] if around else None


def find_agent(state: Mapping[str, Any], name: str, directory: Path | None = None) -> Found:
    """Return the agent that is meant. The workspace around `directory` comes first, then all others.

    Raises:
        BadInputError: Several are meant.
        NotFoundError: None is.
    """
    agents = everyone(state)
    for found in agents:
        if found.id == name:
            return found
    here = workspace_around(state, current_directory_or_none() if directory is None else directory)
    near = [found for found in agents if found.workspace == here]
    for circle in (near, agents):
        for matches in (
            [found for found in circle if name in (found.label, found.agent["name"])],
            [found for found in circle if name == found.agent["kind"]],
        ):
            if len(matches) == 1:
                return matches[0]
            if matches:
                raise _ambiguous(name, matches)
    raise _unknown(name, agents)


def _ambiguous(name: str, matches: list[Found]) -> BadInputError:
    labels = [found.label for found in matches]
    if len(set(labels)) == len(labels):
        return BadInputError(f"{name!r} may be any of {_listed(labels)}.", hint="Write its kind and name.")
    places = [f"{found.id} in {found.workspace}" for found in matches]
    return BadInputError(f"{name!r} may be any of {_listed(places)}.", hint="Name it by its id.")


def _unknown(name: str, agents: list[Found]) -> NotFoundError:
    import difflib

    known = {found.label: found.label for found in agents}
    known |= {str(found.agent["name"]): found.label for found in agents}
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"Did you mean {known[near[0]]}?" if near else "`afx status` lists the agents."
    return NotFoundError(f"There is no agent {name!r}.", hint=hint)


def _listed(words: list[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}"
