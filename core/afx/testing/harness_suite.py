"""What every harness must do, as tests that an author of a harness runs.

The suite starts no program: it looks at the commands that the harness makes, and at what it finds on disk of
conversations that its author records as the program would. Each test says why it matters.
"""
# ruff: noqa: S101 - a suite of tests asserts

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from afx.api.errors import SpawnError
from afx.api.harness import Doing, ExitInfo, ExitKind, HarnessProvider, Place
from afx.api.model import Exit

from .harness_bench import ROLE, SECRET, TASK, contains, tree
from .harness_conversations import ConversationChecks

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


def has_session(make: Callable[[], HarnessProvider]) -> bool:
    """Tell whether a harness has a session; one that cannot be made is tested as though it had."""
    try:
        return make().session is not None
    except Exception:  # noqa: BLE001 - whatever it is, the tests come upon it
        return True


@pytest.mark.anyio
class HarnessSuite(ConversationChecks):
    """Tests of a harness, for its author to subclass.

    The subclass says how one is made, and how its program records a conversation::

        from afx.testing.harness_suite import HarnessSuite

        class TestFoo(HarnessSuite):
            def harness(self) -> HarnessProvider:
                return FooHarness()

            def record(self, place: Place, session_id: str) -> Path | None:
                path = Path(place.env["HOME"], ".foo", f"{session_id}.json")
                path.parent.mkdir(exist_ok=True)
                path.write_text(json.dumps({"cwd": str(place.cwd), "said": ["hello"]}))
                return path

    A harness without a session needs no `record`, and says ``has_session = False``. The suite needs pytest,
    anyio's pytest plugin (it comes with anyio) and hypothesis.
    """

    def test_it_has_a_name_and_a_program(self) -> None:
        """People choose it by its name, and it is recognised by the base name of its program."""
        harness = self.harness()
        assert _NAME.fullmatch(harness.name), f"{harness.name!r}: lower-case letters, digits and dashes only."
        assert harness.commands, "Without `commands` nobody can tell whether the program is installed."
        for command in harness.commands:
            assert command == Path(command).name, f"{command!r} is a path; `commands` are base names."

    def test_it_is_said_whether_there_are_conversations(self) -> None:
        """Where the suite does not know of them, nothing about them is tested."""
        found = self.session() is not None
        assert found is self.has_session, (
            f"`has_session` is {self.has_session}, and the harness says otherwise."
        )

    def test_a_missing_program_is_a_sentence(self, place: Place) -> None:
        """A person who has not installed the program is told so, and how to: not shown a traceback."""
        with pytest.raises(SpawnError) as caught:
            self.launch(place, env={**place.env, "PATH": str(place.cwd / "nowhere")})
        assert caught.value.message.endswith((".", "?")), "The message is a sentence."

    def test_a_launch_starts_the_installed_program_where_it_is_asked_to(self, place: Place) -> None:
        """It runs in the agent's directory: elsewhere it would work on somebody else's files."""
        command = self.launch(place)
        assert command.argv[0] == self.harness().find(place.env), (
            "The program is the one on the agent's PATH."
        )
        assert command.cwd == str(place.cwd), "The agent's directory is `request.cwd`."
        assert not any("\0" in word for word in command.argv), "No argument can hold a NUL."

    def test_a_launch_writes_nothing_by_itself(self, place: Place) -> None:
        """Files go into `Command.files`; the Tower writes them, privately. A worktree stays clean."""
        request = self.request(place, role=ROLE, task=TASK)
        before = tree(place.cwd.parent)
        command = self.harness().launch(request)
        assert tree(place.cwd.parent) == before, "`launch` wrote to disk; return what is to be written."
        for path in command.files:
            inside = Path(path).is_relative_to(request.directory)
            assert inside, f"{path} lies outside `request.directory`, the agent's own."

    def test_the_environment_is_passed_on(self, place: Place) -> None:
        """It was made for this agent; whatever is missing of it, such as PATH, the program misses."""
        request = self.request(place)
        env = dict(request.env)
        command = self.harness().launch(request)
        assert request.env == env, "`launch` changed the request's environment; make a copy."
        missing = {name for name in env if name not in command.env}
        assert not missing, f"{missing} of the request's environment is lost."

    def test_no_secret_and_no_environment_is_in_the_arguments_lesson_41(self, place: Place) -> None:
        """Everybody on the machine can read the arguments of a process."""
        command = self.launch(place, role=ROLE, task=TASK)
        assert not any(SECRET in word for word in command.argv), "A value of the environment is in argv."

    def test_what_a_person_added_reaches_the_program(self, place: Place) -> None:
        """`afx spawn NAME -- --model small` is how a person says what no setting knows."""
        command = self.launch(place, args=("--model", "small"), task=TASK)
        assert contains(command.argv, ("--model", "small")), "`request.args` are not in argv, in one piece."

    def test_the_task_reaches_the_program(self, place: Place) -> None:
        """An agent that is not told its task sits there and waits."""
        assert TASK in self.told(self.launch(place, task=TASK)), "The task is nowhere in the command."
        assert TASK not in self.told(self.launch(place)), "A launch without a task has one of before."

    def test_a_task_is_not_taken_for_a_flag(self, place: Place) -> None:
        """Else a task that begins with a dash changes how the program runs, or stops it."""
        argv = self.launch(place, task="--version of the protocol").argv
        if "--version of the protocol" in argv:
            before = argv[: argv.index("--version of the protocol")]
            ends = "--" in before or (bool(before) and before[-1].startswith("-"))
            assert ends, "Put `--` before the task, or pass it as the value of a flag."

    def test_a_long_task_fits(self, place: Place) -> None:
        """Linux refuses an argument of 128 KiB: such a task goes into a file, and the argument names it."""
        command = self.launch(place, task="word " * 40_000)
        assert all(len(word.encode()) < 131_072 for word in command.argv), "The task is too long for argv."

    def test_files_hold_what_they_are_for(self, place: Place) -> None:
        """A file that the arguments name and nobody writes ends the program at its start."""
        command = self.launch(place, role=ROLE, task=TASK)
        own = self.request(place).directory
        named = {word for word in command.argv if word.startswith(f"{own}/")}
        assert named <= set(command.files), f"{named - set(command.files)} is named and not in `files`."

    def test_a_quit_is_no_crash(self) -> None:
        """A crash is resumed at once; who quit does not want to be."""
        harness = self.harness()
        kind = harness.classify_exit(ExitInfo(exit=Exit(code=0, at=1.0), ran_for=60.0))
        assert kind is ExitKind.QUIT, "Exit code 0 with nothing said is a quit."
        for number in (signal.SIGKILL, signal.SIGSEGV):
            kind = harness.classify_exit(ExitInfo(exit=Exit(signal=number, at=1.0), ran_for=60.0))
            assert kind is not ExitKind.QUIT, (
                f"Killed by signal {number} it did not quit; it would stay dead."
            )

    @settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
    @given(tail=st.text(max_size=200), screen=st.text(max_size=200), code=st.integers(0, 255))
    def test_whatever_is_on_the_screen_is_read_without_raising(
        self, tail: str, screen: str, code: int
    ) -> None:
        """A screen holds anything. What raises here is asked for at every end of a process."""
        harness = self.harness()
        info = ExitInfo(exit=Exit(code=code, at=1.0), ran_for=0.1, tail=tail)
        assert isinstance(harness.classify_exit(info), ExitKind)
        assert isinstance(harness.doing(screen), Doing)

    def test_an_empty_screen_says_nothing(self) -> None:
        """Else everybody who was just started is shown to wait for the person."""
        assert self.harness().doing("") is not Doing.WAITING, "An empty screen does not wait."

    def test_a_message_arrives_whole_and_is_submitted_lesson_38(self) -> None:
        """A message that is cut, or never submitted, looks delivered to the one who sent it."""
        text = "Look at the second\nline, ä and (all)."
        typed = b"".join(self.harness().keystrokes(text))
        assert typed.endswith((b"\r", b"\n")), "Nothing submits the message: end with Enter."
        for line in text.split("\n"):
            assert line.encode() in typed, f"{line!r} is not typed."

    def test_what_acts_without_asking_is_told_apart(self) -> None:
        """Where the settings do not grant it, such arguments are left out; nothing else may be."""
        harness = self.harness()
        for entry in harness.unattended_args:
            words = tuple(entry.split(" "))
            kept, unattended = harness.split_unattended(("--model", "x", *words, "--", "y"))
            assert (kept, unattended) == (("--model", "x", "--", "y"), words), f"{entry!r} is not parted."
        assert harness.split_unattended(("a", "--", "b")) == (("a", "--", "b"), ())
