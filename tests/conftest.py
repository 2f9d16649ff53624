"""What every test relies on: one event loop backend, and a world apart from the person's own."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says how busy the machine is, and nothing about what is tested.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what runs in the background so, and every program of the tests would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Say how long chaos lasts, and which; and how many sabotages are tried."""
    parser.addoption("--all-sabotages", action="store_true", help="try every sabotage, not a few")
    parser.addoption("--chaos-seconds", type=float, default=12, help="how long a random walk lasts")
    parser.addoption("--chaos-seed", type=int, default=None, help="the seed of the random walk; else any")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


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
