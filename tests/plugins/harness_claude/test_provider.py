"""How Claude Code is launched."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from afx.plugin import Exit, ExitInfo, ExitKind, LaunchRequest
from afx_harness_claude import afx_harnesses
from afx_harness_claude.provider import ClaudeHarness
from plugins.provider_tests import ProviderTests, a_request


@pytest.fixture
def request_(tmp_path: Path) -> LaunchRequest:
    return msgspec.structs.replace(a_request(tmp_path, "claude"), session_args=("--session-id", "ID"))


class TestProvider(ProviderTests):
    entries = afx_harnesses
    harness = ClaudeHarness
    package = "@anthropic-ai/claude-code"


def test_the_role_is_added_to_the_system_prompt(request_: LaunchRequest) -> None:
    command = ClaudeHarness().launch(msgspec.structs.replace(request_, role="Role."))
    (path,) = command.files
    assert command.files[path] == "Role."
    assert command.argv[3:] == ("--append-system-prompt-file", path)


def test_a_task_is_said_and_is_no_command(request_: LaunchRequest) -> None:
    request = msgspec.structs.replace(request_, task="/clear")
    assert ClaudeHarness().launch(request).argv[-2:] == ("--", "Message: /clear")


@pytest.mark.parametrize("task", ["fix it", "--help", "-", "a\nb", "é 😀 'q' $(x)"])
def test_a_task_is_the_last_argument_and_never_a_flag_lesson_47(request_: LaunchRequest, task: str) -> None:
    request = msgspec.structs.replace(request_, args=("--allowedTools", "Read"), task=task, role="Role.")
    argv = ClaudeHarness().launch(request).argv
    assert argv[-4:] == ("--allowedTools", "Read", "--", task)


def test_a_person_who_ended_the_options_did_so_once(request_: LaunchRequest) -> None:
    request = msgspec.structs.replace(request_, args=("--verbose", "--"), task="-x")
    assert ClaudeHarness().launch(request).argv[-3:] == ("--verbose", "--", "-x")


def test_marks_of_nested_sessions_are_named_lesson_23() -> None:
    marks = set(ClaudeHarness.nesting_marks)
    assert {"CLAUDECODE", "CLAUDE_CODE_CHILD_SESSION", "CLAUDE_CODE_SESSION_ID"} <= marks
    assert {"GIT_EDITOR", "AI_AGENT"} == set(ClaudeHarness.set_when_nested)
    # What a person sets on purpose is not ours to remove.
    assert not marks & {"CLAUDE_CONFIG_DIR", "ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN"}


@pytest.mark.parametrize(
    ("exit_", "tail", "kind"),
    [
        (Exit(code=0, at=0), "", ExitKind.QUIT),
        (Exit(code=1, at=0), "No conversation found with session ID: x\x1b[39m\r\n", ExitKind.UNRESUMABLE),
        (Exit(code=1, at=0), "Error: Session ID x is already in use.", ExitKind.UNRESUMABLE),
        (Exit(code=0, at=0), "No conversation found with session ID: x", ExitKind.QUIT),
        (Exit(code=1, at=0), "Not logged in · Please run /login\r\n", ExitKind.AUTH),
        (Exit(code=1, at=0), "Login\x1b[7Gexpired\x1b[1m · \x1b[0mPlease\x1b[20Grun /login", ExitKind.AUTH),
        (Exit(code=1, at=0), "Invalid API key · Fix external API key", ExitKind.AUTH),
        (Exit(signal=9, at=0), "Please run /login", ExitKind.CRASH),
        (Exit(code=0, at=0), "Please run /login", ExitKind.QUIT),
        (Exit(code=1, at=0), "", ExitKind.CRASH),
        (Exit(signal=9, at=0), "", ExitKind.CRASH),
    ],
)
def test_an_end_is_told_by_code_and_words(exit_: Exit, tail: str, kind: ExitKind) -> None:
    assert ClaudeHarness().classify_exit(ExitInfo(exit=exit_, ran_for=1.0, tail=tail)) is kind


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("/clear", "Message: /clear"),
        ("\n /tmp is full\\", "Message: \n /tmp is full\\ "),
        ("hi\nyou é", "hi\nyou é"),
        ("!rm x", " !rm x"),
        ("ends in \\", "ends in \\ "),
        ("a ! b", "a ! b"),
    ],
)
def test_a_message_is_one_paste_beside_a_draft_and_runs_nothing_lesson_38(text: str, typed: str) -> None:
    (keys,) = ClaudeHarness().keystrokes(text)
    assert keys == b"\x13\x1b[200~" + typed.encode() + b"\x1b[201~\r"


@pytest.mark.parametrize(
    ("args", "kept", "unattended"),
    [
        ("--model x", "--model x", ""),
        ("--dangerously-skip-permissions --model x", "--model x", "--dangerously-skip-permissions"),
        ("--permission-mode bypassPermissions -c", "-c", "--permission-mode bypassPermissions"),
        ("-c --permission-mode=bypassPermissions", "-c", "--permission-mode=bypassPermissions"),
        ("--permission-mode plan", "--permission-mode plan", ""),
        ("-c --permission-mode", "-c --permission-mode", ""),
        ("-c -- --dangerously-skip-permissions", "-c -- --dangerously-skip-permissions", ""),
    ],
)
def test_permissions_are_parted_from_other_arguments_lesson_22(args: str, kept: str, unattended: str) -> None:
    parted = ClaudeHarness().split_unattended(args.split())
    assert parted == (tuple(kept.split()), tuple(unattended.split()))


def test_what_lasts_holds_no_secret() -> None:
    lasting = (*ClaudeHarness.home_env, *ClaudeHarness.lasting_env)
    assert {"CLAUDE_CONFIG_DIR", "ANTHROPIC_BASE_URL", "ANTHROPIC_MODEL"} <= set(lasting)
    assert not any(word in name for name in lasting for word in ("KEY", "TOKEN", "SECRET", "HEADERS"))
    assert not set(lasting) & set(ClaudeHarness.nesting_marks)


async def test_without_a_process_nothing_is_known() -> None:
    assert await ClaudeHarness().takes_messages(None, None) is None
