"""Another user of the same machine: kept out of the sockets even where every mode was made loose."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from afx.cli import launcher
from afx.testing.tower_process import TowerFailedError, TowerProcess
from afx_holding import frames
from afx_holding.tower.places import Place
from security.conftest import PATIENCE

NOBODY = 65534

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


def as_nobody(path: Path) -> bytes:
    """Connect to a socket as the user nobody, greet, and return what was answered; ``b"!"``: not let near."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(PATIENCE)
                try:
                    connection.connect(str(path))
                    connection.sendall(frames.control(frames.HELLO, version=1, client="tower"))
                    os.write(writing, connection.recv(65536))
                except PermissionError:
                    os.write(writing, b"!")
                except (BrokenPipeError, ConnectionResetError):
                    pass
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said


@as_root
def test_a_foreign_user_gets_nothing_from_a_holder(target: TowerProcess, place: str) -> None:
    terminal = target.shell(place, "sleep 1000", "foreign")["terminal"]["id"]
    (path,) = target.home.glob(f"*/{terminal}.sock")
    assert as_nobody(path) == b"!", "the modes keep everybody out"
    opened = [path, *(parent for parent in path.parents if parent.is_relative_to(target.home.parent))]
    modes = {one: one.stat().st_mode & 0o777 for one in opened}
    try:
        for one in opened:
            one.chmod(0o777)
        assert as_nobody(path) == b"", "the holder hangs up without a word"
        assert target.agents()["shell/foreign"]["state"] == "running"
    finally:
        for one, mode in modes.items():
            one.chmod(mode)


@as_root
def test_a_socket_of_a_foreign_user_is_not_spoken_to(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    ready, done = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.chdir(tmp_path)
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind("t1.sock")
                listener.listen()
                os.write(ready[1], b"x")
                os.read(done[0], 1)
        finally:
            os._exit(0)
    try:
        os.read(ready[0], 1)
        with pytest.raises(PermissionError, match="another user"):
            Place(tmp_path).connect("t1")
        assert not Place(tmp_path).refuses("t1"), "it is no proof that a holder is dead"
    finally:
        os.write(done[1], b"x")
        os.waitpid(child, 0)
        for descriptor in (*ready, *done):
            os.close(descriptor)


@pytest.mark.parametrize("name", ["key", "tower.log", "tower.lock", "tower.new", "afx.db", "agents"])
def test_a_tower_does_not_start_on_planted_symlinks(short_directory: Path, name: str) -> None:
    victim = short_directory / "victim"
    victim.write_text("mine\n")
    home = short_directory / "s"
    home.mkdir()
    (home / name).symlink_to(victim)
    with pytest.raises(TowerFailedError, match="symlink"):
        TowerProcess(home).start()
    assert victim.read_text() == "mine\n"
    assert victim.stat().st_mode & 0o777 == 0o644


def test_the_log_of_a_start_follows_no_symlink(short_directory: Path) -> None:
    from afx.api.errors import AfxError

    home = short_directory / "s"
    home.mkdir()
    victim = short_directory / "victim"
    victim.write_text("mine\n")
    (home / "tower-start.log").symlink_to(victim)
    with pytest.raises(AfxError, match="cannot be written"):
        launcher._launch(home, {**os.environ, "AFX_HOME": str(home)})
    assert victim.read_text() == "mine\n"


def test_loose_modes_are_refused_or_mended(short_directory: Path) -> None:
    tower = TowerProcess(short_directory / "s")
    try:
        tower.start()
        tower.stop()
        tower.home.chmod(0o777)
        for path in tower.home.iterdir():
            path.chmod(0o755 if path.is_dir() else 0o600)
        (tower.home / "afx.db").chmod(0o666)
        tower.start()
        assert tower.home.stat().st_mode & 0o777 == 0o700
        assert {path.stat().st_mode & 0o077 for path in tower.home.glob("afx.db*")} == {0}
        tower.stop()
        (tower.home / "key").chmod(0o644)
        with pytest.raises(TowerFailedError, match="can be read by others"):
            tower.start()
    finally:
        tower.end_everything()


def test_a_second_tower_touches_neither_key_nor_log(target: TowerProcess) -> None:
    key = target.key
    (target.home / "key").rename(target.home.parent / "kept")
    log = (target.home / "tower.log").read_bytes()
    try:
        with pytest.raises(TowerFailedError, match="already serves"):
            TowerProcess(target.home).start()
        assert not (target.home / "key").exists()
        assert (target.home / "tower.log").read_bytes() == log
    finally:
        (target.home.parent / "kept").rename(target.home / "key")
    assert target.key == key
    assert target.state()
