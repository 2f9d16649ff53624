"""Checks run side by side, each on its own, and none can hold up or break another."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from afx.api.doctor import Finding, Level
from afx.doctor.run import Check, Diagnosis, run_checks, worst


def fine() -> list[Finding]:
    return [Finding.ok("It is fine.")]


def test_a_check_that_raises_is_a_finding_and_stops_no_other() -> None:
    def broken() -> Iterator[Finding]:
        yield Finding.ok("So far.")
        raise SystemExit(3)

    first, second = run_checks([Check("broken", broken), Check("fine", fine)])
    assert [finding.level for finding in first.findings] == [Level.OK, Level.WARNING]
    assert "SystemExit: 3" in first.findings[1].what
    assert second == Diagnosis("fine", tuple(fine()))


def test_a_check_that_hangs_is_given_up_at_the_deadline() -> None:
    forever = threading.Event()

    def hanging() -> list[Finding]:
        forever.wait(60)
        return fine()

    began = time.monotonic()
    hung, second = run_checks([Check("hung", hanging), Check("fine", fine)], 0.3)
    assert time.monotonic() - began < 10
    forever.set()
    assert "has not ended within 0.3 s" in hung.findings[0].what
    assert second.findings == tuple(fine())


def test_checks_run_where_the_system_has_no_thread_left(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refused)
    assert run_checks([Check("fine", fine)]) == [Diagnosis("fine", tuple(fine()))]


def test_what_is_no_finding_is_refused() -> None:
    wrong = run_checks(
        [
            Check("text", lambda: ["all is well"]),  # type: ignore[list-item]  # the mistake
            Check("level", lambda: [Finding(level="bad", what="x")]),  # type: ignore[arg-type]  # the mistake
            Check("none", lambda: None),  # type: ignore[arg-type, return-value]  # the mistake
        ]
    )
    assert [diagnosis.findings[0].level for diagnosis in wrong] == [Level.WARNING] * 3


def test_the_worst_level_is_that_of_all() -> None:
    warning = Diagnosis("a", (Finding.ok("x"), Finding.warning("y", "z")))
    assert worst([Diagnosis("b", ())]) is Level.OK
    assert worst([warning]) is Level.WARNING
    assert worst([Diagnosis("c", (Finding.error("y", "z"),)), warning]) is Level.ERROR
