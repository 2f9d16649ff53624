"""Who may come in: the key, the page's cookie, and which hosts and origins are ours.

Loopback is not a login. A web page in the same browser can reach 127.0.0.1, so every request must name a
host of ours (against DNS rebinding), come from a page of ours where it comes from a page at all, and carry
the secret or the cookie that stands for it.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import stat
import time
from contextlib import ExitStack
from http.cookies import CookieError, SimpleCookie
from pathlib import Path

from afx.api.errors import AfxError

CODE_LIFETIME = 120.0
COOKIE_LIFETIME = 30 * 24 * 3600
_MOST_CODES = 16
_LONGEST_KEY = 4096


def load_key(home: Path) -> str:
    """Return the secret of a state directory; it is made where there is none.

    Raises:
        AfxError: The file can be read by others, is not a plain file of ours, or holds no key.
        OSError: It cannot be made.
    """
    path = home / "key"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return _read_key(path)
    key = secrets.token_urlsafe(32)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(key)
    except OSError:
        # Half a key, left by a full disk, would be refused ever after.
        path.unlink(missing_ok=True)
        raise
    return key


def _read_key(path: Path) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
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
                f"The key file {path} is not a plain file of yours.", hint="Remove it; a new one is made."
            )
        if facts.st_mode & 0o077:
            raise AfxError(
                f"The key file {path} can be read by others.",
                hint=f"Run `chmod 600 {path}`, or remove the file if somebody may have read it.",
            )
        key = os.read(descriptor, _LONGEST_KEY).decode("ascii", "replace").strip()
    if len(key) < 32 or not key.isascii():
        raise AfxError(f"The key file {path} holds no key.", hint="Remove it; a new one is made.")
    return key


class Gate:
    """Decides about requests: by their host, their origin, and what they carry.

    Attributes:
        cookie_name: The cookie's name; it has the port in it, since browsers share cookies between ports.
    """

    def __init__(self, key: str, port: int) -> None:
        self.cookie_name = f"afx_session_{port}"
        self._key = key
        self._hosts = {f"{host}:{port}" for host in ("127.0.0.1", "localhost", "[::1]")}
        if port == 80:
            self._hosts |= {"127.0.0.1", "localhost", "[::1]"}
        self._codes: dict[str, float] = {}

    def knows_host(self, host: str | None) -> bool:
        """Tell whether the Host header names this Tower."""
        return host is not None and host.lower() in self._hosts

    def knows_origin(self, origin: str | None) -> bool:
        """Tell whether a request may come from a page of this origin; a request from no page may."""
        return origin is None or origin.lower() in {f"http://{host}" for host in self._hosts}

    def admits(self, authorization: str | None, cookies: str | None) -> bool:
        """Tell whether a request carries the key or a good cookie."""
        if authorization is not None:
            scheme, _, given = authorization.partition(" ")
            return scheme.lower() == "bearer" and _same(given.strip(), self._key)
        if cookies is None:
            return False
        try:
            morsel = SimpleCookie(cookies).get(self.cookie_name)
        except CookieError:
            return False
        return morsel is not None and self._is_good_cookie(morsel.value)

    def issue_code(self) -> str:
        """Return a new one-time code, good for `CODE_LIFETIME` seconds."""
        now = time.monotonic()
        self._codes = {code: until for code, until in self._codes.items() if until > now}
        while len(self._codes) >= _MOST_CODES:
            self._codes.pop(next(iter(self._codes)))
        code = secrets.token_urlsafe(24)
        self._codes[code] = now + CODE_LIFETIME
        return code

    def redeem_code(self, code: str) -> str | None:
        """Return the value of a new cookie for a good code, which is then used up; else None."""
        good = None
        for known in self._codes:
            if _same(known, code):
                good = known
        if good is None or self._codes.pop(good) < time.monotonic():
            return None
        until = str(int(time.time() + COOKIE_LIFETIME))
        return f"{until}.{self._sign(until)}"

    def _is_good_cookie(self, value: str) -> bool:
        until, _, signature = value.partition(".")
        if not _same(signature, self._sign(until)):
            return False
        return until.isdigit() and int(until) > time.time()

    def _sign(self, until: str) -> str:
        """Bind a cookie to the key: a new key ends every cookie."""
        return hmac.new(self._key.encode(), f"cookie {until}".encode(), hashlib.sha256).hexdigest()


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(
        one.encode("utf-8", "surrogateescape"), other.encode("utf-8", "surrogateescape")
    )
