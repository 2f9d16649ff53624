"""Requests with exactly the headers that a test gives them, as no client of ours would send."""

from __future__ import annotations

import http.client
from typing import NamedTuple

from afx.testing.tower_process import TowerProcess


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes


def ask(
    tower: TowerProcess, method: str, path: str, headers: dict[str, str], body: bytes | str | None = None
) -> Answer:
    data = body.encode() if isinstance(body, str) else body
    connection = http.client.HTTPConnection("127.0.0.1", tower.port, timeout=20)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        if data is not None:
            connection.putheader("Content-Length", str(len(data)))
        connection.endheaders(data)
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()


def host(tower: TowerProcess) -> dict[str, str]:
    return {"Host": f"127.0.0.1:{tower.port}"}


def with_key(tower: TowerProcess) -> dict[str, str]:
    return {**host(tower), "Authorization": f"Bearer {tower.key}"}
