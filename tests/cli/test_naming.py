from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from afx.api.errors import BadInputError, NotFoundError
from afx.cli.naming import find_agent, workspace_around
from cli.stub import agent, workspace

STATE: dict[str, Any] = {
    "workspaces": [
        workspace(
            "/w/one",
            agent("architect", "main"),
            agent("builder", "fix"),
            agent("builder", "docs", cwd="/elsewhere/docs"),
            agent("shell", "docs"),
            agent("shell", "builder"),
        ),
        workspace("/w/two", agent("architect", "main", id="id-two"), agent("builder", "only")),
        workspace("/w/two/nested"),
    ]
}


@pytest.mark.parametrize(
    ("name", "directory", "expected"),
    [
        ("builder/fix", "/w/one", "id-builder-fix"),
        ("fix", "/w/one/src", "id-builder-fix"),
        ("fix", "/", "id-builder-fix"),
        ("main", "/w/one", "id-architect-main"),
        ("main", "/w/two", "id-two"),
        ("architect", "/w/two/src", "id-two"),
        ("architect", "/elsewhere/docs/src", "id-architect-main"),
        ("id-two", "/w/one", "id-two"),
        ("only", "/w/one", "id-builder-only"),
        ("builder", "/w/one", "id-shell-builder"),
        ("shell/docs", "/w/one", "id-shell-docs"),
    ],
)
def test_an_agent_is_found(name: str, directory: str, expected: str) -> None:
    assert find_agent(STATE, name, Path(directory)).id == expected


@pytest.mark.parametrize(
    ("name", "directory", "says"),
    [
        ("docs", "/w/one", "'docs' may be any of builder/docs and shell/docs."),
        ("main", "/", "'main' may be any of id-architect-main in /w/one and id-two in /w/two."),
        ("shell", "/w/one", "'shell' may be any of shell/docs and shell/builder."),
    ],
)
def test_what_may_be_several_is_listed(name: str, directory: str, says: str) -> None:
    with pytest.raises(BadInputError) as caught:
        find_agent(STATE, name, Path(directory))
    assert caught.value.message == says
    assert caught.value.hint


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("fxi", "Did you mean builder/fix?"),
        ("builder/fox", "Did you mean builder/fix?"),
        ("zzzzzz", "afx status"),
    ],
)
def test_what_is_not_there_has_a_near_miss(name: str, hint: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        find_agent(STATE, name, Path("/w/one"))
    assert hint in caught.value.hint


@pytest.mark.parametrize("name", ["", "../x", "-t", "a:b.c", "a\nb", "x" * 300])
def test_names_from_outside_are_just_unknown_lesson_47(name: str) -> None:
    with pytest.raises(NotFoundError):
        find_agent(STATE, name, Path("/w/one"))


def test_the_innermost_workspace_counts() -> None:
    assert workspace_around(STATE, Path("/w/two/nested/x")) == "/w/two/nested"
    assert workspace_around(STATE, Path("/w/twofold")) is None
