"""The command that checks the machine and the installation, and says what mends what it finds."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from .commands import Command
from .errors import FAILED
from .output import counted, json_option, plain, print_json, print_table

if TYPE_CHECKING:
    from afx.doctor.run import Diagnosis

_COLOURS = {"ok": "green", "warning": "yellow", "error": "red"}


@click.command(cls=Command, example="afx doctor\nafx doctor --json | jq .level\nafx doctor --kill-test\n")
@click.option(
    "--kill-test",
    is_flag=True,
    help="Kill a throwaway Tower and its holders instead, and show what survives.",
)
@json_option
def doctor(*, kill_test: bool, as_json: bool) -> int:
    """Check the machine and the installation.

    Plugins bring checks of their own. The exit status is 1 where something is broken or at risk now.
    """
    if kill_test:
        return _kill_test(as_json=as_json)
    import msgspec

    from afx.doctor.examination import examine
    from afx.doctor.run import worst
    from afx.settings import state_directory

    from .repository import workspace_here_or_none

    diagnoses = examine(state_directory(), workspace_here_or_none(), os.environ)
    level = worst(diagnoses)
    if as_json:
        findings = [
            {"check": diagnosis.check, **msgspec.to_builtins(finding)}
            for diagnosis in diagnoses
            for finding in diagnosis.findings
        ]
        print_json({"level": level, "findings": findings})
    else:
        _print(diagnoses)
    return FAILED if level == "error" else 0


def _kill_test(*, as_json: bool) -> int:
    import msgspec

    from afx.doctor.kill_test import START, Trial, kill_test
    from afx.loader import Plugins
    from afx.settings import Settings

    from .repository import workspace_here_or_none

    settings = Settings.load(workspace_here_or_none())
    rows = Plugins.load(settings["plugins.disabled"]).rows()
    strategies = [row.name for row in rows if row.kind == "strategy" and row.state == "active"]
    trials: list[Trial] = list(
        kill_test(strategies, settings["terminal.strategy"], lambda text: click.echo(plain(text), err=True))
    )
    passed = bool(trials) and all(trial.passed and not trial.missing for trial in trials)
    if as_json:
        print_json({"passed": passed, "trials": msgspec.to_builtins(trials)})
        return 0 if passed else FAILED
    table = [
        [
            trial.strategy,
            trial.done,
            trial.became,
            "" if trial.seconds is None else f"{trial.seconds:.2f} s",
            "" if trial.missing is None else f"{trial.missing} missing",
            "failed" if not trial.passed or trial.missing else "skipped" if trial.done == START else "ok",
        ]
        for trial in trials
    ]
    print_table(table, header=["STRATEGY", "DONE", "BECAME", "TOOK", "LINES", ""])
    click.echo("Nothing was lost." if passed else "Something was lost that should not have been.")
    return 0 if passed else FAILED


def _print(diagnoses: Sequence[Diagnosis]) -> None:
    width = max(len(diagnosis.check) for diagnosis in diagnoses)
    indent = " " * (9 + width + 2)
    for diagnosis in diagnoses:
        for finding in diagnosis.findings:
            level = click.style(finding.level.ljust(9), fg=_COLOURS[finding.level])
            click.echo(f"{level}{diagnosis.check.ljust(width)}  {plain(finding.what)}")
            if finding.why:
                click.echo(f"{indent}{plain(finding.why)}")
            if finding.command:
                click.echo(f"{indent}Run `{plain(finding.command)}`.")
    counts = Counter(finding.level for diagnosis in diagnoses for finding in diagnosis.findings)
    from afx.api.doctor import Level

    click.echo(", ".join(counted(counts[level], level) for level in (Level.ERROR, Level.WARNING)))
