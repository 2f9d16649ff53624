"""The git worktrees that builders work in: made, and removed with what was in them only where that is wanted.

Which agent has which worktree is known to `agents`; that no process works in a worktree any more is for the
caller to see to before it is removed. Nothing but linked worktrees is ever removed here.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from pathlib import Path

import anyio
import msgspec
from anyio import to_thread

from afx.api.errors import BadInputError, ConflictError

from .git import GitError, ask_git, git
from .losses import Losses, commits_nowhere_else, losses_of
from .names import check_branch
from .repository import has_branch, worktrees_of


class Worktree(msgspec.Struct, frozen=True, kw_only=True):
    """A builder's worktree.

    Attributes:
        path: Its real path.
        branch: The branch that is checked out in it.
        created_branch: Whether the branch was made for it.
    """

    path: Path
    branch: str
    created_branch: bool


async def add(repository: Path, directory: Path, branch: str) -> Worktree:
    """Make a worktree for a builder. If that fails, nothing of it is left.

    A branch that is there already is used as it is; else it begins at the repository's HEAD. The person's
    `.gitignore` is left alone: that the worktrees are ignored is said in `.git/info/exclude`.

    Args:
        repository: The main working tree.
        directory: Where it shall be. Its parent is made, and is for worktrees only.
        branch: The branch for it.

    Raises:
        BadInputError: The branch's name or the directory cannot be used.
        ConflictError: The directory exists, the branch is in use, or there is no commit to begin at.
    """
    check_branch(branch)
    root, place = await to_thread.run_sync(_place, repository, directory)
    if await ask_git(root, "rev-parse", "--verify", "--quiet", "HEAD^{commit}") is None:
        raise ConflictError(
            f"{root} has no commit yet that a builder could begin at.", hint="Make a first commit."
        )
    await _forget_missing(root, place)
    await _refuse_taken(root, branch)
    await _ignore(root, place.parent)
    await to_thread.run_sync(_claim, place)
    created = False
    try:
        if not await has_branch(root, branch):
            await git(root, "branch", "--no-track", "--", branch, "HEAD")
            created = True
        await git(root, "worktree", "add", "--quiet", "--", str(place), branch)
    except BaseException as error:
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(lambda: shutil.rmtree(place, ignore_errors=True))
            await ask_git(root, "worktree", "remove", "--force", "--force", "--", str(place))
            if created:
                await ask_git(root, "branch", "--delete", "--force", "--", branch)
        if isinstance(error, GitError):
            raise ConflictError(f"The worktree {place} could not be made: {error.message}") from None
        raise
    return Worktree(path=place, branch=branch, created_branch=created)


async def at_stake(repository: Path, path: Path, *, delete_branch: bool, branch: str | None = None) -> Losses:
    """Find out what `remove` would lose. The commits of a branch that stays are not lost.

    Raises:
        BadInputError: `path` cannot be the place of a builder's worktree.
        ConflictError: It is no worktree of the repository, so nothing can be said of it.
    """
    root, place = await to_thread.run_sync(_place, repository, path)
    known = await worktrees_of(root)
    branch = branch or known.get(place)
    if not await anyio.Path(place).exists():
        lost = await commits_nowhere_else(root, branch, detached=False) if delete_branch else ()
        return Losses(commits=lost)
    # Even by force: without an entry of git's it may be anything.
    found = await losses_of(place, branch)
    if place not in known:
        raise ConflictError(f"{place} is not a worktree of {root}.", hint="Remove it by hand.")
    if delete_branch or known[place] is None:
        return found
    return msgspec.structs.replace(found, commits=())


async def remove(
    repository: Path, path: Path, *, force: bool, delete_branch: bool, branch: str | None = None
) -> bool:
    """Remove a builder's worktree and, where asked for, its branch. Return whether the branch was deleted.

    A branch that is checked out in another worktree stays. A directory that was removed by hand is no error.

    Args:
        repository: The main working tree.
        path: The worktree.
        force: Remove it together with work that is nowhere else.
        delete_branch: Whether to delete the branch too.
        branch: The branch; None for the one that is checked out there.

    Raises:
        BadInputError: `path` cannot be the place of a builder's worktree.
        ConflictError: Work would be lost, or it is no worktree of the repository, or git refused.
    """
    root, place = await to_thread.run_sync(_place, repository, path)
    branch = branch or (await worktrees_of(root)).get(place)
    found = await at_stake(repository, path, delete_branch=delete_branch, branch=branch)
    if found.anything and not force:
        raise ConflictError(
            f"Removing {place} would lose {found.sentence()}",
            hint="Commit and merge or push it, or use --force to lose it.",
            code="would-lose-work",
        )
    try:
        await _remove_directory(root, place, force=force)
        taken = set((await worktrees_of(root)).values())
        if not delete_branch or branch is None or branch in taken or not await has_branch(root, branch):
            return False
        await git(root, "branch", "--delete", "--force", "--quiet", "--", branch)
    except GitError as error:
        raise ConflictError(f"{place} could not be removed: {error.message}") from None
    return True


async def _remove_directory(root: Path, place: Path, *, force: bool) -> None:
    if not await anyio.Path(place).exists():
        await _forget_missing(root, place)
        return
    own = await git(place, "rev-parse", "--absolute-git-dir")
    # Git wants to be forced where there are submodules, even clean ones.
    forced = ["--force"] if force or await anyio.Path(own.strip(), "modules").exists() else []
    await git(root, "worktree", "remove", *forced, "--", str(place))


def _place(repository: Path, path: Path) -> tuple[Path, Path]:
    """Return the real paths of a repository and of a worktree in it.

    A symlink below the repository is refused: what is behind it may be somebody else's.
    """
    root, real = repository.resolve(), path.resolve()
    base = repository if path.is_relative_to(repository) else root
    inside = path.is_relative_to(base)
    plain = Path(os.path.normpath(root / path.relative_to(base) if inside else path))
    if real != plain or root.is_relative_to(real) or ".git" in real.parts[len(root.parts) :]:
        raise BadInputError(
            f"{path} cannot be the place of a builder's worktree.",
            hint="It must be a directory of its own, and no symlink may lead to it.",
        )
    return root, real


def _claim(place: Path) -> None:
    """Make the directory. Of two that want it only one can, and only that one may clear it away again."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.mkdir()
    except FileExistsError:
        raise ConflictError(
            f"{place} exists already.",
            hint=f"`afx spawn {place.name} --resume` takes it in; else choose another name.",
        ) from None
    except OSError as error:
        raise BadInputError(f"{place} cannot be made: {error.strerror}.") from None


async def _refuse_taken(root: Path, branch: str) -> None:
    for path, taken in (await worktrees_of(root)).items():
        if taken == branch:
            raise ConflictError(
                f"The branch {branch} is checked out in {path}.", hint="Choose another with --branch."
            )
    parts = branch.split("/")
    above = ["/".join(parts[:count]) for count in range(1, len(parts))]
    clashing = [name for name in above if await has_branch(root, name)]
    below = await git(root, "for-each-ref", "--count=1", "--format=%(refname)", f"refs/heads/{branch}/")
    clashing += [line.removeprefix("refs/heads/") for line in below.splitlines()]
    if clashing:
        raise ConflictError(
            f"Git cannot have a branch {branch} beside the branch {clashing[0]}.",
            hint=f"Choose another with --branch, or rename {clashing[0]}.",
        )


async def _forget_missing(root: Path, place: Path) -> None:
    """Make git forget a worktree whose directory was removed by hand."""
    if not await anyio.Path(place).exists() and place in await worktrees_of(root):
        try:
            await git(root, "worktree", "remove", "--force", "--", str(place))
        except GitError as error:
            raise ConflictError(f"git still keeps a worktree {place}: {error.message}") from None


async def _ignore(root: Path, parent: Path) -> None:
    """Have git ignore the directory of the worktrees, without a change to a file of the person's."""
    if not parent.is_relative_to(root):
        return
    if await git(root, "ls-files", "--", str(parent)):
        raise BadInputError(
            f"{parent} has files of the repository in it, so builders cannot have it.",
            hint="Set builder.directory to a directory of its own, such as .builders.",
        )
    name = parent.relative_to(root).as_posix()
    common = await git(root, "rev-parse", "--git-common-dir")
    await to_thread.run_sync(_exclude, root / common.removesuffix("\n"), name)


def _exclude(common: Path, name: str) -> None:
    """Add a directory to a repository's own list of what is ignored, once."""
    line = os.fsencode("/" + re.sub(r"([\\*?\[ ])", r"\\\1", name) + "/")
    path = common / "info" / "exclude"
    path.parent.mkdir(exist_ok=True)
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        content = file.read()
        if line not in content.splitlines():
            file.write((b"" if not content or content.endswith(b"\n") else b"\n") + line + b"\n")
