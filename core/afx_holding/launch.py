"""What a newborn holder is told: which terminal it holds, and what runs in it."""

from __future__ import annotations

import resource
import select
import time
from typing import Final, NamedTuple

from afx_holding import frames
from afx_holding.clients import Client
from afx_holding.program import Program, start_of

_LARGEST_SIZE: Final = 0xFFFF
_LEAST_SCROLLBACK: Final = 2 * frames.PIECE
_LAUNCH_WITHIN: Final = 5.0


class Launch(NamedTuple):
    """The fields of a LAUNCH frame, checked.

    Attributes:
        scrollback: How many bytes of output are kept, at least two pieces as they go over the wire.
        husk_after: Seconds a holder stays whose program ended, whose end was noted, and to whom nobody is
            connected.
        unnoticed_after: Seconds a holder stays whose program ended without any Tower noting it.
        check_every: Seconds between two looks at whether its socket file is still there.
        release: Of the afx whose Tower asked for it.
    """

    directory: str
    terminal_id: str
    agent_id: str
    label: str
    cols: int
    rows: int
    scrollback: int
    program: Program
    husk_after: float
    unnoticed_after: float
    check_every: float
    release: str


def read_launch(fields: frames.Fields) -> Launch:
    """Read a LAUNCH frame.

    Raises:
        frames.FrameError: Something in it is missing or of the wrong type.
    """
    cols, rows = read_size(fields)
    return Launch(
        directory=frames.text(fields, "directory"),
        terminal_id=frames.text(fields, "terminal_id"),
        agent_id=frames.text(fields, "agent_id"),
        label=frames.text(fields, "label"),
        cols=cols,
        rows=rows,
        scrollback=max(_LEAST_SCROLLBACK, frames.number(fields, "scrollback", 0, 1 << 30)),
        program=read_program(fields),
        husk_after=frames.seconds(fields, "husk_after", 600),
        unnoticed_after=frames.seconds(fields, "unnoticed_after", 86_400),
        check_every=frames.seconds(fields, "check_every", 10),
        release=frames.text({"release": "", **fields}, "release"),
    )


def await_launch(client: Client) -> Launch | None:
    """Return what the LAUNCH frame says that a client sends first; None where none comes."""
    until = time.monotonic() + _LAUNCH_WITHIN
    while (left := until - time.monotonic()) > 0 and not client.lost:
        select.select([client.descriptor], [], [], left)
        for kind, payload in client.decoder.feed(client.receive()):
            if kind == frames.LAUNCH:
                return read_launch(frames.fields_of(payload))
    return None


def first_welcome(launch: Launch, holder: int, epoch: str, program: int, start: str | None) -> bytes:
    """Return the WELCOME frame that answers LAUNCH.

    Args:
        launch: What was asked for.
        holder: The holder's pid.
        epoch: That of the output.
        program: The program's pid.
        start: When the program began.
    """
    return frames.control(
        frames.WELCOME,
        version=frames.VERSION,
        pid=holder,
        pid_start=start_of(holder),
        terminal_id=launch.terminal_id,
        agent_id=launch.agent_id,
        label=launch.label,
        epoch=epoch,
        start=0,
        offset=0,
        cols=launch.cols,
        rows=launch.rows,
        started_at=time.time(),
        last_output_at=None,
        child={"pid": program, "start": start},
        exit=None,
        resumed=False,
        release=launch.release,
    )


def read_size(fields: frames.Fields) -> tuple[int, int]:
    """Read columns and rows.

    Raises:
        frames.FrameError: They are missing or no terminal has such a size.
    """
    return frames.number(fields, "cols", 1, _LARGEST_SIZE), frames.number(fields, "rows", 1, _LARGEST_SIZE)


def read_program(fields: frames.Fields) -> Program:
    """Read what is to run.

    Raises:
        frames.FrameError: Something in it is missing or of the wrong type.
    """
    argv, env, nofile = fields.get("argv"), fields.get("env"), fields.get("nofile")
    if not isinstance(argv, list) or not all(isinstance(one, str) for one in argv):
        raise frames.FrameError("argv is not a list of strings")
    if not isinstance(env, dict) or not all(isinstance(one, str) for one in env.values()):
        raise frames.FrameError("env is not an object of strings")
    limits = None
    if isinstance(nofile, list) and len(nofile) == 2 and all(isinstance(one, int) for one in nofile):
        _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        limits = (nofile[0], hard)
    return Program(argv, env, frames.text(fields, "cwd"), limits)
