"""Offer and answer (RFC 3264): what a remote description and ours have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, cast

from engine.sip.sdp.crypto import Crypto, Srtp, parse_crypto
from engine.sip.sdp.session import Media, SdpError, Session

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]
_REVERSED: dict[str, Direction] = {
    "sendrecv": "sendrecv",
    "sendonly": "recvonly",
    "recvonly": "sendonly",
    "inactive": "inactive",
}
CLOCK = {"PCMA": 8000, "PCMU": 8000, "G722": 8000, "opus": 48000}
"""Codecs that we have, each with its RTP clock in Hz."""
_ALSO_WRITTEN = {"G722": 16000}
"""Its sampling rate, which some take for its clock."""
CN = 13
"""Comfort noise's payload type, always the same for a clock of 8 kHz (RFC 3389, 4)."""
_CANONICAL = {name.lower(): name for name in CLOCK}
PTIMES = (60, 40, 30, 20, 10)
"""Packet lengths that we send, in ms."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What we are ready for: codecs in order of preference, the payload type that we propose for
    telephone-event, whether audio is encrypted, whether we offer RTCP on RTP's port (RFC 5761); in an
    answer we always take it; and whether comfort noise (RFC 3389) may stand for pauses.
    """

    codecs: tuple[str, ...]
    event_payload_type: int = 101
    srtp: Srtp = "off"
    rtcp_mux: bool = False
    comfort_noise: bool = False


@dataclass(frozen=True, slots=True)
class Keys:
    """Both directions' SRTP keys: what we encrypt with, and what the far end does."""

    ours: Crypto
    theirs: Crypto


@dataclass(frozen=True, slots=True)
class Negotiated:
    """What both sides agreed on for the audio stream. `direction` is ours.

    `codecs` are (name, payload type) that may arrive, the one to send first; `also` are payload types that
    we offered for the same and the far end numbered otherwise. `event_payload_type` is the telephone-event to
    send; `events` are (payload type, clock in Hz) that may arrive. `ptime` is the length in ms of the packets
    that the far end wants. `on_hold` is true when it does not want to hear us (sendonly, inactive, or
    the old 0.0.0.0). `index` is the place of the audio among its m= lines. `rtcp` is where the far end takes
    RTCP: host, empty for its audio's, and port, 0 for the one after; None where it wants none.
    With `comfort_noise` both sides take it (RFC 3389).
    `signalling` is the address of the hop that the call's signalling goes to, empty where none is known.
    """

    host: str
    port: int
    codecs: tuple[tuple[str, int], ...]
    event_payload_type: int | None
    direction: Direction
    on_hold: bool = False
    also: tuple[tuple[str, int], ...] = ()
    events: tuple[tuple[int, int], ...] = ()
    ptime: int = 20
    keys: Keys | None = field(default=None, repr=False)
    index: int = 0
    protocol: str = "RTP/AVP"
    rtcp_mux: bool = False
    rtcp: tuple[str, int] | None = ("", 0)
    signalling: str = ""
    comfort_noise: bool = False


def negotiate(
    session: Session,
    terms: Terms,
    local_direction: Direction = "sendrecv",
    offered: Sequence[Crypto] | None = None,
) -> Negotiated:
    """Match a remote description with our terms, in its order of codecs.

    The first audio stream that can be used is. `offered` are our own a=crypto lines where the
    description is the answer to an offer of ours. Raises SdpError where nothing can be used.
    """
    problem: SdpError | None = None
    for index, media in enumerate(session.media):
        if media.usable:
            try:
                return _negotiate(media, index, terms, local_direction, offered)
            except SdpError as error:
                problem = problem or error
    raise problem or SdpError("the far end offers no audio stream")


def _negotiate(
    media: Media, index: int, terms: Terms, local_direction: Direction, offered: Sequence[Crypto] | None
) -> Negotiated:
    if not media.host:
        raise SdpError("the session description names no address for the audio")
    codecs: list[tuple[str, int]] = []
    events: list[tuple[int, int]] = []
    comfort_noise = False
    for payload_type in media.formats:
        known = media.format(payload_type)
        if known is None:
            continue
        name = _CANONICAL.get(known.name.lower(), "")
        if name in terms.codecs and known.rate in (CLOCK[name], _ALSO_WRITTEN.get(name)):
            codecs.append((name, payload_type))
        elif known.name.lower() == "telephone-event":
            events.append((payload_type, known.rate))
        elif payload_type == CN and terms.comfort_noise:
            comfort_noise = True
    if not codecs:
        raise SdpError(f"the far end speaks none of {', '.join(terms.codecs)}")
    keys = _keys(media, terms.srtp, offered)
    events = _matching(events, codecs)
    direction, on_hold = _direction(media, local_direction)
    return Negotiated(
        media.host,
        media.port,
        tuple(codecs),
        events[0][0] if events else None,
        direction,
        on_hold,
        events=tuple(events),
        ptime=_ptime(media),
        keys=keys,
        index=index,
        protocol=media.protocol,
        rtcp_mux=media.rtcp_mux,
        rtcp=None if media.no_rtcp >= {"RS", "RR"} else media.rtcp,
        comfort_noise=comfort_noise,
    )


def _matching(events: list[tuple[int, int]], codecs: list[tuple[str, int]]) -> list[tuple[int, int]]:
    """Telephone-events of the agreed codecs' clocks, that of the codec to send first (RFC 4733, 2.1).

    Where the far end has none of those, what it has: several stacks name 8000 Hz beside Opus alone.
    """
    clocks = list(dict.fromkeys(CLOCK[name] for name, _ in codecs))
    found = [next((e for e in events if e[1] == clock), None) for clock in clocks]
    return [event for event in found if event is not None] or events[:1]


def _ptime(media: Media) -> int:
    """The longest packet that we make and that is no longer than what is asked for."""
    wanted = media.ptime or 20
    if media.maxptime:
        wanted = min(wanted, media.maxptime)
    return next((ms for ms in PTIMES if ms <= wanted), PTIMES[-1])


def _direction(media: Media, local: Direction) -> tuple[Direction, bool]:
    old_hold = media.host in ("0.0.0.0", "::")
    remote = "inactive" if old_hold and media.direction == "sendrecv" else media.direction
    ours = _REVERSED.get(remote, "sendrecv")
    may_send = ours in ("sendrecv", "sendonly") and local in ("sendrecv", "sendonly")
    may_receive = ours in ("sendrecv", "recvonly") and local in ("sendrecv", "recvonly")
    direction = {
        (True, True): "sendrecv",
        (True, False): "sendonly",
        (False, True): "recvonly",
        (False, False): "inactive",
    }[may_send, may_receive]
    return cast(Direction, direction), remote in ("sendonly", "inactive")


def _keys(media: Media, srtp: Srtp, offered: Sequence[Crypto] | None) -> Keys | None:
    """The keys agreed on, None for plain RTP. An a=crypto beside RTP/AVP is an offer to encrypt if we can,
    as many trunks and phones make it.
    """
    secure = "SAVP" in media.protocol
    if srtp == "off":
        if secure:
            raise SdpError("the far end demands encrypted audio (SRTP), and trunk.srtp is off")
        return None
    lines = [crypto for value in media.crypto if (crypto := parse_crypto(value)) is not None]
    if offered is None:
        for theirs in lines:
            return Keys(Crypto.make(theirs.tag, theirs.suite), theirs)
    else:
        for theirs in lines:
            for ours in offered:
                if (ours.tag, ours.suite) == (theirs.tag, theirs.suite):
                    return Keys(ours, theirs)
    if media.crypto and (secure or srtp == "required"):
        raise SdpError("the far end's encryption (a=crypto) is none of those that we speak")
    if secure:
        raise SdpError("the far end names RTP/SAVP without a key (a=crypto)")
    if srtp == "required":
        raise SdpError("the far end does not encrypt the audio, and trunk.srtp is required")
    return None
