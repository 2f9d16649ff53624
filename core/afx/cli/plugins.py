"""Commands about plugins: list them, switch one off and on again.

They work without a Tower and import no plugin: the list is made by a process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from .commands import Command, LazyGroup
from .output import duration, json_option, print_json, print_table

if TYPE_CHECKING:
    from afx.differing import TowerPlugins
    from afx.quarantine import PluginInfo

_PATIENCE = 60.0


def complete_plugin(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Return what plugins bring whose name begins so."""
    from afx.api.errors import AfxError

    try:
        return [CompletionItem(row.name, help=row.state) for row in listed() if row.name.startswith(begun)]
    except AfxError:
        return []


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    example="afx plugins\nafx plugins --json\nafx plugins disable codex\n",
)
@json_option
@click.pass_context
def plugins(context: click.Context, *, as_json: bool) -> None:
    """List what plugins bring, with the state of each, and why and since when it is so."""
    if context.invoked_subcommand is not None:
        return
    rows = listed()
    in_tower = _plugins_of_the_tower()
    if in_tower is not None:
        rows = in_tower.warned(rows)
    if as_json:
        import msgspec

        differences = [None if in_tower is None else in_tower.differs(row, rows) for row in rows]
        print_json(
            [
                {**msgspec.to_builtins(row), "tower": msgspec.to_builtins(there)}
                for row, there in zip(rows, differences, strict=True)
            ]
        )
        return
    _print(rows)
    if in_tower is not None:
        _print_what_the_tower_goes_by(in_tower, rows)


@plugins.command("disable", cls=Command, example="afx plugins disable codex\n")
@click.argument("name", shell_complete=complete_plugin)
def disable(*, name: str) -> None:
    """Switch a plugin off: nothing of it is loaded any more. NAME is its own, or its distribution's."""
    from afx.api.errors import NotFoundError
    from afx.quarantine import normal
    from afx.settings import config_file
    from afx.settings.editing import read_list, write_list

    known = {normal(text) for row in listed() for text in (row.name, row.distribution) if text}
    if normal(name) not in known:
        raise NotFoundError(f"There is no plugin {name!r}.", hint="`afx plugins` lists them.")
    path = config_file()
    disabled = read_list(path, "plugins", "disabled")
    if normal(name) in map(normal, disabled):
        click.echo(f"{name} is switched off already.")
        return
    write_list(path, "plugins", "disabled", [*disabled, name])
    click.echo(f"{name} is switched off in {path}. A running Tower goes by it after `afx tower restart`.")


@plugins.command("enable", cls=Command, example="afx plugins enable codex\n")
@click.argument("name", shell_complete=complete_plugin)
def enable(*, name: str) -> None:
    """Switch a plugin on again that was switched off."""
    from afx.api.errors import ConflictError
    from afx.quarantine import Switches, normal
    from afx.settings import Settings, config_file
    from afx.settings.editing import read_list, write_list

    from .repository import workspace_here_or_none

    path = config_file()
    settings = Settings.load(workspace_here_or_none())
    disabled = read_list(path, "plugins", "disabled")
    kept = [other for other in disabled if normal(other) != normal(name)]
    if kept != disabled:
        write_list(path, "plugins", "disabled", kept)
        click.echo(f"{name} is switched on in {path}. A running Tower goes by it after `afx tower restart`.")
    where = settings.origin("plugins.disabled")
    elsewhere = settings["plugins.disabled"] if where not in {str(path), "AFX_DISABLED_PLUGINS"} else ()
    reason = Switches.of(os.environ, elsewhere).reason(name)
    if reason is not None:
        place = "AFX_DISABLED_PLUGINS" if "AFX_DISABLED_PLUGINS" in reason else where
        raise ConflictError(f"{name} is switched off by {place}.", hint=f"Take its name out of {place}.")
    if kept == disabled:
        click.echo(f"{name} is not switched off.")


def listed() -> list[PluginInfo]:
    """Return what plugins bring, as a process of its own finds it.

    Raises:
        AfxError: That process does not say; a plugin may have ended it.
    """
    import msgspec

    from afx.api.errors import AfxError
    from afx.quarantine import Listing
    from afx.settings import Settings

    from .repository import workspace_here_or_none

    workspace = workspace_here_or_none()
    Settings.load(workspace)  # What is wrong with them is said before anything else.
    # -P: a directory called afx where the person stands must not be taken for ours.
    argv = [sys.executable, "-P", "-m", "afx.listing", *([] if workspace is None else [str(workspace)])]
    try:
        done = subprocess.run(argv, capture_output=True, check=False, timeout=_PATIENCE)
        if not done.stdout:
            # A plugin ended it. It left a mark by which that one is known now.
            done = subprocess.run(argv, capture_output=True, check=False, timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        raise AfxError(
            f"The plugins could not be listed within {_PATIENCE:g} s.",
            hint="One of them may hang. `afx plugins disable NAME` switches one off.",
        ) from None
    try:
        listing = msgspec.json.decode(done.stdout, type=Listing)
    except msgspec.DecodeError:
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise AfxError(
            f"A plugin ended the process that lists them with status {done.returncode}: {last or 'no word'}.",
            hint="Name plugins in AFX_DISABLED_PLUGINS, one after the other, until it is found.",
        ) from None
    if listing.message:
        raise AfxError(listing.message, hint=listing.hint)
    return listing.rows


def _distribution(row: PluginInfo) -> str:
    return f"{row.distribution} {row.version}".strip()


def _print(rows: Sequence[PluginInfo]) -> None:
    if not rows:
        click.echo("No plugin is installed.")
        return
    print_table(
        [[row.kind, row.name, row.state, _distribution(row), row.summary] for row in rows], color_of=2
    )
    for row in rows:
        if row.state != "active":
            _explain(f"{row.kind} {row.name} is {row.state}", row.since, row.error, row.hint)
        for warning in row.warnings:
            click.echo(f"\n{row.kind} {row.name} of {_distribution(row)}: {warning}")


def _print_what_the_tower_goes_by(in_tower: TowerPlugins, rows: Sequence[PluginInfo]) -> None:
    for row in rows:
        if (there := in_tower.differs(row, rows)) is not None:
            _explain(f"{row.kind} {row.name} {there.words}", there.since, there.error, there.hint)
    if in_tower.dropped:
        click.echo(f"\nObservers are too slow: {in_tower.dropped} events were told to none of them.")


def _explain(what: str, since: float | None, error: str, hint: str) -> None:
    when = "" if since is None else f" (for {duration(time.time() - since)})"
    said = " ".join(error.split())
    click.echo(f"\n{what}{when}: {said}" if said else f"\n{what}{when}.")
    if hint:
        click.echo(f"  {hint}")


def _plugins_of_the_tower() -> TowerPlugins | None:
    """Ask a running Tower what it goes by; None where none answers."""
    from afx.api.errors import AfxError
    from afx.differing import TowerPlugins

    from .door import connect

    try:
        return TowerPlugins.of(connect(timeout=2.0).get("/api/plugins"))
    except AfxError:
        return None
