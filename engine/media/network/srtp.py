"""SRTP (RFC 3711) by libsrtp: one context for each direction, which counts roll-overs and refuses replays."""

from __future__ import annotations

from pylibsrtp import Error, Policy, Session

_SUITES = {
    "AES_CM_128_HMAC_SHA1_80": (Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 10),
    "AES_CM_128_HMAC_SHA1_32": (Policy.SRTP_PROFILE_AES128_CM_SHA1_32, 4),
}
"""Each suite of RFC 4568 with its authentication tag's length in octets."""
_RTCP_TAG = 10


class Encryption:
    """What we send. `key` is master key and salt."""

    def __init__(self, suite: str, key: bytes) -> None:
        self._session = Session(Policy(key, Policy.SSRC_ANY_OUTBOUND, 0, _SUITES[suite][0]))

    def protect(self, packet: bytes) -> bytes | None:
        """The packet encrypted; None where it can't be (a sequence number that was used already)."""
        try:
            return self._session.protect(packet)
        except (Error, ValueError):
            return None

    def protect_rtcp(self, packet: bytes) -> bytes | None:
        """A compound RTCP packet encrypted (3.4); None where it can't be."""
        try:
            return self._session.protect_rtcp(packet)
        except (Error, ValueError):
            return None


class Decryption:
    """What we receive. `mki` octets before each packet's authentication tag name its key; they are no part
    of what is authenticated (3.1).
    """

    def __init__(self, suite: str, key: bytes, mki: int = 0) -> None:
        profile, self._tag = _SUITES[suite]
        self._mki = mki
        self._session = Session(Policy(key, Policy.SSRC_ANY_INBOUND, 0, profile))

    def unprotect(self, packet: bytes) -> bytes | None:
        """The packet in clear; None for one that is forged, damaged, a replay or too old."""
        if self._mki:
            packet = packet[: -self._tag - self._mki] + packet[-self._tag :]
        try:
            return self._session.unprotect(packet)
        except (Error, ValueError):
            return None

    def unprotect_rtcp(self, packet: bytes) -> bytes | None:
        """A compound RTCP packet in clear; its tag is of 80 bits with either suite (RFC 4568, 6.2.2)."""
        if self._mki:
            packet = packet[: -_RTCP_TAG - self._mki] + packet[-_RTCP_TAG:]
        try:
            return self._session.unprotect_rtcp(packet)
        except (Error, ValueError):
            return None
