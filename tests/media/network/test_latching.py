"""Whose audio a stream takes and where its own goes (RFC 4961): NAT is followed, thieves are not."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import numpy as np
import pytest
from media_rig import FarEnd, Rig, pitch, sine, udp_socket

from engine.media import codec
from engine.media.network import rtp, udp
from engine.media.network.inbound import GRACE_S, MOVED_S, Inbound
from engine.media.orders import Bridge, CloseStream, Latch, Record, RtpStarted, SetRemote, StreamClosed

SDP = ("198.51.100.7", 4000)
OTHER_PORT = ("198.51.100.7", 4998)
PROXY = ("203.0.113.5", 5060)
PROXYS_AUDIO = ("203.0.113.5", 30000)
THIEF = ("192.0.2.66", 666)
PRIVATE = ("192.168.1.20", 4000)
PUBLIC = ("8.8.8.8", 61000)
OTHER_PRIVATE = ("10.0.0.9", 4000)


def at(address: tuple[str, int]) -> bytes:
    found = udp.sockaddr(*address)
    assert found is not None
    return found


class Line:
    """An Inbound on a clock of the test's own."""

    def __init__(self, sdp: tuple[str, int] | None = SDP, encrypted: bool = False, **latch: object) -> None:
        self.inbound = Inbound(encrypted, Latch(**latch))  # type: ignore[arg-type]
        self.now = 100.0
        if sdp is not None:
            self.inbound.expect(at(sdp), self.now, (at(PROXY),))

    def hears(self, source: tuple[str, int], seconds: float = 0.0, ssrc: int = 1) -> bool:
        """Whether a packet is taken; with `seconds` the last one of a stream so long."""
        taken = False
        for _ in range(1 + round(seconds * 50)):
            packet = rtp.serialize(rtp.Packet(8, 1, 1, ssrc, bytes(160)))
            taken = self.inbound.accept(packet, at(source), self.now) is not None
            self.now += 0.02
        return taken

    @property
    def sends_to(self) -> tuple[str, int] | None:
        return udp.host_port(self.inbound.address) if self.inbound.address else None


def test_sdps_own_address_is_heard_at_once():
    line = Line()
    assert line.hears(SDP)
    assert line.sends_to == SDP


def test_nobody_is_heard_before_sdp_says_who():
    line = Line(None)
    assert not line.hears(THIEF, 3)
    assert line.sends_to is None


@pytest.mark.parametrize("source", [OTHER_PORT, PROXYS_AUDIO])
@pytest.mark.parametrize("rule", ["sdp", "nat"])
def test_another_port_and_signallings_host_are_followed_once_sdps_address_was_silent(source, rule):
    line = Line(rule=rule)
    assert not line.hears(source)
    assert line.hears(source, GRACE_S)
    assert line.sends_to == source


def test_a_far_end_behind_nat_is_followed_where_its_sdp_is_private():
    line = Line(PRIVATE)
    assert line.hears(PUBLIC, GRACE_S + 0.1)
    assert line.sends_to == PUBLIC
    line = Line(PRIVATE, rule="sdp")
    assert not line.hears(PUBLIC, 5)
    line = Line(PRIVATE)
    assert not line.hears(OTHER_PRIVATE, 5)  # that one it could have named


def test_a_third_party_is_never_followed_where_sdps_address_can_be_reached():
    line = Line()
    assert not line.hears(THIEF, 10)
    assert line.sends_to == SDP
    assert line.inbound.discards["foreign"] == 501


def test_whoever_came_before_gives_way_to_sdps_address():
    line = Line()
    assert line.hears(OTHER_PORT, 1)
    assert line.hears(SDP)
    assert line.sends_to == SDP
    assert not line.hears(OTHER_PORT, 5)


@pytest.mark.parametrize("thief", [THIEF, OTHER_PORT, PROXYS_AUDIO])
def test_a_known_source_is_not_replaced_however_long_it_is_silent(thief):
    line = Line()
    line.hears(SDP, 1)
    line.now += 60
    assert not line.hears(thief, 10, ssrc=1)  # its own SSRC is no proof
    assert line.sends_to == SDP


def test_by_setting_it_is_replaced_after_silence_by_whom_the_rule_allows():
    line = Line(relatch_after=3.0)
    line.hears(SDP, 1)
    assert not line.hears(OTHER_PORT, 2.5)
    assert not line.hears(THIEF, 10)
    assert line.hears(OTHER_PORT, 1)
    assert line.sends_to == OTHER_PORT
    assert line.hears(SDP)
    assert line.sends_to == SDP


def test_by_setting_the_first_source_is_taken_from_anywhere():
    line = Line(rule="first")
    assert line.hears(THIEF)
    assert line.sends_to == THIEF
    assert not line.hears(PUBLIC, 5)
    assert line.hears(SDP)


def test_what_a_stranger_sends_is_not_even_read_once_a_source_is_known():
    line = Line()
    assert not line.inbound.is_strange(at(THIEF))
    line.hears(SDP)
    assert line.inbound.is_strange(at(THIEF))
    assert not line.inbound.is_strange(at(SDP))
    line.inbound.expect(at(PROXYS_AUDIO), line.now)
    assert not line.inbound.is_strange(at(SDP))
    line = Line(relatch_after=3.0)
    line.hears(SDP)
    assert not line.inbound.is_strange(at(OTHER_PORT))  # it may be believed some day


def test_two_that_compete_are_not_followed_in_turns():
    line = Line()
    for _ in range(100):
        assert not (line.hears(PROXYS_AUDIO) and line.hears(OTHER_PORT))
    assert line.sends_to in (PROXYS_AUDIO, SDP)


def test_after_hold_a_far_end_behind_nat_may_come_back_from_another_port():
    line = Line(PRIVATE)
    line.hears(PUBLIC, 1)
    line.now += 30
    line.inbound.expect(at(PRIVATE), line.now)  # resumed by a re-INVITE with the same address
    assert line.sends_to == PUBLIC
    assert line.hears((PUBLIC[0], 61111), 1)
    assert line.sends_to == (PUBLIC[0], 61111)


def test_after_a_move_by_sdp_the_old_source_is_heard_until_the_new_one_speaks():
    line = Line()
    line.hears(SDP)
    line.inbound.expect(at(PROXYS_AUDIO), line.now, (at(PROXY),))
    assert line.sends_to == PROXYS_AUDIO
    assert line.hears(SDP, 1)
    assert line.sends_to == PROXYS_AUDIO
    assert line.hears(PROXYS_AUDIO)
    assert not line.hears(SDP, 3)


def test_after_a_move_the_old_source_is_not_heard_for_ever():
    line = Line()
    line.hears(SDP)
    line.inbound.expect(at(PUBLIC), line.now)
    assert line.hears(SDP, MOVED_S - 0.1)
    assert not line.hears(SDP, 2)
    assert line.sends_to == PUBLIC


def test_hold_by_an_address_that_is_none_moves_nothing():
    line = Line()
    line.hears(SDP)
    line.inbound.expect(None, line.now)
    assert line.hears(SDP)
    assert line.sends_to == SDP


# --- over real sockets ---------------------------------------------------------------------------------


@pytest.fixture
def thieves() -> Iterator[list[socket.socket]]:
    socks = [udp_socket(host) for host in ("127.0.0.1", "127.0.0.2")]
    yield socks
    for sock in socks:
        sock.close()


def spray(thief: socket.socket, far: FarEnd, number: int) -> None:
    """A loud tone with the far end's own SSRC, payload type and next numbers."""
    payload = codec.encode("PCMA", sine(2000, 160, 20000))
    packet = rtp.Packet(8, far.sequence & 0xFFFF, far.timestamp & 0xFFFFFFFF, far.ssrc, payload)
    packet.sequence = (packet.sequence + number) & 0xFFFF
    thief.sendto(rtp.serialize(packet), far.ours)


def silent(thief: socket.socket) -> bool:
    thief.setblocking(False)
    try:
        thief.recv(2000)
    except BlockingIOError:
        return True
    return False


@pytest.mark.parametrize("bridged", [False, True])
def test_a_third_party_is_neither_heard_nor_sent_to_before_during_or_after(rig, thieves, tmp_path, bridged):
    name, far = rig.open()
    other, listener = rig.open()
    path = tmp_path / "heard.wav"
    if bridged:
        rig.engine.order(Bridge(name, other))
    else:
        rig.engine.order(Record(name, str(path)))
    listener.forget()
    heard = []
    tone = sine(500, 160 * 30, 8000)
    for n in range(90):
        start = time.monotonic()
        for thief in thieves:
            for ahead in range(2):
                spray(thief, far, ahead)
        if 15 <= n < 45:
            far.send(codec.encode("PCMA", tone[(n - 15) * 160 :][:160]))
        heard.append(codec.decode("PCMA", listener.receive().payload))
        time.sleep(max(0.0, start + 0.02 - time.monotonic()))
    while far.receive().payload:
        break
    assert all(silent(thief) for thief in thieves)
    rig.engine.order(CloseStream(name))
    stats = rig.fact(StreamClosed).stats
    assert stats.received == 30
    assert stats.discards["foreign"] == 360
    if bridged:
        audio = np.concatenate(heard)
    else:
        import soundfile

        audio = soundfile.read(str(path), dtype="int16")[0][:, 0]
    loud = audio[np.abs(audio) > 50]
    assert len(loud) > 3000
    assert np.abs(audio).max() < 9000
    assert abs(pitch(audio) - 500) < 20


def test_packets_from_another_port_than_sdps_are_followed(rig: Rig):
    name, far = rig.open(remote=False)
    elsewhere = udp_socket()
    rig.remote(name, far, port=elsewhere.getsockname()[1])
    elsewhere.recv(2000)
    far.send_pcm(sine(500, 160 * 30))
    assert rig.fact(RtpStarted).port == far.address[1]
    far.receive()
    elsewhere.close()


def test_signallings_host_may_speak_for_the_far_end(rig: Rig):
    name, far = rig.open(remote=False)
    far.sock.close()
    far.sock = udp_socket("127.0.0.3")
    rig.remote(name, far, host="127.0.0.9", port=4000, signalling="127.0.0.3")
    far.send_pcm(sine(500, 160 * 30))
    assert rig.fact(RtpStarted).host == "127.0.0.3"
    far.receive()


def test_the_first_packets_of_a_new_source_are_heard_at_a_move(rig: Rig):
    """183 with early media from a gateway, then 200 from another with its own SSRC."""
    name, old = rig.open()
    other, listener = rig.open()
    rig.engine.order(Bridge(name, other))
    old.send(codec.encode("PCMA", sine(500, 160)))
    rig.fact(RtpStarted)
    new = FarEnd(old.ours, old.law, None)
    rig.far_ends.append(new)
    new.ssrc, new.sequence, new.timestamp = 0xBEEF, 5, 77
    rig.engine.order(SetRemote(name, *new.address, (old.law,)))
    new.receive()
    first = new.send(codec.encode("PCMA", sine(700, 160)))
    assert listener.receive_until(lambda p: p.payload == first.payload).marker
    assert rig.engine.stream(name).reception.lost == 0
