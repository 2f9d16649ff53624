"""The first process of a pane: it reads what is to run, says whether it can, and turns into the program.

What is to run comes in a file that only its user can read and that is gone once it is read: what tmux is told
goes through its command line, where `ps` shows it.
"""

from __future__ import annotations

import json
import os
import resource
from typing import Any

from afx_holding.program import LaunchError, Program, find

_OF_THE_PANE = ("TERM", "TERM_PROGRAM", "TERM_PROGRAM_VERSION", "TMUX", "TMUX_PANE")
"""What tmux says of its terminals is true in them, whatever the Tower's environment says."""


def main(path: str) -> None:
    """Run what the file at `path` says. The pipe beside it tells the Tower: a "+", and why not, if not."""
    try:
        report = os.open(f"{path}.report", os.O_WRONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        # A server that was stopped does what it was asked long ago. Nobody waits for this pane any more.
        os.execvp("tmux", ["tmux", "kill-pane", "-t", os.environ["TMUX_PANE"]])  # noqa: S606
    with open(path, encoding="utf-8") as file:  # noqa: PTH123 - pathlib is not imported here
        asked: dict[str, Any] = json.load(file)
    os.unlink(path)  # noqa: PTH108
    os.write(report, b"+")
    env = asked["env"] | {name: os.environ[name] for name in _OF_THE_PANE if name in os.environ}
    program = Program(asked["argv"], env, asked["cwd"], None)
    try:
        _become(program, asked["nofile"])
    except LaunchError as error:
        os.write(report, json.dumps([error.message, error.hint]).encode("ascii"))
    os._exit(127)


def _become(program: Program, nofile: int) -> None:
    found = find(program)
    try:
        _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (nofile if hard < 0 else min(nofile, hard), hard))
        os.chdir(program.cwd)
        os.execve(found, list(program.argv), dict(program.env))  # noqa: S606 - to run it without a shell is the point
    except OSError as error:
        raise LaunchError(f"{found} cannot be started: {error.strerror}.") from error
    except ValueError as error:  # A NUL in an argument.
        raise LaunchError(f"{found} cannot be started: Invalid argument.") from error
