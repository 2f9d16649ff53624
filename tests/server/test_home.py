"""The state directory before anything in it is trusted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from afx.api.errors import AfxError
from afx.server.auth import load_key
from afx.server.home import prepare


def test_it_is_made_private_and_made_so_again(tmp_path: Path) -> None:
    home = tmp_path / "a/b"
    prepare(home)
    assert home.stat().st_mode & 0o777 == 0o700
    home.chmod(0o777)
    prepare(home)
    assert home.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", ["key", "tower.log", "tower.new", "tower-start.log", "afx.db", "shellper"])
def test_planted_symlinks_are_refused(tmp_path: Path, name: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    home = tmp_path / "home-of-afx"
    home.mkdir(mode=0o700)
    (home / name).symlink_to(victim)
    with pytest.raises(AfxError, match=f"{name} is a symlink"):
        prepare(home)
    assert victim.read_text() == "mine"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to somebody else")
def test_what_belongs_to_another_user_is_refused(tmp_path: Path) -> None:
    home = tmp_path / "state"
    home.mkdir(mode=0o700)
    (home / "afx.db").touch()
    os.chown(home / "afx.db", 65534, 65534)
    with pytest.raises(AfxError, match="another user"):
        prepare(home)
    (home / "afx.db").unlink()
    os.chown(home, 65534, 65534)
    with pytest.raises(AfxError, match="belongs to another user"):
        prepare(home)


def test_what_cannot_be_a_directory_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(AfxError, match="cannot be used"):
        prepare(tmp_path / "file/below")
    with pytest.raises(AfxError, match="cannot be used"):
        prepare(tmp_path / "file")


def test_no_half_key_is_left_by_a_full_disk(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    real = os.open

    def full(path: str | os.PathLike[str], flags: int, mode: int = 0o777) -> int:
        descriptor = real(path, flags, mode)
        if os.fspath(path).endswith("key"):
            os.close(descriptor)
            return real("/dev/full", os.O_WRONLY)
        return descriptor

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", full)
        with pytest.raises(OSError, match="No space"):
            load_key(tmp_path)
    assert not (tmp_path / "key").exists()
    assert len(load_key(tmp_path)) >= 32
