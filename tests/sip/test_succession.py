"""Legs that outlive their calls: a far end transfers us, or hands its call to another phone."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from charts import TRUNK, Chart, sdp

from engine.config import FIRST_TRUNK, Config
from engine.dialer.ports import LegState, StateChanged
from engine.handover import Handover
from engine.line import TrunkLine
from engine.media import orders
from engine.sip.account import Account
from engine.sip.message import Message
from engine.sip.referral import Referral
from engine.trunk_leg import TrunkLeg

ACCOUNT = Account(*TRUNK, username="1001", password="demo pass", register=False, accept_transfer=True)
REFER_TO = "Refer-To: <sip:5559876@192.0.2.10>"


class Orders:
    """Media that writes its orders down."""

    def __init__(self) -> None:
        self.given: list[Any] = []

    def order(self, order: Any) -> None:
        self.given.append(order)

    def preload(self, source: Any) -> None:
        pass

    def take(self, kind: type) -> list[Any]:
        found = [order for order in self.given if isinstance(order, kind)]
        self.given.clear()
        return found


class Bench(Chart):
    """A line over a chart's phone. A REFER is followed at once, and 5559876 is then being called."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.media_orders = Orders()
        self.line = TrunkLine({FIRST_TRUNK: self.phone}, self.media_orders, Config())  # type: ignore[arg-type]
        self.line.succession.on_referral = self._follow
        self.taken_over: list[str] = []
        self.line.succession.on_taken_over = lambda leg, earlier: self.taken_over.append(earlier)

    def _follow(self, leg: TrunkLeg, referral: Referral) -> None:
        referral.accept()
        assert self.line.succession.follow(leg, referral, referral.asked.number) == ""

    def up(self, role: str = "callee") -> TrunkLeg:
        """A leg that is answered and bridged to the headset."""
        leg = self.line.dial("5551234", role=role)  # type: ignore[arg-type]
        assert isinstance(leg, TrunkLeg)
        self.answer(self.last("INVITE"), 200, "OK", body=sdp())
        leg.bridge(None)
        self.sent.clear()
        self.media_orders.given.clear()
        return leg

    def referred(self, leg: TrunkLeg) -> Message:
        """Its far end refers; the INVITE that leaves for it."""
        self.request("REFER", leg.call, cseq=10, headers=[REFER_TO])
        return self.last("INVITE")


@pytest.fixture
def chart() -> Bench:
    return Bench(ACCOUNT)


def ends(leg: TrunkLeg) -> list[LegState]:
    """The states that whoever follows the leg was told of."""
    told = []
    while not leg.events.empty():
        event = leg.events.get_nowait()
        if isinstance(event, StateChanged):
            told.append(event.state)
    return told


def test_the_new_call_takes_the_leg_over_when_it_is_answered(chart: Bench) -> None:
    leg = chart.up()
    name, earlier = leg.id, leg.call
    leg.listen(True)
    invite = chart.referred(leg)
    chart.answer(invite, 180, "Ringing", tag="new")
    assert leg.call is earlier
    assert leg.coming is not None
    chart.media_orders.given.clear()
    chart.answer(invite, 200, "OK", tag="new", body=sdp(port=42000))
    assert (leg.id, leg.number, leg.state, leg.bridged_to) == (name, "5559876", LegState.ANSWERED, "sound")
    assert (leg.call is earlier, leg.coming) == (False, None)
    assert chart.taken_over == ["5551234"]
    given = chart.media_orders.given
    assert orders.Bridge(leg.stream, "sound") in given
    assert any(isinstance(o, orders.Detect) and o.stream == leg.stream and o.on for o in given)
    assert LegState.ENDED not in ends(leg)
    # the far end leaves by itself
    chart.request("BYE", earlier, cseq=11)
    assert LegState.ENDED not in ends(leg)
    chart.request("BYE", leg.call, cseq=1)
    assert ends(leg) == [LegState.ENDED]
    assert chart.line.legs == {}


def test_a_far_end_that_stays_is_hung_up_on(chart: Bench) -> None:
    leg = chart.up()
    earlier = leg.call
    chart.answer(chart.referred(leg), 200, "OK", tag="new", body=sdp())
    chart.clock.advance(4.9)
    assert earlier.progress is LegState.ANSWERED
    chart.clock.advance(0.2)
    assert earlier.progress is LegState.ENDED
    assert leg.state is LegState.ANSWERED


def test_a_far_end_that_leaves_at_once_leaves_the_leg_up(chart: Bench) -> None:
    """As many PBXs do: BYE right after the 202. Whoever the leg is bridged to waits for the new call."""
    leg = chart.up()
    ends(leg)
    invite = chart.referred(leg)
    chart.request("BYE", leg.call, cseq=11)
    assert (leg.number, leg.state, leg.bridged_to) == ("5559876", LegState.ANSWERED, "sound")
    chart.answer(invite, 183, "Session Progress", tag="new", body=sdp())
    chart.answer(invite, 200, "OK", tag="new", body=sdp())
    assert ends(leg) == []
    chart.request("BYE", leg.call, cseq=1)
    assert ends(leg) == [LegState.ENDED]


def test_where_nobody_is_reached_after_that_the_leg_ends(chart: Bench) -> None:
    leg = chart.up()
    ends(leg)
    invite = chart.referred(leg)
    chart.request("BYE", leg.call, cseq=11)
    chart.answer(invite, 486, "Busy Here", tag="new")
    assert ends(leg) == [LegState.ENDED]
    assert leg.cause is not None
    assert leg.cause.sip_code == 486


@pytest.mark.parametrize("code", [486, 302, 503])
def test_a_target_that_is_not_reached_changes_nothing(chart: Bench, code: int) -> None:
    leg = chart.up()
    earlier = leg.call
    invite = chart.referred(leg)
    chart.answer(invite, code, "No", tag="new", headers=["Contact: <sip:5550000@192.0.2.10>"])
    assert (leg.call is earlier, leg.coming, leg.state) == (True, None, LegState.ANSWERED)
    assert chart.media.ports.keys() == {earlier.id}


def test_a_target_that_never_answers_is_given_up(chart: Bench) -> None:
    leg = chart.up()
    chart.answer(chart.referred(leg), 180, "Ringing", tag="new")
    chart.clock.advance(Config().dialer.ring_timeout + 0.1)
    assert chart.last("CANCEL")
    chart.clock.advance(40)
    assert (leg.coming, leg.state) == (None, LegState.ANSWERED)


def test_hanging_up_meanwhile_takes_both_calls_down(chart: Bench) -> None:
    leg = chart.up()
    invite = chart.referred(leg)
    chart.answer(invite, 180, "Ringing", tag="new")
    leg.hangup()
    assert {"BYE", "CANCEL"} <= set(chart.take())
    chart.answer(invite, 487, "Terminated", tag="new")
    assert chart.line.legs == {}
    assert chart.media.ports == {}


def test_a_leg_that_is_bridged_to_nobody_is_not_transferred(chart: Bench) -> None:
    leg = chart.up()
    leg.unbridge()
    chart.request("REFER", leg.call, cseq=10, headers=[REFER_TO])
    assert chart.last().code == 603


def test_a_recording_goes_on_in_a_file_of_its_own(chart: Bench) -> None:
    leg = chart.up()
    leg.record()
    (first,) = chart.media_orders.take(orders.Record)
    earlier = leg.stream
    chart.media_orders.given.clear()
    chart.answer(chart.referred(leg), 200, "OK", tag="new", body=sdp())
    stopped, begun = chart.media_orders.take(orders.Record)
    assert (stopped.stream, stopped.path) == (earlier, None)
    assert begun.stream == leg.stream
    assert begun.path != first.path


def test_whom_an_agent_put_in_their_place_is_hung_up_on_with_the_call(chart: Bench) -> None:
    agent, callee = chart.up("agent"), chart.up()
    callee.bridge(agent)
    chart.answer(chart.referred(agent), 200, "OK", tag="new", body=sdp(port=42000))
    assert chart.media_orders.take(orders.Bridge)[-1:] == [orders.Bridge(callee.stream, agent.stream)]
    assert (callee.bridged_to, agent.bridged_to) == (agent.id, callee.id)
    chart.request("BYE", callee.call, cseq=10)
    agent.unbridge()  # as a standing seat does between calls
    assert agent.state is LegState.ENDED


def test_a_call_that_takes_anothers_place_takes_over_its_leg(chart: Bench) -> None:
    """RFC 3891, 3."""
    leg = chart.up()
    earlier = leg.call
    assert earlier.dialog is not None
    value = f"{earlier.call_id};to-tag={earlier.dialog.local.tag};from-tag={earlier.dialog.remote.tag}"
    chart.request("INVITE", call_id="taker", body=sdp(port=43000), headers=[f"Replaces: {value}"])
    assert (leg.number, leg.state, leg.bridged_to) == ("+12125550199", LegState.ANSWERED, "sound")
    assert earlier.progress is LegState.ENDED
    assert LegState.ENDED not in ends(leg)
    assert list(chart.line.legs.values()) == [leg]


def test_one_that_comes_while_another_is_called_ends_that_call(chart: Bench) -> None:
    leg = chart.up()
    earlier = leg.call
    invite = chart.referred(leg)
    chart.answer(invite, 180, "Ringing", tag="new")
    assert earlier.dialog is not None
    value = f"{earlier.call_id};to-tag={earlier.dialog.local.tag};from-tag={earlier.dialog.remote.tag}"
    chart.request("INVITE", call_id="taker", body=sdp(port=43000), headers=[f"Replaces: {value}"])
    assert chart.last("CANCEL")
    assert (leg.number, leg.coming) == ("+12125550199", None)


def test_a_leg_that_was_held_is_not_held_any_more(chart: Bench) -> None:
    leg = chart.up()
    leg.hold(True)
    chart.answer(chart.last("INVITE"), 200, "OK", body=sdp(direction="recvonly", version=2))
    assert leg.held
    chart.media_orders.given.clear()
    chart.answer(chart.referred(leg), 200, "OK", tag="new", body=sdp())
    assert not leg.held
    assert chart.media_orders.take(orders.Bridge)[-1:] == [orders.Bridge(leg.stream, "sound")]


def test_without_the_setting_nothing_of_it_happens() -> None:
    chart = Bench(replace(ACCOUNT, accept_transfer=False))
    leg = chart.up()
    chart.request("REFER", leg.call, cseq=10, headers=[REFER_TO])
    assert chart.last().code == 405
    assert leg.coming is None
    assert "REFER" not in chart.last().all("Allow")


def test_a_call_that_takes_the_place_of_the_one_being_placed_takes_the_leg_over(chart: Bench) -> None:
    """RFC 3891, 3: an early dialog that we began may be replaced; who asked hears of its success."""
    leg = chart.up()
    earlier = leg.call
    invite = chart.referred(leg)
    chart.answer(chart.last("NOTIFY"), 200)
    chart.answer(invite, 180, "Ringing", tag="new")
    chart.answer(chart.last("NOTIFY"), 200)
    replaces = f"Replaces: {invite.call_id};to-tag={invite.from_.tag};from-tag=new"
    chart.request("INVITE", body=sdp(port=43000), headers=[replaces], call_id="other")
    assert (leg.call.call_id, leg.coming, leg.state) == ("other", None, LegState.ANSWERED)
    assert b"200 OK" in chart.last("NOTIFY").content
    assert chart.last("CANCEL").call_id == invite.call_id
    chart.clock.advance(5.1)
    assert earlier.progress is LegState.ENDED
    assert leg.state is LegState.ANSWERED


def test_one_that_takes_the_place_of_a_call_without_a_leg_is_not_kept(chart: Bench) -> None:
    """A far end that has been replaced already, in the seconds that it has to leave."""
    leg = chart.up()
    earlier = leg.call
    chart.answer(chart.referred(leg), 200, "OK", tag="new", body=sdp(port=42000))
    dialog = earlier.dialog
    assert dialog is not None
    replaces = f"Replaces: {dialog.call_id};to-tag={dialog.local.tag};from-tag={dialog.remote.tag}"
    chart.request("INVITE", body=sdp(port=43000), headers=[replaces], call_id="other")
    answered = next(sent.message for sent in chart.sent if sent.message.summary_line == "200 OK"
                    and sent.message.call_id == "other")  # fmt: skip
    chart.request("ACK", to=answered.get("To") or "", call_id="other")
    chart.clock.advance(70)
    assert list(chart.agent.calls) == [leg.call.call_id]
    assert len(chart.media.ports) == 1


async def test_a_transfer_that_is_being_weighed_at_the_end_is_followed_no_more(chart: Bench) -> None:
    leg = chart.up()
    asked, given_up = asyncio.Event(), asyncio.Event()

    async def may_dial(number: str, *, by_hand: bool) -> tuple[None, str]:
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            given_up.set()
        return None, ""

    engine = SimpleNamespace(dialer=SimpleNamespace(may_dial=may_dial), line=chart.line)
    handover = Handover(engine)  # type: ignore[arg-type]
    chart.line.succession.on_referral = handover.referred
    chart.request("REFER", leg.call, cseq=10, headers=[REFER_TO])
    async with asyncio.timeout(10):
        await asked.wait()
        handover.close()
        await given_up.wait()
    assert leg.coming is None
