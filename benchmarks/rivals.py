"""Other servers of terminals, which the Tower is compared with where they are installed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import NamedTuple

from . import terminado_server, ttyd
from .viewer import Viewer


class Rival(NamedTuple):
    """One of them.

    Attributes:
        is_installed: Tells whether it can be measured here.
        serving: Serves commands for as long as its context lasts, and gives a URL for each; every viewer
            of one has a new terminal.
        viewer: Looks at what is served at such a URL.
    """

    name: str
    is_installed: Callable[[], bool]
    serving: Callable[..., AbstractContextManager[list[str]]]
    viewer: Callable[[str], Viewer]


RIVALS = {
    rival.name: rival
    for rival in (
        Rival(
            "terminado",
            terminado_server.is_installed,
            terminado_server.serving,
            terminado_server.TerminadoViewer,
        ),
        Rival("ttyd", ttyd.is_installed, ttyd.serving, ttyd.TtydViewer),
    )
}
"""By name."""
