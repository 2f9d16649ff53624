"""The check of `afx doctor` for shellpers: the directory of their sockets, and whether each answers.

Every holder is greeted as an onlooker is, which disturbs neither it nor the Tower that holds it. What the
answers mean is decided by `judge`, a pure function.
"""

from __future__ import annotations

import contextlib
import os
import select
import shlex
import socket
import stat
import struct
import sys
import time
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from afx.plugin import RELEASE, DoctorCheck, DoctorContext, Finding, TerminalId, UnreachableError
from afx_holding import frames
from afx_holding.tower.messages import Welcome, read_welcome
from afx_holding.tower.places import LONGEST_PATH, Place, socket_name

_ANSWER_WITHIN = 2.0
_HELLO = frames.control(frames.HELLO, version=frames.VERSION, client="terminal", tail=0)
_MOST_NAMED = 5
_PROCESS_NAME = "afx-shellper"


class Greeted(NamedTuple):
    """What came of greeting one holder.

    Attributes:
        welcome: Its answer; None where there was none.
        listens: Whether anybody listens at its socket at all.
        pid: Its process, where that can be known.
        trouble: Why it could not be spoken to; empty where it could.
    """

    terminal_id: TerminalId
    welcome: Welcome | None = None
    listens: bool = True
    pid: int | None = None
    trouble: str = ""


class ShellperCheck(DoctorCheck):
    """Looks at the directory and greets every holder in it."""

    name = "shellper"

    def examine(self, context: DoctorContext) -> Iterator[Finding]:
        """Say how the holders are."""
        directory = context.home / "shellper"
        try:
            facts = directory.lstat()
        except (FileNotFoundError, NotADirectoryError):
            yield Finding.ok("No terminal was ever held here.")
            return
        if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.geteuid():
            yield Finding.error(
                f"{directory} is not a directory of yours.", "No terminal can be held or found again."
            )
            return
        if facts.st_mode & 0o077:
            yield Finding.error(
                f"Others may enter {directory}.",
                "The sockets in it are the terminals themselves.",
                shlex.join(["chmod", "700", str(directory)]),
            )
        place = Place(directory)
        ids = place.terminal_ids()
        yield from _paths(directory, ids)
        yield from judge(_greet_all(place, ids), context.terminals)


def judge(greeted: Iterable[Greeted], known: Collection[TerminalId] | None) -> Iterator[Finding]:
    """Say what the answers of the holders mean.

    Args:
        greeted: What came of greeting each.
        known: The terminals that the running Tower knows; None where none runs.
    """
    everyone = list(greeted)
    answered = [(one, one.welcome) for one in everyone if one.welcome is not None]
    yield Finding.ok(f"{len(answered)} of {len(everyone)} holders answer." if everyone else "No holders.")
    for one in everyone:
        if one.trouble:
            yield Finding.error(
                f"The socket of terminal {one.terminal_id} cannot be used: {one.trouble}.",
                "Its terminal cannot be reached.",
            )
        elif one.welcome is None and one.listens:
            who = "" if one.pid is None else f" (pid {one.pid})"
            yield Finding.warning(
                f"The holder of terminal {one.terminal_id}{who} does not answer.",
                "It is stopped, or has no time; its terminal is kept, and comes back when it answers.",
                "" if one.pid is None else f"kill -CONT {one.pid}",
            )
    yield from _judge_releases(answered)
    if known is None:
        return
    dead = [one for one in everyone if not one.listens and one.terminal_id not in known]
    if dead:
        yield Finding.warning(
            f"Nobody listens any more at the sockets of {_names(dead)}.",
            "They are of no use. The Tower removes them when it starts.",
            "afx tower restart",
        )
    unknown = [(one, welcome) for one, welcome in answered if one.terminal_id not in known]
    husks = [one for one, welcome in unknown if welcome.child is None or welcome.exit is not None]
    if husks:
        yield Finding.warning(
            f"Husks, whose programs have ended, are left of {_names(husks)}.",
            "They end by themselves after a while.",
        )
    orphans = [one for one, welcome in unknown if one not in husks]
    if orphans:
        yield Finding.warning(
            f"Terminals that the Tower does not know are alive: {_names(orphans)}.",
            "Somebody's work may run there. The Tower takes back what it can when it starts.",
            "afx tower restart",
        )


def _judge_releases(answered: Iterable[tuple[Greeted, Welcome]]) -> Iterator[Finding]:
    by_release: dict[str, list[str]] = {}
    for one, welcome in answered:
        if welcome.release != RELEASE or welcome.version != frames.VERSION:
            release = welcome.release or "an earlier one"
            by_release.setdefault(release, []).append(welcome.label or one.terminal_id)
    for release, those in sorted(by_release.items()):
        yield Finding.warning(
            f"Holders of another afx ({release}; installed is {RELEASE}) hold {_listed(sorted(those))}.",
            "They go on working. A Tower of this afx gives an agent a new one when you stop it and start it "
            "again: its conversation is resumed, and a shell begins anew.",
        )


def _names(those: list[Greeted]) -> str:
    return _listed([one.terminal_id for one in those])


def _listed(names: list[str]) -> str:
    listed = ", ".join(names[:_MOST_NAMED])
    return listed if len(names) <= _MOST_NAMED else f"{listed} and {len(names) - _MOST_NAMED} more"


def _paths(directory: Path, ids: Iterable[TerminalId]) -> Iterator[Finding]:
    longest = max((len(os.fsencode(directory / socket_name(one))) for one in ids), default=0)
    if longest <= LONGEST_PATH:
        return
    try:
        Place(directory).check_alias()
    except (OSError, UnreachableError) as error:
        yield Finding.error(
            f"The sockets' paths have {longest} bytes, and the way around that is barred: {error}",
            f"The system takes {LONGEST_PATH} bytes; no terminal can be reached.",
        )
    else:
        yield Finding.ok(f"The sockets' paths have {longest} bytes and are reached by a short symlink.")


def _greet_all(place: Place, ids: Iterable[TerminalId]) -> list[Greeted]:
    """Greet all holders at once, and wait for their answers together."""
    done: list[Greeted] = []
    asked: dict[int, tuple[TerminalId, socket.socket, frames.Decoder]] = {}
    with contextlib.ExitStack() as stack:
        poll = select.poll()
        for one in ids:
            try:
                connection = stack.enter_context(place.connect(one))
                connection.send(_HELLO)
            except (FileNotFoundError, ConnectionRefusedError):
                done.append(Greeted(one, listens=False))
            except BlockingIOError:
                done.append(Greeted(one))
            except (OSError, UnreachableError) as error:
                done.append(Greeted(one, trouble=str(error).rstrip(".")))
            else:
                asked[connection.fileno()] = (one, connection, frames.Decoder())
                poll.register(connection, select.POLLIN)
        deadline = time.monotonic() + _ANSWER_WITHIN
        while asked and (left := deadline - time.monotonic()) > 0:
            for descriptor, _ in poll.poll(left * 1000):
                one, connection, decoder = asked[descriptor]
                answer = _answer(one, connection, decoder)
                if answer is not None:
                    poll.unregister(descriptor)
                    del asked[descriptor]
                    done.append(answer)
        done += [Greeted(one, pid=_holder_pid(connection)) for one, connection, _ in asked.values()]
    return done


def _answer(terminal_id: TerminalId, connection: socket.socket, decoder: frames.Decoder) -> Greeted | None:
    """Return the answer that is complete now, None where more is to come."""
    try:
        data = connection.recv(frames.PIECE)
        if not data:
            return Greeted(terminal_id, pid=_holder_pid(connection))
        for kind, payload in decoder.feed(data):
            if kind == frames.WELCOME:
                return Greeted(terminal_id, welcome=read_welcome(payload))
    except BlockingIOError:
        return None
    except (OSError, frames.FrameError, msgspec.MsgspecError) as error:
        return Greeted(terminal_id, trouble=str(error).rstrip("."))
    return None


def _holder_pid(connection: socket.socket) -> int | None:
    """Return the holder at the other end, where that can be known for certain.

    The socket was made by the process that became the program, so that is whom the system names; the holder
    is its parent.
    """
    if sys.platform != "linux":
        return None
    program, _uid, _gid = struct.unpack(
        "3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    )
    try:
        stat_line = Path(f"/proc/{program}/stat").read_text(encoding="utf-8", errors="replace")
        holder = int(stat_line[stat_line.rindex(")") + 1 :].split()[1])
        name = Path(f"/proc/{holder}/comm").read_text(encoding="utf-8", errors="replace")
    except (OSError, ValueError):
        return None
    return holder if name.strip() == _PROCESS_NAME else None
