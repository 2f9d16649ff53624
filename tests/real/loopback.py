"""What tests with a model on the loopback interface share: the HTTP under it, and the patience before it."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

from .model_server import ModelServer
from .screen import Screen

Server = TypeVar("Server", bound=ModelServer)
Reply = Callable[[Server, str, dict[str, Any]], tuple[str, bytes]]


def read_until(screen: Screen, is_so: Callable[[], bool], *, seconds: float = 30) -> None:
    """Read what a program draws until something is so; a program that nobody reads may come to a halt.

    Raises:
        AssertionError: It was not so in time.
    """
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"It did not come to be; the screen was {screen.text[-1000:]}"
        read_for(screen, 0.1)


def read_for(screen: Screen, seconds: float) -> None:
    """Read what a program draws for so long."""
    with contextlib.suppress(AssertionError):
        screen.until(b"\0 never drawn", seconds=seconds)


@contextmanager
def serve(make: Callable[[str], Server], reply: Reply[Server]) -> Iterator[Server]:
    """Run a model server on a free port of 127.0.0.1.

    Args:
        make: Makes the server's record of what was asked, from its address.
        reply: Returns the content type and the content that answer a path without its query and a body.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer({})

        def do_HEAD(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self._answer(json.loads(content or b"{}"))

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
            """Say nothing."""

        def _answer(self, body: dict[str, Any]) -> None:
            content_type, content = reply(server, self.path.partition("?")[0], body)
            self.send_response(200)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    class Httpd(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Say nothing of a program that was killed in the middle of a request."""

    httpd = Httpd(("127.0.0.1", 0), Handler)
    server = make(f"http://127.0.0.1:{httpd.server_address[1]}")
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join()
