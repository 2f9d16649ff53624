"""The git worktrees that builders work in: made, looked at for work that would be lost, and removed.

Which agent has which worktree is known to `agents`; that no process works in a worktree any more is for the
caller to see to before it is removed. Nothing but linked worktrees is ever removed here.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import anyio
import msgspec
from anyio import to_thread

from afx.api.errors import BadInputError, ConflictError

from .git import GitError, ask_git, git

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
# What git allows nowhere in the name of a branch.
_NOT_IN_A_BRANCH = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//")
_SHOWN = 3


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


def with_article(noun: str) -> str:
    """Return a noun with the article that its first letter wants."""
    return f"{'an' if noun[:1] in 'aeiou' else 'a'} {noun}"


def check_name(name: str, what: str) -> str:
    """Return `name` where it can safely be part of paths, branches and labels.

    Args:
        name: What came from outside.
        what: What it is the name of, such as "agent", for the sentence.

    Raises:
        BadInputError: It cannot.
    """
    if _NAME.fullmatch(name) and ".." not in name and not name.endswith((".lock", ".")):
        return name
    raise BadInputError(
        f"{_shortened(name)} cannot be the name of {with_article(what)}.",
        hint="Use 1 to 64 letters, digits, dots, dashes and underscores; begin with a letter, digit or "
        "underscore; as in a branch, no `..` and no `.` or `.lock` at the end.",
    )


def check_branch(name: str) -> str:
    """Return `name` where git takes it as the name of a branch.

    Raises:
        BadInputError: It does not.
    """
    parts = name.split("/")
    if (
        not _NOT_IN_A_BRANCH.search(name)
        and not name.startswith("-")
        and name not in {"@", "HEAD"}
        and all(part and not part.startswith(".") and not part.endswith(".lock") for part in parts)
        and not name.endswith(".")
        # Each part is a file or a directory for git, and few file systems take longer names.
        and all(len(os.fsencode(part)) <= 200 for part in parts)
        and len(name) <= 1000
    ):
        return name
    raise BadInputError(
        f"{_shortened(name)} cannot be the name of a branch.",
        hint="`git help check-ref-format` has the rules.",
    )


async def repository_of(path: Path) -> Path:
    """Return the real path of the main working tree of the repository that `path` lies in.

    Raises:
        BadInputError: It lies in none, or in one that has no working tree.
    """
    if not await anyio.Path(path).is_dir():
        raise BadInputError(f"{path} is no directory.", hint="Name a directory of a git repository.")
    here = await _real(path)
    try:
        said = await git(here, "rev-parse", "--git-dir", "--git-common-dir", "--is-bare-repository")
    except GitError as error:
        if "not a git repository" in error.message:
            raise BadInputError(
                f"{path} is not in a git repository.", hint="Go to one, or make one with `git init`."
            ) from None
        raise BadInputError(f"git cannot work in {path}: {error.message}") from None
    own, common, bare = said.splitlines()
    directory = await _real(here / common)
    if bare == "false" and await _real(here / own) == directory:
        top = await ask_git(here, "rev-parse", "--show-toplevel")
        if top:
            return await _real(Path(top))
    elif bare == "false":
        # A linked worktree. The main one is around its `.git`, or where a submodule's configuration says.
        config = ("config", "--file", str(directory / "config"))
        configured = await ask_git(directory, *config, "core.worktree")
        if configured:
            return await _real(directory / configured)
        if directory.name == ".git" and await ask_git(directory, *config, "core.bare") != "true":
            return directory.parent
    raise BadInputError(
        f"{path} is in a git repository, but not in a working tree of it.",
        hint="Go to its working tree; of a bare repository, make a clone.",
    )


async def current_branch(cwd: Path) -> str | None:
    """Return the branch that is checked out in `cwd`, or None where there is none (a detached HEAD).

    Raises:
        BadInputError: `cwd` is in no git repository.
    """
    try:
        await git(cwd, "rev-parse", "--git-dir")
    except GitError as error:
        raise BadInputError(f"git cannot work in {cwd}: {error.message}") from None
    return await ask_git(cwd, "symbolic-ref", "--quiet", "--short", "HEAD")


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
        if not await _has_branch(root, branch):
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


async def losses(path: Path, branch: str | None = None) -> Losses:
    """Find out which work would be gone if the worktree at `path` and its branch were removed.

    Stashes are not counted: they belong to the repository and stay.

    Args:
        path: The worktree.
        branch: The branch that would be deleted with it; None for the one that is checked out there.

    Raises:
        ConflictError: `path` is no worktree (any more), so nothing can be said of it.
    """
    real = await _real(path)
    top = await ask_git(real, "rev-parse", "--show-toplevel")
    # Where it is no worktree git would answer for the repository around it.
    if top is None or await _real(Path(top)) != real or real not in list(await _checked_out(real))[1:]:
        raise ConflictError(
            f"{path} is not a git worktree any more, so it cannot be told what would be lost.",
            hint="Look into it, and remove it by hand.",
        )
    status = await git(real, "status", "--porcelain", "-z", "--untracked-files=all", "--no-renames")
    modified, untracked = _read_status(status)
    checked_out = await current_branch(real)
    commits = await _commits_nowhere_else(real, branch or checked_out, detached=checked_out is None)
    return Losses(modified=modified, untracked=untracked, commits=commits)


async def at_stake(repository: Path, path: Path, *, delete_branch: bool, branch: str | None = None) -> Losses:
    """Find out what `remove` would lose. The commits of a branch that stays are not lost.

    Raises:
        BadInputError: `path` cannot be the place of a builder's worktree.
        ConflictError: It is no worktree of the repository, so nothing can be said of it.
    """
    root, place = await to_thread.run_sync(_place, repository, path)
    known = await _checked_out(root)
    branch = branch or known.get(place)
    if not await anyio.Path(place).exists():
        lost = await _commits_nowhere_else(root, branch, detached=False) if delete_branch else ()
        return Losses(commits=lost)
    # Even by force: without an entry of git's it may be anything.
    found = await losses(place, branch)
    if place not in known:
        raise ConflictError(f"{place} is not a worktree of {root}.", hint="Remove it by hand.")
    if delete_branch or known[place] is None:
        return found
    return msgspec.structs.replace(found, commits=())


async def branch_of(repository: Path, path: Path) -> str | None:
    """Return the branch of a repository's linked worktree at `path`; None where there is no such worktree."""
    real = await _real(path)
    known = await _checked_out(repository)
    return known.get(real) if real in list(known)[1:] else None


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
    branch = branch or (await _checked_out(root)).get(place)
    found = await at_stake(repository, path, delete_branch=delete_branch, branch=branch)
    if found.anything and not force:
        raise ConflictError(
            f"Removing {place} would lose {found.sentence()}",
            hint="Commit and merge or push it, or use --force to lose it.",
            code="would-lose-work",
        )
    try:
        await _remove_directory(root, place, force=force)
        taken = set((await _checked_out(root)).values())
        if not delete_branch or branch is None or branch in taken or not await _has_branch(root, branch):
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
    for path, taken in (await _checked_out(root)).items():
        if taken == branch:
            raise ConflictError(
                f"The branch {branch} is checked out in {path}.", hint="Choose another with --branch."
            )
    parts = branch.split("/")
    above = ["/".join(parts[:count]) for count in range(1, len(parts))]
    clashing = [name for name in above if await _has_branch(root, name)]
    below = await git(root, "for-each-ref", "--count=1", "--format=%(refname)", f"refs/heads/{branch}/")
    clashing += [line.removeprefix("refs/heads/") for line in below.splitlines()]
    if clashing:
        raise ConflictError(
            f"Git cannot have a branch {branch} beside the branch {clashing[0]}.",
            hint=f"Choose another with --branch, or rename {clashing[0]}.",
        )


async def _forget_missing(root: Path, place: Path) -> None:
    """Make git forget a worktree whose directory was removed by hand."""
    if not await anyio.Path(place).exists() and place in await _checked_out(root):
        try:
            await git(root, "worktree", "remove", "--force", "--", str(place))
        except GitError as error:
            raise ConflictError(f"git still keeps a worktree {place}: {error.message}") from None


async def _checked_out(cwd: Path) -> dict[Path, str | None]:
    """Return each worktree of a repository, the main one first, and the branch checked out in it."""
    found: dict[Path, str | None] = {}
    path = Path()
    for line in (await git(cwd, "worktree", "list", "--porcelain")).splitlines():
        word, _, rest = line.partition(" ")
        if word == "worktree":
            path = Path(rest)
            found[path] = None
        elif word == "branch":
            found[path] = rest.removeprefix("refs/heads/")
    return found


async def _commits_nowhere_else(cwd: Path, branch: str | None, *, detached: bool) -> tuple[str, ...]:
    tips = ["HEAD"] if detached else []
    others = ["--branches", "--remotes", "--tags"]
    if branch is not None and await _has_branch(cwd, branch):
        tips.append(f"refs/heads/{branch}")
        # This speaks of the --branches that follows.
        others.insert(0, f"--exclude={branch}")
    if not tips:
        return ()
    said = await git(cwd, "log", "--format=%h %s", *tips, "--not", *others, "--")
    return tuple(said.splitlines())


async def _has_branch(cwd: Path, branch: str) -> bool:
    return await ask_git(cwd, "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}") is not None


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


def _shortened(name: str) -> str:
    return repr(name if len(name) <= 80 else f"{name[:80]}...")


async def _real(path: Path) -> Path:
    return Path(await anyio.Path(path).resolve())
