"""Digest authentication: challenges in, credentials out (RFC 7616, RFC 8760, RFC 3261 section 22)."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from engine.sip.message import Message
from engine.sip.uri import CONTROL

_HASHES = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}
_STRENGTH = {"MD5": 1, "SHA-256": 2, "SHA-512-256": 3}
_CHALLENGE_HEADERS = {
    401: ("WWW-Authenticate", "Authorization"),
    407: ("Proxy-Authenticate", "Proxy-Authorization"),
}
MAX_CHALLENGES, MAX_CHALLENGE = 16, 2048
"""Challenge headers of one response that are read, and characters of each."""

_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*+"')
_SCHEME = re.compile(r"(?:^|,)\s*+([\w-]++)[ \t]++(?=[\w-]++\s*+=)")
_PARAM = re.compile(r'(?<![\w-])([\w-]++)\s*+=\s*+("(?:[^"\\]|\\.)*"|[^,\s]+)')

Preference = Literal["first", "strongest"]


@dataclass(frozen=True, slots=True)
class Challenge:
    """One digest challenge. `header` is the request header that its answer goes into; `algorithm` is
    empty where the challenge names none, which means MD5."""

    header: str
    realm: str
    nonce: str
    opaque: str | None
    algorithm: str
    qop: tuple[str, ...]
    stale: bool

    @property
    def hash_name(self) -> str:
        """MD5, SHA-256, ... without the suffix of a session key."""
        return (self.algorithm or "MD5").upper().removesuffix("-SESS")

    @property
    def supported(self) -> bool:
        known = _HASHES.get(self.hash_name, "") in hashlib.algorithms_available
        return known and (not self.qop or "auth" in self.qop or "auth-int" in self.qop)


def challenges(response: Message) -> list[Challenge]:
    """The digest challenges of a 401 or 407 in their order; other schemes are left out."""
    header, answer = _CHALLENGE_HEADERS[response.code]
    found = []
    for value in response.all(header)[:MAX_CHALLENGES]:
        for scheme, parameters in _schemes(value[:MAX_CHALLENGE]):
            p = _parameters(parameters)
            if scheme.lower() != "digest" or "realm" not in p or "nonce" not in p:
                continue
            if any(CONTROL.search(text) for text in p.values()):
                continue  # can't be given back in a header
            qop = tuple(q.strip().lower() for q in p.get("qop", "").split(",") if q.strip())
            stale = p.get("stale", "").lower() == "true"
            found.append(
                Challenge(answer, p["realm"], p["nonce"], p.get("opaque"), p.get("algorithm", ""), qop, stale)
            )
    return found


def next_nonce(response: Message) -> str:
    """The nonce that a 2xx wants in the next request (RFC 7616, 3.5); empty where it names none."""
    found = _parameters((response.get("Authentication-Info") or "")[:MAX_CHALLENGE])
    nonce = found.get("nextnonce", "")
    return "" if CONTROL.search(nonce) else nonce


def _schemes(value: str) -> list[tuple[str, str]]:
    """Each challenge of a header as scheme and parameters: some servers put several into one header."""
    masked = _QUOTED.sub(lambda m: "_" * len(m[0]), value)
    starts = list(_SCHEME.finditer(masked))
    ends = [m.start() for m in starts[1:]] + [len(value)]
    return [(m[1], value[m.end() : end]) for m, end in zip(starts, ends, strict=False)]


def _parameters(text: str) -> dict[str, str]:
    return {name.lower(): _unquote(value) for name, value in _PARAM.findall(text)}


def _unquote(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if text.startswith('"') else text


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@dataclass(slots=True)
class _Session:
    """What was used with one nonce: a client nonce, which session keys are bound to, and how often."""

    cnonce: str
    count: int = 0


@dataclass(slots=True)
class Credentials:
    """A user and password, and the nonce counts spent with them: one for all requests to a trunk, since
    the count belongs to the nonce (RFC 7616, 3.4)."""

    username: str
    password: str = field(repr=False)
    prefer: Preference = "first"
    _sessions: dict[str, _Session] = field(default_factory=dict)

    def answer(
        self, challenge: Challenge, method: str, uri: str, cnonce: str | None = None, content: bytes = b""
    ) -> tuple[str, str]:
        """The header and its value that answer a challenge; `uri` must equal the Request-URI. `content`
        is the request's body, which qop auth-int protects: done only where the server offers no auth."""
        name = _HASHES[challenge.hash_name]

        def h(text: str) -> str:
            return hashlib.new(name, text.encode()).hexdigest()

        session = self._session(challenge.nonce, cnonce)
        in_session = challenge.algorithm.upper().endswith("-SESS")
        a1 = h(f"{self.username}:{challenge.realm}:{self.password}")
        if in_session:
            a1 = h(f"{a1}:{challenge.nonce}:{session.cnonce}")
        qop = "auth" if "auth" in challenge.qop else challenge.qop and "auth-int"
        body = f":{hashlib.new(name, content).hexdigest()}" if qop == "auth-int" else ""
        a2 = h(f"{method}:{uri}{body}")
        parts = [
            f"username={_quote(self.username)}",
            f"realm={_quote(challenge.realm)}",
            f"nonce={_quote(challenge.nonce)}",
            f"uri={_quote(uri)}",
        ]
        if qop:
            session.count += 1
            nc = f"{session.count:08x}"
            response = h(f"{a1}:{challenge.nonce}:{nc}:{session.cnonce}:{qop}:{a2}")
            parts += [f'response="{response}"', f"qop={qop}", f"nc={nc}", f'cnonce="{session.cnonce}"']
        else:
            parts.append(f'response="{h(f"{a1}:{challenge.nonce}:{a2}")}"')
            if in_session:  # without it the server could not compute the session's key
                parts.append(f'cnonce="{session.cnonce}"')
        if challenge.opaque is not None:
            parts.append(f"opaque={_quote(challenge.opaque)}")
        if challenge.algorithm:
            parts.append(f"algorithm={challenge.algorithm}")
        return challenge.header, "Digest " + ", ".join(parts)

    def _session(self, nonce: str, cnonce: str | None) -> _Session:
        session = self._sessions.get(nonce)
        if session is None:
            if len(self._sessions) > 64:  # a registrar that changes its nonce each time must not grow this
                del self._sessions[next(iter(self._sessions))]
            session = self._sessions[nonce] = _Session(cnonce or secrets.token_hex(8))
        return session

    def choose(self, offered: Iterable[Challenge]) -> dict[tuple[str, str], Challenge]:
        """One challenge that we can do for each realm: the topmost (RFC 8760, 2.4), or where `prefer` says
        so the strongest."""
        chosen: dict[tuple[str, str], Challenge] = {}
        for challenge in offered:
            place = challenge.header, challenge.realm
            if not challenge.supported:
                continue
            before = chosen.setdefault(place, challenge)
            if self.prefer == "strongest" and _STRENGTH[challenge.hash_name] > _STRENGTH[before.hash_name]:
                chosen[place] = challenge
        return chosen


class Authenticator:
    """Decides whether a challenged request is tried again: once a realm, plus again while the server says
    that the nonce was stale.

    A registrar behind a proxy that both ask: every challenge met so far is answered in each further
    try (RFC 3261, 22.3).
    """

    MAX_TRIES = 4
    MAX_REALMS = 4

    def __init__(self, credentials: Credentials | None) -> None:
        self._credentials = credentials
        self._known: dict[tuple[str, str], Challenge] = {}
        self._tries = 0
        self.rejected = False
        self.exhausted = False
        """No further try after many stale nonces, which says nothing of the credentials."""
        self.problem = ""
        """Why there was no further try, where it is not that the credentials were refused."""

    @property
    def answered(self) -> tuple[Challenge, ...]:
        """The challenges that the last try answered."""
        return tuple(self._known.values())

    def retry(self, response: Message, request: Message) -> list[tuple[str, str]]:
        """Headers for the next try of a request that met a 401 or 407; empty when there is none to make,
        and `rejected` then tells whether our credentials were refused."""
        asked = challenges(response)
        credentials = self._credentials
        if credentials is None:
            self.problem = "asks for a password, and none is set" if asked else ""
            return []
        offered = credentials.choose(asked)
        if not offered:
            names = sorted({challenge.algorithm or "an unknown qop" for challenge in asked})
            wanted = ", ".join(names)[:80]
            self.problem = f"asks for digest by {wanted}, which is not known" if wanted else ""
            return []
        for place, challenge in offered.items():
            before = self._known.get(place)
            if before is not None and (challenge.nonce == before.nonce or not challenge.stale):
                self.rejected = True
                return []
        if self._tries >= self.MAX_TRIES:
            self.problem, self.exhausted = "calls every nonce stale", True
            return []
        if len({*self._known, *offered}) > self.MAX_REALMS:
            self.problem = "asks for too many realms"
            return []
        self._known |= offered
        self._tries += 1
        method, uri, content = request.method, request.uri_text, request.content
        return [credentials.answer(c, method, uri, content=content) for c in self._known.values()]


def renewed(challenge: Challenge, nonce: str) -> Challenge:
    """The same challenge with the nonce that `next_nonce` told."""
    return replace(challenge, nonce=nonce, stale=False)
