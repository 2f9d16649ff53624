"""The Tower as a process: it boots, only then listens, serves until it is told to stop, and lets go.

Whoever started it learns of the outcome through the pipe whose number is in ``AFX_READY_FD``: one line of
JSON, and then the end of the pipe.
"""

from __future__ import annotations

import errno
import gc
import json
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import msgspec
import uvicorn

from afx import __version__
from afx.api.errors import AfxError
from afx.api.process import identify
from afx.installed import DIRECTORY
from afx.settings import state_directory
from afx.settings.remembered import RememberedSettings
from afx.tower.lock import StateDirectoryLock
from afx.tower.tower import Tower

from .app import build_app
from .auth import Gate, load_key
from .home import prepare
from .log import set_up_log
from .parting import Parting
from .patience import PatientProtocol
from .port import bind, last_port, taken

log = logging.getLogger("afx.server")

_LARGEST_INPUT = 1024 * 1024
_LAST_WORDS = 2
_PARTING = 1.0


class Announcement:
    """The one line to whoever started this process."""

    def __init__(self) -> None:
        number = os.environ.pop("AFX_READY_FD", "")
        self._descriptor = int(number) if number.isdigit() else None
        if self._descriptor is not None:
            # The pipe's end is how the starter learns that nothing more comes: no child may keep it open.
            os.set_inheritable(self._descriptor, False)

    @property
    def is_awaited(self) -> bool:
        """Whether there is somebody to tell."""
        return self._descriptor is not None

    def make(self, **facts: object) -> None:
        """Tell, once."""
        if self._descriptor is None:
            return
        descriptor, self._descriptor = self._descriptor, None
        with os.fdopen(descriptor, "w", encoding="utf-8") as pipe:
            try:
                pipe.write(json.dumps(facts) + "\n")
                pipe.flush()
            except BrokenPipeError:
                log.warning("Whoever started the Tower did not wait for it.")


class Server(uvicorn.Server):
    """uvicorn, told when to stop by us and telling us when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = anyio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone: the Tower hears them itself."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets=sockets)
        self.listening.set()


def main() -> int:
    """Run the Tower of this environment until it is stopped; return the exit status.

    With the argument ``--rehearse`` it only finds out, and announces, whether a Tower could start.
    """
    announcement = Announcement()
    try:
        anyio.run(_rehearse if sys.argv[1:] == ["--rehearse"] else _run, announcement)
    except AfxError as error:
        return _refuse(announcement, error)
    except BaseExceptionGroup as group:
        foreseen, unforeseen = group.split(AfxError)
        if foreseen is None or unforeseen is not None:
            raise
        return _refuse(announcement, _first(foreseen))
    return 0


def _refuse(announcement: Announcement, error: AfxError) -> int:
    announcement.make(ready=False, code=error.code, message=error.message, hint=error.hint)
    log.error("%s", error.message)
    print(
        f"Error: {error.message}", *([f"Hint: {error.hint}"] if error.hint else ()), sep="\n", file=sys.stderr
    )
    return 2


async def _rehearse(announcement: Announcement) -> None:
    """Come as far as one can while another Tower may run; what a start needs is imported by now."""
    await Tower.rehearse(state_directory(), RememberedSettings()(None))
    announcement.make(ready=True)


async def _run(announcement: Announcement) -> None:
    settings_for = RememberedSettings()
    settings_for(None)  # What is wrong with them is said before anything else.
    home = state_directory()
    prepare(home)
    # First of all: a second Tower must not touch the key and the log of the first.
    lock = StateDirectoryLock.take(home)
    try:
        try:
            key = load_key(home)
            set_up_log(home, key, to_stderr=not announcement.is_awaited)
        except OSError as error:
            raise _unwritable(home, error) from None
        lock.sign()
        await _boot(announcement, settings_for, home, key)
    finally:
        lock.release()
    log.info("The Tower is gone.")


async def _boot(announcement: Announcement, settings_for: RememberedSettings, home: Path, key: str) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with Tower.open(home, settings_for, dict(os.environ)) as tower:
            listener = bind(settings_for(None)["tower.port"], last_port(home))
            port = listener.getsockname()[1]
            url = f"http://127.0.0.1:{port}"
            parting = Parting()
            app = build_app(tower, Gate(key, port), url, parting)
            server = Server(_server_config(app))
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_serve, server, listener, port)
                await server.listening.wait()
                with _published(home, port, url):
                    log.info("The Tower %s serves %s at %s.", __version__, home, url)
                    announcement.make(ready=True, url=url, pid=os.getpid())
                    _look_for_garbage()
                    async for number in signals:
                        log.info("Stopping on %s; every terminal lives on.", signal.Signals(number).name)
                        break
                    await parting.begin(_PARTING)
                    server.should_exit = True


def _look_for_garbage() -> None:
    """Begin to collect garbage, but never again among what the boot has loaded.

    A full collection that goes through all modules takes some 10 ms, in which no keystroke gets on.
    """
    gc.freeze()
    gc.enable()


def _server_config(app: object) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]  # uvicorn's own type is narrower than ASGI
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        http=PatientProtocol,
        ws="websockets-sansio",
        ws_max_size=_LARGEST_INPUT,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=_LAST_WORDS,
    )


async def _serve(server: Server, listener: socket.socket, port: int) -> None:
    try:
        await server.serve(sockets=[listener])
    except OSError as error:
        # Two sockets may be bound to one port; only one may listen.
        if error.errno == errno.EADDRINUSE:
            raise taken(port) from None
        raise


@contextmanager
def _published(home: Path, port: int, url: str) -> Iterator[None]:
    """Say in ``tower.json`` where the Tower is, for as long as it is there, and for later on which port."""
    path = home / "tower.json"
    facts = {
        # Who it is, as in the lock's file, which somebody may delete.
        **msgspec.to_builtins(identify(os.getpid())),
        "port": port,
        "url": url,
        "version": __version__,
        "installed_in": DIRECTORY,
        "started_at": time.time(),
    }
    try:
        _write(path, json.dumps(facts))
        _write(home / "port", str(port))
    except OSError as error:
        raise _unwritable(home, error) from None
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _write(path: Path, text: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(text + "\n", encoding="utf-8")
    new.chmod(0o600)
    new.replace(path)


def _unwritable(home: Path, error: OSError) -> AfxError:
    return AfxError(
        f"Nothing can be written to the state directory {home}: {error.strerror}.",
        hint="`afx doctor` looks at it. Terminals live on meanwhile.",
    )


def _first(errors: BaseExceptionGroup[AfxError]) -> AfxError:
    for error in errors.exceptions:
        return _first(error) if isinstance(error, BaseExceptionGroup) else error
    return AfxError("The Tower could not start.")
