"""Calls that come and go leave the clock of those that go on alone."""

from __future__ import annotations

import itertools
import socket
import time

import pytest
from media_rig import PCMA, bridged, sine

from engine.media import codec
from engine.media.orders import Bridge, CloseStream, Detect, OpenStream, Play, SetRemote, ToneSource

LEGS = 30


def kernel_times(far) -> list[float]:
    """Milliseconds between packets that have come and lie in the far end's socket."""
    far.sock.setblocking(False)
    times = []
    while True:
        try:
            _, controls, _, _ = far.sock.recvmsg(2048, 64)
        except BlockingIOError:
            break
        seconds, nanoseconds = (int.from_bytes(controls[0][2][n : n + 8], "little") for n in (0, 8))
        times.append(seconds * 1e3 + nanoseconds / 1e6)
    return [b - a for a, b in itertools.pairwise(times)]


def period(rig, far, seconds: float, each) -> tuple[float, float]:
    """The clock's lateness (ms, 99th percentile) and the longest gap (ms) while `each` is called."""
    kernel_times(far)
    ticks = rig.engine.lateness.ticks
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        each()
        time.sleep(0.01)
    late = sorted(rig.engine.lateness.last(rig.engine.lateness.ticks - ticks))
    return late[int(len(late) * 0.99)] / 1000, max(kernel_times(far))


@pytest.mark.slow
def test_thirty_legs_go_on_while_others_are_opened_bridged_and_closed(rig):
    far = None
    for _ in range(LEGS // 3):
        bridged(rig)
        name, far = rig.open()
        rig.engine.order(Play(name, ToneSource("ru", "congestion"), loop=True))
    assert far is not None
    far.sock.setsockopt(socket.SOL_SOCKET, 35, 1)  # SO_TIMESTAMPNS
    far.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    far.receive_until(far.is_sound)
    payload = codec.encode("PCMA", sine(440, 160))
    talkers = rig.far_ends[:LEGS]

    def talk() -> None:
        for end in talkers:
            end.send(payload)

    numbers = itertools.count()

    def churn() -> None:
        talk()
        names = []
        for _ in range(2):
            name = f"passing{next(numbers)}"
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.bind(("127.0.0.1", 0))
            rig.engine.order(OpenStream(name, sock))
            rig.engine.order(SetRemote(name, *far.address[:1], 9, (PCMA,)))
            rig.engine.order(Detect(name, country="cn"))
            names.append(name)
        rig.engine.order(Bridge(*names))
        for name in names:
            rig.engine.order(CloseStream(name))

    quiet_late, quiet_gap = period(rig, far, 4.0, talk)
    late, gap = period(rig, far, 8.0, churn)
    print(f"late p99 {late:.2f} ms, longest gap {gap:.1f} ms; without coming and going {quiet_late:.2f}, "
          f"{quiet_gap:.1f}")
    assert next(numbers) > 400
    assert late <= max(2.0, 4 * quiet_late)
    assert gap <= max(30.0, 2 * quiet_gap)
