"""One lasting connection to a tmux server, in its control mode, for commands that must be quick and unseen.

What a person types goes this way: a command costs a fraction of a millisecond, and none of it stands in a
command line that `ps` shows. The client is attached to one of our sessions, since tmux has no other way, and
takes part in nothing: it reads no output and sets no size.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections import deque

import anyio

from .launching import PYTHON
from .tmux import Tmux, TmuxError, TmuxSilentError

_PIECE = 65536
_ATTACH = ("-C", "attach-session", "-f", "no-output,ignore-size", "-t")


class _Answer:
    """What a command was answered, once it was."""

    def __init__(self) -> None:
        self.event = anyio.Event()
        self.lines: list[str] = []
        self.failed: str | None = None


class ControlClient:
    """A control client of one server, opened at the first command and again after it was lost."""

    def __init__(self, tmux: Tmux) -> None:
        self._tmux = tmux
        self._process: subprocess.Popen[bytes] | None = None
        self._reading = self._writing = -1
        self._waiting: deque[_Answer] = deque()
        self._current: _Answer | None = None
        self._number = ""
        """What tmux calls the answer that is being read. A line of text may look like the end of one."""
        self._rest = b""

    async def ask(self, session: str, *commands: str, deadline: float) -> list[str]:
        """Give tmux these command lines, in order and with nothing in between; return what the last prints.

        Args:
            session: The id of a session to attach to, where this is not attached yet.
            commands: Lines in tmux's own syntax.
            deadline: How many seconds may pass.

        Raises:
            TmuxSilentError: It did not answer in time. Whether it did what it was asked is not known.
            TmuxError: It refused one of the commands, or is gone.
        """
        process = self._process or self._open(session)
        answers = [_Answer() for _ in commands]
        self._waiting.extend(answers)
        text = "".join(f"{command}\n" for command in commands).encode()
        try:
            with anyio.fail_after(deadline):
                await self._send(process, text)
                for answer in answers:
                    await answer.event.wait()
        except TimeoutError:
            self.close()
            raise TmuxSilentError(f"The tmux server does not answer ({self._tmux.called}).") from None
        failed = next((answer.failed for answer in answers if answer.failed is not None), None)
        if failed is not None:
            raise TmuxError(f"tmux refuses: {failed}.")
        return answers[-1].lines

    def close(self) -> None:
        """Detach, and end the client. Whoever waits for an answer is told that there will be none."""
        process, self._process = self._process, None
        if process is not None:
            asyncio.get_running_loop().remove_reader(self._reading)
            os.close(self._reading)
            os.close(self._writing)
            process.kill()
            process.wait()
        waiting, self._waiting = self._waiting, deque()
        for answer in [*([self._current] if self._current else []), *waiting]:
            answer.failed = answer.failed or "the connection to it ended"
            answer.event.set()
        self._current, self._rest = None, b""

    def _open(self, session: str) -> subprocess.Popen[bytes]:
        to_read, self._writing = os.pipe()
        self._reading, to_write = os.pipe()
        os.set_blocking(self._writing, False)
        try:
            process = subprocess.Popen(
                [*PYTHON, "attend", str(os.getpid()), *self._tmux.argv, *_ATTACH, session],
                stdin=to_read,
                stdout=to_write,
                stderr=subprocess.DEVNULL,
                env=self._tmux.env,
                cwd="/",
            )
        except OSError as error:
            os.close(self._reading)
            os.close(self._writing)
            raise TmuxError(f"tmux cannot be started: {error.strerror}.") from error
        finally:
            os.close(to_read)
            os.close(to_write)
        self._process = process
        self._waiting.append(_Answer())  # The answer to its own attaching comes first.
        asyncio.get_running_loop().add_reader(self._reading, self._on_readable)
        return process

    async def _send(self, process: subprocess.Popen[bytes], text: bytes) -> None:
        while text and process is self._process:
            try:
                text = text[os.write(self._writing, text) :]
            except BlockingIOError:
                await anyio.wait_writable(self._writing)
            except OSError:
                self.close()

    def _on_readable(self) -> None:
        data = os.read(self._reading, _PIECE)
        if not data:
            self.close()
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._take(line.decode("utf-8", "replace"))

    def _take(self, line: str) -> None:
        word, _, number = line.partition(" ")
        if self._current is None:
            if word == "%begin" and self._waiting:
                self._current, self._number = self._waiting.popleft(), number
        elif word in {"%end", "%error"} and number == self._number:
            if word == "%error":
                self._current.failed = " ".join(self._current.lines) or "it says nothing"
            self._current.event.set()
            self._current = None
        else:
            self._current.lines.append(line)
