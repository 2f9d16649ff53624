"""What a person may set, where each value comes from, and what is wrong with a value that cannot be used.

Nearer wins: built-in defaults, the person's ``config.toml``, the workspace's ``afx.toml``, ``AFX_*`` in the
environment, options of the command. `SETTINGS` is the whole list of what there is; plugins own their sections
(``[harness.*]``, ``[storage.*]``, ``[strategy.*]``) and check them themselves.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, overload

from afx.api.errors import BadInputError

from .places import config_file, state_directory
from .sections import KINDS, misplaced
from .table import SETTINGS, Setting
from .trust import is_trusted, runs
from .values import READERS, UnfitError

__all__ = ["SETTINGS", "Setting", "Settings", "config_file", "known_setting", "state_directory"]

_NO_OPTIONS: Mapping[str, object] = {}
_NOTHING: Mapping[str, Path] = {}


class _Value(NamedTuple):
    value: Any
    origin: str


class _File(NamedTuple):
    path: Path
    text: str
    tree: Mapping[str, Any]


class Settings(Mapping[str, object]):
    """The settings that hold in one place, typed and checked. Made by `Settings.load`."""

    def __init__(
        self,
        values: Mapping[str, _Value],
        sections: Mapping[str, Any],
        files: Sequence[_File] = (),
        untrusted: Mapping[str, Path] = _NOTHING,
    ) -> None:
        self._values = values
        self._sections = sections
        self._files = files
        self._untrusted = untrusted

    @classmethod
    def load(
        cls,
        workspace: Path | None,
        options: Mapping[str, object] = _NO_OPTIONS,
        env: Mapping[str, str] = os.environ,
    ) -> Settings:
        """Read all the places where settings stand.

        Args:
            workspace: The workspace whose ``afx.toml`` counts; None where there is none.
            options: Settings by dotted name, as options of a command gave them. None does not count.
            env: The environment.

        Raises:
            BadInputError: A file cannot be read, or holds a name or a value that means nothing.
        """
        values = {name: _Value(setting.default, "default") for name, setting in SETTINGS.items()}
        sections: dict[str, Any] = {}
        untrusted: dict[str, Path] = {}
        person = config_file(env)
        read = [_read_file(person, str(person), values, sections)]
        if workspace is not None:
            before = dict(values)
            read.append(_read_file(workspace / "afx.toml", "afx.toml", values, sections))
            part = runs(read[-1].tree) if read[-1] is not None else {}
            if part and not is_trusted(workspace, part, env):
                untrusted = dict.fromkeys(part, workspace / "afx.toml")
                values.update({name: before[name] for name in part if name in before})
        for name, setting in SETTINGS.items():
            if text := env.get(setting.env):
                values[name] = _Value(_read(setting, text, _here(setting), f"{setting.env} is"), setting.env)
        for name, given in options.items():
            if given is not None:
                setting = known_setting(name)
                values[name] = _Value(_read(setting, given, _here(setting), f"{name} is"), "option")
        return cls(values, sections, [file for file in read if file is not None], untrusted)

    @overload
    def __getitem__(self, name: Literal["tower.port", "terminal.scrollback", "recover.jobs"]) -> int: ...
    @overload
    def __getitem__(
        self, name: Literal["tower.boot_deadline", "recover.max_age_days", "recover.max_load"]
    ) -> float: ...
    @overload
    def __getitem__(self, name: Literal["agent.allow_unattended"]) -> bool: ...
    @overload
    def __getitem__(self, name: Literal["plugins.disabled"]) -> list[str]: ...
    @overload
    def __getitem__(
        self,
        name: Literal[
            "terminal.strategy",
            "agent.harness",
            "architect.role",
            "builder.role",
            "builder.directory",
            "builder.branch_prefix",
            "attach.detach_key",
            "storage.name",
            "recover.at_boot",
        ],
    ) -> str: ...
    @overload
    def __getitem__(self, name: str) -> object: ...
    def __getitem__(self, name: str) -> object:
        """Return the value of a setting. A name that is none is the program's mistake: KeyError."""
        return self._values[name].value

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def origin(self, name: str) -> str:
        """Say where a value comes from.

        It is ``default``, the path of ``config.toml``, ``afx.toml``, the name of an environment variable, or
        ``option``.
        """
        return self._values[name].origin

    def section(self, name: str) -> Mapping[str, Any]:
        """Return what is set in a plugin's section, such as ``harness.claude``; empty where nothing is.

        Raises:
            BadInputError: It is of a workspace's file that says what is run, and is not trusted.
        """
        whole = ".".join(name.split(".")[:2])
        if (file := self._untrusted.get(whole)) is not None:
            raise BadInputError(
                f"{file} sets [{whole}], which says what is run, and you have not said that you trust it.",
                hint=f"Look at it; then run `afx workspace trust {shlex.quote(str(file.parent))}`.",
            )
        found: Any = self._sections
        for part in name.split("."):
            found = found.get(part, {}) if isinstance(found, Mapping) else {}
        return found if isinstance(found, Mapping) else {}

    def place(self, *path: str | int) -> str:
        """Say in which file, line and column something is written, or else what is around it.

        Args:
            path: Keys, and numbers of elements, from the top of the file on, such as ``"harness", "foo"``.
        """
        from .positions import nearest, positions

        found = [(file, nearest(positions(file.text), path)) for file in reversed(self._files)]
        places = [(file, spot) for file, spot in found if spot is not None]
        exact = [(file, spot) for file, spot in places if path in positions(file.text)]
        for file, spot in exact or places:
            return f"{file.path}, {spot}"
        return "the settings"


def known_setting(name: str) -> Setting:
    """Return the setting of this name.

    Raises:
        BadInputError: There is none.
    """
    if (setting := SETTINGS.get(name)) is not None:
        return setting
    import difflib

    near = difflib.get_close_matches(name, SETTINGS, n=1, cutoff=0.6)
    hint = f"Did you mean {near[0]!r}?" if near else "`afx config` lists the settings."
    raise BadInputError(f"{name!r} is no setting.", hint=hint)


def _read_file(path: Path, origin: str, values: dict[str, _Value], sections: dict[str, Any]) -> _File | None:
    try:
        text = path.read_bytes().decode()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadInputError(
            f"{path} cannot be read: {error.strerror}.", hint="Mend its permissions, or move it away."
        ) from None
    except UnicodeDecodeError as error:
        raise BadInputError(
            f"{path} is not written in UTF-8, at byte {error.start}.", hint="Save it as UTF-8."
        ) from None
    import tomllib

    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        raise BadInputError(
            f"{path} is no TOML: {message[:1].lower()}{message[1:]}.",
            hint="The language is described at https://toml.io.",
        ) from None
    for wrong in misplaced(tree):
        raise BadInputError(f"{path}, {_at(text, wrong.path)}: {wrong.message}.", hint=wrong.hint)
    for name, value in _leaves(tree):
        if name.partition(".")[0] in KINDS and name not in SETTINGS:
            continue
        try:
            setting = known_setting(name)
            values[name] = _Value(_read(setting, value, path.parent, f"{name} is"), origin)
        except BadInputError as error:
            raise BadInputError(
                f"{path}, {_spot(text, tree, name)}: {error.message}", hint=error.hint
            ) from None
    _merge(sections, {name: tree[name] for name in KINDS if name in tree})
    return _File(path, text, tree)


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and value and name not in SETTINGS:
            yield from _leaves(value, f"{name}.")
        elif not (value == {} and any(known.startswith(f"{name}.") for known in SETTINGS)):
            yield name, value


def _merge(into: dict[str, Any], nearer: Mapping[str, Any]) -> None:
    for key, value in nearer.items():
        if isinstance(value, dict):
            below = into.get(key)
            into[key] = below = dict(below) if isinstance(below, dict) else {}
            _merge(below, value)
        else:
            into[key] = value


def _spot(text: str, tree: Mapping[str, Any], name: str) -> object:
    """Return where a dotted name is written; its parts may have dots of their own."""
    path: tuple[str, ...] = ()
    inside: Any = tree
    rest = name
    while rest and isinstance(inside, Mapping):
        key = max((key for key in inside if rest == key or rest.startswith(f"{key}.")), key=len, default=rest)
        path, inside, rest = (*path, key), inside.get(key), rest[len(key) + 1 :]
    return _at(text, path)


def _at(text: str, path: tuple[str, ...]) -> object:
    from .positions import nearest, positions

    return nearest(positions(text), path) or "line 1"


def _read(setting: Setting, given: object, directory: Path, subject: str) -> object:
    try:
        return READERS[setting.kind](given, directory)
    except UnfitError as error:
        raise BadInputError(f"{subject} {given!r}, and must be {error}.", hint=setting.meaning) from None


def _here(setting: Setting) -> Path:
    """Return what a relative path counts from. Only a path asks: the current directory may be gone."""
    return Path.cwd() if setting.kind == "path" else Path()
