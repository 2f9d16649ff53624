"""What there is in a git repository: working trees and branches. Nothing is changed here."""

from __future__ import annotations

from pathlib import Path

import anyio

from afx.api.errors import BadInputError

from .git import GitError, ask_git, git


async def repository_of(path: Path) -> Path:
    """Return the real path of the main working tree of the repository that `path` lies in.

    Raises:
        BadInputError: It lies in none, or in one that has no working tree.
    """
    if not await anyio.Path(path).is_dir():
        raise BadInputError(f"{path} is no directory.", hint="Name a directory of a git repository.")
    here = await real_path(path)
    try:
        said = await git(here, "rev-parse", "--git-dir", "--git-common-dir", "--is-bare-repository")
    except GitError as error:
        if "not a git repository" in error.message:
            raise BadInputError(
                f"{path} is not in a git repository.", hint="Go to one, or make one with `git init`."
            ) from None
        raise BadInputError(f"git cannot work in {path}: {error.message}") from None
    own, common, bare = said.splitlines()
    directory = await real_path(here / common)
    if bare == "false" and await real_path(here / own) == directory:
        top = await ask_git(here, "rev-parse", "--show-toplevel")
        if top:
            return await real_path(Path(top))
    elif bare == "false":
        # A linked worktree. The main one is around its `.git`, or where a submodule's configuration says.
        config = ("config", "--file", str(directory / "config"))
        configured = await ask_git(directory, *config, "core.worktree")
        if configured:
            return await real_path(directory / configured)
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


async def branch_of(repository: Path, path: Path) -> str | None:
    """Return the branch of a repository's linked worktree at `path`; None where there is no such worktree."""
    real = await real_path(path)
    known = await worktrees_of(repository)
    return known.get(real) if real in list(known)[1:] else None


async def worktrees_of(cwd: Path) -> dict[Path, str | None]:
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


async def has_branch(cwd: Path, branch: str) -> bool:
    """Tell whether a repository has a branch of this name."""
    return await ask_git(cwd, "rev-parse", "--verify", "--quiet", f"refs/heads/{branch}") is not None


async def real_path(path: Path) -> Path:
    """Return a path without symlinks in it."""
    return Path(await anyio.Path(path).resolve())
