"""What stands in a section ``[harness.NAME]``: its fields, and what is wrong with one that cannot be used.

The types are checked by msgspec; what they cannot say, such as which placeholders there are, is checked here.
Every mistake is named with the place where it is written and with what was expected there.
"""

from __future__ import annotations

import difflib
import re
import uuid
from collections.abc import Iterator, Sequence
from string import Formatter
from typing import Any, TypeAlias

import msgspec

from afx.plugin import BadInputError, HarnessContext, is_uuid

Path: TypeAlias = tuple[str | int, ...]

_ALWAYS = ("cwd", "directory", "name")
PLACEHOLDERS: dict[str, tuple[str, ...]] = {
    "args": _ALWAYS,
    "role": (*_ALWAYS, "role", "role_file"),
    "task": (*_ALWAYS, "task", "task_file"),
    "new": ("session_id",),
    "resume": ("session_id",),
    "env": (*_ALWAYS, "role_file"),
    "mint": ("uuid", "hex"),
    "files": ("cwd", "cwd_dashes", "cwd_sha256", "session_id"),
}
"""What may stand in braces in each field."""

_STEP = re.compile(r"\.([A-Za-z0-9_-]+)|\[(\d+|\.\.\.)\]")
_TYPES = {
    "str": "a text",
    "bool": "true or false",
    "int": "a number",
    "float": "a number",
    "date": "a date",
    "datetime": "a time",
    "time": "a time",
    "array": "a list",
    "object": "a table",
    "str | array": "a text or a list of texts",
    "int | str": "an exit code or a regular expression",
}
_LISTS = {"exits": "a list of exit codes and regular expressions", "screen": "a list of regular expressions"}
_HIGHEST_EXIT_CODE = 255
_VARIABLE = re.compile(r"[^\s=$*{}\0]+")
"""What is taken for the name of a variable: not all that the system takes, but all that is meant."""
UUID = "uuid"
MINT = "{uuid}"


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the section."""


class Source(_Table, frozen=True, kw_only=True):
    """Where in a transcript something is found; exactly one of these is given.

    Attributes:
        json: The field that holds it, such as ``"payload.cwd"``, in the first line of JSON that has it.
        path: A regular expression that is looked for in the file's path; its first group is it.
        text: The same, looked for in the beginning of the file's text.
    """

    json: str | None = None
    path: str | None = None
    text: str | None = None


class Transcripts(_Table, frozen=True, kw_only=True):
    """Where the program keeps its conversations.

    Attributes:
        files: A pattern of paths, ``*`` and ``**`` as in a shell, with placeholders and ``${VARIABLE}``.
        id: Where the conversation's id is found; it may be left out where `files` has ``{session_id}``.
        cwd: Where the directory is found that it was recorded for. Without it, nothing is discovered.
        anywhere: Whether the program resumes a conversation in another directory than its own.
    """

    files: str
    id: Source = Source(path=r"([^/]+?)(?:\.[a-z]+)?$")
    cwd: Source | None = None
    anywhere: bool = False


class Exits(_Table, frozen=True, kw_only=True):
    """What the program's ends mean: exit codes, and regular expressions for the last of its output."""

    quit: tuple[int | str, ...] = ()
    crash: tuple[int | str, ...] = ()
    auth: tuple[int | str, ...] = ()
    unresumable: tuple[int | str, ...] = ()


class Screen(_Table, frozen=True, kw_only=True):
    """What the program's screen means: regular expressions, those for waiting are looked for first."""

    waiting: tuple[str, ...] = ()
    working: tuple[str, ...] = ()


class Definition(_Table, frozen=True, kw_only=True):
    """A harness, as it is declared.

    Attributes:
        command: The program's executable; several, where it goes by several names.
        summary: One line about it.
        install: How it is installed, for the hint where it is missing.
        args: Arguments of every launch, the first.
        role: Arguments that tell the agent who it is; without them it is not told.
        task: Arguments that give it its first task, the last.
        new: Arguments that begin a conversation under an id that afx chooses.
        resume: Arguments that resume one.
        id: ``"uuid"``, or a regular expression that all of an id must match.
        mint: What an id that afx chooses is made of.
        env: Variables that are set for it.
        scrub: Variables by which it knows that it runs inside itself.
        home_env: Variables that say where it keeps its conversations.
        lasting_env: Other variables that a later launch needs with the same values.
        unattended: Arguments that let it act without asking.
        paste: Whether messages are pasted; false types them, with blanks for newlines.
        checked_versions: Versions that this was tried with.
    """

    command: str | tuple[str, ...]
    summary: str = ""
    install: str = ""
    args: tuple[str, ...] = ()
    role: tuple[str, ...] = ()
    task: tuple[str, ...] = ("{task}",)
    new: tuple[str, ...] = ()
    resume: tuple[str, ...] = ()
    id: str = UUID
    mint: str = MINT
    env: dict[str, str] = {}
    scrub: tuple[str, ...] = ()
    home_env: tuple[str, ...] = ()
    lasting_env: tuple[str, ...] = ()
    unattended: tuple[str, ...] = ()
    paste: bool = True
    checked_versions: tuple[str, ...] = ()
    transcripts: Transcripts | None = None
    exits: Exits = Exits()
    screen: Screen = Screen()

    @property
    def commands(self) -> tuple[str, ...]:
        """The executables, the preferred one first."""
        return (self.command,) if isinstance(self.command, str) else self.command

    def minted(self) -> str:
        """Make an id for a new conversation."""
        one = uuid.uuid4()
        return self.mint.format(uuid=str(one), hex=one.hex)

    def is_id(self, text: str) -> bool:
        """Tell whether `text` has the form that `id` gives."""
        return is_uuid(text) if self.id == UUID else re.fullmatch(self.id, text) is not None


def read(context: HarnessContext) -> Definition:
    """Return the definition that stands in a section.

    Raises:
        BadInputError: Something in it cannot be used.
    """
    try:
        definition = msgspec.convert(context.settings, Definition)
    except msgspec.ValidationError as error:
        raise _mistake(context, str(error)) from None
    for path, expected in _faults(definition):
        raise context.mistake(path, expected)
    return definition


def _faults(definition: Definition) -> Iterator[tuple[Path, str]]:
    """Yield what is wrong with a definition whose types are right."""
    yield from _faulty_commands(definition)
    yield from _faulty_variables(definition)
    for path, text in _texts(definition):
        if "\0" in text:
            yield path, f"is {text!r}; no program can be told a NUL"
        yield from _unknown_placeholders(path, text)
    for number, text in enumerate(definition.unattended):
        if not text.split():
            yield ("unattended", number), f"is {text!r}, and must be an argument"
    for path, pattern in _patterns(definition):
        try:
            re.compile(pattern)
        except re.error as error:
            yield path, f"is {pattern!r}, which is no regular expression: {error}"
    for name, marks in msgspec.structs.asdict(definition.exits).items():
        for number, mark in enumerate(marks):
            if isinstance(mark, int) and not 0 <= mark <= _HIGHEST_EXIT_CODE:
                yield ("exits", name, number), f"is {mark}; exit codes are from 0 to {_HIGHEST_EXIT_CODE}"
    yield from _faulty_transcripts(definition)
    yield from _faulty_conversations(definition)


def _faulty_commands(definition: Definition) -> Iterator[tuple[Path, str]]:
    if not definition.commands:
        yield ("command",), "is an empty list, and must name the program's executable"
    for number, one in enumerate(definition.commands):
        path: Path = ("command",) if isinstance(definition.command, str) else ("command", number)
        if not one or not one.isprintable() or one.startswith("-"):
            yield path, f"is {one!r}, and must name the program's executable"
        elif "/" in one and not one.startswith("/"):
            yield path, f"is {one!r}, and must be a name on the PATH, or a path from / on"
        elif "/" not in one and len(one.split()) > 1:
            yield path, f"is {one!r}, and must be the executable alone; its arguments go into `args`"


def _faulty_variables(definition: Definition) -> Iterator[tuple[Path, str]]:
    for name in definition.env:
        if not _VARIABLE.fullmatch(name):
            yield ("env", name), "is no name of a variable"
    for field in ("scrub", "home_env", "lasting_env"):
        for number, name in enumerate(getattr(definition, field)):
            # Of `scrub` alone, a star says that the rest may be anything.
            if not _VARIABLE.fullmatch(name.removesuffix("*") if field == "scrub" else name):
                yield (field, number), f"is {name!r}, which is no name of a variable"


def _faulty_transcripts(definition: Definition) -> Iterator[tuple[Path, str]]:
    transcripts = definition.transcripts
    if transcripts is None:
        return
    if not transcripts.files.strip():
        yield ("transcripts", "files"), f"is {transcripts.files!r}, and must be a pattern of paths"
    for name, source in (("id", transcripts.id), ("cwd", transcripts.cwd)):
        if source is None:
            continue
        ways = [way for way in msgspec.structs.astuple(source) if way is not None]
        if len(ways) != 1:
            yield ("transcripts", name), "must have exactly one of `json`, `path` and `text`"
        elif source.json is not None and not all(source.json.split(".")):
            yield ("transcripts", name, "json"), f'is {source.json!r}, and must name a field, such as "a.b"'


def _faulty_conversations(definition: Definition) -> Iterator[tuple[Path, str]]:
    if definition.new and not definition.resume:
        yield ("new",), "begins conversations, so `resume` must say how one is resumed"
    if definition.new and not definition.is_id(definition.minted()):
        # At the one of the two that the person wrote.
        if definition.mint != MINT:
            yield ("mint",), f"is {definition.mint!r}, which makes no id as `id` has it, {definition.id!r}"
        else:
            yield ("id",), f"is {definition.id!r}, which no id matches that `mint` makes, {definition.mint!r}"
    for name in ("new", "resume"):
        words = getattr(definition, name)
        if words and not any("{session_id}" in word for word in words):
            yield (name,), f"is {list(words)!r}, and must have {{session_id}} in it"
    if definition.new and definition.minted() == definition.minted():
        yield ("mint",), f"is {definition.mint!r}, which is the same each time; it needs {{uuid}} or {{hex}}"
    transcripts = definition.transcripts
    if definition.resume and not definition.new and (transcripts is None or transcripts.cwd is None):
        yield (
            ("resume",),
            (
                "needs an id: either `new` begins a conversation under one, or `transcripts` with `cwd` says "
                "where one is found"
            ),
        )


def _texts(definition: Definition) -> Iterator[tuple[Path, str]]:
    for name in ("args", "role", "task", "new", "resume"):
        for number, text in enumerate(getattr(definition, name)):
            yield (name, number), text
    for name, text in definition.env.items():
        yield ("env", name), text
    yield ("mint",), definition.mint
    if definition.transcripts is not None:
        yield ("transcripts", "files"), re.sub(r"\$\{[^}]*\}", "", definition.transcripts.files)


def _patterns(definition: Definition) -> Iterator[tuple[Path, str]]:
    if definition.id != UUID:
        yield ("id",), definition.id
    for table in ("exits", "screen"):
        for name, marks in msgspec.structs.asdict(getattr(definition, table)).items():
            for number, mark in enumerate(marks):
                if isinstance(mark, str):
                    yield (table, name, number), mark
    if definition.transcripts is not None:
        for name, source in (("id", definition.transcripts.id), ("cwd", definition.transcripts.cwd)):
            for way in ("path", "text"):
                pattern = None if source is None else getattr(source, way)
                if pattern is not None:
                    yield ("transcripts", name, way), pattern


def _unknown_placeholders(path: Path, text: str) -> Iterator[tuple[Path, str]]:
    known = PLACEHOLDERS["files" if path[-1] == "files" else str(path[0])]
    shown = ", ".join(f"{{{name}}}" for name in known)
    try:
        fields = [tuple(rest) for _, *rest in Formatter().parse(text) if rest[0] is not None]
    except ValueError:
        yield path, f"is {text!r}; a brace that stands for itself is written twice"
        return
    for field, form, conversion in fields:
        if field not in known:
            yield path, f"is {text!r}; {{{field}}} is not known here, but {shown}"
        elif form or conversion:
            yield path, f"is {text!r}; nothing can follow the name in {{{field}}}"


def _mistake(context: HarnessContext, told: str) -> BadInputError:
    """Turn what msgspec says, ``WHAT - at `$.PATH` ``, into a sentence with a place."""
    what, _, where = told.partition(" - at `$")
    steps = [(name, number) for name, number in _STEP.findall(where)]
    path: Path = ()
    for name, number in steps:
        path = (*path, _not_a_text(context, path) if number == "..." else name or int(number))
    if (unknown := re.match(r"Object contains unknown field `(.*)`", what)) is not None:
        return context.mistake((*path, unknown[1]), "is no field of a harness", _known(path, unknown[1]))
    if (missing := re.match(r"Object missing required field `(.*)`", what)) is not None:
        return context.mistake(path, f"must have `{missing[1]}`")
    if (wrong := re.match(r"Expected `(.*)`, got `(.*)`", what)) is not None:
        wanted = _TYPES.get(wrong[1].removesuffix(" | null"), wrong[1])
        if wrong[1] == "array":
            wanted = _LISTS.get(str(path[0]), "a list of texts")
        got = _TYPES.get(wrong[2], wrong[2])
        return context.mistake(path, f"is {got}, and must be {wanted}")
    return context.mistake(path, f"cannot be used: {what}")


def _not_a_text(context: HarnessContext, path: Path) -> str:
    """Return the key in a table of texts that holds something else, which msgspec does not name."""
    table: Any = context.settings
    for step in path:
        table = table[step]
    return str(next(key for key, value in table.items() if not isinstance(value, str)))


def _known(path: Sequence[str | int], name: str) -> str:
    table: Any = {"transcripts": Transcripts, "exits": Exits, "screen": Screen}.get(
        str(path[0]) if path else "", Definition
    )
    if len(path) > 1:
        table = Source
    fields = table.__struct_fields__
    near = difflib.get_close_matches(name, fields, n=1)
    return f"Did you mean `{near[0]}`?" if near else f"There are: {', '.join(fields)}."
