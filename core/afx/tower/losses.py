"""Which work would be gone if a worktree and its branch were removed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from afx.api.errors import ConflictError

from .git import ask_git, git
from .repository import current_branch, has_branch, real_path, worktrees_of

_SHOWN = 3


class Losses(msgspec.Struct, frozen=True, kw_only=True):
    """The work that would be gone if a worktree and its branch were removed.

    Attributes:
        modified: Tracked files with changes that are not committed.
        untracked: Files that git does not know and was not told to ignore.
        commits: Commits that no other branch, no tag and no remote-tracking branch has, newest first, each
            as its short id and subject.
    """

    modified: tuple[str, ...] = ()
    untracked: tuple[str, ...] = ()
    commits: tuple[str, ...] = ()

    @property
    def anything(self) -> bool:
        """Whether any work would be lost."""
        return bool(self.modified or self.untracked or self.commits)

    def sentence(self) -> str:
        """Say what would be lost, with the number of things and the names of the first few."""
        parts = [
            _counted(self.modified, "changed file", "changed files"),
            _counted(self.untracked, "file not in git", "files not in git"),
            _counted(self.commits, "commit that is nowhere else", "commits that are nowhere else"),
        ]
        said = "; ".join(part for part in parts if part)
        return f"{said}." if said else "nothing."


async def losses_of(path: Path, branch: str | None = None) -> Losses:
    """Find out which work would be gone if the worktree at `path` and its branch were removed.

    Stashes are not counted: they belong to the repository and stay.

    Args:
        path: The worktree.
        branch: The branch that would be deleted with it; None for the one that is checked out there.

    Raises:
        ConflictError: `path` is no worktree (any more), so nothing can be said of it.
    """
    real = await real_path(path)
    top = await ask_git(real, "rev-parse", "--show-toplevel")
    # Where it is no worktree git would answer for the repository around it.
    if top is None or await real_path(Path(top)) != real or real not in list(await worktrees_of(real))[1:]:
        raise ConflictError(
            f"{path} is not a git worktree any more, so it cannot be told what would be lost.",
            hint="Look into it, and remove it by hand.",
        )
    status = await git(real, "status", "--porcelain", "-z", "--untracked-files=all", "--no-renames")
    modified, untracked = _read_status(status)
    checked_out = await current_branch(real)
    commits = await commits_nowhere_else(real, branch or checked_out, detached=checked_out is None)
    return Losses(modified=modified, untracked=untracked, commits=commits)


async def commits_nowhere_else(cwd: Path, branch: str | None, *, detached: bool) -> tuple[str, ...]:
    """Return the commits that only a branch has, or (`detached`) only what is checked out in `cwd`, or both.

    They are shown as in `Losses.commits`. A branch that does not exist has none.
    """
    tips = ["HEAD"] if detached else []
    others = ["--branches", "--remotes", "--tags"]
    if branch is not None and await has_branch(cwd, branch):
        tips.append(f"refs/heads/{branch}")
        # This speaks of the --branches that follows.
        others.insert(0, f"--exclude={branch}")
    if not tips:
        return ()
    said = await git(cwd, "log", "--format=%h %s", *tips, "--not", *others, "--")
    return tuple(said.splitlines())


def _read_status(said: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the modified and the untracked files of ``git status --porcelain -z --no-renames``."""
    entries = [(entry[:2], entry[3:]) for entry in said.split("\0") if entry]
    modified = tuple(name for state, name in entries if state != "??")
    return modified, tuple(name for state, name in entries if state == "??")


def _counted(names: Sequence[str], one: str, many: str) -> str:
    if not names:
        return ""
    shown = [name.encode("utf-8", "replace").decode() for name in names[:_SHOWN]]
    rest = ["..."] if len(names) > _SHOWN else []
    return f"{len(names)} {one if len(names) == 1 else many} ({', '.join([*shown, *rest])})"
