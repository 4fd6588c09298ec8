"""How a call at a trunk is listened to: the configuration's, its campaign's and its entry's own settings."""

from __future__ import annotations

from test_trunk_choice import Trunks

from engine.media import orders

SPRING = ["campaigns.spring.detection.stop_on=ringback", "campaigns.spring.detection.codes.3=604",
          "campaigns.spring.detection.max_silence=7", "detection.max_sound=33"]  # fmt: skip


def listens(trunks: Trunks) -> orders.Detect:
    return [order for order in trunks.media.ordered if isinstance(order, orders.Detect)][-1]


def test_the_entrys_own_go_before_the_campaigns_and_those_before_everybodys() -> None:
    trunks = Trunks(*SPRING)
    leg = trunks.dial(campaign="/queues/spring.csv", options={"max_time": "9", "max_silence": "5"})
    leg.listen(True)
    made = listens(trunks).settings
    assert (made.stop_on, made.max_silence, made.max_time) == ({"ringback"}, 5, 9)
    assert made.max_sound == 33
    other = trunks.dial(campaign="/queues/autumn.csv")
    other.listen(True)
    made = listens(trunks).settings
    assert (made.stop_on, made.max_silence) == ({"sample", "busy"}, 30)


def test_the_detector_learns_how_long_the_call_has_lasted() -> None:
    trunks = Trunks()
    leg = trunks.dial()
    leg.began -= 40.0
    leg.listen(True)
    assert 40.0 <= listens(trunks).call_s < 60.0


def test_what_was_heard_is_told_with_the_campaigns_code() -> None:
    trunks = Trunks(*SPRING)
    leg = trunks.dial(campaign="spring", options={"reason_header": "X-Heard"})
    trunks.answer("trunk", 183)
    leg.hangup("cancelled", 3)
    cancel = trunks.charts["trunk"].last("CANCEL")
    reason = 'SIP;cause=604;text="does not exist"'
    assert (cancel.get("Reason"), cancel.get("X-Heard")) == (reason, reason)
