"""What the door holds ready for the page: its files, its stream of events, no more output than it shows."""

from __future__ import annotations

import http.client
import json
import re
import socket
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from afx.server.page import ASSETS
from afx.testing.follower import open_terminal
from afx.testing.tower_process import RequestFailedError, TowerProcess
from e2e.asking import ask, host

needs_page = pytest.mark.skipif(
    not (ASSETS / "index.html").is_file(), reason="The page is not built; `pip install .` builds it."
)


def get(tower: TowerProcess, path: str) -> tuple[int, http.client.HTTPMessage, str]:
    """Ask as a browser does that is not signed in."""
    answer = ask(tower, "GET", path, host(tower))
    return answer.status, answer.headers, answer.body.decode()


def events(tower: TowerProcess, query: str = "") -> ClientConnection:
    return connect(
        f"ws://127.0.0.1:{tower.port}/ws/events{query}",
        additional_headers={"Authorization": f"Bearer {tower.key}"},
        proxy=None,
    )


@needs_page
def test_the_page_and_its_files_are_there_before_anybody_signed_in(shared_tower: TowerProcess) -> None:
    status, headers, page = get(shared_tower, "/")
    assert status == 200
    assert headers["Cache-Control"] == "no-store"
    build = shared_tower.state()["tower"]["page"]
    assert re.fullmatch(r"\w{8}", build)
    assert f'<meta name="build" content="{build}">' in page
    names = re.findall(r'(?:href|src)="(/assets/[^"]+)"', page)
    assert {name.rpartition(".")[2] for name in names} == {"css", "js", "svg"}
    for name in names:
        status, headers, _ = get(shared_tower, name)
        assert status == 200
        assert headers.get_all("Cache-Control") == ["public, max-age=31536000, immutable"]
        assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "name", ["app-0.js", "index.html", "LICENSES.txt", "sources.sha256", "..%2fpage.py", ""]
)
def test_what_is_no_file_of_the_page_is_not_found_and_never_the_page_instead(
    shared_tower: TowerProcess, name: str
) -> None:
    status, headers, body = get(shared_tower, f"/assets/{name}")
    assert status == 404
    assert headers["Cache-Control"] == "no-store"
    assert "<!doctype" not in body


@pytest.mark.parametrize("path", ["/", "/assets/none.js", "/api/state", "/health"])
def test_a_page_of_ours_runs_its_own_scripts_only_in_no_frame_and_tells_nobody(
    shared_tower: TowerProcess, path: str
) -> None:
    _, headers, body = get(shared_tower, path)
    policy = dict(rule.split(" ", 1) for rule in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|style=", body)


@needs_page
def test_the_licences_of_what_is_bundled_come_with_it() -> None:
    licences = (ASSETS / "LICENSES.txt").read_text(encoding="utf-8")
    for name in ("@xterm/xterm", "@xterm/addon-webgl", "preact"):
        assert re.search(rf"^{re.escape(name)} \d[\d.]* \(MIT\)\n\n", licences, re.MULTILINE)
    assert licences.count("Permission is hereby granted") >= 3


def test_events_come_by_websocket_from_a_version_on(tower: TowerProcess, workspace: str) -> None:
    version = tower.state()["version"]
    with events(tower, f"?since={version}") as stream, events(tower) as late:
        # Who names no version hears what happens from its own beginning on: an answer says that it began.
        late.send('{"type":"ping"}')
        assert json.loads(late.recv(timeout=10)) == {"type": "pong"}
        agent = tower.shell(workspace, "sleep 1000")
        for reader in (stream, late):
            told = json.loads(reader.recv(timeout=10))
            assert agent["id"] in told["agents"]
            assert told["version"].partition(":")[0] == version.partition(":")[0]
    with events(tower, "?since=another-boot:3") as stream:
        assert json.loads(stream.recv(timeout=10))["all"] is True


def test_events_end_with_a_word_when_the_tower_goes(tower: TowerProcess) -> None:
    with events(tower) as stream:
        tower.stop()
        with pytest.raises(ConnectionClosed) as closed:
            stream.recv(timeout=10)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1001


def test_a_reader_with_a_window_is_sent_no_more_than_it_takes_lesson_31(
    tower: TowerProcess, workspace: str
) -> None:
    agent = tower.shell(workspace, "seq 1 100000; sleep 1000")
    window = 65536
    with open_terminal(tower, agent["terminal"]["id"], window=window, tail=0) as socket:
        hello = json.loads(socket.recv(timeout=10))
        end = tower.eventually(
            lambda: (found := place_of(tower, agent["id"])) and found > 4 * window and found
        )
        assert end > 4 * window
    with open_terminal(tower, agent["terminal"]["id"], window=window, seq=f"{hello['epoch']}:0") as socket:
        json.loads(socket.recv(timeout=10))
        got = bytearray()
        while (piece := within(socket, 1)) is not None:
            got += piece
        # The piece that fills the window reaches beyond it.
        assert window <= len(got) < window + 256 * 1024
        # Words that make no sense open nothing.
        for offset in (10**9, -1, "all", None):
            socket.send(json.dumps({"type": "ack", "offset": offset}))
        assert within(socket, 0.5) is None
        while b"\n100000\r\n" not in got:
            socket.send(json.dumps({"type": "ack", "offset": len(got)}))
            got += within(socket, 10) or b""
    assert [int(line) for line in got.split()] == list(range(1, 100001))


def within(socket: ClientConnection, seconds: float) -> bytes | None:
    """Return the next piece of output, or None where none comes in time."""
    try:
        piece = socket.recv(timeout=seconds)
    except TimeoutError:
        return None
    assert isinstance(piece, bytes)
    return piece


def place_of(tower: TowerProcess, agent_id: str) -> int:
    agent = next(agent for agent in tower.agents().values() if agent["id"] == agent_id)
    return int((agent["terminal"]["position"] or ":0").rpartition(":")[2])


def test_what_would_be_lost_with_an_agent_is_told_and_nothing_is_done(
    tower: TowerProcess, workspace: str
) -> None:
    request = {"workspace": workspace, "kind": "builder", "name": "fix"}
    agent = tower.request("POST", "/api/agents", request)["agent"]
    path = f"/api/agents/{agent['id']}/losses"
    assert tower.request("GET", path) == {"modified": [], "untracked": [], "commits": [], "sentence": ""}

    Path(agent["cwd"], "new.py").write_text("")
    told = tower.request("GET", path)

    assert told["untracked"] == ["new.py"]
    assert "new.py" in told["sentence"]
    assert tower.agents()["builder/fix"]["state"] == "running"
    with pytest.raises(RequestFailedError) as refused:
        tower.request("GET", "/api/agents/nobody/losses")
    assert refused.value.status == 404


def test_a_tower_on_any_port_keeps_it_so_that_an_open_page_finds_it_again(tower: TowerProcess) -> None:
    assert tower.env["AFX_PORT"] == "0"
    port = tower.port
    tower.kill()
    tower.start()
    assert tower.port == port
    tower.stop()
    with socket.create_server(("127.0.0.1", port)):
        tower.start()
        assert tower.port != port
