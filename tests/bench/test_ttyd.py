"""The viewer of ttyd's terminals, against a stand-in that speaks as ttyd 1.7 does."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path

import pytest
from benchmarks import ttyd

from scripts import write_script

STAND_IN = """
import json, sys
from websockets.sync.server import serve

def talk(connection):
    asked = json.loads(connection.recv())
    for message in (b"1a title", b"2{}", b"0", b"0ready 0 "):
        connection.send(message)
    said = connection.recv()
    connection.send(b"0%dx%d %b " % (asked["columns"], asked["rows"], said))
    connection.send([b"0in ", b"parts ", b"1 end"])

command = sys.argv[sys.argv.index("--writable") + 1 :]
with serve(talk, "127.0.0.1", 0, subprotocols=["tty"]) as server:
    print(f"N:  command {command}", file=sys.stderr)
    print(f"N:  Listening on port: {server.socket.getsockname()[1]}", file=sys.stderr, flush=True)
    server.serve_forever()
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = write_script(tmp_path / "ttyd", f"exec '{sys.executable}' '{tmp_path}/stand_in.py' \"$@\"")
    (tmp_path / "stand_in.py").write_text(STAND_IN, encoding="utf-8")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return path


@pytest.mark.usefixtures("program")
def test_output_is_read_without_what_ttyd_adds_and_input_is_sent_as_such() -> None:
    assert ttyd.is_installed()
    with (
        ttyd.serving(("cat", "-v"), ("true",)) as (first, second),
        closing(ttyd.TtydViewer(first)) as viewer,
    ):
        assert first != second
        assert viewer.read_output() == b"ready 0 "
        viewer.type(b"x")
        output = b""
        while not output.endswith(b"end"):
            output += viewer.read_output()
    assert output == b"80x24 0x in parts 1 end"


def test_one_that_does_not_begin_is_said(program: Path) -> None:
    program.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    with pytest.raises(RuntimeError, match="ttyd did not begin"), ttyd.serving(("cat",)):
        pass
