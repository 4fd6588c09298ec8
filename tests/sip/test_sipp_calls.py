"""What happens within calls, against SIPp: it plays the trunk, and fails where we do not do as it expects.

All scenarios are played at once, each with a phone of its own: most of their time is waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest
from peers import Sipp, Until, call, phone_to

from engine.legs import HangupCause, LegState
from engine.sip.call import Call
from engine.sip.phone import Phone

FAR_HANGUP, OUR_HANGUP = HangupCause("normal", "far"), HangupCause("normal", "us")


@dataclass
class Played:
    """What became of one scenario. `failed` is what SIPp says where it was not played as written."""

    call: Call | None = None
    failed: str = ""
    sent: list[str] = field(default_factory=list)
    digits: list[str] = field(default_factory=list)

    @property
    def cause(self) -> HangupCause | None:
        assert not self.failed, self.failed
        assert self.call is not None
        return self.call.cause


Part = Callable[[Phone, Until, Played], Awaitable[None]]


async def up(phone: Phone, until: Until, played: Played) -> Call:
    made = played.call = phone.dial("5551234")
    await until(lambda: made.progress in (LegState.ANSWERED, LegState.ENDED))
    return made


async def stays(phone: Phone, until: Until, played: Played) -> None:
    made = await up(phone, until, played)
    await until(lambda: made.progress is LegState.ENDED)


async def hangs_up(phone: Phone, until: Until, played: Played) -> None:
    (await up(phone, until, played)).hangup_leg()


async def cancels(phone: Phone, until: Until, played: Played) -> None:
    made = played.call = phone.dial("5551234")
    await until(lambda: made.progress is LegState.RINGING)
    made.hangup_leg()
    await until(lambda: made.progress is LegState.ENDED)


async def holds(phone: Phone, until: Until, played: Played) -> None:
    made = await up(phone, until, played)
    made.hold(True)
    await until(lambda: made.held)
    await until(lambda: made.progress is LegState.ENDED)


async def is_called(phone: Phone, until: Until, played: Played) -> None:
    came: asyncio.Future[Call] = asyncio.get_running_loop().create_future()
    phone.on_inbound = came.set_result
    played.call = await came


async def answers(phone: Phone, until: Until, played: Played) -> None:
    await is_called(phone, until, played)
    assert played.call is not None
    played.call.accept()


SCENARIOS: dict[str, Part] = {
    "reliable": stays, "forks": stays, "update": stays, "refreshed_by_update": stays,
    "refreshed_by_invite": stays, "interval_too_small": stays, "reinvites": stays, "never_refreshes": stays,
    "redirected": stays, "midcall_requests": stays, "answer_crosses_cancel": cancels, "lossy": hangs_up,
    "strict_router": hangs_up, "glare": holds, "calls_reliably": answers, "calls_and_gives_up": is_called,
}  # fmt: skip


async def play(name: str, sipp: Sipp, turn: asyncio.Semaphore) -> Played:
    played = Played()
    async with turn, phone_to(sipp.port) as (phone, until):
        assert phone.agent is not None
        phone.agent.on_message = lambda message, ours: played.sent.append(message.method) if ours else None
        phone.on_redirect = lambda call, number: number == "5559999"
        phone.on_digit = lambda call, digit, ms: played.digits.append(digit)
        sipp.start(name, *([f"127.0.0.1:{phone.listening[1]}"] if name.startswith("calls") else []))
        try:
            async with asyncio.timeout(20):
                await SCENARIOS[name](phone, until, played)
            await asyncio.to_thread(sipp.wait)
        except TimeoutError:
            played.failed = f"{name}: nothing more came"
        except pytest.fail.Exception as failure:
            played.failed = f"{name}: {failure}"
        finally:
            sipp.close()
    return played


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Played]:
    async def all_of_them() -> list[Played]:
        turn = asyncio.Semaphore(8)
        sipps = {name: Sipp(tmp_path_factory.mktemp(name)) for name in SCENARIOS}
        return await asyncio.gather(*(play(name, sipp, turn) for name, sipp in sipps.items()))

    return dict(zip(SCENARIOS, asyncio.run(all_of_them()), strict=True))


class TestCalling:
    def test_reliable_responses_are_acknowledged_once_each(self, played: dict[str, Played]) -> None:
        """RFC 3262, 4."""
        assert played["reliable"].cause == FAR_HANGUP
        assert played["reliable"].sent.count("PRACK") == 2

    def test_the_fork_that_answers_first_is_the_call_the_other_is_hung_up(
        self, played: dict[str, Played]
    ) -> None:
        """RFC 3261, 13.2.2.4."""
        assert played["forks"].cause == FAR_HANGUP

    def test_updates_before_and_after_the_answer(self, played: dict[str, Played]) -> None:
        """RFC 3311, 5.2."""
        assert played["update"].cause == FAR_HANGUP

    def test_a_redirected_call_goes_on_over_the_trunk(self, played: dict[str, Played]) -> None:
        """RFC 3261, 8.1.3.4."""
        assert played["redirected"].cause == FAR_HANGUP

    def test_an_answer_that_crosses_our_cancel_is_hung_up(self, played: dict[str, Played]) -> None:
        """RFC 3261, 9.1 and 15."""
        cause = played["answer_crosses_cancel"].cause
        assert cause is not None
        assert cause.name == "cancelled"

    def test_a_lost_invite_and_a_lost_bye_are_sent_again(self, played: dict[str, Played]) -> None:
        """RFC 3261, 17.1.1.2 and 17.1.2.2."""
        assert played["lossy"].cause == OUR_HANGUP
        assert played["lossy"].sent.count("INVITE") >= 2
        assert played["lossy"].sent.count("BYE") >= 2

    def test_a_strict_router_gets_its_own_address_and_the_target_behind_it(
        self, played: dict[str, Played]
    ) -> None:
        """RFC 3261, 12.2.1.1."""
        assert played["strict_router"].cause == OUR_HANGUP


class TestSessionTimer:
    @pytest.mark.parametrize("how", ["update", "invite"])
    def test_we_refresh_as_the_far_end_wants(self, played: dict[str, Played], how: str) -> None:
        """RFC 4028, 7.2, 7.4 and 10."""
        assert played[f"refreshed_by_{how}"].cause == FAR_HANGUP

    def test_one_that_is_not_refreshed_is_ended(self, played: dict[str, Played]) -> None:
        """RFC 4028, 10."""
        cause = played["never_refreshes"].cause
        assert cause is not None
        assert cause.name == "timeout"

    def test_an_interval_that_is_too_small_is_raised(self, played: dict[str, Played]) -> None:
        """RFC 4028, 7.3."""
        assert played["interval_too_small"].cause == FAR_HANGUP


class TestWithinTheCall:
    def test_hold_in_every_way_and_all_else_that_a_re_invite_changes(
        self, played: dict[str, Played]
    ) -> None:
        """RFC 3261, 14.2; RFC 3264, 8."""
        assert played["reinvites"].cause == FAR_HANGUP

    def test_other_requests(self, played: dict[str, Played]) -> None:
        """RFC 3261, 11.2, 12.2.2, 8.2.1 and 8.2.2.3; RFC 6086, 4.2.2; RFC 3326, 2."""
        other = played["midcall_requests"]
        assert other.cause == HangupCause("normal", "far", None, "Normal, unspecified", 31)
        assert other.digits == ["4", "2"]

    def test_two_re_invites_that_meet(self, played: dict[str, Played]) -> None:
        """RFC 3261, 14.1 and 14.2: 491 each way, and ours once more after two to four seconds."""
        assert played["glare"].cause == FAR_HANGUP


class TestCalled:
    def test_reliably_with_a_late_offer_and_a_session_timer(self, played: dict[str, Played]) -> None:
        """RFC 3262, 3 and 5; RFC 4028, 9; RFC 3311, 5.2."""
        came = played["calls_reliably"]
        assert came.cause == FAR_HANGUP
        assert came.call is not None
        assert came.call.negotiated is not None

    def test_a_cancel_tells_that_the_call_is_elsewhere(self, played: dict[str, Played]) -> None:
        """RFC 3261, 8.2.2.3 and 9.2; RFC 3326, 3.2."""
        cause = played["calls_and_gives_up"].cause
        assert cause == HangupCause("cancelled", "far", 487, "Call completed elsewhere")


def test_digits_are_sent_by_info_where_the_trunk_is_set_so(sipp: Sipp) -> None:
    """RFC 6086, 4; through the whole command."""
    sipp.start("takes_info")
    status, result, _ = call(sipp, "--dtmf", "4#", "--set", "trunk.dtmf=info")
    sipp.wait()
    assert (status, result["cause"]) == (0, "normal")


def test_why_a_call_was_refused_is_told(sipp: Sipp) -> None:
    """RFC 3326, 2 and RFC 3261, 20.33; through the whole command."""
    sipp.start("out_of_order")
    status, result, _ = call(sipp)
    sipp.wait()
    assert (status, result["sip_code"], result["q850"], result["retry_after"]) == (3, 503, 38, 120)
