"""pyVoIP's own form of a session description, for programs written for it."""

from __future__ import annotations

from typing import Any

import pyVoIP.VoIP  # noqa: F401  first: `import pyVoIP.RTP` alone is a circular import
from pyVoIP.RTP import RTPProtocol, TransmitType

from engine.sip.sdp.session import SdpError, parse


def pyvoip_body(data: bytes) -> dict[str, Any]:
    """The dict that pyVoIP's parser makes of a description; empty where it can't be read."""
    try:
        session = parse(data)
    except SdpError:
        return {}
    body: dict[str, Any] = {"v": 0, "c": [], "m": [], "a": {}}
    for media in session.media:
        try:
            protocol = RTPProtocol(media.protocol)
        except ValueError:
            continue
        attributes: dict[str, Any] = {str(pt): {} for pt in media.formats}
        for pt, (name, rate) in media.rtpmap.items():
            attributes[str(pt)]["rtpmap"] = {
                "id": str(pt),
                "name": name,
                "frequency": str(rate),
                "encoding": None,
            }
        for pt, settings in media.fmtp.items():
            attributes[str(pt)]["fmtp"] = {"id": str(pt), "settings": settings.split(" ")}
        body["m"].append(
            {
                "type": media.kind,
                "port": media.port,
                "port_count": 1,
                "protocol": protocol,
                "methods": [str(pt) for pt in media.formats],
                "attributes": attributes,
            }
        )
    if host := (session.host or (session.media[0].host if session.media else "")):
        body["c"].append(
            {
                "network_type": "IN",
                "address_type": "IP6" if ":" in host else "IP4",
                "address": host,
                "ttl": None,
                "address_count": 1,
            }
        )
    if session.media:
        body["a"]["transmit_type"] = TransmitType(session.media[0].direction)
    return body
