"""A harness that is right, and many that are wrong in one way each. A suite that finds no fault is none.

Run by `test_harness_suite`; each class names the test that catches it.
"""

# ruff: noqa: ARG002 - what is wrong often goes by nothing it is given

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from afx.plugin import (
    Command,
    Doing,
    Evidence,
    ExitInfo,
    ExitKind,
    HarnessProvider,
    HarnessSession,
    Launched,
    LaunchRequest,
    Place,
    SpawnError,
    Transcript,
)
from afx.testing.harness_suite import HarnessSuite
from testing.catching import WrongOnes


class Session(HarnessSession):
    mints_ids = True

    def new_session_args(self, session_id: str) -> Sequence[str]:
        return ("--id", session_id)

    def resume_args(self, session_id: str) -> Sequence[str]:
        return ("--resume", session_id)

    def is_id(self, text: str) -> bool:
        try:
            return str(UUID(text)) == text
        except ValueError:
            return False

    def home(self, place: Place) -> Path:
        return Path(place.env["HOME"], ".foo")

    def paths(self, place: Place) -> list[Path]:
        return sorted(self.home(place).glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)

    def read(self, path: Path) -> Transcript | None:
        try:
            cwd = json.loads(path.read_bytes())["cwd"]
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return Transcript(session_id=path.stem, path=str(path), cwd=cwd, modified_at=path.stat().st_mtime)

    def is_here(self, one: Transcript, place: Place) -> bool:
        return one.cwd == os.path.realpath(place.cwd)

    async def verify(self, session_id: str, place: Place) -> Evidence:
        found = self.read(self.home(place) / f"{session_id}.json")
        return Evidence.FOUND if found is not None and self.is_here(found, place) else Evidence.MISSING

    async def discover(self, place: Place) -> Sequence[Transcript]:
        found = [one for path in self.paths(place) if (one := self.read(path)) is not None]
        return [one for one in found if self.is_here(one, place)]


class Right(HarnessProvider):
    name = "foo"
    commands = ("foo",)
    unattended_args = ("--yes",)
    session: HarnessSession | None = Session()

    def words(self, request: LaunchRequest, program: str) -> list[str]:
        task = () if request.task is None else ("--", f"@{request.directory}/task.md")
        return [program, *request.session_args, *request.args, *task]

    def launch(self, request: LaunchRequest) -> Command:
        program = self.find(request.env)
        if program is None:
            raise SpawnError("The program foo is not installed.")
        files = {} if request.task is None else {f"{request.directory}/task.md": request.task}
        return Command(
            argv=tuple(self.words(request, program)), env=dict(request.env), cwd=request.cwd, files=files
        )


class Suite(WrongOnes, HarnessSuite):
    made: type[HarnessProvider] = Right

    def harness(self) -> HarnessProvider:
        return self.made()

    def record(self, place: Place, session_id: str) -> Path:
        path = Path(place.env["HOME"], ".foo", f"{session_id}.json")
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"cwd": os.path.realpath(place.cwd)}))
        return path


class TestRight(Suite):
    pass


def wrong_session(session: type[Session]) -> type[HarnessProvider]:
    return type("Wrong", (Right,), {"session": session()})


class IdNotInArgv(Session):
    def new_session_args(self, session_id: str) -> Sequence[str]:
        return ("--new",)


class TestIdNotInArgv(Suite):
    caught_by = "test_a_new_conversation_is_named_on_the_command_line"
    made = wrong_session(IdNotInArgv)


class ResumesTheLatest(Session):
    def resume_args(self, session_id: str) -> Sequence[str]:
        return ("--resume",)


class TestResumesTheLatest(Suite):
    caught_by = "test_a_resume_names_the_conversation"
    made = wrong_session(ResumesTheLatest)


class BeginsByResuming(Session):
    def new_session_args(self, session_id: str) -> Sequence[str]:
        return self.resume_args(session_id)


class TestBeginsByResuming(Suite):
    caught_by = "test_beginning_is_not_resuming"
    made = wrong_session(BeginsByResuming)


class AlwaysResumes(Right):
    def words(self, request: LaunchRequest, program: str) -> list[str]:
        words = super().words(request, program)
        return words if request.session_args else [*words, "--resume"]


class TestResumeFlagAtAFreshStart(Suite):
    caught_by = "test_a_fresh_start_has_no_flag_of_a_conversation_lesson_21"
    made = AlwaysResumes


class CrossesDirectories(Session):
    def is_here(self, one: Transcript, place: Place) -> bool:
        return one.cwd.replace("-", ".").startswith(os.path.realpath(place.cwd).replace("-", "."))


class TestDiscoveryCrossesDirectories(Suite):
    caught_by = "test_discovery_stays_in_its_directory_lesson_16"
    made = wrong_session(CrossesDirectories)


class SaysYes(Session):
    async def verify(self, session_id: str, place: Place) -> Evidence:
        return Evidence.FOUND


class TestVerifyAlwaysSaysYes(Suite):
    caught_by = "test_what_is_not_there_is_not_found_lesson_19"
    made = wrong_session(SaysYes)


class SaysNo(Session):
    async def verify(self, session_id: str, place: Place) -> Evidence:
        return Evidence.MISSING


class TestVerifyAlwaysSaysNo(Suite):
    caught_by = "test_what_is_there_is_not_missing"
    made = wrong_session(SaysNo)


class OldestFirst(Session):
    async def discover(self, place: Place) -> Sequence[Transcript]:
        return list(await super().discover(place))[::-1]


class TestOldestFirst(Suite):
    caught_by = "test_the_newest_comes_first"
    made = wrong_session(OldestFirst)


class LooksAtOurHome(Session):
    seen: Place | None = None

    def home(self, place: Place) -> Path:
        # As with `os.environ`: the first home it ever saw.
        type(self).seen = type(self).seen or place
        return super().home(type(self).seen or place)


class TestLooksAtAnotherHome(Suite):
    caught_by = "test_the_agents_own_environment_counts"
    made = wrong_session(LooksAtOurHome)


class GoesByTheLink(Session):
    def is_here(self, one: Transcript, place: Place) -> bool:
        return one.cwd == str(place.cwd)


class TestGoesByTheLink(Suite):
    caught_by = "test_discovery_goes_by_the_real_path_lesson_24"
    made = wrong_session(GoesByTheLink)


class TripsOverTornFiles(Session):
    def read(self, path: Path) -> Transcript | None:
        if not path.exists():
            return None
        cwd = json.loads(path.read_bytes())["cwd"]
        return Transcript(session_id=path.stem, path=str(path), cwd=cwd, modified_at=path.stat().st_mtime)


class TestTripsOverTornFiles(Suite):
    caught_by = "test_a_torn_transcript_is_no_error"
    made = wrong_session(TripsOverTornFiles)


class CapturesAnything(Session):
    async def capture(self, launched: Launched) -> str | None:
        return next((path.stem for path in self.paths(launched.place)), None)


class TestCapturesAnothersId(Suite):
    caught_by = "test_only_a_certain_id_is_captured_lesson_18"
    made = wrong_session(CapturesAnything)


class TakesAnythingForAnId(Session):
    def is_id(self, text: str) -> bool:
        return bool(text)


class TestTakesAnythingForAnId(Suite):
    caught_by = "test_ids_are_told_from_everything_else"
    made = wrong_session(TakesAnythingForAnId)


class NeverFresh(Session):
    chain = HarnessSession.chain[:-1]


class TestNeverFresh(Suite):
    caught_by = "test_the_chain_ends_with_a_fresh_start"
    made = wrong_session(NeverFresh)


class TaskAsFlag(Right):
    def words(self, request: LaunchRequest, program: str) -> list[str]:
        return [program, *request.session_args, *request.args, *([request.task] if request.task else [])]


class TestTaskTakenForAFlag(Suite):
    caught_by = "test_a_task_is_not_taken_for_a_flag"
    made = TaskAsFlag


class SecretInArgv(Right):
    def words(self, request: LaunchRequest, program: str) -> list[str]:
        return [*super().words(request, program), f"--key={request.env.get('OPEN_SESAME_KEY')}"]


class TestSecretInArgv(Suite):
    caught_by = "test_no_secret_and_no_environment_is_in_the_arguments_lesson_41"
    made = SecretInArgv


class WritesByItself(Right):
    def launch(self, request: LaunchRequest) -> Command:
        Path(request.cwd, "ROLE.md").write_text(request.role)
        return super().launch(request)


class TestWritesByItself(Suite):
    caught_by = "test_a_launch_writes_nothing_by_itself"
    made = WritesByItself


class DropsTheEnvironment(Right):
    def launch(self, request: LaunchRequest) -> Command:
        made = super().launch(request)
        return Command(argv=made.argv, env={"PATH": made.env["PATH"]}, cwd=made.cwd, files=made.files)


class TestDropsTheEnvironment(Suite):
    caught_by = "test_the_environment_is_passed_on"
    made = DropsTheEnvironment


class CrashIsAQuit(Right):
    def classify_exit(self, info: ExitInfo) -> ExitKind:
        return ExitKind.QUIT


class TestCrashIsAQuit(Suite):
    caught_by = "test_a_quit_is_no_crash"
    made = CrashIsAQuit


class ScreenOfOneKind(Right):
    def doing(self, screen: str) -> Doing:
        return Doing.WAITING if screen[-1] == ">" else Doing.WORKING


class TestTripsOverAScreen(Suite):
    caught_by = "test_whatever_is_on_the_screen_is_read_without_raising"
    made = ScreenOfOneKind


class NeverSubmits(Right):
    def keystrokes(self, text: str) -> Sequence[bytes]:
        return (text.encode(),)


class TestNeverSubmits(Suite):
    caught_by = "test_a_message_arrives_whole_and_is_submitted_lesson_38"
    made = NeverSubmits
