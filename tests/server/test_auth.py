"""Who may come in."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from afx.api.errors import AfxError
from afx.server.auth import CODE_LIFETIME, Gate, load_key
from afx.testing.clock import FakeClock

KEY = "k" * 43


@pytest.fixture
def gate() -> Gate:
    return Gate(KEY, 4100)


def test_key_is_made_private_and_kept_lesson_46(tmp_path: Path) -> None:
    key = load_key(tmp_path)
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert load_key(tmp_path) == key
    assert len(key) >= 32


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o602])
def test_key_that_others_can_reach_is_refused_lesson_46(tmp_path: Path, mode: int) -> None:
    load_key(tmp_path)
    (tmp_path / "key").chmod(mode)
    with pytest.raises(AfxError, match="can be read by others") as caught:
        load_key(tmp_path)
    assert "chmod 600" in caught.value.hint


def test_key_behind_a_link_or_empty_is_refused(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text(KEY)
    elsewhere.chmod(0o600)
    (tmp_path / "key").symlink_to(elsewhere)
    with pytest.raises(AfxError):
        load_key(tmp_path)
    (tmp_path / "key").unlink()
    (tmp_path / "key").touch(mode=0o600)
    with pytest.raises(AfxError, match="holds no key"):
        load_key(tmp_path)


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("127.0.0.1:4100", True),
        ("localhost:4100", True),
        ("LOCALHOST:4100", True),
        ("[::1]:4100", True),
        ("127.0.0.1:4101", False),
        ("127.0.0.1", False),
        ("evil.example:4100", False),
        ("127.0.0.1.evil.example:4100", False),
        ("", False),
        (None, False),
    ],
)
def test_only_our_own_host_names_lesson_45(gate: Gate, host: str | None, *, known: bool) -> None:
    assert gate.knows_host(host) is known


@pytest.mark.parametrize(
    ("origin", "known"),
    [
        (None, True),
        ("http://127.0.0.1:4100", True),
        ("http://localhost:4100", True),
        ("https://127.0.0.1:4100", False),
        ("http://127.0.0.1:5173", False),
        ("http://evil.example", False),
        ("null", False),
        ("", False),
    ],
)
def test_only_our_own_origin_lesson_45(gate: Gate, origin: str | None, *, known: bool) -> None:
    assert gate.knows_origin(origin) is known


@pytest.mark.parametrize(
    ("authorization", "admitted"),
    [
        (f"Bearer {KEY}", True),
        (f"bearer {KEY}", True),
        (f"Bearer {KEY[:-1]}", False),
        (f"Basic {KEY}", False),
        ("Bearer", False),
        ("Bearer \udcff", False),
        (KEY, False),
        (None, False),
    ],
)
def test_the_key_opens(gate: Gate, authorization: str | None, *, admitted: bool) -> None:
    assert gate.admits(authorization, None) is admitted


def test_a_code_is_good_once_and_not_for_long(gate: Gate, fake_clock: FakeClock) -> None:
    code = gate.issue_code()
    assert gate.redeem_code("wrong") is None
    value = gate.redeem_code(code)
    assert value is not None
    assert gate.redeem_code(code) is None
    late = gate.issue_code()
    fake_clock.move(CODE_LIFETIME + 1)
    assert gate.redeem_code(late) is None


def test_the_cookie_stands_for_the_key_it_was_made_with(gate: Gate) -> None:
    value = gate.redeem_code(gate.issue_code())
    assert value is not None
    cookie = f"other=1; {gate.cookie_name}={value}"
    assert gate.admits(None, cookie)
    assert not gate.admits("Bearer wrong", cookie), "a wrong key is not mended by a good cookie"
    assert not Gate("n" * 43, 4100).admits(None, cookie), "a new key ends every cookie"
    until, _, signature = value.partition(".")
    assert not gate.admits(None, f"{gate.cookie_name}={int(until) + 1}.{signature}")
    assert not gate.admits(None, f"{gate.cookie_name}=")
    assert not gate.admits(None, "garbage;;=;")


def test_the_cookie_ends(gate: Gate, fake_clock: FakeClock) -> None:
    value = gate.redeem_code(gate.issue_code())
    fake_clock.move(31 * 24 * 3600)
    assert not gate.admits(None, f"{gate.cookie_name}={value}")


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_a_key_that_is_no_file_is_refused_and_not_waited_for(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "key")
    with pytest.raises(AfxError, match="not a plain file"):
        load_key(tmp_path)
