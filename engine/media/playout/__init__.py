"""What a far end sent, as 20 ms of audio in each tick: jitter buffer, time axis, concealment, time scaling.

Packets come in as they arrived, parsed; nothing here has a socket, a clock of its own or a listener.
"""

from engine.media.playout.figures import Bounds, PlayoutFigures
from engine.media.playout.playout import Playout

__all__ = ["Bounds", "Playout", "PlayoutFigures"]
