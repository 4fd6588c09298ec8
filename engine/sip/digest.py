"""Digest authentication: challenges in, credentials out (RFC 7616, RFC 8760, RFC 3261 section 22)."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass, field

from engine.sip.message import Message

_HASHES = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}
_CHALLENGE_HEADERS = {
    401: ("WWW-Authenticate", "Authorization"),
    407: ("Proxy-Authenticate", "Proxy-Authorization"),
}


@dataclass(frozen=True, slots=True)
class Challenge:
    """One digest challenge. `header` is the request header that its answer goes into."""

    header: str
    realm: str
    nonce: str
    opaque: str | None
    algorithm: str
    qop: tuple[str, ...]
    stale: bool

    @property
    def supported(self) -> bool:
        name = self.algorithm.upper().removesuffix("-SESS")
        return _HASHES.get(name, "") in hashlib.algorithms_available and (not self.qop or "auth" in self.qop)


def challenges(response: Message) -> list[Challenge]:
    """The digest challenges of a 401 or 407 in their order; other schemes are left out."""
    header, answer = _CHALLENGE_HEADERS[response.code]
    found = []
    for value in response.all(header):
        scheme, _, rest = value.partition(" ")
        if scheme.lower() != "digest":
            continue
        p = {
            k.lower(): _unquote(v)
            for k, v in re.findall(r'(?<![\w-])([\w-]++)\s*+=\s*+("(?:[^"\\]|\\.)*"|[^,\s]+)', rest)
        }
        if "realm" not in p or "nonce" not in p:
            continue
        qop = tuple(q.strip().lower() for q in p.get("qop", "").split(",") if q.strip())
        found.append(
            Challenge(
                answer,
                p["realm"],
                p["nonce"],
                p.get("opaque"),
                p.get("algorithm", "MD5"),
                qop,
                p.get("stale", "").lower() == "true",
            )
        )
    return found


def _unquote(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if text.startswith('"') else text


def _quote(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@dataclass(slots=True)
class Credentials:
    """A user and password, and the nonce counts spent with them."""

    username: str
    password: str = field(repr=False)
    _counts: dict[str, int] = field(default_factory=dict)

    def answer(
        self, challenge: Challenge, method: str, uri: str, cnonce: str | None = None
    ) -> tuple[str, str]:
        """The header and its value that answer a challenge; `uri` must equal the Request-URI."""
        algorithm = challenge.algorithm.upper()
        name = _HASHES[algorithm.removesuffix("-SESS")]

        def h(text: str) -> str:
            return hashlib.new(name, text.encode()).hexdigest()

        cnonce = cnonce or secrets.token_hex(8)
        a1 = h(f"{self.username}:{challenge.realm}:{self.password}")
        if algorithm.endswith("-SESS"):
            a1 = h(f"{a1}:{challenge.nonce}:{cnonce}")
        a2 = h(f"{method}:{uri}")
        parts = [
            f"username={_quote(self.username)}",
            f"realm={_quote(challenge.realm)}",
            f"nonce={_quote(challenge.nonce)}",
            f"uri={_quote(uri)}",
        ]
        if challenge.qop:
            if len(self._counts) > 64:  # a registrar that changes its nonce each time must not grow this
                self._counts.clear()
            count = self._counts[challenge.nonce] = self._counts.get(challenge.nonce, 0) + 1
            response = h(f"{a1}:{challenge.nonce}:{count:08x}:{cnonce}:auth:{a2}")
            parts += [f'response="{response}"', "qop=auth", f"nc={count:08x}", f'cnonce="{cnonce}"']
        else:
            parts.append(f'response="{h(f"{a1}:{challenge.nonce}:{a2}")}"')
        if challenge.opaque is not None:
            parts.append(f"opaque={_quote(challenge.opaque)}")
        parts.append(f"algorithm={challenge.algorithm}")
        return challenge.header, "Digest " + ", ".join(parts)


class Authenticator:
    """Decides whether a challenged request is tried again: once a nonce, plus once when it was stale.

    A registrar behind a proxy that both ask: every challenge met so far is answered in each further
    try (RFC 3261, 22.3). Of several challenges of one realm the first that we can do is taken
    (RFC 8760, 2.4).
    """

    MAX_TRIES = 4
    MAX_REALMS = 4

    def __init__(self, credentials: Credentials | None) -> None:
        self._credentials = credentials
        self._known: dict[tuple[str, str], Challenge] = {}
        self._tries = 0
        self.rejected = False

    def retry(self, response: Message, method: str, uri: str) -> list[tuple[str, str]]:
        """Headers for the next try; empty when there is none to make, and `rejected` then tells
        whether our credentials were refused (rather than missing or of an unknown algorithm)."""
        offered: dict[tuple[str, str], Challenge] = {}
        for challenge in challenges(response):
            if challenge.supported:
                offered.setdefault((challenge.header, challenge.realm), challenge)
        if self._credentials is None or not offered or self._tries >= self.MAX_TRIES:
            self.rejected = self._tries > 0
            return []
        for place, challenge in offered.items():
            before = self._known.get(place)
            if before is not None and (challenge.nonce == before.nonce or not challenge.stale):
                self.rejected = True
                return []
        if len({*self._known, *offered}) > self.MAX_REALMS:
            return []
        self._known |= offered
        self._tries += 1
        return [self._credentials.answer(challenge, method, uri) for challenge in self._known.values()]
