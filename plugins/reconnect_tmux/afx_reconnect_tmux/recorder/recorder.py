"""The process on the pipe of one pane: it keeps the pane's output, and gives it to whoever looks.

tmux starts it (``pipe-pane``) and hands it every byte that the pane's program writes. It outlives the Tower,
so that the offsets of the output stay the same while Towers come and go, and ends when the Tower says that
the pane is gone, or with the server. If it is killed nothing happens to the pane: the Tower starts another
one, which begins with what the pane shows. tmux reads a pane as fast as its program writes and waits for
nobody, so neither does this.
"""

from __future__ import annotations

import os
import select
import socket
import time
from typing import Any, ClassVar, Final

from afx_holding import frames
from afx_holding.address import Address
from afx_holding.clients import Client, Stream
from afx_holding.keeper import Keeper
from afx_holding.program import start_of

from .pane import RecordedPane
from .pipe import Pipe, receive

_SEED_WITHIN: Final = 3.0
_MOST_AT_ONCE: Final = 16
_LOOK_EVERY: Final = 0.25
_LOOK_AGAIN: Final = 0.02
_RESIZED_WITHIN: Final = 0.5
_CHECK_EVERY: Final = 10.0
_LOOK_AT_SERVER_EVERY: Final = 1.0
_FORSAKEN_AFTER: Final = 86_400.0
_UNCLAIMED_AFTER: Final = 60.0


class Recorder(Keeper):
    """One pane's output and who is connected to read it.

    Args:
        address: Where it is found.
        pane: Keeps the output.
        waits_for_seed: Whether the Tower will first say what the pane showed when the pipe was laid.
    """

    _terminal: RecordedPane

    def __init__(self, address: Address, pane: RecordedPane, *, waits_for_seed: bool) -> None:
        super().__init__(pane, address)
        self._check_every = _CHECK_EVERY
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._pipe = Pipe()
        self._handed: list[int] = []
        """The descriptors that came with what is being read."""
        self._server = os.getppid()
        self._waits_for_seed = waits_for_seed
        self._claimed = False
        """Whether a Tower was ever here. A start may fail before the recorder is there."""
        self._began = time.time()
        self._look_until = 0.0

    def serve(self) -> None:
        """Record until the Tower says that nobody needs this any more, or nobody can."""
        self._address.bind(self._listener)
        self._look_at_size()
        self._timers.set(self._check_socket, self._check_every)
        if self._waits_for_seed:
            self._timers.set(self._do_without_seed, _SEED_WITHIN)
        while not self._over:
            self._turn()
        self._address.remove()

    def _turn(self) -> None:
        """Wait until something happens, and see to it."""
        readers: list[Any] = [self._listener, *(client.descriptor for client in self._clients)]
        pipe = self._pipe.descriptor if self._pipe.laid and not self._waits_for_seed else None
        if pipe is not None:
            readers.append(pipe)
        writers = [client.descriptor for client in self._clients if client.unsent]
        due = self._timers.next_due()
        timeout = None if due is None else max(0.0, due - time.monotonic())
        readable, writable, _ = select.select(readers, writers, [], timeout)
        if pipe in readable:
            self._record()
        self._serve_clients(readable, writable)

    # The pane

    def _record(self) -> None:
        """Take one piece from the pipe."""
        piece = self._pipe.read()
        if piece:
            self._add_output(piece)
        elif piece is not None:
            self._pipe.end()
            self._note_pipe()

    def _record_all(self) -> None:
        """Take what the pipe holds now; not without limit, as others may write on."""
        for _piece in range(_MOST_AT_ONCE):
            if self._over or not self._pipe.is_ready:
                break
            self._record()

    def _note_pipe(self) -> None:
        """Have the Tower ask tmux why nothing comes any more, or know that something does again."""
        if self._tower is not None:
            self._tower.send(frames.control(frames.PIPE, laid=self._pipe.laid))
        self._schedule_end()
        self._look_at_server()

    def _schedule_end(self) -> None:
        """Where nothing comes, and no Tower looks, be over in the end."""
        if self._pipe.laid or self._tower is not None:
            self._timers.cancel(self._finish)
        elif not self._timers.is_set(self._finish):
            self._timers.set(self._finish, _FORSAKEN_AFTER if self._claimed else _UNCLAIMED_AFTER)

    def _look_at_server(self) -> None:
        """Where nothing comes any more, be over when the server that started this is."""
        if self._pipe.laid:
            return
        if os.getppid() != self._server or self._server == 1:
            self._finish()
        else:
            self._timers.set(self._look_at_server, _LOOK_AT_SERVER_EVERY)

    def _add_output(self, output: bytes) -> None:
        self._terminal.add_output(output)
        if not self._timers.is_set(self._look_at_size):
            self._timers.set(self._look_at_size, _LOOK_EVERY)
        self._schedule_activity(time.monotonic())

    def _do_without_seed(self) -> None:
        self._waits_for_seed = False

    def _look_at_size(self) -> None:
        """Learn of a size that a person's tmux gave the pane. A program that was resized writes."""
        if self._learn_size():
            cols, rows = self._terminal.cols, self._terminal.rows
            self._tell_all(frames.control(frames.RESIZED, cols=cols, rows=rows))
        elif time.monotonic() < self._look_until:
            self._timers.set(self._look_at_size, _LOOK_AGAIN)

    def _learn_size(self) -> bool:
        """Ask for the pane's size, and return whether it has changed."""
        before = self._terminal.cols, self._terminal.rows
        # In the moment of a jiggle it is not the pane's own.
        size = None if self._timers.is_set(self._terminal.settle) else self._terminal.ask_size()
        self._terminal.cols, self._terminal.rows = size or before
        return size is not None and size != before

    # Clients

    def _hear(self, client: Client) -> None:
        if client.role is not None:
            super()._hear(client)
            return
        data, self._handed = receive(client)
        self._read(client, data)
        for descriptor in self._handed:
            os.close(descriptor)
        self._handed = []

    def _on_hello(self, client: Client, fields: frames.Fields) -> None:
        if fields.get("client") == "pipe" and self._handed and not self._pipe.laid:
            client.role = "pipe"
            self._pipe.take(self._handed.pop())
            self._note_pipe()
            client.send(self._welcome(resumed=False))
        else:
            super()._on_hello(client, fields)

    def _replace_tower(self, client: Client) -> None:
        super()._replace_tower(client)
        self._claimed = True
        self._record_all()

    def _have_repainted(self, stream: Stream) -> None:
        # Only a replay from the very beginning shows all of a full-screen program's screen for certain.
        if stream.position > 0:
            super()._have_repainted(stream)

    def _welcome(self, *, resumed: bool) -> bytes:
        self._learn_size()
        return frames.control(
            frames.WELCOME,
            version=frames.VERSION,
            pid=os.getpid(),
            pid_start=start_of(os.getpid()),
            terminal_id=os.fsdecode(self._address.terminal_id),
            agent_id="",
            started_at=self._began,
            resumed=resumed,
            piped=self._pipe.laid,
            **self._terminal.facts(),
        )

    # What the Tower says

    def _on_request(self, client: Client, kind: int, payload: bytes) -> None:
        if client is not self._tower:
            return
        if kind == frames.SHOW:
            # What was written before this was said to be shown comes first; a seed comes before everything.
            if not self._waits_for_seed:
                self._record_all()
            self._timers.cancel(self._do_without_seed)
            self._waits_for_seed = False
            self._add_output(payload)
        elif kind in self._handlers:
            self._handlers[kind](self, frames.fields_of(payload))

    def _on_resize(self, fields: frames.Fields) -> None:
        """The Tower had tmux resize the pane; what it has now is told to all."""
        del fields
        self._timers.cancel(self._terminal.settle)
        # tmux gives a pane its size a moment after it said so.
        self._look_until = time.monotonic() + _RESIZED_WITHIN
        self._look_at_size()

    def _on_exit(self, fields: frames.Fields) -> None:
        """The program ended. All that it wrote before is told before."""
        self._record_all()
        end = {name: fields.get(name) for name in ("code", "signal", "at")}
        self._terminal.exit = end
        self._noted = False
        self._timers.cancel(self._terminal.settle)
        self._tell_all(frames.control(frames.EXIT, **end))

    def _on_respawned(self, fields: frames.Fields) -> None:
        self._terminal.exit = None
        self._terminal.tty = frames.text(fields, "tty")
        child = {name: fields.get(name) for name in ("pid", "start")}
        self._tell_all(frames.control(frames.RESPAWNED, **child))

    def _on_ack(self, fields: frames.Fields) -> None:
        self._take_ack(fields)

    def _on_terminate(self, fields: frames.Fields) -> None:
        del fields
        self._record_all()
        if not self._over:
            self._finish()

    _handlers: ClassVar = {
        frames.RESIZE: _on_resize,
        frames.EXIT: _on_exit,
        frames.RESPAWNED: _on_respawned,
        frames.ACK: _on_ack,
        frames.TERMINATE: _on_terminate,
    }
