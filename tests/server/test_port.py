"""Which port the Tower takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from afx.api.errors import ConflictError
from afx.server.port import bind, last_port


def test_any_port_is_the_last_one_where_that_is_free() -> None:
    with bind(0) as first:
        port = first.getsockname()[1]
    with bind(0, port) as again:
        assert again.getsockname()[1] == port
        again.listen()
        with bind(0, port) as other:
            assert other.getsockname()[1] != port
        with pytest.raises(ConflictError, match=f"Port {port} is taken"):
            bind(port)
    # A port that needs more rights, or is none, is no reason to fail either.
    for useless in (1, 70_000, -1):
        bind(0, useless).close()


@pytest.mark.parametrize("text", ["", "x", "-1", "99999999", "4\u0661"])
def test_a_last_port_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    assert last_port(tmp_path) == 0
    (tmp_path / "port").write_text(text)
    assert last_port(tmp_path) == 0
    (tmp_path / "port").write_text("4100\n")
    assert last_port(tmp_path) == 4100
