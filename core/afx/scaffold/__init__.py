"""Writes the package of a new plugin: one that installs, passes its suite and its type check as it is."""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Literal, TypeAlias

from afx import __version__
from afx.api.errors import BadInputError, ConflictError
from afx.api.hookspecs import API_VERSION

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

Kind: TypeAlias = Literal["harness", "storage", "strategy"]
KINDS: tuple[Kind, ...] = ("harness", "storage", "strategy")

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_SUMMARIES: Mapping[Kind, str] = {
    "harness": "A harness of afx for the agent program {name}.",
    "storage": "A storage of afx: the Tower's state in {name}.",
    "strategy": "A reconnect strategy of afx: terminals that outlive the Tower by way of {name}.",
}

_DEPENDENCIES: Mapping[Kind, tuple[str, ...]] = {
    "harness": ("anyio>=4.8",),
    "storage": ("anyio>=4.8",),
    "strategy": (),
}
"""What a package imports beside afx, by kind."""


def new_plugin(kind: Kind, name: str, directory: Path) -> list[Path]:
    """Write the package of a new plugin and return its files, relative to `directory`.

    Args:
        kind: What it brings.
        name: The name it is chosen by.
        directory: Where the package is to be; it must not be there yet, or be empty.

    Raises:
        BadInputError: The name cannot be used, or the directory cannot be written.
        ConflictError: Something is there already.
    """
    if not _NAME.fullmatch(name) or len(name) > 40 or keyword.iskeyword(name):
        raise BadInputError(
            f"{name!r} cannot be the name of a plugin.",
            hint="Use up to 40 lower-case letters, digits and dashes, and no word of Python's own.",
        )
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise ConflictError(f"{directory} is there already.", hint="Choose another with --directory.")
    values = _values(kind, name)
    templates = files(__name__) / "templates"
    package = f"src/{values['package']}"
    wanted = {
        "pyproject.toml": templates / "common" / "pyproject.toml.in",
        "README.md": templates / "common" / "README.md.in",
        f"{package}/__init__.py": templates / kind / "plugin.py.in",
        f"{package}/{kind}.py": templates / kind / f"{kind}.py.in",
        f"tests/test_{values['module']}.py": templates / kind / "test_plugin.py.in",
    }
    if kind == "strategy":
        wanted[f"{package}/holder.py"] = templates / kind / "holder.py.in"
    contents = {path: fill(template, values) for path, template in wanted.items()}
    contents[f"{package}/py.typed"] = ""
    contents[".gitignore"] = "__pycache__/\n*.egg-info/\ndist/\n.venv/\n"
    try:
        for path, text in contents.items():
            (directory / path).parent.mkdir(parents=True, exist_ok=True)
            (directory / path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInputError(
            f"{directory} cannot be written: {error.strerror}.", hint="Choose another with --directory."
        ) from None
    return sorted(map(Path, contents))


def distribution_of(kind: Kind, name: str) -> str:
    """Return the name of the distribution of a new plugin."""
    return f"afx-{kind}-{name}"


def fill(template: Traversable, values: Mapping[str, str]) -> str:
    """Return the text of a template with its names filled in."""
    return Template(template.read_text(encoding="utf-8")).substitute(values)


def _values(kind: Kind, name: str) -> dict[str, str]:
    module = name.replace("-", "_")
    camel = "".join(part.capitalize() for part in name.split("-"))
    return {
        "name": name,
        "module": module,
        "package": f"afx_{kind}_{module}",
        "distribution": distribution_of(kind, name),
        "class_name": f"{camel}{kind.capitalize()}",
        "session_name": f"{camel}Session",
        "terminal_name": f"{camel}Terminal",
        "variable": module.upper(),
        "summary": _SUMMARIES[kind].format(name=name),
        "dependencies": json.dumps([f"afx>={__version__}", *_DEPENDENCIES[kind]]),
        "api_version": str(API_VERSION),
    }
