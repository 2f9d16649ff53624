"""How Gemini CLI is launched, and what its screen and its end mean."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from afx.plugin import Exit, ExitInfo, ExitKind, LaunchRequest, SpawnError
from afx_harness_gemini import afx_harnesses
from afx_harness_gemini.provider import GeminiHarness
from plugins.provider_tests import ProviderTests, a_request


@pytest.fixture
def request_(tmp_path: Path) -> LaunchRequest:
    return msgspec.structs.replace(
        a_request(tmp_path, "gemini"),
        cwd=str(tmp_path / "cwd"),
        env={"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path / "home"), "KEPT": "1"},
        session_args=("--session-id", "ID"),
    )


class TestProvider(ProviderTests):
    entries = afx_harnesses
    harness = GeminiHarness
    package = "@google/gemini-cli"


def write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def test_what_says_that_there_is_no_terminal_does_not_reach_the_program(request_: LaunchRequest) -> None:
    env = {**request_.env, "CI": "true", "GITHUB_ACTIONS": "true"}
    assert GeminiHarness().launch(msgspec.structs.replace(request_, env=env)).env == request_.env


def test_the_role_is_the_system_prompt_with_the_programs_own_parts(request_: LaunchRequest) -> None:
    command = GeminiHarness().launch(msgspec.structs.replace(request_, role="Role."))
    (path,) = command.files
    assert "${AvailableTools}" in command.files[path]
    assert command.env == {**request_.env, "GEMINI_SYSTEM_MD": path}


@pytest.mark.parametrize("chosen", ["mine.md", "~/mine.md", "ABSOLUTE", "1", "TRUE"])
def test_a_persons_own_system_prompt_stays_above_the_role(
    request_: LaunchRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chosen: str
) -> None:
    monkeypatch.setenv("HOME", request_.env["HOME"])
    for path in ("cwd/mine.md", "home/mine.md", "absolute.md", "cwd/.gemini/system.md"):
        write(tmp_path / path, "Mine.")
    env = {**request_.env, "GEMINI_SYSTEM_MD": chosen.replace("ABSOLUTE", str(tmp_path / "absolute.md"))}
    command = GeminiHarness().launch(msgspec.structs.replace(request_, env=env, role="Role."))
    assert list(command.files.values()) == ["Mine.\n\nRole."]
    assert GeminiHarness().launch(msgspec.structs.replace(request_, env=env)).env == env


@pytest.mark.parametrize("chosen", ["", "0", "false", "/other/agent/gemini-system.md"])
def test_what_is_switched_off_or_of_another_agent_is_no_system_prompt_lesson_23(
    request_: LaunchRequest, chosen: str
) -> None:
    plain = GeminiHarness().launch(msgspec.structs.replace(request_, role="Role."))
    env = {**request_.env, "GEMINI_SYSTEM_MD": chosen}
    command = GeminiHarness().launch(msgspec.structs.replace(request_, env=env, role="Role."))
    assert command.files == plain.files


def test_a_system_prompt_that_cannot_be_read_is_a_sentence(request_: LaunchRequest) -> None:
    env = {**request_.env, "GEMINI_SYSTEM_MD": "gone.md"}
    with pytest.raises(SpawnError, match=r"gone\.md cannot be read"):
        GeminiHarness().launch(msgspec.structs.replace(request_, env=env, role="Role."))


@pytest.mark.parametrize("task", ["fix it", "--help", "-", "mcp", "a\nb", "é 😀 'q' $(x)"])
def test_a_task_is_never_a_flag_lesson_47(request_: LaunchRequest, task: str) -> None:
    request = msgspec.structs.replace(request_, args=("--debug", "--"), task=task)
    assert GeminiHarness().launch(request).argv[3:] == (f"--prompt-interactive={task}", "--debug", "--")


def test_marks_of_nested_sessions_are_named_lesson_23() -> None:
    marks = set(GeminiHarness.nesting_marks)
    assert {"GEMINI_CLI", "GEMINI_SESSION_ID", "GEMINI_CLI_NO_RELAUNCH"} <= marks
    assert {"GIT_CONFIG_GLOBAL", "GIT_CONFIG_KEY_*", "DISPLAY"} <= set(GeminiHarness.set_when_nested)
    # What a person sets on purpose is not ours to remove.
    assert not marks & {"GEMINI_API_KEY", "GEMINI_CLI_HOME", "GEMINI_SYSTEM_MD", "GOOGLE_API_KEY"}


@pytest.mark.parametrize(
    ("exit_", "kind"),
    [
        (Exit(code=0, at=0), ExitKind.QUIT),
        (Exit(code=41, at=0), ExitKind.AUTH),
        (Exit(code=42, at=0), ExitKind.UNRESUMABLE),
        (Exit(code=55, at=0), ExitKind.CRASH),
        (Exit(code=1, at=0), ExitKind.CRASH),
        (Exit(signal=9, at=0), ExitKind.CRASH),
    ],
)
def test_an_end_is_told_by_its_code_lesson_26(exit_: Exit, kind: ExitKind) -> None:
    assert GeminiHarness().classify_exit(ExitInfo(exit=exit_, ran_for=1.0)) is kind


def test_a_message_is_one_paste_and_enter_comes_well_after_it_lesson_38() -> None:
    parts = GeminiHarness().keystrokes("hi\nyou é @foo \\")
    assert parts[0] == "\x1b[200~hi\nyou é @foo \\ \x1b[201~".encode()
    assert parts[-1] == b"\r"
    assert len(parts) > 3
    assert all(b"\r" not in part for part in parts[:-1])


def test_a_message_is_never_a_command_lesson_38(request_: LaunchRequest) -> None:
    assert GeminiHarness().keystrokes(" /quit")[0] == b"\x1b[200~Message: /quit \x1b[201~"
    command = GeminiHarness().launch(msgspec.structs.replace(request_, task="/about the house"))
    assert command.argv[-1] == "--prompt-interactive=Message: /about the house"


def test_permissions_are_named_so_that_they_do_not_come_back_lesson_22() -> None:
    args = ("--debug", "--approval-mode=yolo", "--approval-mode", "auto_edit", "-y", "--model", "flash")
    kept, unattended = GeminiHarness().split_unattended(args)
    assert kept == ("--debug", "--model", "flash")
    assert len(unattended) == 4
