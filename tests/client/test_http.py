from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from afx.api.errors import AfxError, BadInputError, ConflictError, NotFoundError, UnreachableError
from afx.client.http import TowerAddress, TowerClient, TowerDownError
from cli.stub import KEY, StubTower, stub_tower


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def tower(home: Path) -> Iterator[StubTower]:
    with stub_tower(home) as stub:
        yield stub


def test_requests_and_answers(home: Path, tower: StubTower) -> None:
    tower.answers["POST", "/api/agents/x/send"] = (200, {"delivered": True})
    tower.answers["DELETE", "/api/agents/x"] = (204, None)
    client = TowerClient.connect(home)
    assert client.state()["version"] == "b:1"
    assert client.post("/api/agents/x/send", {"text": "é"}) == {"delivered": True}
    assert client.delete("/api/agents/x?force=1") is None
    assert tower.asked[1:] == [
        ("POST", "/api/agents/x/send", {"text": "é"}),
        ("DELETE", "/api/agents/x?force=1", None),
    ]


def test_lines_come_one_by_one_while_the_answer_goes_on(home: Path, tower: StubTower) -> None:
    heard = threading.Event()

    def answer() -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[1]\n[\r\n")
            heard.wait(10)
            connection.sendall(b"3\r\n2]\n\r\n0\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        (home / "tower.json").write_text(json.dumps({"url": url, "pid": os.getpid()}))
        thread = threading.Thread(target=answer)
        thread.start()
        lines = TowerClient(TowerAddress.read(home), timeout=5).post_for_lines("/x", {})
        assert next(lines) == [1]
        heard.set()
        assert list(lines) == [[2]]
        thread.join()
    assert not tower.asked


def test_lines_that_break_off_and_errors_are_said(home: Path, tower: StubTower) -> None:
    tower.answers["POST", "/x"] = (200, b'{"a": 1}\n{"b"')
    lines = TowerClient.connect(home).post_for_lines("/x", {})
    assert next(lines) == {"a": 1}
    with pytest.raises(TowerDownError):
        next(lines)
    with pytest.raises(NotFoundError):
        next(TowerClient.connect(home).post_for_lines("/y", {}))


def test_output(home: Path, tower: StubTower) -> None:
    tower.answers["GET", "/api/terminals/t/output"] = (200, b"\x00\xff")
    assert TowerClient.connect(home).output("t", since="e:5", tail=9).data == b"\x00\xff"
    assert tower.asked[-1][1] == "/api/terminals/t/output?from=e%3A5&tail=9"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BadInputError),
        (404, NotFoundError),
        (409, ConflictError),
        (503, UnreachableError),
        (500, AfxError),
    ],
)
def test_errors_come_as_what_they_are(
    home: Path, tower: StubTower, status: int, kind: type[AfxError]
) -> None:
    tower.answers["GET", "/x"] = (
        status,
        {"error": {"code": "c", "message": "It is so.", "hint": "Do this."}},
    )
    with pytest.raises(AfxError) as caught:
        TowerClient.connect(home).get("/x")
    assert type(caught.value) is kind
    assert (caught.value.code, caught.value.message, caught.value.hint) == ("c", "It is so.", "Do this.")


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"", b'{"error": 3}'])
def test_an_answer_of_another_form_is_an_error_too(home: Path, tower: StubTower, body: bytes) -> None:
    tower.answers["GET", "/x"] = (502, body)
    with pytest.raises(AfxError, match="status 502"):
        TowerClient.connect(home).get("/x")


def test_what_is_no_tower_is_said(home: Path, tower: StubTower) -> None:
    tower.answers["GET", "/x"] = (200, b"hello")
    with pytest.raises(AfxError, match="is no Tower"):
        TowerClient.connect(home).get("/x")


def test_no_state_directory_means_down(tmp_path: Path) -> None:
    with pytest.raises(TowerDownError) as caught:
        TowerClient.connect(tmp_path / "nowhere")
    assert "afx tower start" in caught.value.hint


@pytest.mark.usefixtures("tower")
def test_a_refused_connection_means_down(home: Path) -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        facts = {"pid": os.getpid(), "url": f"http://127.0.0.1:{unheard.getsockname()[1]}"}
        (home / "tower.json").write_text(json.dumps(facts))
        with pytest.raises(TowerDownError):
            TowerClient.connect(home)


def test_a_stranger_on_the_port_of_a_dead_tower_gets_no_key_lesson_45(home: Path, tower: StubTower) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    (home / "tower.json").write_text(json.dumps({"pid": ended.pid, "url": tower.url}))
    with pytest.raises(TowerDownError):
        TowerClient.connect(home)
    assert tower.asked == []


@pytest.mark.usefixtures("tower")
@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"pid": "x", "url": "y"}'])
def test_a_half_written_address_means_down(home: Path, text: str) -> None:
    (home / "tower.json").write_text(text)
    with pytest.raises(TowerDownError):
        TowerClient.connect(home)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_key_that_others_can_read_is_refused_lesson_46(home: Path, tower: StubTower, mode: int) -> None:
    (home / "key").chmod(mode)
    with pytest.raises(AfxError, match="can be read by others") as caught:
        TowerClient.connect(home)
    assert "chmod 600" in caught.value.hint
    assert tower.asked == []


@pytest.mark.usefixtures("tower")
def test_a_key_behind_a_symlink_is_refused_lesson_46(home: Path, tmp_path: Path) -> None:
    (home / "key").rename(tmp_path / "elsewhere")
    (home / "key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(AfxError, match="cannot be read"):
        TowerClient.connect(home)


@pytest.mark.usefixtures("tower")
@pytest.mark.parametrize("key", ["", "  \n", "a\nb", "é" * 40])
def test_a_key_that_is_none_is_refused(home: Path, key: str) -> None:
    (home / "key").write_text(key)
    with pytest.raises(AfxError, match="holds no key"):
        TowerClient.connect(home)


@pytest.mark.usefixtures("tower")
def test_the_key_is_not_shown_lesson_45(home: Path) -> None:
    assert KEY not in repr(TowerAddress.read(home))


@pytest.mark.usefixtures("tower")
def test_a_tower_that_goes_away_in_between_is_said(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as rude:
        facts = {"pid": os.getpid(), "url": f"http://127.0.0.1:{rude.getsockname()[1]}"}
        (home / "tower.json").write_text(json.dumps(facts))
        client = TowerClient.connect(home)
        rude.accept()[0].close()
        with pytest.raises(TowerDownError, match="went away"):
            client.state()


@pytest.mark.usefixtures("tower")
def test_a_tower_that_is_silent_is_unreachable_not_down_lesson_02(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        facts = {"pid": os.getpid(), "url": f"http://127.0.0.1:{silent.getsockname()[1]}"}
        (home / "tower.json").write_text(json.dumps(facts))
        with pytest.raises(UnreachableError, match="did not answer in time"):
            TowerClient.connect(home, timeout=0.1).state()


def test_a_key_that_was_replaced_is_said_with_the_way_out(home: Path, tower: StubTower) -> None:
    (home / "key").write_text("another")
    with pytest.raises(AfxError, match="does not take the key") as caught:
        TowerClient.connect(home).state()
    assert tower.url in caught.value.message
    assert "`afx tower restart`" in caught.value.hint
    assert "another" not in f"{caught.value.message}{caught.value.hint}"


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
@pytest.mark.usefixtures("tower")
def test_a_key_that_is_no_file_is_said_and_not_waited_for(home: Path, make: Callable[[Path], None]) -> None:
    (home / "key").unlink()
    make(home / "key")
    with pytest.raises(AfxError, match="not a plain file"):
        TowerClient.connect(home)
