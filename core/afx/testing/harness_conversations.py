"""The tests of a harness that are about conversations: ids, arguments, and what is found on disk."""
# ruff: noqa: S101 - a suite of tests asserts

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import anyio

from afx.api.harness import Evidence, HarnessSession, Launched, Place, Rung

from .harness_bench import HarnessBench, contains, flags, tree

Test = TypeVar("Test", bound=Callable[..., Any])

_PATIENCE = 10.0


_NO_SESSION = "The harness has no session, so nothing about conversations: its agents always start fresh."
_NO_RECORDS = "`record` is not defined, so nothing that is found on disk."


def on_disk(test: Test) -> Test:
    """Mark a test as one that needs conversations as the program records them."""
    test.__dict__["on_disk"] = True
    return test


class ConversationChecks(HarnessBench):
    """Tests that hold for a harness with a session, and of which a subclass has those that it can have.

    Attributes:
        has_session: Say False of a harness whose program has no conversations that can be resumed.
        not_tested: What the subclass has no tests of, and why.
    """

    has_session: ClassVar[bool] = True
    not_tested: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        records = cls.record is not HarnessBench.record
        cls.not_tested = (
            () if cls.has_session and records else (_NO_RECORDS if cls.has_session else _NO_SESSION,)
        )
        for name, test in vars(ConversationChecks).items():
            if name.startswith("test_") and getattr(cls, name) in {test, None}:
                is_kept = cls.has_session and (records or "on_disk" not in vars(test))
                # What is None is not collected; a skip would say that something is missing here.
                setattr(cls, name, test if is_kept else None)

    def recorded(self, place: Place, session_id: str, at: float | None = None) -> Path:
        """Record a conversation, as though at some time, and return its file."""
        path = self.record(place, session_id)
        assert path is not None, "`record` returned None; it returns the file that it wrote."
        if at is not None:
            os.utime(path, (at, at))
        return path

    def some_session(self) -> HarnessSession:
        """Return the session."""
        session = self.session()
        assert session is not None, "The harness has no session: say `has_session = False` in its suite."
        return session

    def test_ids_are_told_from_everything_else(self) -> None:
        """Ids come from people and from files. What is none must never reach the program's arguments."""
        session = self.some_session()
        for text in ("", "-x", "--resume", "a\nb", "\x1b[A"):
            assert not session.is_id(text), f"{text!r} is taken for an id."
        if session.mints_ids or type(self).new_id is not HarnessBench.new_id:
            assert session.is_id(self.new_id()), "The form of the program's own ids is not recognised."
        if session.mints_ids:
            minted = [session.mint() for _ in range(20)]
            assert all(map(session.is_id, minted)), "What is minted is no id."
            assert len(set(minted)) == len(minted), "Two agents would share one conversation."

    def test_a_new_conversation_is_named_on_the_command_line(self) -> None:
        """An id that the program is not told cannot be resumed: after a crash the conversation is lost."""
        session = self.some_session()
        if not session.mints_ids:
            return
        session_id = session.mint()
        words = session.new_session_args(session_id)
        assert any(session_id in word for word in words), "The id is not in `new_session_args`."

    def test_a_resume_names_the_conversation(self) -> None:
        """Else the program resumes its latest, which may be another agent's."""
        session = self.some_session()
        session_id = self.new_id()
        assert any(session_id in word for word in session.resume_args(session_id)), (
            "The id is not in `resume_args`."
        )

    def test_beginning_is_not_resuming(self) -> None:
        """A program that is told to resume what is not there yet refuses to start."""
        session = self.some_session()
        session_id = self.new_id()
        if session.mints_ids:
            new, resume = session.new_session_args(session_id), session.resume_args(session_id)
            assert tuple(new) != tuple(resume), "A new conversation is begun by the arguments of a resume."

    def test_session_arguments_reach_the_program(self, place: Place) -> None:
        """What the session says is what the program must get, as it is and in one piece."""
        session = self.some_session()
        session_id = self.new_id()
        ways = [session.resume_args(session_id)]
        if session.mints_ids:
            ways.append(session.new_session_args(session_id))
        for words in ways:
            argv = self.launch(place, session_args=tuple(words)).argv
            assert contains(argv, tuple(words)), f"{list(words)} is not in the program's arguments."

    def test_a_fresh_start_has_no_flag_of_a_conversation_lesson_21(self, place: Place) -> None:
        """Where nothing is to be resumed, no word of it may be passed: the program would stop, or ask."""
        session = self.some_session()
        session_id = self.new_id()
        words = flags(session.resume_args(session_id), session_id)
        argv = set(self.launch(place).argv)
        assert not words & argv, f"{words & argv} is passed although nothing is to be resumed."
        if session.mints_ids:
            # A program may name a conversation that it begins and one that it resumes by the same flag.
            new = set(session.new_session_args(session_id)) - {session_id}
            argv = set(self.launch(place, session_args=tuple(session.new_session_args(session_id))).argv)
            extra = (words - new) & argv
            assert not extra, f"{extra} is passed although a new conversation is to begin."

    def test_the_chain_ends_with_a_fresh_start(self) -> None:
        """Whatever cannot be resumed, the agent comes back at least."""
        chain = self.some_session().chain
        assert chain[-1] is Rung.FRESH, "The last rung must be `Rung.FRESH`."
        assert len(set(chain)) == len(chain), "A rung stands in the chain twice."

    async def test_what_is_not_there_is_not_found_lesson_19(self, place: Place) -> None:
        """A program that is told to resume an id that it does not know ends, again and again."""
        session = self.some_session()
        with anyio.fail_after(_PATIENCE):
            evidence = await session.verify(self.new_id(), place)
        assert evidence is not Evidence.FOUND, "`verify` says FOUND where nothing was ever recorded."

    @on_disk
    async def test_what_is_there_is_not_missing(self, place: Place) -> None:
        """MISSING gives the conversation up for a fresh start, and what was said is lost to the agent."""
        session = self.some_session()
        session_id = self.new_id()
        self.recorded(place, session_id)
        with anyio.fail_after(_PATIENCE):
            assert await session.verify(session_id, place) is not Evidence.MISSING, (
                "`verify` says MISSING of a conversation that is recorded."
            )
            other = await session.verify(self.new_id(), place)
        assert other is not Evidence.FOUND, "`verify` says FOUND of another id than the recorded one."

    async def test_nothing_to_discover_is_no_error(self, place: Place) -> None:
        """On a new machine the program's directory is not there yet; looking must not make it, nor raise."""
        session = self.some_session()
        home = Path(place.env["HOME"])
        with anyio.fail_after(_PATIENCE):
            assert list(await session.discover(place)) == []
            assert await session.describe(self.new_id(), place) is None
            assert await session.held_by(self.new_id(), place) is None, "Nobody holds an id that is new."
        assert tree(home) == {}, "Looking for conversations changed the home directory."

    @on_disk
    async def test_discovery_stays_in_its_directory_lesson_16(self, tmp_path: Path) -> None:
        """Of a transcript of another directory, an agent would go on with somebody else's conversation."""
        session = self.some_session()
        here = self.make_place(tmp_path, "a.b")
        mine = self.new_id()
        self.recorded(here, mine)
        others = ("a-b", "a_b", "a.b/inside", "a", "A.B")
        for name in others:
            self.record(self.make_place(tmp_path, name), self.new_id())
        with anyio.fail_after(_PATIENCE):
            found = {one.session_id for one in await session.discover(here)}
        if Rung.DISCOVERED in session.chain:
            assert mine in found, "What was recorded in exactly this directory is not discovered."
        assert found <= {mine}, f"Of {', '.join(others)} something is discovered in a.b."

    @on_disk
    async def test_discovery_goes_by_the_real_path_lesson_24(self, tmp_path: Path) -> None:
        """A directory may be reached by a link, and have blanks and letters that are not ASCII."""
        session = self.some_session()
        real = self.make_place(tmp_path, "mit Blank und ä.b_c")
        session_id = self.new_id()
        self.recorded(real, session_id)
        link = tmp_path / "link"
        link.symlink_to(real.cwd)
        linked = Place(cwd=link, env=real.env)
        with anyio.fail_after(_PATIENCE):
            assert await session.verify(session_id, linked) is not Evidence.MISSING, (
                "Through a link to its directory the conversation counts as missing."
            )
            found = [one.session_id for one in await session.discover(linked)]
        assert set(found) <= {session_id}

    @on_disk
    async def test_the_newest_comes_first(self, place: Place) -> None:
        """The first one that is discovered is the one that is resumed."""
        session = self.some_session()
        now = time.time()
        ids = [self.new_id() for _ in range(3)]
        for age, session_id in ((200, ids[0]), (0, ids[1]), (100, ids[2])):
            self.recorded(place, session_id, now - age)
        with anyio.fail_after(_PATIENCE):
            found = list(await session.discover(place))
        times = [one.modified_at for one in found]
        assert times == sorted(times, reverse=True), "`discover` returns older conversations first."

    @on_disk
    async def test_what_is_discovered_can_be_resumed(self, place: Place) -> None:
        """An id that is discovered goes straight into the arguments of a resume."""
        session = self.some_session()
        self.recorded(place, self.new_id())
        with anyio.fail_after(_PATIENCE):
            for one in await session.discover(place):
                assert session.is_id(one.session_id), f"{one.session_id!r} is no id."
                assert os.path.isabs(one.cwd), "A transcript names the real path it was recorded for."  # noqa: PTH117
                evidence = await session.verify(one.session_id, place)
                assert evidence is not Evidence.MISSING, "What is discovered counts as missing."

    @on_disk
    async def test_the_agents_own_environment_counts(self, tmp_path: Path) -> None:
        """The Tower may run with another HOME than the agent's program; its conversations are the agent's."""
        session = self.some_session()
        here, elsewhere = self.make_place(tmp_path, "w"), self.make_place(tmp_path, "w", home="other")
        session_id = self.new_id()
        self.recorded(here, session_id)
        with anyio.fail_after(_PATIENCE):
            assert await session.verify(session_id, here) is not Evidence.MISSING
            assert await session.verify(session_id, elsewhere) is not Evidence.FOUND, (
                "`verify` goes by another home than that of `place.env`."
            )
            assert not await session.discover(elsewhere), "`discover` goes by another home as well."

    @on_disk
    async def test_a_torn_transcript_is_no_error(self, place: Place) -> None:
        """A crash, or a full disk, leaves half a line behind. It must not take the agent with it."""
        session = self.some_session()
        session_id = self.new_id()
        path = self.recorded(place, session_id)
        for content in (b"", b'{"cwd": "/w', b"\xff\xfe\x00" * 100, b'null\n[]\n3\n"x"\n'):
            await anyio.Path(path).write_bytes(content)
            with anyio.fail_after(_PATIENCE):
                assert isinstance(await session.verify(session_id, place), Evidence)
                await session.discover(place)
                await session.describe(session_id, place)

    @on_disk
    async def test_only_a_certain_id_is_captured_lesson_18(self, place: Place) -> None:
        """A captured id is stored for good; that of another agent would be resumed by two."""
        session = self.some_session()
        directory = self.request(place).directory
        began = time.time()
        launched = Launched(place=place, at=began, directory=directory)
        with anyio.fail_after(_PATIENCE):
            assert await session.capture(launched) is None, "An id is captured where there is none."
        taken = self.new_id()
        self.recorded(place, taken)
        launched = Launched(place=place, at=began, directory=directory, taken=frozenset({taken}))
        with anyio.fail_after(_PATIENCE):
            assert await session.capture(launched) is None, "An id that is known as another's is captured."
