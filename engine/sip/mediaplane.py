"""What signalling asks of the audio: ports, and streams that go as agreed."""

from __future__ import annotations

from typing import Protocol

from engine.sip.sdp import Negotiated


class MediaPlane(Protocol):
    """Where a call's audio goes; `engine.media.plane` is the real one. `stream` is the call's id."""

    def open(self, stream: str, encrypted: bool = False) -> int:
        """Take a free RTP port; where `encrypted`, nothing is heard before keys are agreed on.

        Raises NoPortsAvailableError.
        """

    def connect(self, stream: str, agreed: Negotiated) -> None:
        """Let the audio go as agreed; called again with each change."""

    def close(self, stream: str) -> None: ...

    def read(self, stream: str, length: int, blocking: bool) -> bytes: ...

    def write(self, stream: str, data: bytes) -> None: ...
