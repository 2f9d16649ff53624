"""Runs suites of `afx.testing` in a process of its own, and says in words what failed and why it matters.

It is what ``afx plugin check`` stands on; whoever uses it needs to know nothing of pytest.
"""

from __future__ import annotations

import os
import pkgutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import hypothesis
import msgspec
import pytest

from afx import testing

_PATIENCE = 600.0
_ANSWER = "AFX_CONFORMANCE_ANSWER"


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """One test that failed.

    Attributes:
        suite: The class of the suite.
        test: The name of the test.
        why: Why what it tests matters.
        message: What was found.
    """

    suite: str
    test: str
    why: str
    message: str


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of the suites.

    Attributes:
        passed: How many tests passed.
        suites: How many of them in each suite of which one passed.
        skipped: Why tests were not run, each reason once.
        failures: What failed.
        trouble: Why nothing could be run; empty where it could.
    """

    passed: int = 0
    suites: Mapping[str, int] = {}
    skipped: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()
    trouble: str = ""

    @property
    def ok(self) -> bool:
        """Whether everything that was run passed, and something was."""
        return not self.failures and not self.trouble and self.passed > 0


class Recorder:
    """Takes down what pytest reports."""

    def __init__(self, answer: Path) -> None:
        self._answer = answer
        self._passed: Counter[str] = Counter()
        self._skipped: dict[str, None] = {}
        self._failures: list[Failure] = []
        self._why: dict[str, str] = {}
        self._trouble = ""

    def pytest_collection_modifyitems(self, items: Sequence[pytest.Item]) -> None:
        """Remember what each test says of itself."""
        for item in items:
            text = getattr(getattr(item, "function", None), "__doc__", None) or ""
            self._why[item.nodeid] = " ".join(text.split())
            suite = getattr(item, "cls", None)
            self._skipped.update(dict.fromkeys(getattr(suite, "not_tested", ())))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note what could not even be collected."""
        if report.failed:
            self._trouble = _last_line(str(report.longrepr))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note how a test went."""
        if report.skipped and isinstance(report.longrepr, tuple):
            self._skipped[str(report.longrepr[2]).removeprefix("Skipped: ")] = None
            return
        _, suite, test = (["", "", *report.nodeid.split("::")])[-3:]
        if report.failed:
            failure = Failure(
                suite=suite, test=test, why=self._why.get(report.nodeid, ""), message=_message(report)
            )
            self._failures.append(failure)
        elif report.when == "call":
            self._passed[suite] += 1

    def pytest_sessionfinish(self) -> None:
        """Hand over what was noted."""
        outcome = Outcome(
            passed=self._passed.total(),
            suites=dict(self._passed),
            skipped=tuple(self._skipped),
            failures=tuple(self._failures),
            trouble=self._trouble,
        )
        self._answer.write_bytes(msgspec.json.encode(outcome))


def pytest_configure(config: pytest.Config) -> None:
    """Take part where this module is loaded as a plugin of pytest."""
    if answer := os.environ.get(_ANSWER):
        # What is found first says enough, and the smallest example of it would take minutes. Whoever asks
        # again is told the same.
        phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
        hypothesis.settings.register_profile(
            "conformance", phases=phases, database=None, deadline=None, derandomize=True
        )
        hypothesis.settings.load_profile("conformance")
        config.pluginmanager.register(Recorder(Path(answer)))
        # So that what an assertion without words compared is said.
        suites = {f"afx.testing.{found.name}" for found in pkgutil.iter_modules(testing.__path__)}
        pytest.register_assert_rewrite(*(suites - set(sys.modules)))


def examine(module: str, *, patience: float = _PATIENCE) -> Outcome:
    """Run the suites in the text of a module, in a process of its own, apart from the person's home.

    Args:
        module: The text of a Python module with subclasses of suites named ``Test...``.
        patience: After how many seconds it is given up.
    """
    with tempfile.TemporaryDirectory(prefix="afx-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        (directory / "test_conformance.py").write_text(module, encoding="utf-8")
        (directory / "home").mkdir()
        env = {
            **os.environ,
            _ANSWER: str(directory / "answer.json"),
            "HOME": str(directory / "home"),
            "PYTEST_ADDOPTS": "",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        }
        argv = [sys.executable, "-P", "-m", "pytest", "-q"]
        argv += ["-p", "anyio", "-p", "hypothesis", "-p", "afx.testing.conformance", "-p", "no:cacheprovider"]
        argv += ["-c", "/dev/null", "--rootdir", name, "--basetemp", str(directory / "t"), name]
        try:
            done = subprocess.run(
                argv, env=env, cwd=directory, capture_output=True, timeout=patience, check=False
            )
        except subprocess.TimeoutExpired:
            return Outcome(trouble=f"The tests took longer than {patience:g} s and were given up.")
        try:
            return msgspec.json.decode((directory / "answer.json").read_bytes(), type=Outcome)
        except (OSError, msgspec.DecodeError):
            return Outcome(trouble=_last_line((done.stdout + done.stderr).decode(errors="replace")))


def _message(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    text = str(report.longrepr) if crash is None else str(crash.message)
    first = text.strip().splitlines()[0] if text.strip() else "It failed without a word."
    return first.removeprefix("AssertionError: ")


def _last_line(text: str) -> str:
    lines = [line.removeprefix("E").strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "The tests ended without a word."
