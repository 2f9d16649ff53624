"""Measure how long a keystroke takes to come back: ``python -m afx.testing.echo URL SECONDS``.

It runs as a process of its own, so that nothing else in the measuring program is measured with it. The key is
read from ``AFX_TEST_KEY``; the times are printed in seconds, as a JSON list.
"""

from __future__ import annotations

import json
import os
import sys
import time

from websockets.sync.client import connect

_TYPISTS_PACE = 0.005


def main() -> None:
    """Type one key after another into a terminal that echoes, until the time is over."""
    url, seconds = sys.argv[1], float(sys.argv[2])
    headers = {"Authorization": f"Bearer {os.environ['AFX_TEST_KEY']}"}
    times = []
    with connect(url, additional_headers=headers, compression=None, max_size=None, proxy=None) as websocket:
        websocket.recv(timeout=5)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            began = time.perf_counter()
            websocket.send(b"x")
            while not _has_echo(websocket.recv(timeout=10)):
                pass
            times.append(time.perf_counter() - began)
            time.sleep(_TYPISTS_PACE)
    print(json.dumps(times))


def _has_echo(message: bytes | str) -> bool:
    return isinstance(message, bytes) and b"x" in message


if __name__ == "__main__":
    main()
