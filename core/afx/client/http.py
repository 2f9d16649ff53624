"""Requests to the Tower, over the standard library's HTTP client because it is quick to load.

Where the Tower listens and with what key is read from the state directory. The key goes into one header and
nowhere else: into no argument list, log or exception.
"""

from __future__ import annotations

import http.client
import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import quote, urlsplit

from afx.api.errors import AfxError, BadInputError, ConflictError, NotFoundError, UnreachableError

_BY_STATUS: Mapping[int, type[AfxError]] = {
    400: BadInputError,
    404: NotFoundError,
    409: ConflictError,
    413: BadInputError,
    422: BadInputError,
    503: UnreachableError,
}
_LONGEST_KEY = 4096


class TowerDownError(AfxError):
    """No Tower serves the state directory."""

    code = "tower-down"


class TowerAddress(NamedTuple):
    """Where a Tower listens, as ``tower.json`` has it, and the key that it wants.

    Attributes:
        url: Such as ``http://127.0.0.1:4100``.
        key: The secret. It must not be shown.
        facts: All of ``tower.json``.
    """

    url: str
    key: str
    facts: Mapping[str, Any]

    @classmethod
    def read(cls, home: Path) -> Self:
        """Read a state directory.

        Raises:
            TowerDownError: It says that no Tower runs.
            AfxError: The key cannot be used.
        """
        try:
            text = (home / "tower.json").read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise _down() from None
        except OSError as error:
            raise AfxError(
                f"{home / 'tower.json'} cannot be read: {error.strerror}.",
                hint="`afx doctor` looks at the state directory.",
            ) from None
        try:
            facts = json.loads(text)
            url = str(facts["url"])
            # A Tower that was killed leaves its file behind, and a stranger may listen on its port by now,
            # who must not get the key. This asks for the process; it sends no signal.
            os.getsid(int(facts["pid"]))
        except (ValueError, KeyError, TypeError, OSError):
            raise _down() from None
        return cls(url.rstrip("/"), _read_key(home / "key"), facts)

    def __repr__(self) -> str:
        return f"TowerAddress({self.url!r})"


class Output(NamedTuple):
    """A piece of a terminal's output.

    Attributes:
        data: The bytes.
        start: Where they begin, as ``EPOCH:OFFSET``.
        end: Where they end.
    """

    data: bytes
    start: str
    end: str


class TowerClient:
    """Speaks to one Tower. Made by `connect`; not to be shared by threads."""

    def __init__(self, address: TowerAddress, *, timeout: float = 30.0) -> None:
        self.address = address
        place = urlsplit(address.url)
        self._connection = http.client.HTTPConnection(
            place.hostname or "127.0.0.1", place.port, timeout=timeout
        )

    @classmethod
    def connect(cls, home: Path, *, timeout: float = 30.0) -> Self:
        """Connect to the Tower of a state directory.

        Args:
            home: The state directory.
            timeout: How many seconds an answer may take.

        Raises:
            TowerDownError: No Tower runs, or it refuses the connection.
            AfxError: The key cannot be used.
        """
        client = cls(TowerAddress.read(home), timeout=timeout)
        try:
            client._connection.connect()
        except OSError:
            raise _down() from None
        return client

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def get(self, path: str) -> Any:  # noqa: ANN401 - what JSON holds
        """Return the answer to a GET request.

        Raises:
            AfxError: The Tower's own error, as the subclass that fits, or that it does not answer.
        """
        return self._json("GET", path)

    def post(self, path: str, body: Mapping[str, object] | None = None) -> Any:  # noqa: ANN401 - as `get`
        """Return the answer to a POST request; None where it has no body. Raises as `get`."""
        return self._json("POST", path, {} if body is None else body)

    def post_for_lines(self, path: str, body: Mapping[str, object]) -> Iterator[Any]:
        """Yield the lines of JSON that answer a POST request, each as it comes. Raises as `get`."""
        with self._asked("POST", path, body) as answer:
            while line := answer.readline():
                try:
                    yield json.loads(line)
                except ValueError:
                    raise TowerDownError(
                        "The Tower went away in the middle of its answer.", hint="See `afx tower log`."
                    ) from None

    def delete(self, path: str) -> Any:  # noqa: ANN401 - as `get`
        """Return the answer to a DELETE request. Raises as `get`."""
        return self._json("DELETE", path)

    def state(self) -> Any:  # noqa: ANN401 - as `get`
        """Return the whole state. Raises as `get`."""
        return self.get("/api/state")

    def output(self, terminal_id: str, *, since: str | None = None, tail: int | None = None) -> Output:
        """Return what a terminal put out.

        Args:
            terminal_id: The terminal.
            since: ``EPOCH:OFFSET`` to begin at.
            tail: How many of the last bytes at most.

        Raises:
            AfxError: As `get`.
        """
        query = [] if since is None else [f"from={quote(since)}"]
        query += [] if tail is None else [f"tail={tail}"]
        data, headers = self._request("GET", f"/api/terminals/{quote(terminal_id)}/output?{'&'.join(query)}")
        return Output(data, headers.get("Afx-Start", ""), headers.get("Afx-End", ""))

    def last_screen(self, agent_id: str) -> tuple[bytes, float] | None:
        """Return what was kept of an agent's last terminal and when that was; None where nothing was kept.

        Raises:
            AfxError: As `get`.
        """
        try:
            data, headers = self._request("GET", f"/api/agents/{quote(agent_id)}/screen")
        except NotFoundError:
            return None  # A Tower of before an upgrade keeps none.
        at = headers.get("Afx-At")
        return None if at is None else (data, float(at))

    def _json(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:  # noqa: ANN401
        data, _ = self._request(method, path, body)
        if not data:
            return None
        try:
            return json.loads(data)
        except ValueError:
            raise AfxError(
                f"What answers at {self.address.url} is no Tower.", hint="See `afx tower status`."
            ) from None

    def _request(
        self, method: str, path: str, body: Mapping[str, object] | None = None
    ) -> tuple[bytes, http.client.HTTPMessage]:
        with self._asked(method, path, body) as answer:
            return answer.read(), answer.headers

    @contextmanager
    def _asked(
        self, method: str, path: str, body: Mapping[str, object] | None
    ) -> Iterator[http.client.HTTPResponse]:
        """Ask, and give the answer to read; what is wrong with it is raised as an error of ours."""
        headers = {"Authorization": f"Bearer {self.address.key}", "Connection": "close"}
        payload = None
        if body is not None:
            payload = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        try:
            self._connection.request(method, path, payload, headers)
            with self._connection.getresponse() as answer:
                if answer.status >= 400:
                    raise _error(answer.status, answer.read(), self.address.url)
                yield answer
        except TimeoutError:
            raise UnreachableError(
                f"The Tower at {self.address.url} did not answer in time.", hint="See `afx tower log`."
            ) from None
        except ConnectionRefusedError:
            raise _down() from None
        except (OSError, http.client.HTTPException):
            raise TowerDownError(
                "The Tower went away before it answered.",
                hint="`afx tower status` says whether it runs, `afx tower log` why it ended.",
            ) from None
        finally:
            self._connection.close()


def _error(status: int, data: bytes, url: str) -> AfxError:
    try:
        error = json.loads(data)["error"]
        code, message, hint = str(error["code"]), str(error["message"]), str(error.get("hint") or "")
    except (ValueError, KeyError, TypeError, AttributeError):
        code, message, hint = "error", f"The Tower at {url} answered with status {status}.", ""
    if status == 401:
        # The Tower reads its key once, and somebody has changed the file since.
        message = f"The Tower at {url} does not take the key that stands in the state directory."
        hint = "`afx tower restart` has it read the key again; terminals live on."
    return _BY_STATUS.get(status, AfxError)(message, hint=hint, code=code)


def _down() -> TowerDownError:
    return TowerDownError("The Tower is not running.", hint="Start it with `afx tower start`.")


def _read_key(path: Path) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise _down() from None
    except OSError as error:
        raise AfxError(
            f"The key file {path} cannot be read: {error.strerror}.",
            hint="`afx doctor` looks at the state directory.",
        ) from None
    with ExitStack() as opened:
        opened.callback(os.close, descriptor)
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.geteuid():
            raise AfxError(
                f"The key file {path} is not a plain file of yours.",
                hint="Stop the Tower, remove the file, and start the Tower again; it makes a new one.",
            )
        if facts.st_mode & 0o077:
            raise AfxError(
                f"The key file {path} can be read by others.",
                hint=f"Run `chmod 600 {path}`; if somebody may have read it, remove it and restart.",
            )
        key = os.read(descriptor, _LONGEST_KEY).decode("ascii", "replace").strip()
    if not key or not key.isprintable() or not key.isascii():
        raise AfxError(
            f"The key file {path} holds no key.",
            hint="Stop the Tower, remove the file, and start the Tower again; it makes a new one.",
        )
    return key
