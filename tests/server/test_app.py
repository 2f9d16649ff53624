"""What the application answers where the system has none left of something."""

from __future__ import annotations

import errno
from typing import Any, cast

import pytest
from starlette.requests import Request

from afx.server.app import build_app
from afx.server.auth import Gate
from afx.server.parting import Parting
from afx.tower.tower import Tower


class NoTower:
    """Stands where a Tower is wired in; nothing is asked of it."""

    def __getattr__(self, _: str) -> object:
        return self


APP = build_app(cast("Tower", NoTower()), Gate("k" * 43, 1), "http://127.0.0.1:1", Parting())
REQUEST = Request(
    {"type": "http", "method": "GET", "path": "/api/x", "query_string": b"", "headers": [(b"host", b"x")]}
)


async def answered(error: Exception) -> Any:
    handler = cast("Any", APP.exception_handlers[OSError if isinstance(error, OSError) else type(error)])
    return await handler(REQUEST, error)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(errno.EMFILE, "Too many open files"), b"The system refuses: Too many open files."),
        (RuntimeError("can't start new thread"), b"The system refuses: No more threads can be started."),
    ],
)
async def test_what_is_short_is_no_failure_of_the_tower(error: Exception, says: bytes) -> None:
    answer = await answered(error)
    assert answer.status_code == 503
    assert says in answer.body
    assert b"`afx doctor` says what is short." in answer.body


@pytest.mark.parametrize("error", [OSError(errno.EINVAL, "Invalid argument"), RuntimeError("a mistake")])
async def test_anything_else_is_one(error: Exception) -> None:
    with pytest.raises(type(error)):
        await answered(error)
