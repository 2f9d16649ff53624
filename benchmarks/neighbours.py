"""Onlookers of floods: ``python -m benchmarks.neighbours KEY_FILE URL ...``.

They tell each terminal's flood to begin, read it and throw it away, until standard input ends. Without a key
file (an empty argument) the terminals are terminado's.
"""

from __future__ import annotations

import selectors
import sys
from pathlib import Path

from .producer import GO
from .terminado_server import TerminadoViewer
from .viewer import Viewer


def main() -> None:
    """Look on until standard input ends."""
    key_file, *urls = sys.argv[1:]
    selector = selectors.DefaultSelector()
    selector.register(sys.stdin, selectors.EVENT_READ)
    for url in urls:
        viewer = Viewer(url, Path(key_file).read_text(encoding="ascii")) if key_file else TerminadoViewer(url)
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
