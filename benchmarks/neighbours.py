"""Onlookers of floods: ``python -m benchmarks.neighbours SERVER URL ...``.

They tell each terminal's flood to begin, read it and throw it away, until standard input ends. SERVER is the
path of the Tower's key, or the name of another server, see `rivals`.
"""

from __future__ import annotations

import selectors
import sys
from pathlib import Path

from .producer import GO
from .rivals import RIVALS
from .viewer import Viewer


def main() -> None:
    """Look on until standard input ends."""
    server, *urls = sys.argv[1:]
    rival = RIVALS.get(server)
    selector = selectors.DefaultSelector()
    selector.register(sys.stdin, selectors.EVENT_READ)
    for url in urls:
        viewer = rival.viewer(url) if rival else Viewer(url, Path(server).read_text(encoding="ascii"))
        viewer.type(GO)
        selector.register(viewer.socket, selectors.EVENT_READ, viewer)
    print("reading", flush=True)
    while True:
        for ready, _ in selector.select():
            if ready.data is None:
                return
            ready.data.drop()
            while ready.data.has_more:
                ready.data.drop()


if __name__ == "__main__":
    main()
