"""Writes docs/reference/plugin-api.md from the code: ``python tests/reference.py``.

The file is the reference of `afx.plugin` and its picture at once: a test compares it with the code, so that
no change of the public face happens by accident.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from enum import Enum
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

import afx.plugin
from afx.api import hookspecs

PAGE = Path(__file__).parents[1] / "docs/reference/plugin-api.md"

HEAD = """# The plugin API

Everything that `afx.plugin` has, as it stands in the code. `python tests/reference.py` writes this page, and
a test compares the two. [Writing a plugin](../plugin-authors/index.md) is where to begin.

Times are seconds, those of day since the epoch (UTC). Paths are absolute.
"""

HOLDERS_HEAD = """## Holders: processes that outlive the Tower

What `afx_holding` has for strategies whose terminals are held by processes of their own;
[a reconnect strategy from nothing](../plugin-authors/a-strategy.md) uses it. `afx_holding.tower` is for the
strategy, in the Tower. The rest is for the holder's process, which imports nothing but that and the standard
library.
"""

CHAPTERS = {
    "afx.api.hookspecs": "Hooks and entries",
    "afx.api.harness": "Harnesses",
    "afx.api.strategy": "Reconnect strategies",
    "afx.api.storage": "Storage",
    "afx.api.host_state": "Storage that keeps a host whole",
    "afx.api.doctor": "Checks of `afx doctor`",
    "afx.api.model": "Data",
    "afx.api.process": "Processes",
    "afx.api.errors": "Errors",
}

HOLDERS = {
    "afx_holding.tower.strategy": ("HolderStrategy",),
    "afx_holding.tower.places": ("short_path",),
    "afx_holding.terminal": ("Terminal",),
    "afx_holding.kept": ("KeptTerminal",),
    "afx_holding.program": ("LaunchError", "Program", "find", "start_of"),
    "afx_holding.children": ("start",),
}


def page() -> str:
    """Return the text of the page."""
    by_module: dict[str, list[str]] = {module: [] for module in CHAPTERS}
    for name in sorted(afx.plugin.__all__):
        by_module[home_of(name)].append(name)
    parts = [HEAD]
    for module, title in CHAPTERS.items():
        parts.append(f"## {title}\n")
        if module == "afx.api.hookspecs":
            parts += [
                member(name, function)
                for name, function in vars(hookspecs.AfxSpecs).items()
                if name[0] != "_"
            ]
        parts += [entry(name, getattr(afx.plugin, name), module) for name in by_module[module]]
    parts.append(HOLDERS_HEAD)
    for module, names in HOLDERS.items():
        parts.append(f"*In `{module}`*\n")
        parts += [entry(name, getattr(import_module(module), name), module) for name in names]
    return "\n".join(parts)


def home_of(name: str) -> str:
    """Return the module in which a public name is defined."""
    thing = getattr(afx.plugin, name)
    if getattr(thing, "__module__", None) in CHAPTERS:
        return str(thing.__module__)
    for module in CHAPTERS:
        tree = ast.parse(inspect.getsource(__import__(module, fromlist=["x"])))
        if any(name in names_of(node) for node in tree.body):
            return module
    raise AssertionError(f"{name} is defined nowhere that is documented.")


def names_of(node: ast.stmt) -> list[str]:
    """Return the names that a statement gives a value."""
    targets = (
        node.targets
        if isinstance(node, ast.Assign)
        else [node.target]
        if isinstance(node, ast.AnnAssign)
        else []
    )
    return [target.id for target in targets if isinstance(target, ast.Name)]


def entry(name: str, thing: Any, module: str) -> str:
    """Return what is said of one public name."""
    if inspect.isclass(thing) and thing.__module__ == module:
        return a_class(name, thing)
    if inspect.isfunction(inspect.unwrap(thing)):
        return f"### `{name}{signature(thing)}`\n\n{prose(thing)}\n"
    source = inspect.getsource(__import__(module, fromlist=["x"]))
    value = "" if name == "hookimpl" else f" = {source_of(source, name)}"
    return f"### `{name}`\n\n```python\n{name}{value}\n```\n{after(source, name)}"


def source_of(source: str, name: str) -> str:
    """Return the expression that a module gives to a name."""
    for node in ast.parse(source).body:
        if (
            isinstance(node, (ast.Assign, ast.AnnAssign))
            and name in names_of(node)
            and node.value is not None
        ):
            return ast.unparse(node.value)
    raise AssertionError(name)


def after(source: str, name: str) -> str:
    """Return the text that follows the definition of a name, which is its documentation."""
    text = attribute_texts(ast.parse(source).body).get(name)
    return "" if text is None else f"\n{text}\n"


def attribute_texts(body: list[ast.stmt]) -> dict[str, str]:
    """Return the text after each attribute that has one."""
    found = {}
    for node, following in pairwise(body):
        match following:
            case ast.Expr(value=ast.Constant(value=str(text))):
                for name in names_of(node):
                    found[name] = inspect.cleandoc(text)
    return found


def a_class(name: str, thing: type) -> str:
    """Return what is said of a class: its fields or values, and its own public methods."""
    bases = [base.__name__ for base in thing.__bases__ if base not in (object, msgspec.Struct)]
    parts = [f"### `{name}`{in_brackets(bases)}\n\n{prose(thing)}\n"]
    body = ast.parse(textwrap.dedent(inspect.getsource(thing))).body[0]
    assert isinstance(body, ast.ClassDef)
    texts = attribute_texts(body.body)
    if issubclass(thing, msgspec.Struct):
        fields = msgspec.structs.fields(thing)
        own = thing.__annotations__
        if fields:
            lines = [f"{field.name}: {own.get(field.name, '(as above)')}{default(field)}" for field in fields]
            parts.append("```python\n" + "\n".join(lines) + "\n```\n")
    elif issubclass(thing, Enum):
        parts += [f"- `{one.name}` = `{one.value!r}`" + told(texts.get(one.name)) for one in thing]
        parts.append("")
    else:
        values = [node for node in body.body if isinstance(node, (ast.Assign, ast.AnnAssign))]
        parts += [f"- `{ast.unparse(node)}`" + told(texts.get(names_of(node)[0])) for node in values]
        parts += [""] if values else []
    parts += [member(f"{name}.{key}", one) for key, one in methods(thing)]
    return "\n".join(parts)


def in_brackets(words: list[str]) -> str:
    """Return words as an addition to a heading."""
    return f" ({', '.join(words)})" if words else ""


def told(text: str | None) -> str:
    """Return a text as what follows on a line."""
    return "" if text is None else f": {' '.join(text.split())}"


def default(field: Any) -> str:
    """Return what stands in a definition for a field's default."""
    if field.default is not msgspec.NODEFAULT:
        return f" = {shown(field.default)}"
    if field.default_factory is not msgspec.NODEFAULT:
        return f" = {shown(field.default_factory())}"
    return ""


def shown(value: object) -> str:
    """Return a value as one would write it."""
    if isinstance(value, Enum):
        return f"{type(value).__name__}.{value.name}"
    if isinstance(value, (str, bytes)):
        return repr(value).replace("'", '"')
    return value.__name__ if inspect.isfunction(value) else repr(value)


def methods(thing: type) -> Iterator[tuple[str, Any]]:
    """Yield the public methods and properties that a class defines itself, in their order."""
    for key, one in vars(thing).items():
        is_method = inspect.isfunction(one) or isinstance(one, (property, classmethod))
        if is_method and not key.startswith("_"):
            yield key, one


def member(name: str, one: Any) -> str:
    """Return what is said of a method or a hook."""
    function = (
        one.fget if isinstance(one, property) else one.__func__ if isinstance(one, classmethod) else one
    )
    marks = ["async"] if inspect.iscoroutinefunction(function) else []
    marks += ["must be written"] if getattr(function, "__isabstractmethod__", False) else []
    text = name if isinstance(one, property) else f"{name}{signature(function)}"
    return f"#### `{text}`{in_brackets(marks)}\n\n{prose(function)}\n"


def signature(function: Any) -> str:
    """Return the signature of a function without `self`, as it is written."""
    found = inspect.signature(function)
    parameters = [
        one.replace(
            annotation=Written(str(one.annotation)),
            default=one.default if one.default is one.empty else Written(shown(one.default)),
        )
        for one in found.parameters.values()
        if one.name not in {"self", "cls"}
    ]
    return str(found.replace(parameters=parameters, return_annotation=Written(str(found.return_annotation))))


class Written:
    """A text that is printed as it is written."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def prose(thing: Any) -> str:
    """Return a docstring as Markdown: its sections become lists, its examples code."""
    text = inspect.cleandoc(thing.__doc__ or "").replace("``", "`")
    # Every other part is the code of an example.
    parts = re.split(r"::\n\n((?:    .*\n?|\n)+)", text)
    for at, part in enumerate(parts):
        parts[at] = f":\n\n```python\n{textwrap.dedent(part).strip()}\n```\n" if at % 2 else listed(part)
    return "".join(parts).strip()


def listed(text: str) -> str:
    """Return a piece of a docstring with its sections as lists."""
    text = re.sub(r"^    ", "  ", text, flags=re.MULTILINE)
    text = re.sub(r"^  (\w[\w ,()]*): ", r"- `\1`: ", text, flags=re.MULTILINE)
    return re.sub(r"\n+(Attributes|Args|Raises|Returns):\n", r"\n\n*\1*\n\n", text)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
