"""What every test relies on: one event loop backend, and a world apart from the person's own."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

from afx.testing.fixtures import fake_clock  # noqa: F401 - a fixture
from strangers import installed_strangers, write_shadows

# How long an example takes says how busy the machine is, and nothing about what is tested.
# A change is judged by the same examples each time; whoever runs the tests at home looks for new ones.
settings.register_profile(
    "any machine",
    deadline=None,
    derandomize=os.environ.get("CI") == "true",
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("any machine")
# Chosen by --hypothesis-profile where it is enough that a test fails, by whichever example.
settings.register_profile(
    "no smallest example", phases=(Phase.explicit, Phase.reuse, Phase.generate), print_blob=False
)

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what runs in the background so, and every program of the tests would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Say how long chaos lasts, and which; how many sabotages are tried, and lives of the model's Tower."""
    parser.addoption("--all-sabotages", action="store_true", help="try every sabotage, not a few")
    parser.addoption("--model-lives", type=int, default=200, help="how many lives the model's Tower lives")
    parser.addoption("--model-shrink", action="store_true", help="look for the shortest life that fails")
    parser.addoption("--chaos-seconds", type=float, default=12, help="how long a random walk lasts")
    parser.addoption("--chaos-seed", type=int, default=None, help="the seed of the random walk; else any")


_OF_THE_MACHINE = ("only root ", "no tmpfs can be mounted here")
"""Reasons for a skip that no installed program takes away."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let a test that is skipped under CI fail: there, what it needs is to be installed."""
    report = yield
    if report.skipped and os.environ.get("CI") == "true" and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if not reason.startswith(_OF_THE_MACHINE):
            report.outcome, report.longrepr = "failed", f"Skipped under CI: {reason}"
    return report


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def shadows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path | None]:
    """Hide other people's plugins, here and in every process that is started.

    Yields:
        The directory that hides them where it is on the path before they are; None where there are none.
    """
    strangers = installed_strangers()
    if not strangers:
        yield None
        return
    directory = tmp_path_factory.mktemp("shadows")
    write_shadows(directory, strangers)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(directory))
        patch.setenv("PYTHONPATH", str(directory), prepend=os.pathsep)
        yield directory


@pytest.fixture(autouse=True)
def a_world_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every test away from the real home, state directory, configuration, key and tmux (lesson 48)."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("AFX_HOME", str(home / "afx"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    monkeypatch.setenv("TMUX_TMPDIR", str(home))
    monkeypatch.delenv("TMUX", raising=False)
    for name in ("AFX_PORT", "AFX_DISABLED_PLUGINS", "AFX_HOST_ID", "AFX_AGENT", "AFX_TERMINAL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory of packages that every Python of the test finds; this one forgets it again."""
    before = set(sys.modules)
    path = tmp_path / "site"
    path.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(path), prepend=os.pathsep)
    monkeypatch.syspath_prepend(str(path))
    yield path
    for name in set(sys.modules) - before:
        if str(path) in str(getattr(sys.modules[name], "__file__", None)):
            del sys.modules[name]
