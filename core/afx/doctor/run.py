"""Runs all checks side by side, each on its own and within one deadline, and gathers what they found."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence

import msgspec

from afx.api.doctor import Finding, Level

DEADLINE = 10.0


class Check(msgspec.Struct, frozen=True):
    """A check under the name by which it is shown."""

    name: str
    examine: Callable[[], Iterable[Finding]]


class Diagnosis(msgspec.Struct, frozen=True):
    """What one check found, in its own order."""

    check: str
    findings: tuple[Finding, ...]


def run_checks(checks: Sequence[Check], deadline: float = DEADLINE) -> list[Diagnosis]:
    """Run checks at the same time and return what each found, in the order of the checks.

    A check that raises, that gives something else than findings, or that has not ended after `deadline`
    seconds, is a finding itself. Where no thread can be started a check is waited for to its end.
    """
    found: list[tuple[Finding, ...] | None] = [None] * len(checks)
    threads = []
    for place, check in enumerate(checks):
        thread = threading.Thread(target=_run, args=(check, found, place), daemon=True)
        try:
            thread.start()
        except RuntimeError:
            # The system has no thread left, and a check may be about to say so.
            _run(check, found, place)
        else:
            threads.append(thread)
    until = time.monotonic() + deadline
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    return [
        Diagnosis(check.name, _too_slow(check, deadline) if gathered is None else gathered)
        for check, gathered in zip(checks, list(found), strict=True)
    ]


def worst(diagnoses: Iterable[Diagnosis]) -> Level:
    """Return the worst level of all findings."""
    levels = {finding.level for diagnosis in diagnoses for finding in diagnosis.findings}
    return next((level for level in (Level.ERROR, Level.WARNING) if level in levels), Level.OK)


def _run(check: Check, found: list[tuple[Finding, ...] | None], place: int) -> None:
    gathered: list[Finding] = []
    try:
        for finding in check.examine():
            # Structs do not check their fields when they are made, and a stranger's may hold anything.
            checked = msgspec.convert(msgspec.to_builtins(finding), Finding)
            gathered.append(checked)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's code may raise anything
        text = " ".join(f"{type(error).__name__}: {error}".split())
        gathered.append(
            Finding.warning(f"The check {check.name} failed: {text}", "What it looks after was not checked.")
        )
    found[place] = tuple(gathered)


def _too_slow(check: Check, deadline: float) -> tuple[Finding, ...]:
    return (
        Finding.warning(
            f"The check {check.name} has not ended within {deadline:g} s.",
            "What it looks after was not checked.",
        ),
    )
