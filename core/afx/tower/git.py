"""Runs the `git` program, away from the settings by which an outer git speaks to its children.

What is asked of git, and what its answers mean, is known to `worktree`.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import anyio

from afx.api.errors import AfxError, BadInputError, SystemRefusedError

# Variables by which git is told to work on another repository than the one in its directory.
_REDIRECTIONS = frozenset(
    {
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_COMMON_DIR",
        "GIT_DIR",
        "GIT_INDEX_FILE",
        "GIT_NAMESPACE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_PREFIX",
        "GIT_WORK_TREE",
    }
)


_HALF_MADE = re.compile(r"failed to read \S+/worktrees/\S+/commondir")
"""What git (2.39) says when it met a worktree that another git was just then making."""
_MORE_TRIES = 5
_BETWEEN = 0.05


class GitError(AfxError):
    """Git refused. The message is the first thing it complained of, in one line."""

    code = "git"


async def git(cwd: Path, *args: str) -> str:
    """Run git in `cwd` and return what it printed.

    Where another git was just making a worktree, it is run again.

    Raises:
        BadInputError: Git is not installed.
        SystemRefusedError: It cannot be started.
        GitError: It failed.
    """
    env = {name: value for name, value in os.environ.items() if name not in _REDIRECTIONS}
    env |= {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"}
    argv = ["git", "-C", str(cwd), *args]
    done = await _run(argv, env)
    for _ in range(_MORE_TRIES):
        if done.returncode == 0 or not _HALF_MADE.search(os.fsdecode(done.stderr)):
            break
        await anyio.sleep(_BETWEEN)
        done = await _run(argv, env)
    if done.returncode != 0:
        lines = [line for line in os.fsdecode(done.stderr).splitlines() if line.strip()]
        complaints = [line for line in lines if line.startswith(("fatal: ", "error: "))]
        said = [*complaints, *lines, f"git {args[0]} ended with {done.returncode}"][0]
        raise GitError(said.removeprefix("fatal: ").removeprefix("error: "))
    return os.fsdecode(done.stdout)


async def _run(argv: list[str], env: Mapping[str, str]) -> subprocess.CompletedProcess[bytes]:
    try:
        # The Tower's own working directory may be gone; git has to start from one that is there.
        return await anyio.run_process(argv, cwd="/", env=env, stdin=subprocess.DEVNULL, check=False)
    except FileNotFoundError:
        raise BadInputError(
            "git is not installed.", hint="Install it: builders work in its worktrees."
        ) from None
    except OSError as error:
        raise SystemRefusedError(f"git cannot be started: {error.strerror}.") from error


async def ask_git(cwd: Path, *args: str) -> str | None:
    """Run git in `cwd` and return the line it printed, or None where it failed.

    Raises:
        BadInputError: Git is not installed.
        SystemRefusedError: It cannot be started, so nothing is known.
    """
    try:
        return (await git(cwd, *args)).removesuffix("\n")
    except GitError:
        return None
