"""A tick's work, with orders and faults in the middle of it."""

from __future__ import annotations

import numpy as np
from media_rig import bridged, octets, passes, sine

from engine.media import codec
from engine.media.clip import key_clip
from engine.media.orders import DigitReceived
from engine.media.sound.card import SoundCard
from engine.media.warming import Warming
from engine.media.work import Work


def test_keys_are_heard_though_another_stream_is_not_listened_to_any_more(rig, monkeypatch, caplog):
    original = Work._hear_keys

    def after_an_order(self, streams, now):
        rig.engine.stream(first).keys = None
        original(self, streams, now)

    monkeypatch.setattr(Work, "_hear_keys", after_an_order)
    first, end = rig.open(event=None, hear_keys=True)
    second, other = rig.open(event=None, hear_keys=True)
    end.send(codec.encode("PCMA", sine(300, 160)))
    quiet = sine(0, 1600)
    other.send_pcm(np.concatenate((quiet, key_clip("5", 80, 60).pcm, quiet)))
    fact = rig.fact(DigitReceived)
    assert (fact.stream, fact.digit) == (second, "5")
    assert "fault" not in caplog.text


def test_a_fault_outside_all_streams_is_logged_once_and_audio_goes_on(rig, monkeypatch, caplog):
    def fault(self, now):
        raise ValueError("not today")

    monkeypatch.setattr(Warming, "tick", fault)
    monkeypatch.setattr(SoundCard, "begin_tick", fault)
    (_, a), (_, b) = bridged(rig)
    passes(a, b)
    payload = octets("PCMA", 1)
    a.send(payload)
    b.receive_until(lambda packet: packet.payload == payload)
    assert caplog.text.count("a fault in a tick") == 1
