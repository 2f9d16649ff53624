"""Turns a child of a holder into a program, and says in a sentence why that could not be done."""

from __future__ import annotations

import errno
import os
import resource
import signal
from collections.abc import Callable
from typing import Final, NoReturn

from afx_holding.program import LaunchError, Program, start_of

_LONGEST_SENTENCE: Final = 1 << 16


def start(path: str, program: Program, prepare: Callable[[], None]) -> tuple[int, str | None]:
    """Start the program, which was found at `path`.

    Args:
        path: Its file.
        program: What it is given.
        prepare: What its process does first, such as taking a terminal.

    Returns:
        Its pid, and when it began in the system's own notation (see `start_of`).

    Raises:
        LaunchError: It could not be started.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            become(path, program, prepare)
        except LaunchError as error:
            os.write(writer, error.message.encode("utf-8", "surrogatepass"))
        finally:
            os._exit(127)
    os.close(writer)
    failure = os.read(reader, _LONGEST_SENTENCE)
    os.close(reader)
    if failure:
        os.waitpid(pid, 0)
        raise LaunchError(failure.decode("utf-8", "surrogatepass"))
    return pid, start_of(pid)


def become(path: str, program: Program, prepare: Callable[[], None]) -> NoReturn:
    """In a forked child: begin a session, forget what a holder is, and turn into the program.

    Raises:
        LaunchError: It could not be started.
    """
    try:
        os.setsid()
        prepare()
        _reset_signals()
        if program.nofile is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, program.nofile)
        try:
            os.chdir(program.cwd)
        except OSError as error:
            raise LaunchError(f"The directory {program.cwd} cannot be entered: {error.strerror}.") from error
        os.execve(path, list(program.argv), dict(program.env))  # noqa: S606 - to run it without a shell is the point
    except (OSError, ValueError) as error:  # ValueError: a NUL in an argument, a limit that is none.
        number = error.errno if isinstance(error, OSError) and error.errno else errno.EINVAL
        raise LaunchError(f"{path} cannot be started: {os.strerror(number)}.") from error


def _reset_signals() -> None:
    """Give every signal its default meaning back, and let all of them through."""
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            try:
                signal.signal(number, signal.SIG_DFL)
            except OSError:
                continue  # The C library keeps a few for itself.
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
