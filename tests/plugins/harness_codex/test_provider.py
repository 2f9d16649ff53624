"""How Codex is launched, and what its screen and its end mean."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
import pytest

from afx.plugin import Exit, ExitInfo, ExitKind, LaunchRequest
from afx_harness_codex import afx_harnesses
from afx_harness_codex.provider import CodexHarness
from plugins.provider_tests import ProviderTests, a_request

ID = "01a1fdc1-f920-78d1-b3e4-0ccc39245fe0"
OWN_PROCESS = ("-c", "features.daemon_auto_start=false")


@pytest.fixture
def request_(tmp_path: Path) -> LaunchRequest:
    return msgspec.structs.replace(
        a_request(tmp_path, "codex"), directory=str(tmp_path / 'a "quoted" \\ ümlaut')
    )


class TestProvider(ProviderTests):
    entries = afx_harnesses
    harness = CodexHarness
    package = "@openai/codex"
    always = OWN_PROCESS


def test_a_resumed_conversation_works_in_the_agents_directory(
    request_: LaunchRequest, tmp_path: Path
) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    session_args = tuple(CodexHarness.session.resume_args(ID))
    request = msgspec.structs.replace(request_, cwd=str(link), session_args=session_args)
    argv = CodexHarness().launch(request).argv
    assert argv[1:] == ("resume", ID, *OWN_PROCESS, "-C", str(tmp_path.resolve()))


def test_the_instructions_are_to_read_the_role(request_: LaunchRequest) -> None:
    command = CodexHarness().launch(msgspec.structs.replace(request_, role="Role."))
    (path,) = command.files
    assert command.files[path] == "Role."
    (flag, value) = command.argv[3:]
    assert flag == "-c"
    assert path in tomllib.loads(value)["developer_instructions"]


def test_the_instructions_are_the_same_at_a_resume(request_: LaunchRequest) -> None:
    request = msgspec.structs.replace(request_, role="Role.")
    first = CodexHarness().launch(request).argv
    again = CodexHarness().launch(msgspec.structs.replace(request, session_args=("resume", ID))).argv
    assert first[-1] == again[-1]


@pytest.mark.parametrize("task", ["fix it", "--help", "-", "resume", "a\nb", "é 😀 'q' $(x)"])
def test_a_task_is_the_last_argument_and_never_a_flag_lesson_47(request_: LaunchRequest, task: str) -> None:
    request = msgspec.structs.replace(request_, args=("--image", "x.png"), task=task, role="Role.")
    assert CodexHarness().launch(request).argv[-4:] == ("--image", "x.png", "--", task)


def test_a_person_who_ended_the_options_did_so_once(request_: LaunchRequest) -> None:
    request = msgspec.structs.replace(request_, args=("--search", "--"), task="-x")
    assert CodexHarness().launch(request).argv[-3:] == ("--search", "--", "-x")


def test_marks_of_nested_sessions_are_named_lesson_23() -> None:
    marks = set(CodexHarness.nesting_marks)
    assert {"CODEX_THREAD_ID", "CODEX_SESSION_ID", "CODEX_CI", "CODEX_MANAGED_PACKAGE_ROOT"} <= marks
    assert {"NO_COLOR", "PAGER", "GIT_PAGER", "GH_PAGER"} == set(CodexHarness.set_when_nested)
    # What a person sets on purpose is not ours to remove.
    assert not marks & {"CODEX_HOME", "CODEX_API_KEY", "CODEX_ACCESS_TOKEN"}


def test_permissions_are_named_so_that_they_do_not_come_back_lesson_22() -> None:
    args = (
        "--search",
        "-a",
        "never",
        "--sandbox=danger-full-access",
        "--yolo",
        "-c",
        "approval_policy=never",
    )
    kept, unattended = CodexHarness().split_unattended((*args, "-c", 'model="x"'))
    assert kept == ("--search", "-c", 'model="x"')
    assert unattended == args[1:]


@pytest.mark.parametrize(
    ("exit_", "tail", "kind"),
    [
        (Exit(code=0, at=0), "", ExitKind.QUIT),
        (
            Exit(code=1, at=0),
            f"\x1b[1;1HERROR: No saved session found with ID {ID}. Run",
            ExitKind.UNRESUMABLE,
        ),
        (Exit(code=1, at=0), "Error: no rollout found for thread id x", ExitKind.UNRESUMABLE),
        (Exit(code=0, at=0), "No saved session found with ID x", ExitKind.QUIT),
        (Exit(code=1, at=0), "Not logged in", ExitKind.AUTH),
        (Exit(code=1, at=0), "unexpected status 401 Unauthorized: x", ExitKind.AUTH),
        (Exit(code=1, at=0), "Please log out and sign in again.", ExitKind.AUTH),
        (Exit(code=1, at=0), "", ExitKind.CRASH),
        (Exit(signal=9, at=0), "Not logged in", ExitKind.CRASH),
    ],
)
def test_an_end_is_told_by_code_and_words_lesson_26(exit_: Exit, tail: str, kind: ExitKind) -> None:
    assert CodexHarness().classify_exit(ExitInfo(exit=exit_, ran_for=1.0, tail=tail)) is kind


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("hi\nyou é", "hi\nyou é "),
        ("!rm x", " !rm x "),
        ("see @foo", "see @foo "),
        ("/new x", "Message: /new x "),
    ],
)
def test_a_message_is_one_paste_and_runs_nothing_lesson_38(text: str, typed: str) -> None:
    (keys,) = CodexHarness().keystrokes(text)
    assert keys == b"\x1b[200~" + typed.encode() + b"\x1b[201~\r"


def test_a_task_runs_nothing(request_: LaunchRequest) -> None:
    for task, said in (("!rm x", " !rm x"), ("/new x", "Message: /new x")):
        command = CodexHarness().launch(msgspec.structs.replace(request_, task=task))
        assert command.argv[-2:] == ("--", said)
