"""The command that brings back many agents at once, as after a reboot; unless told so it only shows how."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from afx.api.errors import AfxError, BadInputError

from .commands import Command
from .door import connect
from .errors import FAILED
from .naming import everyone
from .output import counted, json_option, plain, print_json, print_table
from .resuming import grounds
from .workspace import known_workspace

if TYPE_CHECKING:
    from afx.client.http import TowerClient

_PATIENCE = 600.0
_HEADER = ("AGENT", "STATE", "RUNG", "CONVERSATION", "EVIDENCE", "CONFIDENCE", "WHY")
_WIDE = 160
_HELP = {
    "stopped on purpose": "A person stopped it; `afx start {name}` brings it back.",
    "exited": "{reason} `afx start {name}` brings it back.",
    "worktree missing": "The directory it works in is gone. Make it again (`git worktree add -f`), or "
    "remove the agent: `afx cleanup {name}`.",
    "stale": "It has shown no sign of life for long; --include-stale counts it in.",
}


@click.command(
    cls=Command,
    example="""\
afx workspace recover
afx workspace recover --apply
afx workspace recover --all --apply --yes --jobs 8
""",
)
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option("--all", "everywhere", is_flag=True, help="The agents of all workspaces.")
@click.option("--apply", "applied", is_flag=True, help="Bring them back, not only show how.")
@click.option(
    "--max-age",
    metavar="DAYS",
    type=click.FloatRange(min=0, min_open=True, max=36500),
    help="How long ago a sign of life may be; else recover.max_age_days.",
)
@click.option("--include-stale", is_flag=True, help="Also those without a sign of life since then.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--jobs",
    metavar="N",
    type=click.IntRange(1, 64),
    help="How many at the same time; else recover.jobs.",
)
@json_option
def recover(
    *,
    path: Path | None,
    everywhere: bool,
    applied: bool,
    max_age: float | None,
    include_stale: bool,
    yes: bool,
    jobs: int | None,
    as_json: bool,
) -> int:
    """Show how each agent that does not run would be brought back; with --apply, bring them back.

    Those that a person stopped or that ended by themselves are left as they are. The exit status of --apply
    is 0 where all came back, and 1 where one failed.
    """
    from afx.settings import Settings

    if everywhere and path is not None:
        raise BadInputError("PATH names one workspace, and --all means all.", hint="Give one of them.")
    place = None if everywhere else known_workspace(path)
    settings = Settings.load(
        None if place is None else Path(place), {"recover.max_age_days": max_age, "recover.jobs": jobs}
    )
    asked = {
        **({} if place is None else {"workspace": place}),
        "max_age_days": settings["recover.max_age_days"],
        "include_stale": include_stale,
    }
    tower = connect(timeout=_PATIENCE)
    answer = tower.post("/api/recover", asked)
    rows = answer["rows"]
    eligible = [row for row in rows if row["eligibility"] == "eligible"]
    if as_json and not applied:
        print_json(answer)
        return 0
    if not as_json:
        places = {found.id: found.workspace for found in everyone(tower.state())} if everywhere else {}
        _print_rows(rows, places)
        if not applied and eligible:
            click.echo("Nothing was changed. `--apply` brings them back.")
    if not applied or (not eligible and not as_json):
        return 0
    if eligible and not yes and not _wants_it(len(eligible)):
        click.echo("Nothing was changed.", err=True)
        return FAILED
    # Exactly what was shown is brought back, whatever has become eligible meanwhile.
    body = {**asked, "jobs": settings["recover.jobs"], "agents": [row["agent"] for row in eligible]}
    return _bring_back(tower, body, as_json=as_json)


def _bring_back(tower: TowerClient, body: dict[str, Any], *, as_json: bool) -> int:
    """Have the Tower bring agents back, tell how it goes, and return the exit status."""
    progress = Progress(as_json=as_json)
    try:
        for news in tower.post_for_lines("/api/recover/apply", body):
            progress.tell(news)
    except KeyboardInterrupt:
        progress.leave("The Tower goes on by itself; `afx status` shows how far it is.")
        raise
    return progress.finish()


class Progress:
    """Tells what happens during a recovery: a line for each agent, and on a terminal how far it is.

    Args:
        as_json: Whether the news are printed as they came, one in a line.
    """

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._counts = sys.stdout.isatty() and not as_json
        self._total = 0
        self._done = 0
        self._starting: list[str] = []
        self._failed: list[Mapping[str, Any]] = []
        self._end: Mapping[str, Any] | None = None

    def tell(self, news: Mapping[str, Any]) -> None:
        """Take in one piece of news."""
        if self._as_json:
            import json

            click.echo(json.dumps(news, ensure_ascii=False))
        match news["event"]:
            case "begin":
                self._total = len(news.get("agents", ()))
            case "starting":
                self._starting.append(news["name"])
            case "revived" | "attached" | "failed" | "skipped":
                self._done += 1
                if news["name"] in self._starting:
                    self._starting.remove(news["name"])
                if news["event"] == "failed":
                    self._failed.append(news)
                self._say(_told(news))
            case "end":
                self._end = news
            case _:
                return
        self._show_count()

    def leave(self, sentence: str) -> None:
        """Say why no more is told."""
        self._clear()
        click.echo(sentence, err=True)

    def finish(self) -> int:
        """Sum up; return the exit status.

        Raises:
            AfxError: The news ended before the recovery did.
        """
        self._clear()
        if self._end is None:
            raise AfxError(
                f"The Tower went away after {self._done} of {self._total} agents.",
                hint="Start it, and recover once more: nobody is brought back twice.",
            )
        if not self._as_json:
            revived, skipped = self._end.get("revived", 0), self._end.get("skipped", 0)
            click.echo(
                f"{revived} brought back, {len(self._failed)} failed"
                f"{f', {skipped} needed nothing' if skipped else ''}."
            )
            for news in self._failed:
                click.echo(plain(f"{news['name']} failed: {news.get('message', '')}"), err=True)
                click.echo(f"  `afx explain {news['name']}` says more.", err=True)
        return FAILED if self._failed else 0

    def _say(self, line: str) -> None:
        if not self._as_json:
            self._clear()
            click.echo(plain(line))

    def _show_count(self) -> None:
        if self._counts:
            columns = shutil.get_terminal_size().columns
            line = plain(f"{self._done} of {self._total} … {', '.join(self._starting)}")
            click.echo(f"\r\x1b[K{line[: columns - 1]}", nl=False)

    def _clear(self) -> None:
        if self._counts:
            click.echo("\r\x1b[K", nl=False)


def _wants_it(count: int) -> bool:
    """Ask the person.

    Raises:
        BadInputError: There is nobody to ask.
    """
    if not sys.stdin.isatty():
        raise BadInputError(
            f"Nobody is there to be asked whether {counted(count, 'agent')} shall be brought back.",
            hint="Add --yes.",
        )
    return click.confirm(f"Bring {counted(count, 'agent')} back?", err=True)


def _print_rows(rows: Sequence[Mapping[str, Any]], places: Mapping[str, str]) -> None:
    """Print a table of all rows; `places` are the workspaces of the agents, where they are to be told."""
    if not rows:
        click.echo("Every agent runs.")
        return
    narrow = sys.stdout.isatty() and shutil.get_terminal_size().columns < _WIDE
    header = ["WORKSPACE", *_HEADER] if places else _HEADER
    table = [
        [*([Path(places.get(row["agent"], "")).name] if places else []), *_cells(row, narrow=narrow)]
        for row in rows
    ]
    print_table(table, header=header, color_of=2 if places else 1)
    eligible = sum(row["eligibility"] == "eligible" for row in rows)
    click.echo(f"\n{eligible} of {counted(len(rows), 'agent')} can be brought back.")


def _cells(row: Mapping[str, Any], *, narrow: bool) -> list[str]:
    plan = row["plan"]
    step = next((step for step in plan["steps"] if step["chosen"]), None)
    session_id = plan["session_id"] or ""
    facts = {"name": row["name"], "reason": row.get("reason") or "It ended by itself."}
    why = _HELP[row["eligibility"]].format(**facts) if row["eligibility"] in _HELP else grounds(plan)
    return [
        row["name"],
        row["eligibility"],
        plan["rung"] or "",
        f"{session_id[:8]}…" if narrow and len(session_id) > 9 else session_id,
        (step["evidence"] if step is not None else None) or "",
        plan["confidence"],
        why,
    ]


def _told(news: Mapping[str, Any]) -> str:
    plan = news.get("plan")
    match news["event"]:
        case "revived" if plan is not None and plan["action"] == "resume":
            how = f"is back with its conversation {plan['session_id']} ({plan['rung']})"
        case "revived" if plan is not None and news["name"].startswith("shell/"):
            how = "runs again"
        case "revived" if plan is not None:
            how = f"has begun a new conversation ({plan['rung']}). {grounds(plan)}"
        case "attached":
            return f"{news['name']} runs already."
        case event:
            how = {"failed": "failed", "skipped": "was skipped"}.get(event, "is back")
    message = news.get("message", "")
    return f"{news['name']} {how}: {message}" if message else f"{news['name']} {how}"
