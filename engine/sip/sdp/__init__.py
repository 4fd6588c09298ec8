"""Session descriptions: reading what trunks send, and the offer and answer that we make (RFC 8866, 3264)."""

from engine.sip.sdp.local import LocalDescription
from engine.sip.sdp.negotiation import Direction, Negotiated, Terms, negotiate
from engine.sip.sdp.pyvoip_body import pyvoip_body
from engine.sip.sdp.session import MAX_LINES, Media, SdpError, Session, parse

__all__ = [
    "MAX_LINES",
    "Direction",
    "LocalDescription",
    "Media",
    "Negotiated",
    "SdpError",
    "Session",
    "Terms",
    "negotiate",
    "parse",
    "pyvoip_body",
]
