"""Which names are taken, and which are refused."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afx.api.errors import BadInputError
from afx.tower.names import check_branch, check_name

HOSTILE = [
    "x.lock",
    "x" * 300,
    "",
    "../x",
    "..",
    ".",
    "-t",
    ".hidden",
    "a/b",
    "a:b.c",
    "a\nb",
    "a b",
    "x" * 300,
    "é",
    "a..b",
    "a.lock",
]

HOSTILE_BRANCHES = [
    *["", "-t", "/a", "a/", "a//b", "a/.b", "a.lock/b", "a.", "a..b", "../x", "@", "HEAD", "@{-1}", "a@{b"],
    *["a b", "a:b", "a\nb", "a~1", "a^", "a?", "a*", "a[", "a\\b", "a\x7f", "\0", "x" * 300],
]


@pytest.mark.parametrize("name", ["fix", "fix-2", "A.b_c", "1", "_x", "x" * 64])
def test_good_names_pass(name: str) -> None:
    assert check_name(name, "builder") == name


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_refused_in_one_line_lesson_47(name: str) -> None:
    with pytest.raises(BadInputError) as caught:
        check_name(name, "agent")
    assert caught.value.hint
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 200


@pytest.mark.parametrize("name", ["fix", "builder/fix", "a/b/c", "grün/ß", "x{y", "a.b", "a@b", "x-y"])
def test_good_branches_pass(name: str) -> None:
    assert check_branch(name) == name


@pytest.mark.parametrize("name", HOSTILE_BRANCHES)
def test_hostile_branches_are_refused_lesson_47(name: str) -> None:
    with pytest.raises(BadInputError):
        check_branch(name)


@given(st.text(alphabet="ab-./@{}~^:?*[\\ \x7f\u00e9", max_size=8).map("x{}".format))
def test_git_would_say_the_same_of_a_branch(name: str) -> None:
    done = subprocess.run(
        ["git", "check-ref-format", "--branch", name], capture_output=True, check=False, cwd="/"
    )
    try:
        check_branch(name)
    except BadInputError:
        assert done.returncode != 0
    else:
        assert done.returncode == 0
