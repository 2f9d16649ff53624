"""What the tests of each harness for a program from npm say alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import ClassVar

import msgspec
import pytest

from afx.plugin import API_VERSION, AgentKind, HarnessEntry, HarnessProvider, LaunchRequest, SpawnError
from scripts import write_script


def seen(harness: str, name: str) -> str:
    """Return a screen that the real program was seen to show."""
    return (Path(__file__).parent / f"harness_{harness}/screens/{name}.txt").read_text(encoding="utf-8")


def a_request(directory: Path, program: str) -> LaunchRequest:
    """Return a request to launch a program, which does nothing, with files of its own in `directory`."""
    executable = write_script(directory / "bin" / program)
    return LaunchRequest(
        kind=AgentKind.BUILDER,
        name="fix",
        cwd=str(directory),
        env={"PATH": str(executable.parent), "KEPT": "1"},
        directory=str(directory / "files"),
    )


class ProviderTests:
    """A subclass in a test module says which harness it is; the module has a fixture `request_`."""

    entries: ClassVar[Callable[[], Iterable[HarnessEntry]]]
    harness: ClassVar[type[HarnessProvider]]
    package: ClassVar[str]
    """What npm installs the program from."""
    always: ClassVar[tuple[str, ...]] = ()
    """With which arguments, besides those of the conversation, it is always started."""

    def test_the_entry_names_the_class(self) -> None:
        (entry,) = type(self).entries()
        assert (entry.name, entry.commands) == (self.harness.name, self.harness.commands)
        assert entry.factory == f"{self.harness.__module__}:{self.harness.__qualname__}"
        assert entry.api_version == API_VERSION

    def test_without_role_and_task_there_are_only_the_sessions_arguments(
        self, request_: LaunchRequest
    ) -> None:
        command = self.harness().launch(request_)
        program = f"{request_.env['PATH']}/{self.harness.commands[0]}"
        assert command.argv == (program, *request_.session_args, *self.always)
        assert command.env == request_.env
        assert command.cwd == request_.cwd
        assert command.files == {}

    def test_a_role_goes_through_a_file_and_not_through_argv_lesson_41(self, request_: LaunchRequest) -> None:
        role = "You are the architect.\n" * 10_000
        command = self.harness().launch(msgspec.structs.replace(request_, role=role))
        ((path, content),) = command.files.items()
        assert Path(path).parent == Path(request_.directory)
        assert content.endswith(role)
        assert not any("architect" in argument for argument in command.argv)

    def test_a_task_too_long_for_one_argument_goes_through_a_file(self, request_: LaunchRequest) -> None:
        task = "ü" * 70_000
        command = self.harness().launch(msgspec.structs.replace(request_, task=task))
        (path,) = (path for path, content in command.files.items() if content == task)
        assert path in command.argv[-1]
        assert max(map(len, command.argv)) < 1000

    def test_a_missing_program_is_a_sentence_with_a_hint(
        self, request_: LaunchRequest, tmp_path: Path
    ) -> None:
        request = msgspec.structs.replace(request_, env={"PATH": str(tmp_path)})
        with pytest.raises(SpawnError, match=self.harness.commands[0]) as caught:
            self.harness().launch(request)
        assert f"npm install -g {self.package}" in caught.value.hint
