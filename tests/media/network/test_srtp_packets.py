"""SRTP in the media thread (RFC 3711): encrypted both ways, and nothing else is heard."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from media_rig import G722, PCMA, Rig, pitch, sine, udp_socket

from engine.media.network import rtp
from engine.media.network.srtp import Decryption, Encryption
from engine.media.orders import (
    CloseStream,
    DigitReceived,
    OpenStream,
    Play,
    RtpStarted,
    SrtpKeys,
    StreamClosed,
    ToneSource,
)

SHA80, SHA32 = "AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"
A, B, C = bytes(range(30)), bytes(range(50, 80)), bytes(range(90, 120))


def packet(n: int, payload: bytes = bytes(160)) -> bytes:
    return rtp.plain(8, False, n & 0xFFFF, n * 160 & 0xFFFFFFFF, 7, payload)


def encrypted(rig: Rig, law=PCMA, suite=SHA80):
    """A stream and a far end that encrypt."""
    name, far = rig.open(law, srtp=SrtpKeys(suite, A, B))
    far.encryption, far.decryption = Encryption(suite, B), Decryption(suite, A)
    return name, far


@pytest.mark.parametrize(("suite", "tag"), [(SHA80, 10), (SHA32, 4)])
def test_roll_overs_are_counted_on_both_sides(suite, tag):
    """RFC 3711, 3.3.1: 70,000 packets, so that the sequence number wraps."""
    sender, receiver = Encryption(suite, A), Decryption(suite, A)
    for n in range(65000, 70000 + 65000):
        secret = sender.protect(packet(n))
        assert secret is not None
        assert len(secret) == 172 + tag
        assert receiver.unprotect(secret) == packet(n)


def test_replays_forgeries_and_strangers_are_refused():
    """RFC 3711, 3.3.2."""
    sender, receiver = Encryption(SHA80, A), Decryption(SHA80, A)
    secrets = [sender.protect(packet(n)) for n in range(300)]
    assert receiver.unprotect(secrets[200]) == packet(200)
    assert receiver.unprotect(secrets[200]) is None
    assert receiver.unprotect(secrets[199]) == packet(199)
    assert receiver.unprotect(secrets[1]) is None  # older than the window
    assert receiver.unprotect(secrets[201][:-1] + bytes([secrets[201][-1] ^ 1])) is None
    assert receiver.unprotect(Encryption(SHA80, B).protect(packet(202))) is None
    for rubbish in (b"", b"\x80", bytes(12), packet(203), bytes(2000)):
        assert receiver.unprotect(rubbish) is None
    assert receiver.unprotect(secrets[204]) == packet(204)


def test_a_key_identifier_in_each_packet_is_passed_over():
    """RFC 3711, 3.1: the MKI lies between payload and tag, and is not authenticated."""
    sender, receiver = Encryption(SHA80, A), Decryption(SHA80, A, 4)
    secret = sender.protect(packet(1))
    assert receiver.unprotect(secret[:-10] + b"\0\0\0\1" + secret[-10:]) == packet(1)


def test_what_cannot_be_encrypted_is_not_sent():
    sender = Encryption(SHA80, A)
    assert sender.protect(packet(5)) is not None
    assert sender.protect(packet(5)) is None  # the same sequence number would use the same key stream
    assert sender.protect(bytes(1500)) is None


def test_audio_goes_both_ways_encrypted(rig):
    name, far = encrypted(rig)
    rig.engine.order(Play(name, ToneSource("us", "ringback"), loop=True))
    far.receive_until(far.is_sound)
    far.send_pcm(sine(700, 160 * 30))
    rig.engine.order(CloseStream(name))
    stats = rig.fact(StreamClosed).stats
    assert (stats.received, stats.discarded) in ((29, 0), (30, 0))  # the last may still be in the socket


def test_a_tone_is_heard_through_encryption(rig):
    name, far = encrypted(rig, G722, SHA32)
    stream = rig.engine.stream(name)
    stream.read(0, blocking=False)
    far.send_pcm(sine(700, 160 * 60))
    heard = np.frombuffer(stream.read(160 * 45, blocking=True), np.uint8).astype(float) - 128
    assert pitch(heard[2400:6400]) == pytest.approx(700, abs=5)


def test_plain_and_forged_packets_are_discarded_and_counted(rig):
    name, far = encrypted(rig)
    far.receive()
    good = far.encryption
    far.encryption = None
    far.send(bytes(160))
    far.encryption = Encryption(SHA80, C)
    far.send(bytes(160))
    far.encryption = good
    secret = good.protect(packet(1))
    for _ in range(2):  # the second one is a replay
        far.sock.sendto(secret, far.ours)
    rig.fact(RtpStarted)
    rig.engine.order(CloseStream(name))
    stats = rig.fact(StreamClosed).stats
    assert (stats.received, stats.discarded) == (1, 3)


def test_nothing_is_taken_before_keys_are_agreed_on(rig):
    sock = udp_socket()
    sock.setblocking(False)
    address = sock.getsockname()
    rig.engine.order(OpenStream("early", sock, encrypted=True))
    far = udp_socket()
    for n in range(5):
        far.sendto(packet(n), address)
    far.close()
    rig.engine.order(CloseStream("early"))
    stats = rig.fact(StreamClosed).stats
    assert stats.received == 0
    assert not rig.has_fact(RtpStarted)


def test_a_new_key_is_used_and_the_old_one_no_longer(rig):
    name, far = encrypted(rig)
    far.send(bytes(160))
    rig.fact(RtpStarted)
    far.receive()
    rig.remote(name, far, srtp=SrtpKeys(SHA80, C, B))
    far.decryption = Decryption(SHA80, C)
    for _ in range(100):
        try:
            far.receive()
            break
        except TypeError:  # one of the old key that was under way
            continue
    else:
        raise AssertionError("nothing came under the new key")


def test_the_same_keys_again_restart_nothing(rig):
    """A re-INVITE that repeats its key must not set the count of roll-overs back (RFC 3711, 3.3.1)."""
    name, far = encrypted(rig)
    far.receive()
    stream = rig.engine.stream(name)
    before = stream.out.encryption, stream.inbound.decryption
    rig.remote(name, far, srtp=SrtpKeys(SHA80, A, B))
    rig.remote(name, far, srtp=SrtpKeys(SHA80, A, C))
    for _ in range(10):
        far.receive()
    assert stream.out.encryption is before[0]
    assert stream.inbound.decryption is not before[1]


def test_telephone_events_are_encrypted_too(rig):
    _, far = encrypted(rig)
    for end in (0, 0, 0x80, 0x80):
        far.send(struct.pack("!BBH", 5, end | 10, 800), 101, timestamp=4000)
    assert rig.fact(DigitReceived).digit == "5"


def test_keys_are_not_shown():
    assert repr(SrtpKeys(SHA80, A, B)) == f"SrtpKeys({SHA80})"
