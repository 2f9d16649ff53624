"""`afx orphans`, `afx adopt` and `afx workspace convert`: what they ask the Tower, and what they say."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from cli.conftest import Afx
from cli.stub import StubTower, agent, workspace
from cli.test_resuming import ONE, STORED, plan

MINE = {
    "terminal_id": "8c1f20aa61d5c9b3",
    "agent_id": "",
    "strategy": "tmux",
    "started_at": time.time() - 2 * 3600,
    "note": "tmux session shell-shop-watch in /w/shop",
    "name": "shell-shop-watch",
    "cwd": "/w/shop",
}
CONVERT = "/api/agents/id-builder-fix/convert"


@pytest.fixture
def known(tower: StubTower, repository: Path) -> StubTower:
    """A builder and a shell in the repository that is the current directory, and one orphan."""
    tower.set_state(
        workspace(str(repository), agent("builder", "fix", harness="claude"), agent("shell", "one"))
    )
    tower.answers["GET", "/api/orphans"] = (200, {"orphans": [MINE]})
    adopted = {"agent": agent("shell", "watch"), "notes": []}
    tower.answers["POST", "/api/orphans/adopt"] = (200, adopted)
    return tower


def refusal(code: str, message: str, hint: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "hint": hint}}


def test_orphans_are_listed(afx: Afx, known: StubTower) -> None:
    done = afx("orphans")
    assert done == (0, "8c1f20aa61d5c9b3  tmux  2 h  tmux session shell-shop-watch in /w/shop\n", "")
    assert json.loads(afx("orphans", "--json").out) == [MINE]
    known.answers["GET", "/api/orphans"] = (200, {"orphans": []})
    assert afx("orphans") == (0, "No orphans.\n", "")


def test_what_a_stranger_called_a_session_cannot_write_on_the_screen(afx: Afx, known: StubTower) -> None:
    note = "tmux session shell-\x1b]0;owned\x07 in /w"
    known.answers["GET", "/api/orphans"] = (200, {"orphans": [{**MINE, "note": note}]})
    assert "\x1b" not in afx("orphans").out


def test_an_orphan_is_adopted_by_its_name(afx: Afx, known: StubTower) -> None:
    done = afx("adopt", "shell-shop-watch")
    says = "shell-shop-watch is the terminal of shell/watch now. Look at it with `afx attach shell/watch`.\n"
    assert done == (0, says, "")
    assert known.body_of("POST", "/api/orphans/adopt") == {"orphan": "shell-shop-watch"}
    assert json.loads(afx("adopt", "shell-shop-watch", "--json").out)["agent"]["name"] == "watch"


def test_an_orphan_is_adopted_as_whom_a_person_says(afx: Afx, known: StubTower, repository: Path) -> None:
    options = ("--as", "builder/fix", "--workspace", str(repository), "--harness", "claude")
    assert afx("adopt", MINE["terminal_id"], *options).status == 0
    assert known.body_of("POST", "/api/orphans/adopt") == {
        "orphan": MINE["terminal_id"],
        "kind": "builder",
        "name": "fix",
        "workspace": str(repository),
        "harness": "claude",
    }


@pytest.mark.parametrize("identity", ["watch", "builder/", "/fix", "robot/fix", ""])
def test_adoption_as_nobody_asks_the_tower_nothing(afx: Afx, known: StubTower, identity: str) -> None:
    done = afx("adopt", "shell-shop-watch", "--as", identity)
    error = f"Error: {identity!r} is no agent.\nHint: Write KIND/NAME, such as builder/fix.\n"
    assert done == (2, "", error)
    assert known.asked == []


def test_adoption_into_what_is_no_repository_asks_the_tower_nothing(
    afx: Afx, known: StubTower, tmp_path: Path
) -> None:
    done = afx("adopt", "shell-shop-watch", "--workspace", str(tmp_path / "nowhere"))
    assert done.status == 2
    assert [line.split(":")[0] for line in done.err.splitlines()] == ["Error", "Hint"]
    assert known.asked == []


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (404, refusal("not-found", "There is no orphan 'private'.", "`afx orphans` lists those there are.")),
        (
            400,
            refusal("bad-input", "Which agent it belongs to cannot be told.", "Say it with --as KIND/NAME."),
        ),
        (409, refusal("conflict", "shell/watch has a terminal already.", "Adopt it under another name.")),
    ],
    ids=["an unknown session, or a stranger's", "a name that says nothing", "a name that is taken"],
)
def test_what_the_tower_refuses_to_adopt_is_said_in_its_words(
    afx: Afx, known: StubTower, status: int, error: dict[str, Any]
) -> None:
    known.answers["POST", "/api/orphans/adopt"] = (status, error)
    words = error["error"]
    assert afx("adopt", "private") == (2, "", f"Error: {words['message']}\nHint: {words['hint']}\n")


def moved(
    name: str, made: dict[str, Any] | None, *notes: str, harness: str | None = "claude"
) -> dict[str, Any]:
    kind, _, short = name.partition("/")
    return {"agent": agent(kind, short, harness=harness), "plan": made, "notes": list(notes)}


def test_an_agent_is_moved_with_its_conversation(afx: Afx, known: StubTower) -> None:
    known.answers["POST", CONVERT] = (200, moved("builder/fix", STORED))
    done = afx("workspace", "convert", "fix", "--strategy", "tmux")
    assert (done.status, done.err) == (0, "")
    first, second = done.out.splitlines()
    assert first.startswith(f"builder/fix is back with its conversation {ONE} (stored, certain).")
    assert second == "Its terminal is held by tmux now."
    assert known.body_of("POST", CONVERT) == {"strategy": "tmux", "now": False}


def test_a_shell_is_moved_without_any_word_of_conversations(afx: Afx, known: StubTower) -> None:
    made = plan("begin", "fresh", None, "A shell has no conversation; it is started anew.")
    path = "/api/agents/id-shell-one/convert"
    known.answers["POST", path] = (200, moved("shell/one", made, harness=None))
    done = afx("workspace", "convert", "shell/one", "--strategy", "tmux", "--now")
    assert done == (0, "shell/one runs again.\nIts terminal is held by tmux now.\n", "")
    assert known.body_of("POST", path) == {"strategy": "tmux", "now": True}


def test_an_agent_that_does_not_run_is_only_noted(afx: Afx, known: StubTower) -> None:
    known.answers["POST", CONVERT] = (200, moved("builder/fix", None))
    done = afx("workspace", "convert", "fix", "--strategy", "tmux")
    assert done == (0, "builder/fix does not run. It is started with tmux next.\n", "")


@pytest.mark.parametrize(
    ("status", "error", "expected"),
    [
        (
            400,
            refusal("bad-input", "There is no reconnect strategy 'screen'.", "There are: shellper, tmux."),
            2,
        ),
        (
            409,
            refusal(
                "conflict",
                "The terminal of builder/fix is held by tmux already.",
                "Nothing needs to be done.",
            ),
            2,
        ),
        (409, refusal("busy", "builder/fix was not idle within 30 s.", "Add --now to interrupt it."), 2),
        (503, refusal("unreachable", "Terminal t does not answer.", "Try again in a while."), 1),
    ],
    ids=["no such strategy", "the same strategy", "a busy agent", "a terminal that does not answer"],
)
def test_a_move_that_is_refused_is_said_in_the_towers_words(
    afx: Afx, known: StubTower, status: int, error: dict[str, Any], expected: int
) -> None:
    known.answers["POST", CONVERT] = (status, error)
    words = error["error"]
    done = afx("workspace", "convert", "fix", "--strategy", "tmux")
    assert done == (expected, "", f"Error: {words['message']}\nHint: {words['hint']}\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("adopt",), "SESSION"),
        (("adopt", "a", "b"), "b"),
        (("orphans", "a"), "a"),
        (("workspace", "convert", "fix"), "--strategy"),
        (("workspace", "convert", "--strategy", "tmux"), "AGENT"),
        (("workspace", "convert", "nobody", "--strategy", "tmux"), "no agent 'nobody'"),
    ],
)
def test_bad_input_is_one_sentence_and_a_hint(
    afx: Afx, known: StubTower, arguments: tuple[str, ...], says: str
) -> None:
    done = afx(*arguments)
    assert (done.status, done.out) == (2, "")
    error, hint = done.err.splitlines()
    assert says in error
    assert hint.startswith("Hint: ")
    assert {method for method, _, _ in known.asked} <= {"GET"}
