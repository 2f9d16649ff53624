"""What a child inherits, and what its command is."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from afx.api.errors import SpawnError
from afx.api.harness import Evidence, HarnessProvider, HarnessSession, LaunchRequest, Place
from afx.api.model import AgentKind, Command, ConversationSource
from afx.testing.storage_records import an_agent
from afx.tower import launch


class Foo(HarnessProvider):
    name = "foo"
    commands = ("foo",)
    nesting_marks = ("FOO_INSIDE", "FOO_SESSION_*")
    set_when_nested = ("PAGER",)
    home_env = ("FOO_HOME",)
    lasting_env = ("FOO_MODEL*",)

    def launch(self, request: LaunchRequest) -> Command:
        role = f"{request.directory}/role.md"
        return Command(
            argv=("foo", *request.session_args, "--role", role, *request.args),
            env=request.env,
            cwd=request.cwd,
            files={role: request.role},
        )


class FooSession(HarnessSession):
    mints_ids = True

    def mint(self) -> str:
        return "minted"

    def new_session_args(self, session_id: str) -> tuple[str, ...]:
        return ("--id", session_id)

    def resume_args(self, session_id: str) -> tuple[str, ...]:
        return ("--resume", session_id)

    async def verify(self, session_id: str, place: Place) -> Evidence:
        raise NotImplementedError


AGENT = an_agent("a1", harness="foo", args=("--fast",))


def test_no_mark_of_any_harness_reaches_a_child_lesson_23() -> None:
    inherited = {"FOO_INSIDE": "1", "FOO_SESSION_ID": "x", "FOO_HOME": "/h", "PATH": "/bin", "PAGER": "cat"}
    assert launch.child_environment(inherited, [Foo()], {}) == {
        "FOO_HOME": "/h",
        "PATH": "/bin",
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
    }


def test_what_means_something_elsewhere_goes_only_with_a_mark_lesson_23() -> None:
    assert launch.child_environment({"PAGER": "less"}, [Foo()], {})["PAGER"] == "less"


FIRST = {"FOO_HOME": "/first", "FOO_MODEL_BIG": "first", "FOO_MODEL_KEY": "secret", "OTHER": "first"}
LATER = {"FOO_HOME": "/later", "FOO_MODEL_BIG": "later", "FOO_MODEL_SMALL": "later", "OTHER": "later"}


@pytest.mark.parametrize(
    ("first", "later", "home", "big", "small"),
    [
        (FIRST, LATER, "/first", "first", "later"),
        (FIRST, {}, "/first", "first", None),
        ({}, LATER, None, "later", "later"),
    ],
    ids=["another", "no longer set", "not set at first"],
)
def test_where_conversations_lie_is_what_it_was_at_the_first_launch_lesson_22(
    first: dict[str, str], later: dict[str, str], home: str | None, big: str, small: str | None
) -> None:
    kept = launch.lasting_environment(AGENT, Foo(), first)
    assert "FOO_MODEL_KEY" not in kept
    agent = msgspec.structs.replace(AGENT, env=kept, plan={"at": 1.0})
    again = msgspec.structs.replace(agent, env=launch.lasting_environment(agent, Foo(), later))
    for one in (agent, again):
        env = launch.agent_environment(one, Foo(), later, [Foo()], {"AFX_AGENT": "a1"})
        assert (env.get("FOO_HOME"), env.get("FOO_MODEL_BIG"), env.get("FOO_MODEL_SMALL")) == (
            home,
            big,
            small,
        )
        assert env["AFX_AGENT"] == "a1"


def test_afx_own_variables_are_set_anew() -> None:
    inherited = {"AFX_AGENT": "other", "AFX_READY_FD": "3", "AFX_PORT": "1"}
    env = launch.child_environment(inherited, [], {"AFX_AGENT": "me"})
    assert {name: value for name, value in env.items() if name.startswith("AFX")} == {"AFX_AGENT": "me"}


def test_files_are_written_and_private(tmp_path: Path) -> None:
    command = launch.harness_command(
        AGENT, Foo(), {}, role="be good", session_args=("--id", "x"), directory=tmp_path / "agents" / "a1"
    )
    role = tmp_path / "agents/a1/role.md"
    assert command.argv == ("foo", "--id", "x", "--role", str(role), "--fast")
    assert role.read_text() == "be good"
    assert role.stat().st_mode & 0o777 == 0o600
    assert role.parent.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in role.parent.iterdir()] == ["role.md"]


def test_files_that_cannot_be_written_are_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "role.md").mkdir()
    with pytest.raises(SpawnError, match="could not be written"):
        launch.harness_command(AGENT, Foo(), {}, role="x", session_args=(), directory=tmp_path)


def test_a_harness_without_session_gets_no_flag_lesson_21() -> None:
    assert launch.new_conversation(AGENT, Foo(), 1.0) == (None, ())


def test_a_minted_id_is_stored_and_told() -> None:
    harness = Foo()
    harness.session = FooSession()
    conversation, args = launch.new_conversation(AGENT, harness, 2.0)
    assert args == ("--id", "minted")
    assert conversation is not None
    assert (conversation.agent_id, conversation.id, conversation.harness) == ("a1", "minted", "foo")
    assert conversation.source is ConversationSource.MINTED


def test_a_program_that_chooses_its_own_id_gets_no_flag() -> None:
    class Choosing(FooSession):
        mints_ids = False

    harness = Foo()
    harness.session = Choosing()
    assert launch.new_conversation(AGENT, harness, 2.0) == (None, ())


@pytest.mark.parametrize(("env", "shell"), [({"SHELL": "/bin/zsh"}, "/bin/zsh"), ({}, "/bin/sh")])
def test_a_shell_runs_the_persons_own(env: dict[str, str], shell: str) -> None:
    agent = msgspec.structs.replace(AGENT, kind=AgentKind.SHELL, harness=None, args=("-c", "true"))
    assert launch.shell_command(agent, env).argv == (shell, "-c", "true")


def test_roles(tmp_path: Path) -> None:
    assert "builder" in launch.read_role(AgentKind.BUILDER, "")
    assert launch.read_role(AgentKind.SHELL, "") == ""
    (tmp_path / "role.md").write_text("mine", encoding="utf-8")
    assert launch.read_role(AgentKind.BUILDER, str(tmp_path / "role.md")) == "mine"
    with pytest.raises(SpawnError, match="role file") as caught:
        launch.read_role(AgentKind.BUILDER, str(tmp_path / "missing"))
    assert "builder.role" in caught.value.hint
