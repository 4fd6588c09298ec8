"""Which way our digits go: by setting, or by what the far end showed that it takes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from charts import Chart, sdp

from engine.sip.call import Call
from engine.sip.digit_way import digit_way

WITHOUT_EVENT = sdp(codecs="8")
ALLOWS = "Allow: INVITE, ACK, BYE, CANCEL, INFO"


def answered(chart: Chart, event: bool, *headers: str) -> Call:
    call, _ = chart.answered(None if event else WITHOUT_EVENT, headers=headers)
    return call


@pytest.mark.parametrize("setting", ["auto", "rtp"])
def test_telephone_event_where_it_was_agreed_on(chart: Chart, setting: str) -> None:
    assert digit_way(setting, answered(chart, True, ALLOWS, "Accept: application/dtmf-relay")) == "rtp"


def test_tones_to_a_far_end_that_shows_nothing_else(chart: Chart) -> None:
    assert digit_way("auto", answered(chart, False, ALLOWS)) == "inband"


@pytest.mark.parametrize("kind", ["application/dtmf-relay", "application/sdp, Application/DTMF;q=0.5"])
def test_info_where_the_far_end_accepts_its_bodies(chart: Chart, kind: str) -> None:
    """RFC 3261, 20.1."""
    assert digit_way("auto", answered(chart, False, ALLOWS, f"Accept: {kind}")) == "info"


def test_info_to_a_far_end_that_sends_key_presses_so_itself(chart: Chart) -> None:
    call = answered(chart, False)
    chart.request("INFO", call, cseq=1, body="5", kind="application/dtmf")
    assert digit_way("auto", call) == "info"


def test_tones_after_info_was_refused(chart: Chart) -> None:
    call = answered(chart, False, "Accept: application/dtmf-relay")
    call.info.send("1", lambda left: None)
    chart.answer(chart.last("INFO"), 415)
    assert digit_way("auto", call) == "inband"


@pytest.mark.parametrize("setting", ["info", "inband"])
@pytest.mark.parametrize("event", [True, False])
def test_a_setting_of_its_own_is_followed(chart: Chart, setting: str, event: bool) -> None:
    assert digit_way(setting, answered(chart, event)) == setting


def test_a_setting_of_telephone_event_alone_sends_nothing_where_it_was_not_agreed_on(chart: Chart) -> None:
    assert digit_way("rtp", answered(chart, False)) is None


def test_info_where_the_codec_would_spoil_tones(chart: Chart) -> None:
    call = answered(chart, False, ALLOWS)
    assert call.negotiated is not None
    call.negotiated = replace(call.negotiated, codecs=(("opus", 96),))
    assert digit_way("auto", call) == "info"
