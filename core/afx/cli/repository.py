"""From a directory to the workspace it belongs to, by asking git."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from afx.api.errors import AfxError, BadInputError, NotFoundError

from .here import current_directory

# Set while git runs a hook, these would have it answer about another repository than the one we stand in.
_POINTERS = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX")


def workspace_of(directory: Path) -> Path:
    """Return the real path of the repository around a directory; of a worktree, its main repository.

    Raises:
        BadInputError: There is no repository around it.
        NotFoundError: The directory is not there.
        AfxError: Git is not installed, or fails.
    """
    if not directory.is_dir():
        raise NotFoundError(f"{directory} is no directory.", hint="Name one within a git repository.")
    told = _git(directory, "rev-parse", "--show-toplevel", "--git-dir", "--git-common-dir")
    if told is None:
        raise BadInputError(
            f"{directory} is not inside a git repository.",
            hint="Go to one, or make one here with `git init` and a first commit.",
        )
    top, git_dir, common = told.split("\n")
    if _real(directory, git_dir) != _real(directory, common):
        # The first in the list is the main one, unless the repository is bare and has none.
        first = (_git(directory, "worktree", "list", "--porcelain") or "").split("\n\n")[0].split("\n")
        if "bare" not in first and first[0].startswith("worktree "):
            top = first[0].removeprefix("worktree ")
    return Path(os.path.realpath(top))


def workspace_here() -> Path:
    """Return the workspace around the current directory. Raises as `current_directory` and `workspace_of`."""
    return workspace_of(current_directory())


def workspace_here_or_none() -> Path | None:
    """Return the workspace around the current directory, None where there is none."""
    try:
        return workspace_here()
    except AfxError:
        return None


def _git(directory: Path, *arguments: str) -> str | None:
    env = {name: value for name, value in os.environ.items() if name not in _POINTERS}
    try:
        done = subprocess.run(
            ["git", "-C", str(directory), *arguments],
            capture_output=True,
            text=True,
            errors="surrogateescape",
            check=False,
            env=env,
        )
    except FileNotFoundError:
        raise AfxError("The program git is not installed.", hint="Install it; afx needs it.") from None
    except OSError as error:
        raise AfxError(
            f"The program git cannot be run: {error.strerror}.", hint="`afx doctor` may say what is short."
        ) from None
    if done.returncode == 0:
        return done.stdout.rstrip("\n")
    if "dubious ownership" in done.stderr:
        raise BadInputError(
            f"Git refuses {directory}, since it belongs to somebody else.",
            hint=f"If you trust it: git config --global --add safe.directory {directory}",
        )
    return None


def _real(directory: Path, path: str) -> str:
    return os.path.realpath(directory / path)
