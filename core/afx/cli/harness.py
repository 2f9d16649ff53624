"""The command that tries a harness, installed or declared, without starting its program as an agent."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import tempfile
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import click
from click.shell_completion import CompletionItem

from .commands import Command, LazyGroup
from .errors import FAILED
from .here import current_directory
from .output import duration, json_option, print_json

if TYPE_CHECKING:
    from afx.api.harness import HarnessProvider, HarnessSession, Place
    from afx.loader import Plugins
    from afx.settings import Settings

_PATIENCE = 15.0
_MARKS = {True: "ok", False: "failed", None: "note"}


class Finding(NamedTuple):
    """One thing that was tried: whether it is well (None: it is only told), and what was found."""

    about: str
    ok: bool | None
    says: str


def _complete(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    from afx.api.errors import AfxError

    from .plugins import listed

    try:
        names = [row.name for row in listed() if row.kind == "harness"]
    except AfxError:
        return []
    return [CompletionItem(name) for name in names if name.startswith(begun)]


@click.group(cls=LazyGroup, example="afx harness check claude\n")
def harness() -> None:
    """Try a harness before an agent depends on it."""


@harness.command("check", cls=Command, example="afx harness check claude\nafx harness check aider --json\n")
@click.argument("name", shell_complete=_complete)
@json_option
def check(*, name: str, as_json: bool) -> int:
    """Say whether a harness can be used here: settings, program, commands, and what conversations it finds.

    Its program is asked for its version and not started otherwise. Nothing is changed.
    """
    from afx.loader import Plugins
    from afx.settings import Settings

    from .repository import workspace_here_or_none

    settings = Settings.load(workspace_here_or_none())
    plugins = Plugins.load(settings["plugins.disabled"], settings=settings)
    found = list(_findings(name, plugins, settings))
    if as_json:
        print_json([one._asdict() for one in found])
    else:
        colours = {True: "green", False: "red", None: "blue"}
        for one in found:
            click.echo(f"{click.style(_MARKS[one.ok].ljust(7), fg=colours[one.ok])} {one.about}: {one.says}")
    return FAILED if any(one.ok is False for one in found) else 0


def _findings(name: str, plugins: Plugins, settings: Settings) -> Iterator[Finding]:
    made = plugins.harness(name, settings)
    marks = {mark for one in plugins.harnesses(settings) for mark in one.nesting_marks}
    env = {key: value for key, value in os.environ.items() if key not in marks}
    declared = name not in {entry.name for entry in plugins.harness_entries()}
    where = settings.place("harness", name) if declared else type(made).__module__
    yield Finding("definition", True, f"it is read from {where}")
    if not declared and settings.section(f"harness.{name}"):
        section = f"[harness.{name}], {settings.place('harness', name)}"
        yield Finding("section", None, f"{section}, is left to the plugin; it declares no other harness")
    yield _program(made, env)
    with tempfile.TemporaryDirectory(prefix="afx-") as directory:
        yield from _commands(made, env, directory)
    if made.session is None:
        yield Finding("conversations", None, "it has none that can be resumed; its agents always start fresh")
        return
    from afx.api.harness import Place

    yield from _conversations(made.session, Place(cwd=current_directory(), env=env))


def _program(made: HarnessProvider, env: dict[str, str]) -> Finding:
    path = made.find(env)
    if path is None:
        return Finding("program", False, f"none of {', '.join(made.commands)} is on the PATH")
    try:
        done = subprocess.run(
            [path, "--version"],
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PATIENCE,
            check=False,
        )
        told = re.search(r"\d+(?:\.\d+)+[^\s,)]*", done.stdout or done.stderr)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding("program", None, f"{path}; it does not say its version: {error}")
    version = "an unknown version" if told is None else told[0]
    tried = f"; tried with {', '.join(made.checked_versions)}" if made.checked_versions else ""
    return Finding("program", True, f"{path}, {version}{tried}")


def _commands(made: HarnessProvider, env: dict[str, str], directory: str) -> Iterator[Finding]:
    from afx.api.errors import AfxError
    from afx.api.harness import LaunchRequest
    from afx.api.model import AgentKind

    ways: dict[str, tuple[str, ...]] = {"launch": ()}
    session = made.session
    if session is not None:
        example = session.mint() if session.mints_ids else "ID"
        ways["launch"] = tuple(session.new_session_args(example)) if session.mints_ids else ()
        ways["resume"] = tuple(session.resume_args(example))
    for about, session_args in ways.items():
        request = LaunchRequest(
            kind=AgentKind.BUILDER,
            name="example",
            cwd=str(current_directory()),
            env=dict(env),
            role="Your role.",
            task="Your task." if about == "launch" else None,
            session_args=session_args,
            directory=directory,
        )
        try:
            command = made.launch(request)
        except AfxError as error:
            yield Finding(about, False, f"{error.message} {error.hint}".strip())
            continue
        set_now = [
            f"{key}={shlex.quote(value)}" for key, value in command.env.items() if env.get(key) != value
        ]
        yield Finding(about, True, " ".join([*set_now, shlex.join(command.argv)]))


def _conversations(session: HarnessSession, place: Place) -> Iterator[Finding]:
    import anyio

    try:
        found = anyio.run(session.discover, place)
    except Exception as error:  # noqa: BLE001 - a stranger's code may raise anything
        yield Finding("conversations", False, f"looking for them raised {type(error).__name__}: {error}")
        return
    if not found:
        yield Finding("conversations", None, f"none is found that was recorded for {place.cwd}")
        return
    newest = found[0]
    ago = duration(time.time() - newest.modified_at)
    yield Finding(
        "conversations", True, f"{len(found)} of this directory, the newest {newest.session_id} {ago} ago"
    )
    if not session.is_id(newest.session_id):
        yield Finding("conversations", False, f"{newest.session_id} has not the form that ids have")
        return
    evidence = anyio.run(session.verify, newest.session_id, place)
    yield Finding("evidence", evidence.value == "found", f"the newest is {evidence.value}")
