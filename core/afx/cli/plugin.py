"""Commands for those who write plugins: begin one, and check one."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from afx.api.errors import AfxError, ConflictError

from .commands import Command, LazyGroup
from .errors import FAILED
from .here import current_directory
from .output import counted, json_option, print_json
from .plugins import complete_plugin, listed


@click.group(cls=LazyGroup, example="afx plugin new harness foo\nafx plugin check afx-harness-foo\n")
def plugin() -> None:
    """Write a plugin, and check one."""


@plugin.command("new", cls=Command, example="afx plugin new harness foo\nafx plugin new storage files\n")
@click.argument("kind", type=click.Choice(["harness", "storage", "strategy"]))
@click.argument("name")
@click.option("--directory", help="Where it is written; else a directory named like the distribution, here.")
@json_option
def new(*, kind: str, name: str, directory: str | None, as_json: bool) -> None:
    """Write the package of a new plugin.

    It installs, passes its tests and its type check as it is.
    """
    from afx.scaffold import KINDS, distribution_of, new_plugin

    _refuse_taken(kind, name)
    chosen = next(one for one in KINDS if one == kind)
    target = Path(directory).expanduser() if directory else Path(distribution_of(chosen, name))
    paths = new_plugin(chosen, name, current_directory() / target)
    if as_json:
        print_json({"directory": str(current_directory() / target), "files": [str(path) for path in paths]})
        return
    for path in paths:
        click.echo(target / path)
    click.echo(f"\nNow: cd {target} && pip install -e '.[test]' && pytest && mypy && afx plugins")


@plugin.command(
    "check", cls=Command, example="afx plugin check afx-harness-foo\nafx plugin check claude --json\n"
)
@click.argument("name", shell_complete=complete_plugin)
@json_option
def check(*, name: str, as_json: bool) -> int:
    """Run the suites of afx on a plugin; say what failed and why.

    NAME is that of its distribution, of which everything is checked, or of one thing that a plugin brings.
    A strategy starts real terminals, and their holders are stopped and killed; a storage keeps its records in
    a directory that is thrown away. What a harness finds of conversations needs what only its author knows:
    that is tested by the suite in the plugin's own tests.

    The status is 0 where everything passed, 1 where something failed, and 2 where there is nothing to test.
    """
    from afx.checking import check as run_suites
    from afx.settings import state_directory

    outcome = run_suites(name, state_directory() / "loading")
    if as_json:
        import msgspec

        print_json(msgspec.to_builtins(outcome))
        return 0 if outcome.ok else FAILED
    passed: Counter[str] = Counter()
    for suite, number in outcome.suites.items():
        passed[_subject(suite)] += number
    for subject, number in passed.items():
        click.echo(f"{click.style('passed', fg='green')} {subject}: {counted(number, 'test')}")
    for failure in outcome.failures:
        click.echo(f"{click.style('failed', fg='red')} {_subject(failure.suite)}: {_words(failure.test)}")
        click.echo(f"  {failure.message}\n  Why: {failure.why}")
    for reason in outcome.skipped:
        click.echo(f"{click.style('not tested', fg='blue')} {reason}")
    if outcome.trouble:
        click.echo(f"{click.style('failed', fg='red')} {outcome.trouble}")
    click.echo(f"{outcome.passed} passed, {len(outcome.failures)} failed.")
    return 0 if outcome.ok else FAILED


def _refuse_taken(kind: str, name: str) -> None:
    """Refuse a name that is taken: of two claims to one name, neither counts."""
    from afx.quarantine import normal

    try:
        rows = listed()
    except AfxError:
        return  # What is wrong with the plugins is for `afx plugins` to say.
    for row in rows:
        if row.kind == kind and normal(row.name) == normal(name):
            raise ConflictError(
                f"There is a {kind} {row.name} already, of {row.distribution}.",
                hint="Choose another name: where two have the same, neither counts.",
                code="name-taken",
            )


def _subject(suite: str) -> str:
    """Return what a suite is about, as ``harness foo``."""
    kind, _, name = suite.removeprefix("Test_").removesuffix("_class").partition("_")
    return f"{kind} {name.replace('_', '-')}"


def _words(test: str) -> str:
    return test.removeprefix("test_").partition("_lesson_")[0].replace("_", " ")
