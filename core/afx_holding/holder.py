"""The process that holds one terminal: one `select` loop over its output, its program's end and the clients.

It outlives the Tower, the shell it came from, any client, and the package it was started from. Back-pressure
goes to the program: while somebody reads, the fastest reader sets its pace. What is done to the terminal and
its program is in `terminal`; who gets which bytes is decided by `clients`. What is run at every start, and in
every idle turn, is kept short: each page of memory that is written to is this process's own from then on.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any, ClassVar, Final

from afx_holding import frames
from afx_holding.address import Address
from afx_holding.clients import ATTENTION, Client, Stream
from afx_holding.keeper import Keeper
from afx_holding.launch import read_program, read_size
from afx_holding.program import LaunchError
from afx_holding.terminal import Terminal

_PACE: Final = 256 * 1024
_MOST_INPUT: Final = 1 << 20
_GRACE: Final = 3.0
_LOOK_AGAIN: Final = 0.05
_SIGCHLD: Final = int(signal.SIGCHLD)
_set_handler: Final = import_module("_signal").signal
"""What `signal.signal` calls, without turning numbers into enums, which writes to many pages."""


_IGNORED: Final = (
    signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE, signal.SIGTSTP, signal.SIGTTIN,
    signal.SIGTTOU, signal.SIGUSR1, signal.SIGUSR2,
)  # fmt: skip


def take_descriptor() -> int:
    """Return another descriptor of what 0 is; leave 0, 1 and 2 to ``/dev/null``."""
    taken = os.dup(0)
    nothing = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    os.close(nothing)
    return taken


def ignore_signals() -> None:
    """See to it that no signal that can be ignored ends this process, nor those that are forked from it.

    SIGTERM wakes a holder, which then ends its program, and itself. To others it does nothing.
    """
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda _number, _frame: None)


class Holder(Keeper):
    """One terminal, its program, and who is connected to it."""

    _terminal: Terminal

    def __init__(self, terminal: Terminal) -> None:
        """Make one that holds nothing yet: how it comes to its terminal is a subclass's."""
        super().__init__(terminal, Address(b"", b""))
        self._wakeup = self._wakeup_end = -1
        self._welcomed = b""
        """The first WELCOME frame."""
        self._pace = 0
        self._husk_after = self._unnoticed_after = 0.0
        self._terminating = False
        self._launcher = Client()
        self._launcher.role = "tower"
        self._clients.append(self._launcher)
        self._tower = self._launcher

    def _open(self, launcher: int) -> None:
        """Talk to the Tower over `launcher`, be woken by signals, and be ready to listen."""
        os.set_inheritable(launcher, False)  # As received, it would reach the terminal's program.
        self._launcher.connect(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, launcher))
        self._wakeup, self._wakeup_end = os.pipe()
        os.set_blocking(self._wakeup, False)
        os.set_blocking(self._wakeup_end, False)
        signal.set_wakeup_fd(self._wakeup_end, warn_on_full_buffer=False)
        _set_handler(_SIGCHLD, _ignore)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

    def _begin(self, welcome: bytes) -> None:
        """Say to the Tower that it holds its terminal now."""
        # With a piece on top it is never more than the ring holds: who sets the pace loses nothing.
        self._pace = min(_PACE, self._ring.limit // 2)
        self._welcomed = welcome
        self._launcher.send(self._welcomed)
        self._timers.set(self._check_socket, self._check_every)

    # The loop

    def _turn(self) -> None:
        """Wait until something happens, and see to it."""
        readable, writable = self._wait()
        if self._wakeup in readable:
            self._on_wakeup()
        if self._terminal.descriptor in writable:
            self._terminal.write_input()
        if self._terminal.descriptor in readable:
            others = [self._wakeup, self._listener, *(client.descriptor for client in self._clients)]
            self._note_output(lambda: self._terminal.take_output(others))
            if self._terminal.hung_up:
                self._reap()
        self._serve_clients(readable, writable)

    def _wait(self) -> tuple[list[Any], list[Any]]:
        """Sleep until something can be done; return what can be read from and written to."""
        now = time.monotonic()
        readers: list[Any] = [self._wakeup, self._listener]
        writers: list[Any] = []
        attentive: list[Stream] = []
        input_full = len(self._terminal.input) > _MOST_INPUT
        for client in self._clients:
            if client.unsent:
                writers.append(client.descriptor)
            if not (input_full and client.typed):
                readers.append(client.descriptor)
            if client.stream is not None and client.stream.attentive(self._ring, now):
                attentive.append(client.stream)
        until = self._timers.next_due()
        if self._terminal.hung_up:
            pass
        elif not attentive or any(stream.behind(self._ring) <= self._pace for stream in attentive):
            readers.append(self._terminal.descriptor)
        else:
            # All who read are far behind. The program waits for one of them to read on, or to lose interest.
            patience = min(stream.took_at for stream in attentive) + ATTENTION
            until = patience if until is None else min(until, patience)
        if self._terminal.input:
            writers.append(self._terminal.descriptor)
        timeout = None if until is None else max(0.0, until - now)
        readable, writable, _ = select.select(readers, writers, [], timeout)
        return readable, writable

    def _streams(self) -> list[Stream]:
        return [client.stream for client in self._clients if client.stream is not None]

    # Signals to this process

    def _on_wakeup(self) -> None:
        try:
            numbers = os.read(self._wakeup, 4096)
        except BlockingIOError:
            return
        if signal.SIGTERM in numbers:
            # The machine goes down, or somebody wants this process gone. It goes politely, with its program.
            self._terminate(_GRACE)
        self._reap()

    # The program and its terminal

    def _add_output(self, output: bytes) -> None:
        if output:
            self._note_output(lambda: self._terminal.add_output(output))

    def _note_output(self, add: Callable[[], None]) -> None:
        """Let output be added, and take note of it."""
        before = self._ring.end
        add()
        if self._ring.end == before:
            return
        now = time.monotonic()
        for stream in self._streams():
            if stream.position == before:
                stream.took_at = now  # It has not been behind until now.
        self._schedule_activity(now)

    def _reap(self) -> None:
        if not self._terminal.has_ended() or self._terminal.exit is None:
            if self._terminal.hung_up and self._terminal.exit is None:
                # Of a program that is not this process's child no signal tells that it has ended.
                self._timers.set(self._reap, _LOOK_AGAIN)
            return
        # All that it wrote before its end is told before its end.
        self._note_output(self._terminal.take_last_output)
        self._noted = False
        self._timers.cancel(self._terminal.settle)
        self._tell_all(frames.control(frames.EXIT, **self._terminal.exit))
        if self._terminating:
            self._finish()
        else:
            self._schedule_end()

    # What clients ask for

    def _welcome(self, *, resumed: bool) -> bytes:
        first = frames.fields_of(self._welcomed[frames.HEADER.size :])
        return frames.control(frames.WELCOME, **(first | self._terminal.facts() | {"resumed": resumed}))

    def _on_request(self, client: Client, kind: int, payload: bytes) -> None:
        if kind == frames.INPUT:
            client.typed = True
            self._terminal.type(payload)
        elif kind == frames.SHOW:
            if client is self._tower and self._terminal.exit is not None:
                self._add_output(payload)
        elif kind == frames.PING:
            client.send(frames.raw(frames.PONG, payload))
        elif kind in self._handlers:
            self._handlers[kind](self, client, frames.fields_of(payload))

    def _on_resize(self, client: Client, fields: frames.Fields) -> None:
        cols, rows = read_size(fields)
        changed = (cols, rows) != (self._terminal.cols, self._terminal.rows)
        if changed:
            self._timers.cancel(self._terminal.settle)
            self._terminal.resize(cols, rows)
        self._tell(
            client, frames.control(frames.RESIZED, cols=cols, rows=rows, request=fields.get("request"))
        )
        if changed:
            for other in self._clients:
                if other is not client:
                    self._tell(other, frames.control(frames.RESIZED, cols=cols, rows=rows))

    def _on_signal(self, client: Client, fields: frames.Fields) -> None:
        del client
        self._terminal.signal(frames.number(fields, "number", 1, signal.NSIG - 1))

    def _on_spawn(self, client: Client, fields: frames.Fields) -> None:
        program = read_program(fields)
        if client is not self._tower:
            return
        if self._terminal.exit is None:
            client.send_refusal("The terminal's program still runs.", "Stop it first.")
            return
        try:
            undone = self._terminal.relaunch(program)
        except LaunchError as error:
            client.send_refusal(error.message, error.hint)
            return
        self._add_output(undone)
        self._tell_all(frames.control(frames.RESPAWNED, pid=self._terminal.pid, start=self._terminal.start))
        self._schedule_end()

    def _on_ack(self, client: Client, fields: frames.Fields) -> None:
        if client is self._tower:
            self._take_ack(fields)

    def _on_terminate(self, client: Client, fields: frames.Fields) -> None:
        if client is self._tower:
            self._terminate(frames.seconds(fields, "grace", _GRACE))

    # The end

    def _terminate(self, grace: float) -> None:
        self._terminating = True
        if self._terminal.exit is not None:
            self._finish()
            return
        self._terminal.hang_up()
        self._timers.set(self._terminal.kill, grace)

    def _finish(self) -> None:
        """Leave nothing behind but a note of an end that no Tower noted, say so, and be over."""
        if self._terminal.exit is not None and not self._noted and self._tower is None:
            self._address.leave_note(self._terminal.exit)
        super()._finish()

    def _schedule_end(self) -> None:
        """Decide when a holder whose program has ended, and whom nobody needs, ends as well."""
        self._timers.cancel(self._finish)
        if self._terminal.exit is None:
            return
        if self._noted and not self._clients:
            self._timers.set(self._finish, self._husk_after)
        elif not self._noted and self._tower is None:
            self._timers.set(self._finish, self._unnoticed_after)

    _handlers: ClassVar = {
        frames.RESIZE: _on_resize,
        frames.SIGNAL: _on_signal,
        frames.SPAWN: _on_spawn,
        frames.ACK: _on_ack,
        frames.TERMINATE: _on_terminate,
    }


def _ignore(_number: int, _frame: object) -> None:
    """Be woken by a signal, and do nothing else."""
