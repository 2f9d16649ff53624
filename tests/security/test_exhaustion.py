"""Whoever only wants to be in the way: silent connections, slow ones, huge ones. Each attack is bounded."""

from __future__ import annotations

import resource
import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from afx.server.patience import HEAD_WITHIN, MOST_WAITING
from afx.testing.follower import type_into
from afx.testing.tower_process import TowerProcess
from e2e.asking import ask, host, with_key
from security.conftest import dial, until

CROWD = 10_000
_SPARE = 200


@pytest.fixture
def many_files() -> Iterator[int]:
    """Allow this process as many descriptors as it may have, and say how many connections that makes."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = before[1] if before[1] != resource.RLIM_INFINITY else CROWD + _SPARE
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, CROWD + _SPARE), before[1]))
    yield min(CROWD, most - _SPARE)
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def open_files(tower: TowerProcess) -> int:
    assert tower.process is not None
    return len(list(Path(f"/proc/{tower.process.pid}/fd").iterdir()))


def memory(tower: TowerProcess) -> int:
    """Return how many bytes of memory the Tower's process uses."""
    assert tower.process is not None
    pages = int(Path(f"/proc/{tower.process.pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def test_ten_thousand_that_say_nothing_keep_nobody_out(
    target: TowerProcess, place: str, many_files: int
) -> None:
    before, held = memory(target), open_files(target)
    with ExitStack() as stack:
        for number in range(many_files):
            stack.enter_context(dial(target))
            if number % 1000 == 0:
                assert ask(target, "GET", "/health", host(target))[0] == 200
                # Long before the time of the first is over.
                until(lambda: open_files(target) <= held + MOST_WAITING + 10, "the oldest are hung up on", 5)
        assert ask(target, "GET", "/api/state", with_key(target))[0] == 200
        agent = target.shell(place, "cat", "among-many")
        type_into(target, agent["terminal"]["id"], b"hello\r")
        target.request("DELETE", f"/api/agents/{agent['id']}?force=1")
        assert memory(target) - before < 50 * 2**20
    until(lambda: open_files(target) <= held + 10, "all were let go of")


BEGINNINGS = (
    b"",
    b"GET /health HTTP/1.1\r\n",
    b"GET /api/state HTTP/1.1\r\nHost: x\r\nX-Slow: ",
    b"GET /health HTTP/1.1\r\nHost: x\r\n\r\nGET /health HTTP/1.1\r\nX-Slow: ",
)


def test_requests_a_byte_at_a_time_are_hung_up_on(target: TowerProcess) -> None:
    with ExitStack() as stack:
        # Two requests in one piece, of which the second has its answer only bit by bit: that is no silence.
        patient = stack.enter_context(dial(target))
        head = f"Host: 127.0.0.1:{target.port}\r\nAuthorization: Bearer {target.key}\r\n\r\n"
        patient.sendall(
            f"GET /health HTTP/1.1\r\n{head}GET /api/events HTTP/1.1\r\nLast-Event-ID: x:1\r\n{head}".encode()
        )
        slow = {stack.enter_context(dial(target)): beginning for beginning in BEGINNINGS}
        for connection, beginning in slow.items():
            connection.sendall(beginning)
            connection.setblocking(False)
        began = time.monotonic()
        while slow and time.monotonic() - began < HEAD_WITHIN + 10:
            for connection, beginning in list(slow.items()):
                if _is_hung_up(connection, b"x" if beginning else b""):
                    del slow[connection]
                    assert time.monotonic() - began > HEAD_WITHIN - 1, "it had less than its time"
            time.sleep(0.1)
        assert [*slow.values()] == [], "these were never hung up on"
        patient.setblocking(False)
        while not _is_hung_up(patient, b""):
            if not select.select([patient], [], [], 0)[0]:
                break
        else:
            raise AssertionError("It was hung up on in the middle of an answer.")


def _is_hung_up(connection: socket.socket, dribble: bytes) -> bool:
    try:
        if dribble:
            connection.send(dribble)
        return connection.recv(65536) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def test_a_body_without_the_key_is_not_waited_for(target: TowerProcess) -> None:
    with dial(target) as slow:
        slow.sendall(
            b"POST /api/agents HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Length: 100\r\n\r\n{" % target.port
        )
        assert slow.recv(65536).startswith(b"HTTP/1.1 401")


def test_sixteen_megabytes_are_refused_early(target: TowerProcess) -> None:
    before = memory(target)
    head = (
        f"POST /api/agents HTTP/1.1\r\nHost: 127.0.0.1:{target.port}\r\n"
        f"Authorization: Bearer {target.key}\r\nContent-Length: {16 * 2**20}\r\n\r\n"
    ).encode()
    with dial(target) as huge:
        with suppress(OSError):  # It may be refused before all of it was sent.
            huge.sendall(head + b'{"task": "' + b"x" * (16 * 2**20))
        assert huge.recv(65536).startswith(b"HTTP/1.1 413")
    assert memory(target) - before < 12 * 2**20
    with dial(target) as patient:
        patient.sendall(head)
        assert patient.recv(65536).startswith(b"HTTP/1.1 413"), "its length alone says enough"
    for size in (2**20 + 1, 5 * 2**20):
        status = ask(target, "POST", "/api/login", host(target), b'{"code": "%s"}' % (b"x" * size))[0]
        assert status == 413


def test_what_strangers_break_off_or_get_wrong_does_not_fill_the_log(target: TowerProcess) -> None:
    log = target.home / "tower.log"
    before = log.stat().st_size
    head = f"Host: 127.0.0.1:{target.port}\r\n".encode()
    for _ in range(20):
        for said in (
            b"\x00\r\n\r\n",
            b"GET /health HTTP/1.1\r\n" + head + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        ):
            with dial(target) as odd:
                odd.sendall(said)
                assert odd.recv(65536)
        with dial(target) as gone:
            gone.sendall(b"POST /api/login HTTP/1.1\r\n" + head + b"Content-Length: 9\r\n\r\n{")
        assert ask(target, "GET", "/health", host(target))[0] == 200
    news = log.read_bytes()[before:]
    assert b"Traceback" not in news
    assert news.count(b"\n") <= 2, "each kind of nonsense is told once in a while"


def test_a_head_that_does_not_end_is_refused(target: TowerProcess) -> None:
    with dial(target) as endless:
        endless.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\nX: ")
        refused = b""
        try:
            for _ in range(64):
                endless.sendall(b"x" * 65536)
            refused = endless.recv(65536)
        except OSError:
            pass
        assert refused == b"" or refused.startswith(b"HTTP/1.1 400")
    assert ask(target, "GET", "/health", host(target))[0] == 200


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\x00" * 1000,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xff" * 200,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /api/state HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET  HTTP/9.9\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /%00%ff%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
def test_what_is_no_request_ends_its_own_connection_only(target: TowerProcess, nonsense: bytes) -> None:
    with dial(target) as odd:
        odd.sendall(nonsense)
        odd.shutdown(socket.SHUT_WR)
        said = odd.recv(65536)
        assert said == b"" or said[9:12] in {b"400", b"403"}, said
    assert ask(target, "GET", "/health", host(target))[0] == 200
