"""Sessions of people who log in to the pages with a key: a signed cookie that says which key and until when.

The signature is made with a secret of this site's own and with the key's hash: it holds as long as the key does, in all
workers, and nothing has to be kept.
"""

import hashlib
import hmac
import os
import secrets
from http.cookies import CookieError, SimpleCookie
from pathlib import Path

from features.asof import HOUR, before
from features.output import make_once
from serving.known_keys import Keys, Known

COOKIE = "lotrisk_session"
FILE = Path("serving") / "session.secret"
LASTS = 12 * HOUR  # a shift, with the hours before and after it


class Sessions:
    """Of one site; `secret` is made when it is first used, for its owner only."""

    def __init__(self, state_dir: Path) -> None:
        self._path, self._secret = state_dir / FILE, b""

    def begin(self, key: Known, now: int) -> str:
        """The cookie's value."""
        until = now + LASTS
        return f"{key.id}.{until}.{self._sign(key, until)}"

    def key_of(self, cookie: str, keys: Keys, now: int) -> Known | None:
        """Whose session it is; None for one that has ended, of a key that does not hold, or that nobody began."""
        key_id, _, rest = cookie.partition(".")
        until, _, signed = rest.partition(".")
        key = keys.get(key_id)
        if key is None or not (until.isascii() and until.isdigit() and len(until) < 20):
            return None
        holds = hmac.compare_digest(self._sign(key, int(until)).encode(), signed.encode("utf-8", "surrogatepass"))
        return key if holds and before(now, int(until)) and key.usable(now) else None

    def _sign(self, key: Known, until: int) -> str:
        told = f"{key.id}.{until}.{key.hash}".encode()
        return hmac.new(self._read(), told, hashlib.sha256).hexdigest()

    def _read(self) -> bytes:
        if not self._secret:
            make_once(self._path, _make)
            self._secret = self._path.read_bytes()
        return self._secret


def cookie_of(header: str) -> str:
    """The session in the header Cookie; "": there is none."""
    if COOKIE not in header:
        return ""
    try:
        found = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return ""
    return "" if found is None else found.value


def _make(path: Path) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(secrets.token_bytes(32))
