"""Our own description: offers, answers, and their next versions (RFC 3264, 5, 6 and 8)."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field, replace

from engine.sip.sdp.crypto import SUITES, Crypto
from engine.sip.sdp.negotiation import CLOCK, CN, Direction, Negotiated, Terms, negotiate
from engine.sip.sdp.session import Session

_STATIC = {"PCMU": 0, "PCMA": 8, "G722": 9}
_RTPMAP = {"opus": "opus/48000/2"}
"""Where it is not the name and the clock: Opus is always written so, mono too (RFC 7587, 4.1)."""


@dataclass(frozen=True, slots=True)
class LocalDescription:
    """What we say of our end. Immutable: `answer` and `with_direction` make the next version.

    `events` are (payload type, clock in Hz) of telephone-event, one for each clock among the codecs.
    `before` and `after` are refused m= lines around the audio's, which every later version must keep.
    """

    host: str
    port: int
    terms: Terms
    codecs: tuple[tuple[str, int], ...]
    events: tuple[tuple[int, int], ...]
    session_id: int
    version: int = 1
    direction: Direction = "sendrecv"
    protocol: str = "RTP/AVP"
    crypto: tuple[Crypto, ...] = field(default=(), repr=False)
    rtcp_mux: bool = False
    comfort_noise: bool = False
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()

    @classmethod
    def offer(cls, host: str, port: int, terms: Terms) -> LocalDescription:
        """A first offer. With SRTP preferred, keys are offered beside plain RTP (RTP/AVP with a=crypto)."""
        free = (pt for pt in range(96, 128) if pt != terms.event_payload_type)
        codecs = tuple((name, _STATIC[name] if name in _STATIC else next(free)) for name in terms.codecs)
        clocks = {8000, *(CLOCK[name] for name in terms.codecs)}  # 8000: all that some have beside Opus
        events = tuple(
            (terms.event_payload_type if place == 0 else next(free), clock)
            for place, clock in enumerate(sorted(clocks))
        )
        crypto = () if terms.srtp == "off" else tuple(Crypto.make(n, s) for n, s in enumerate(SUITES, 1))
        protocol = "RTP/SAVP" if terms.srtp == "required" else "RTP/AVP"
        return cls(
            host, port, terms, codecs, events, secrets.randbits(31), protocol=protocol, crypto=crypto,
            rtcp_mux=terms.rtcp_mux, comfort_noise=terms.comfort_noise,
        )  # fmt: skip

    def answer(
        self, offer: Session, direction: Direction = "sendrecv"
    ) -> tuple[LocalDescription, Negotiated]:
        """Our answer and what it agrees on: only what the offer had, with its payload types (RFC 3264, 6.1).

        The version is raised only where something changes. Raises SdpError where nothing can be used.
        """
        agreed = negotiate(offer, self.terms, direction)
        if agreed.keys is not None:
            theirs = agreed.keys.theirs
            for ours in self.crypto:  # a repeated offer must not change our key
                if (ours.tag, ours.suite) == (theirs.tag, theirs.suite):
                    agreed = replace(agreed, keys=replace(agreed.keys, ours=ours))
        refused = [f"m={media.kind} 0 {media.rest}" for media in offer.media]
        changed = replace(
            self,
            codecs=agreed.codecs,
            events=agreed.events,
            direction=agreed.direction,
            protocol=agreed.protocol,
            crypto=(agreed.keys.ours,) if agreed.keys is not None else (),
            rtcp_mux=agreed.rtcp_mux,
            comfort_noise=agreed.comfort_noise,
            before=tuple(refused[: agreed.index]),
            after=tuple(refused[agreed.index + 1 :]),
        )
        return self._next(changed), agreed

    def accept(self, answer: Session) -> Negotiated:
        """What the far end's answer to this offer agrees on. Raises SdpError where it can't be used."""
        names = {name for name, _ in self.codecs}
        terms = replace(self.terms, codecs=tuple(n for n in self.terms.codecs if n in names))
        agreed = negotiate(answer, terms, self.direction, self.crypto)
        taken = {pt for _, pt in agreed.codecs} | {pt for pt, _ in agreed.events}
        chosen = {name for name, _ in agreed.codecs}
        clocks = {clock for _, clock in agreed.events}
        also = tuple((name, pt) for name, pt in self.codecs if name in chosen and pt not in taken)
        events = tuple((pt, clock) for pt, clock in self.events if clock in clocks and pt not in taken)
        mux = agreed.rtcp_mux and self.rtcp_mux  # an answer can't bring it up (RFC 5761, 5.1.1)
        noise = agreed.comfort_noise and self.comfort_noise
        return replace(agreed, also=also, events=agreed.events + events, rtcp_mux=mux, comfort_noise=noise)

    def with_direction(self, direction: Direction) -> LocalDescription:
        return self._next(replace(self, direction=direction))

    def _next(self, changed: LocalDescription) -> LocalDescription:
        return self if changed == self else replace(changed, version=self.version + 1)

    def encode(self) -> bytes:
        """The description as sent."""
        family = "IP6" if ":" in self.host else "IP4"
        numbers = [pt for _, pt in self.codecs] + [CN] * self.comfort_noise + [pt for pt, _ in self.events]
        lines = [
            "v=0",
            f"o=- {self.session_id} {self.version} IN {family} {self.host}",
            "s=-",
            f"c=IN {family} {self.host}",
            "t=0 0",
            *self.before,
            f"m=audio {self.port} {self.protocol} {' '.join(map(str, numbers))}",
            *(f"a=rtpmap:{pt} {_RTPMAP.get(name, f'{name}/{CLOCK[name]}')}" for name, pt in self.codecs),
        ]
        for pt, clock in self.events:
            lines += [f"a=rtpmap:{pt} telephone-event/{clock}", f"a=fmtp:{pt} 0-15"]
        lines += [f"a=rtpmap:{CN} CN/8000"] * self.comfort_noise
        lines += [crypto.line for crypto in self.crypto]
        lines += ["a=ptime:20", *(["a=rtcp-mux"] if self.rtcp_mux else []), f"a={self.direction}"]
        return "".join(f"{line}\r\n" for line in [*lines, *self.after]).encode()
