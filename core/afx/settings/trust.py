"""Which workspaces may say what is run: those whose file a person has looked at, as it was then.

A cloned repository brings its ``afx.toml`` along. What that says of names and sizes counts at once; a program
to run, the leave to work unattended, or worktrees outside the workspace count only after ``afx workspace
trust``. What is trusted is a digest of just that part: a change of it has to be looked at again, a change
elsewhere in the file has not.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .places import state_directory

_UNATTENDED = "agent.allow_unattended"
_DIRECTORY = "builder.directory"
"""What is checked out outside the workspace, such as where an editor has its plugins, may be run there."""
_FILE = "trusted.json"


def trust_file(env: Mapping[str, str]) -> Path:
    """Return where it is kept which files are trusted."""
    return state_directory(env) / _FILE


def runs(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a workspace's settings that needs trust; empty where nothing does."""
    part = {f"harness.{name}": section for name, section in _table(tree, "harness").items()}
    if any(_values(tree, _UNATTENDED)):
        part[_UNATTENDED] = True
    if outside := [value for value in _values(tree, _DIRECTORY) if _leads_out(value)]:
        part[_DIRECTORY] = outside
    return part


def is_trusted(workspace: Path, part: Mapping[str, Any], env: Mapping[str, str]) -> bool:
    """Tell whether a person has trusted just this part of a workspace's settings."""
    return _kept(env).get(os.path.realpath(workspace)) == _digest(part)


def distrust(workspace: Path, env: Mapping[str, str]) -> None:
    """Trust nothing of a workspace's file any more.

    Raises:
        OSError: It cannot be stored.
    """
    _store(workspace, None, env)


def trust_present(workspace: Path, env: Mapping[str, str]) -> Mapping[str, Any]:
    """Trust what a workspace's file says now, and return the part that needs it; it may be empty.

    Raises:
        OSError: It cannot be read or stored.
    """
    import tomllib

    try:
        part = runs(tomllib.loads((workspace / "afx.toml").read_text(encoding="utf-8")))
    except FileNotFoundError:
        return {}
    if part:
        _store(workspace, _digest(part), env)
    return part


def _store(workspace: Path, digest: str | None, env: Mapping[str, str]) -> None:
    import json

    kept = _kept(env)
    kept.pop(os.path.realpath(workspace), None)
    if digest is not None:
        kept[os.path.realpath(workspace)] = digest
    path = trust_file(env)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(f"{_FILE}.{os.getpid()}.new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(kept, file, indent=1)
    new.replace(path)


def _kept(env: Mapping[str, str]) -> dict[str, Any]:
    import json

    try:
        kept = json.loads(trust_file(env).read_bytes())
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def _digest(part: Mapping[str, Any]) -> str:
    import hashlib
    import json

    return hashlib.sha256(json.dumps(part, sort_keys=True, default=str).encode()).hexdigest()


def _values(tree: Mapping[str, Any], name: str) -> list[Any]:
    """Return what a setting is given; its name may be written with a dot, or as one word in quotes."""
    table, _, key = name.partition(".")
    return [where[word] for where, word in ((tree, name), (_table(tree, table), key)) if word in where]


def _leads_out(path: object) -> bool:
    return isinstance(path, str) and (path.startswith(("/", "~")) or ".." in path.split("/"))


def _table(tree: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = tree.get(name)
    return found if isinstance(found, dict) else {}
