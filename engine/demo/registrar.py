"""Digest authentication and the bindings of registered users (RFC 3261, sections 10.3 and 22)."""

from __future__ import annotations

import hmac
import time
from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum
from typing import Any

from sippy.SipAuthorization import DigestCalcHA1, DigestCalcResponse, NameList2AlgMask
from sippy.SipHeader import SipHeader
from sippy.SipProxyAuthenticate import SipProxyAuthenticate
from sippy.SipURL import SipURL
from sippy.SipWWWAuthenticate import SipWWWAuthenticate

from engine.demo.directory import Settings, User

MAX_BINDINGS = 10
"""Contacts a user may register at once."""

_MAX_NONCES = 1000


class Verdict(Enum):
    GOOD = "good"
    MISSING = "no credentials"
    STALE = "stale nonce"
    WRONG = "wrong credentials"


def _challenge_text(self: Any, local_addr: Any = None) -> str:
    """The challenge as RFC 7616, section 3.3 writes it: qop quoted, stale and algorithm as tokens."""
    parts = [f'realm="{self.realm}"', f'nonce="{self.nonce}"', 'qop="auth"', f"algorithm={self.algorithm}"]
    if self.stale:
        parts.append("stale=true")
    return "Digest " + ", ".join(parts)


class _WWWChallenge(SipWWWAuthenticate):  # type: ignore[misc]
    stale = False
    localStr = _challenge_text


class _ProxyChallenge(SipProxyAuthenticate):  # type: ignore[misc]
    stale = False
    localStr = _challenge_text


class Guard:
    """Checks the digest of requests, and makes the challenges."""

    def __init__(self, settings: Settings, users: list[User]) -> None:
        self._settings = settings
        self._passwords = {user.name: user.password for user in users}
        self._counts: OrderedDict[str, int] = OrderedDict()

    def check(self, request: Any, header: str) -> tuple[Verdict, str]:
        """The verdict on `header` (authorization or proxy-authorization), and whose it is ("": nobody's)."""
        for credentials in request.getHFBodys(header):
            if credentials.realm == self._settings.realm:
                user = credentials.username or ""
                return self._check(request, credentials, user), user
        return Verdict.MISSING, ""

    def _check(self, request: Any, given: Any, user: str) -> Verdict:
        password = self._passwords.get(user)
        algorithm = given.algorithm or "MD5"
        if algorithm not in self._settings.algorithms or given.qop not in (None, "auth"):
            return Verdict.MISSING
        if password is None or None in (given.nonce, given.uri, given.response):
            return Verdict.WRONG
        if given.qop and not (given.nc and given.cnonce):
            return Verdict.WRONG
        if str(SipURL(given.uri)) != str(request.getRURI()):
            return Verdict.WRONG
        secret = DigestCalcHA1(algorithm, user, given.realm, password, given.nonce, given.cnonce)
        wanted = DigestCalcResponse(
            algorithm, secret, given.nonce, given.nc, given.cnonce, given.qop, request.getMethod(),
            given.uri, None,
        )
        if not hmac.compare_digest(wanted.encode(), given.response.lower().encode()):
            return Verdict.WRONG
        if not given.ho.validate_challenge(given.nonce, NameList2AlgMask((algorithm,))):
            return Verdict.STALE
        return self._count(given.nonce, int(given.nc or "0", 16), bool(given.qop))

    def _count(self, nonce: str, count: int, counted: bool) -> Verdict:
        """A nonce count that was seen before is a replay (RFC 7616, section 3.4.6)."""
        if counted and count <= self._counts.get(nonce, 0):
            return Verdict.STALE
        self._counts[nonce] = count
        while len(self._counts) > _MAX_NONCES:
            self._counts.popitem(last=False)
        return Verdict.GOOD

    def challenges(self, stale: bool, proxy: bool) -> list[Any]:
        """One header for each algorithm."""
        headers = []
        for algorithm in self._settings.algorithms:
            kind = _ProxyChallenge if proxy else _WWWChallenge
            challenge = kind(realm=self._settings.realm, algorithm=algorithm)
            challenge.stale = stale
            headers.append(SipHeader(name=challenge.hf_names[0], body=challenge))
        return headers


@dataclass(slots=True)
class Binding:
    """Where a user is reached: the Contact's URL, until `expires_at` (time.monotonic)."""

    url: Any
    expires_at: float


class Bindings:
    """Who is registered where."""

    def __init__(self) -> None:
        self._users: dict[str, dict[str, Binding]] = {}

    def set(self, user: str, url: Any, seconds: int) -> bool:
        """Bind a Contact for `seconds` (0: unbind it). False where the user has too many already."""
        bindings = self._live(user)
        key = str(url)
        if seconds == 0:
            bindings.pop(key, None)
            return True
        if key not in bindings and len(bindings) >= MAX_BINDINGS:
            return False
        bindings.pop(key, None)
        bindings[key] = Binding(url, time.monotonic() + seconds)
        return True

    def clear(self, user: str) -> None:
        self._users.pop(user, None)

    def of(self, user: str) -> list[Binding]:
        """The bindings that have not expired; the latest comes last."""
        return list(self._live(user).values())

    def _live(self, user: str) -> dict[str, Binding]:
        bindings = self._users.setdefault(user, {})
        now = time.monotonic()
        for key in [k for k, b in bindings.items() if b.expires_at <= now]:
            del bindings[key]
        return bindings
