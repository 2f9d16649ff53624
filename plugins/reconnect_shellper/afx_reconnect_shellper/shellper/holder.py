"""The process that holds one terminal: one `select` loop over the PTY, the program's end and the clients.

It outlives the Tower, the shell it came from, any client, and the package it was started from. Back-pressure
goes to the PTY: while somebody reads, the fastest reader sets the program's pace. What a terminal's bytes
mean is told by `screen_modes`, and who gets which of them is decided by `clients`.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable
from typing import Any, Final

from . import frames
from .address import Address
from .child import LaunchError, Pty, find, start_of
from .clients import ATTENTION, Client, Stream
from .launch import Launch, read_program, read_size
from .peer import is_same_user
from .ring import Ring
from .screen_modes import MODES_OFF
from .timers import Timers

_HELLO_WITHIN: Final = 5.0
_MOST_CLIENTS: Final = 200
_PACE: Final = 256 * 1024
_MOST_INPUT: Final = 1 << 20
_FLOOD: Final = 2048
"""From so many bytes at once it is a flood, and output is gathered for a moment."""
_GATHER: Final = 0.002
_JIGGLE: Final = 0.05
_GRACE: Final = 3.0


class Holder:
    """One terminal, its program, and who is connected to it."""

    def __init__(self, launch: Launch, launcher: Client) -> None:
        """Make everything ready but the process itself, which `hold` is called in.

        Raises:
            LaunchError: The program cannot be started. Nothing is left.
            OSError: The terminal cannot be made. Nothing is left.
        """
        self._path = find(launch.program)
        self._launch = launch
        self._ring = Ring(launch.scrollback)
        # With a piece on top it is never more than the ring holds: who sets the pace loses nothing.
        self._pace = min(_PACE, launch.scrollback // 2)
        self._address = Address(launch.directory, launch.terminal_id)
        self._pty = Pty(launch.cols, launch.rows)
        self._pty_ended = False
        try:
            self._listener = self._address.bind()
        except BaseException:
            self._pty.close()
            raise
        self._wakeup, self._wakeup_end = os.pipe()
        for end in (self._wakeup, self._wakeup_end):
            os.set_blocking(end, False)
        self._own_start: str | None = None
        self._pid = 0
        self._start: str | None = None
        self._started_at = time.time()
        self._last_output_at: float | None = None
        self._exit: dict[str, Any] | None = None
        self._noted = False
        """Whether a Tower said that it noted the program's end."""
        self._terminating = False
        self._over = False
        self._launcher = launcher
        self._clients: list[Client] = [launcher]
        self._tower: Client | None = None
        self._input = bytearray()
        self._told_activity = 0.0
        self._timers = Timers()
        self._handlers: dict[int, Callable[[Client, frames.Fields], None]] = {
            frames.RESIZE: self._on_resize,
            frames.SIGNAL: self._on_signal,
            frames.SPAWN: self._on_spawn,
            frames.ACK: self._on_ack,
            frames.TERMINATE: self._on_terminate,
        }

    def leave_nothing(self) -> None:
        """Remove what was made, where no process came to hold it."""
        self._address.remove()

    def let_go(self) -> None:
        """Close all that is open, where another process is the holder now, or none."""
        self._listener.close()
        self._pty.close()
        os.close(self._wakeup)
        os.close(self._wakeup_end)

    def hold(self) -> None:
        """Be the holder, in a process of its own, until the terminal is over."""
        os.setsid()
        _set_name()
        signal.set_wakeup_fd(self._wakeup_end, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        self._own_start = start_of(os.getpid())
        try:
            self._pid, self._start = self._pty.launch(self._path, self._launch.program)
        except LaunchError as error:
            self.leave_nothing()
            self._launcher.refuse(error.message, error.hint)
            return
        except BaseException:
            self.leave_nothing()
            raise
        self._welcome_tower(self._launcher)
        self._run()

    # The loop

    def _run(self) -> None:
        self._timers.set(self._check_socket, self._launch.check_every)
        while not self._over:
            readable, writable = self._wait()
            if self._wakeup in readable:
                self._on_wakeup()
            if self._pty.master in writable:
                self._write_input()
            if self._pty.master in readable:
                self._read_output()
            if self._listener in readable:
                self._accept()
            for client in list(self._clients):
                if client in writable:
                    client.flush()
                if client in readable:
                    self._hear(client)
            self._pump()
            self._timers.run()

    def _wait(self) -> tuple[list[Any], list[Any]]:
        """Sleep until something can be done; return what can be read from and written to."""
        now = time.monotonic()
        readers: list[Any] = [self._wakeup, self._listener]
        writers: list[Any] = [client for client in self._clients if client.blocked]
        input_full = len(self._input) > _MOST_INPUT
        readers.extend(client for client in self._clients if not (input_full and client.typed))
        until = self._timers.next_due()
        attentive = [stream for stream in self._streams() if stream.attentive(self._ring, now)]
        if self._pty_ended:
            pass
        elif not attentive or any(stream.behind(self._ring) <= self._pace for stream in attentive):
            readers.append(self._pty.master)
        else:
            # All who read are far behind. The program waits for one of them to read on, or to lose interest.
            patience = min(stream.took_at for stream in attentive) + ATTENTION
            until = patience if until is None else min(until, patience)
        if self._input:
            writers.append(self._pty.master)
        timeout = None if until is None else max(0.0, until - now)
        readable, writable, _ = select.select(readers, writers, [], timeout)
        return readable, writable

    def _streams(self) -> list[Stream]:
        return [client.stream for client in self._clients if client.stream is not None]

    def _pump(self) -> None:
        now = time.monotonic()
        for client in self._clients:
            client.pump(self._ring, now)
        if any(client.lost for client in self._clients):
            self._drop_lost()

    def _drop_lost(self) -> None:
        for client in [client for client in self._clients if client.lost]:
            self._clients.remove(client)
            client.connection.close()
            if client is self._tower:
                self._tower = None
        self._schedule_end()

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

    def _read_pty(self, most: int = frames.PIECE) -> bytes:
        """Return what the PTY has; nothing where it has nothing now, or will never have again."""
        try:
            piece = os.read(self._pty.master, most)
        except BlockingIOError:
            return b""
        except OSError:
            piece = b""
        # BSD says so once no process has the terminal open any more.
        self._pty_ended = not piece
        return piece

    def _read_output(self) -> None:
        """Take output from the PTY: a keystroke's echo at once, of a flood as much as comes in a moment.

        A PTY gives a few KiB at a time. Everything that is done once for each piece, here and in all who
        read, is done more seldom this way.
        """
        pieces: list[bytes] = []
        taken = 0
        until: float | None = None
        while taken < frames.PIECE:
            piece = self._read_pty(frames.PIECE - taken)
            if piece:
                pieces.append(piece)
                taken += len(piece)
                continue
            if self._pty_ended or taken < _FLOOD:
                break
            now = time.monotonic()
            until = until or now + _GATHER
            if not self._only_output_comes(until - now):
                break
        if pieces:
            self._add_output(pieces[0] if len(pieces) == 1 else b"".join(pieces))

    def _only_output_comes(self, within: float) -> bool:
        readers: list[Any] = [self._pty.master, self._wakeup, self._listener, *self._clients]
        readable, _, _ = select.select(readers, [], [], max(0.0, within))
        return readable == [self._pty.master]

    def _drain(self) -> None:
        """Take what an ended program wrote before its end; not without limit, as others may write on."""
        until = self._ring.end + self._launch.scrollback // 4
        while self._ring.end < until and (piece := self._read_pty()):
            self._add_output(piece)

    def _add_output(self, output: bytes) -> None:
        now = time.monotonic()
        end = self._ring.end
        for stream in self._streams():
            if stream.position == end:
                stream.took_at = now  # It has not been behind until now.
        self._ring.append(output)
        self._last_output_at = time.time()
        if self._tower is not None and not self._timers.is_set(self._tell_activity):
            self._timers.set(self._tell_activity, max(0.0, self._told_activity + 1 - now))

    def _tell_activity(self) -> None:
        if self._tower is not None and not self._tower.blocked:
            self._told_activity = time.monotonic()
            self._tower.send(frames.control(frames.ACTIVITY, at=self._last_output_at, offset=self._ring.end))

    def _write_input(self) -> None:
        try:
            written = os.write(self._pty.master, self._input[: frames.PIECE])
        except BlockingIOError:
            return
        except OSError:
            written = len(self._input)  # The terminal is gone, and with it whoever would have read this.
        del self._input[:written]

    def _reap(self) -> None:
        if self._exit is not None:
            return
        try:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
        except ChildProcessError:
            pid, status = self._pid, 0
        if pid == 0:
            return
        code = os.waitstatus_to_exitcode(status)
        ended_at = time.time()
        # All that it wrote before its end is read before its end is told.
        self._drain()
        self._exit = {
            "code": code if code >= 0 else None,
            "signal": -code if code < 0 else None,
            "at": ended_at,
        }
        self._noted = False
        self._input.clear()
        self._timers.cancel(self._stop_jiggle)
        for client in self._clients:
            self._tell(client, frames.control(frames.EXIT, **self._exit))
        if self._terminating:
            self._finish()
        else:
            self._schedule_end()

    def _tell(self, client: Client, frame: bytes) -> None:
        """Send a control frame; to an onlooker, after all output that came before it."""
        if client.stream is not None:
            client.stream.tell(self._ring.end, frame)
        elif client.role is not None:
            client.send(frame)

    def _tell_all(self, frame: bytes) -> None:
        for client in self._clients:
            self._tell(client, frame)

    # Clients

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return
        if len(self._clients) >= _MOST_CLIENTS or not is_same_user(connection):
            connection.close()
            return
        client = Client(connection)
        self._clients.append(client)
        self._schedule_end()

        def expect_hello() -> None:
            client.lost = client.lost or client.role is None

        self._timers.set(expect_hello, _HELLO_WITHIN)

    def _hear(self, client: Client) -> None:
        try:
            for kind, payload in client.decoder.feed(client.receive()):
                self._on_frame(client, kind, payload)
                if client.lost:
                    break
        except frames.FrameError:
            client.lost = True

    def _on_frame(self, client: Client, kind: int, payload: bytes) -> None:
        if client.role is None:
            if kind != frames.HELLO:
                raise frames.FrameError("HELLO comes first")
            self._on_hello(client, frames.fields_of(payload))
        elif kind == frames.INPUT:
            client.typed = True
            if self._exit is None:
                self._input += payload
                self._write_input()
        elif kind == frames.SHOW:
            if client is self._tower and self._exit is not None:
                self._add_output(payload)
        elif kind == frames.PING:
            client.send(frames.raw(frames.PONG, payload))
        elif kind in self._handlers:
            self._handlers[kind](client, frames.fields_of(payload))

    def _on_hello(self, client: Client, fields: frames.Fields) -> None:
        frames.number(fields, "version", 1, 1 << 30)
        if fields.get("client") == "tower":
            self._welcome_tower(client)
        elif fields.get("client") == "terminal":
            self._welcome_onlooker(client, fields)
        else:
            raise frames.FrameError("a client is a tower or a terminal")

    def _welcome_tower(self, client: Client) -> None:
        if self._tower is not None:
            self._tower.lost = True
        client.role = "tower"
        self._tower = client
        self._timers.cancel(self._tell_activity)
        client.send(self._welcome(resumed=False))
        if self._exit is not None and not self._noted:
            client.send(frames.control(frames.EXIT, **self._exit))
        self._schedule_end()

    def _welcome_onlooker(self, client: Client, fields: frames.Fields) -> None:
        since, tail = fields.get("since"), fields.get("tail")
        if tail is not None:
            tail = frames.number(fields, "tail", 0, 1 << 40)
        stream = Stream(self._ring, since if isinstance(since, str) else None, tail, time.monotonic())
        client.role = "terminal"
        client.send(self._welcome(resumed=stream.resumed))
        client.stream = stream
        if self._exit is not None:
            stream.tell(self._ring.end, frames.control(frames.EXIT, **self._exit))
        elif stream.alternate:
            self._jiggle()

    def _welcome(self, *, resumed: bool) -> bytes:
        launch, ring = self._launch, self._ring
        return frames.control(
            frames.WELCOME,
            version=frames.VERSION,
            pid=os.getpid(),
            pid_start=self._own_start,
            terminal_id=launch.terminal_id,
            agent_id=launch.agent_id,
            label=launch.label,
            epoch=ring.epoch,
            start=ring.start,
            offset=ring.end,
            cols=self._pty.cols,
            rows=self._pty.rows,
            started_at=self._started_at,
            last_output_at=self._last_output_at,
            child={"pid": self._pid, "start": self._start},
            exit=self._exit,
            resumed=resumed,
        )

    # What clients ask for

    def _on_resize(self, client: Client, fields: frames.Fields) -> None:
        cols, rows = read_size(fields)
        changed = (cols, rows) != (self._pty.cols, self._pty.rows)
        if changed:
            self._timers.cancel(self._stop_jiggle)
            self._pty.resize(cols, rows)
        self._tell(
            client, frames.control(frames.RESIZED, cols=cols, rows=rows, request=fields.get("request"))
        )
        if changed:
            for other in self._clients:
                if other is not client:
                    self._tell(other, frames.control(frames.RESIZED, cols=cols, rows=rows))

    def _jiggle(self) -> None:
        """Make a full-screen program repaint, for an onlooker who does not have all it ever painted.

        There is no other request that every program understands.
        """
        rows = self._pty.rows
        self._pty.show_size(self._pty.cols, rows - 1 if rows > 1 else rows + 1)
        self._timers.set(self._stop_jiggle, _JIGGLE)

    def _stop_jiggle(self) -> None:
        self._pty.show_size(self._pty.cols, self._pty.rows)

    def _on_signal(self, client: Client, fields: frames.Fields) -> None:
        del client
        number = frames.number(fields, "number", 1, signal.NSIG - 1)
        if self._exit is None and not self._pty.signal_foreground(number, self._pid):
            self._signal_child(number)

    def _signal_child(self, number: int) -> None:
        """Signal the program's group. Until it was waited for, its number can be nobody else's."""
        if self._exit is None:
            try:
                os.killpg(self._pid, number)
            except OSError:
                return  # It has just ended; or it runs as somebody else now, whom we may not signal.

    def _on_spawn(self, client: Client, fields: frames.Fields) -> None:
        program = read_program(fields)
        if client is not self._tower:
            return
        if self._exit is None:
            client.send_refusal("The terminal's program still runs.", "Stop it first.")
            return
        try:
            pid, start = self._pty.launch(find(program), program)
        except LaunchError as error:
            client.send_refusal(error.message, error.hint)
            return
        except OSError as error:
            client.send_refusal(f"The terminal cannot be used any more: {error.strerror}.")
            return
        self._pid, self._start = pid, start
        self._exit, self._pty_ended = None, False
        self._pty.resize(self._pty.cols, self._pty.rows)
        # The last program may have left the mouse on or the alternate screen up.
        if not self._ring.modes().plain:
            self._add_output(MODES_OFF)
        self._tell_all(frames.control(frames.RESPAWNED, pid=pid, start=start))
        self._schedule_end()

    def _on_ack(self, client: Client, fields: frames.Fields) -> None:
        if client is self._tower and self._exit is not None and fields.get("at") == self._exit["at"]:
            self._noted = True
            self._schedule_end()

    def _on_terminate(self, client: Client, fields: frames.Fields) -> None:
        if client is self._tower:
            self._terminate(frames.seconds(fields, "grace", _GRACE))

    # The end

    def _terminate(self, grace: float) -> None:
        self._terminating = True
        if self._exit is not None:
            self._finish()
            return
        for number in (signal.SIGHUP, signal.SIGCONT):
            self._pty.signal_foreground(number, self._pid)
            self._signal_child(number)
        self._timers.set(self._kill, grace)

    def _kill(self) -> None:
        self._pty.signal_foreground(signal.SIGKILL, self._pid)
        self._signal_child(signal.SIGKILL)

    def _finish(self) -> None:
        """Leave nothing behind, say so, and be over."""
        now = time.monotonic()
        if self._exit is not None and not self._noted and self._tower is None:
            self._address.leave_note(self._exit)
        self._address.remove()
        for client in self._clients:
            client.pump(self._ring, now)
            if client.role is not None:
                client.send(frames.control(frames.GONE))
        self._over = True

    def _schedule_end(self) -> None:
        """Decide when a holder whose program has ended, and whom nobody needs, ends as well."""
        ended = self._exit is not None
        alone = ended and self._noted and not self._clients
        unnoticed = ended and not self._noted and self._tower is None
        for due, action, after in (
            (alone, self._finish, self._launch.husk_after),
            (unnoticed, self._finish_unnoticed, self._launch.unnoticed_after),
        ):
            if not due:
                self._timers.cancel(action)
            elif not self._timers.is_set(action):
                self._timers.set(action, after)

    def _finish_unnoticed(self) -> None:
        self._finish()

    def _check_socket(self) -> None:
        """Bind the socket again where somebody removed its file."""
        self._timers.set(self._check_socket, self._launch.check_every)
        if self._address.is_ours():
            return
        try:
            listener = self._address.bind()
        except (OSError, LaunchError):
            return  # Its directory is gone or the place is taken: tried again later.
        self._listener.close()
        self._listener = listener


def _set_name() -> None:
    try:
        comm = os.open("/proc/self/comm", os.O_WRONLY)
    except OSError:
        return  # Only Linux has it, and it is but a name.
    os.write(comm, b"afx-shellper")
    os.close(comm)
