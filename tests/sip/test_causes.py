"""Why a call ended: Reason and Retry-After either way, redirections (RFC 3326; RFC 3261, 20.33, 8.1.3.4)."""

from __future__ import annotations

import pytest
from charts import TRUNK, Chart, answer, sdp

from engine.legs import HangupCause, LegState
from engine.sip.account import Account


class TestTold:
    @pytest.mark.parametrize(
        ("reason", "q850", "text"),
        [
            ('Q.850;cause=16;text="Normal call clearing"', 16, "Normal call clearing"),
            ("q.850 ;cause=31", 31, "q.850 ;cause=31"),
            ('SIP;cause=200;text="a, b;c", Q.850;cause=26', 26, "a, b;c"),
            ("SIP;cause=480", None, "SIP;cause=480"),
            ("Q.850;cause=x", None, "Q.850;cause=x"),
            ("Q.850;cause=99999999999999", None, "Q.850;cause=99999999999999"),
        ],
    )
    def test_by_a_bye(self, chart: Chart, reason: str, q850: int | None, text: str) -> None:
        """RFC 3326, 2."""
        call, _ = chart.answered()
        chart.request("BYE", call, headers=[f"Reason: {reason}"])
        assert call.cause == HangupCause("normal", "far", None, text, q850)

    def test_by_a_refusal(self, chart: Chart) -> None:
        """RFC 3326, 2 and RFC 6432: gateways put the ISDN cause into final responses."""
        call, invite = chart.dial()
        headers = ["Reason: Q.850;cause=34", "Retry-After: 120"]
        chart.answer(invite, 503, "Service Unavailable", headers=headers)
        assert call.cause == HangupCause("rejected", "far", 503, "Service Unavailable", 34, 120)

    @pytest.mark.parametrize(
        ("value", "seconds"),
        [("18000;duration=3600", 18000), ("120 (I'm in a meeting)", 120), ("soon", None), ("-3", None)],
    )
    def test_retry_after_in_all_its_forms(self, chart: Chart, value: str, seconds: int | None) -> None:
        """RFC 3261, 20.33."""
        call, invite = chart.dial()
        chart.answer(invite, 480, headers=[f"Retry-After: {value}"])
        assert call.cause is not None
        assert call.cause.retry_after == seconds

    def test_by_a_cancel(self, chart: Chart) -> None:
        """RFC 3326, 3.2: somebody else took the call."""
        call = chart.ringing(branch="z9hG4bKc")
        reason = 'SIP;cause=200;text="Call completed elsewhere"'
        chart.request("CANCEL", branch="z9hG4bKc", headers=[f"Reason: {reason}"])
        assert call.cause == HangupCause("cancelled", "far", 487, "Call completed elsewhere")

    def test_many_reasons_are_bounded(self, chart: Chart) -> None:
        call, _ = chart.answered()
        chart.request("BYE", call, headers=["Reason: SIP;cause=200", *["Reason: Q.850;cause=16"] * 50])
        assert call.cause is not None
        assert call.cause.q850 == 16


class TestSaid:
    @pytest.mark.parametrize(
        ("cause", "reason"),
        [
            ("normal", 'Q.850;cause=16;text="Normal call clearing"'),
            ("no_rtp", 'Q.850;cause=41;text="Temporary failure"'),
            ("something else", None),
        ],
    )
    def test_our_bye_says_why(self, chart: Chart, cause: str, reason: str | None) -> None:
        """RFC 3326, 2."""
        call, _ = chart.answered()
        call.hangup_leg(cause)
        assert chart.last("BYE").get("Reason") == reason

    def test_also_one_that_waited_for_its_ack(self, chart: Chart) -> None:
        """RFC 3261, 15."""
        call = chart.ringing()
        call.accept()
        call.hangup_leg()
        chart.request("ACK", call)
        assert "cause=16" in (chart.last("BYE").get("Reason") or "")

    def test_a_second_fork_is_told_that_the_call_is_elsewhere(self, chart: Chart) -> None:
        """RFC 3326, 2."""
        _, invite = chart.answered()
        chart.answer(invite, 200, tag="other", body=sdp())
        assert "Call completed elsewhere" in (chart.last("BYE").get("Reason") or "")

    def test_one_that_crossed_our_cancel_is_not(self, chart: Chart) -> None:
        call, invite = chart.dial()
        chart.answer(invite, 180)
        call.hangup_leg()
        chart.answer(invite, 200, body=sdp())
        assert chart.last("BYE").get("Reason") is None


def moved(*contacts: str) -> list[str]:
    return [f"Contact: {contact}" for contact in contacts]


def uris(chart: Chart) -> list[str]:
    return [s.message.uri_text for s in chart.sent if s.message.method == "INVITE"]


class TestRedirected:
    @pytest.fixture
    def follower(self, chart: Chart) -> Chart:
        chart.phone.on_redirect = lambda call, number: number != "forbidden"
        return chart

    def test_it_goes_on_to_the_contact_over_the_same_trunk(self, follower: Chart) -> None:
        """RFC 3261, 8.1.3.4: To, From and Call-ID stay, CSeq rises, the Request-URI is the Contact."""
        call, invite = follower.dial()
        follower.answer(invite, 302, headers=moved("<sip:5559999@192.0.2.10;x=1?Evil=1>"))
        again = follower.last_sent("INVITE")
        assert follower.take() == ["INVITE", "ACK", "INVITE"]
        assert again.message.uri_text == "sip:5559999@192.0.2.10;x=1"
        assert again.to == TRUNK
        assert (again.message.get("To"), again.message.call_id) == (invite.get("To"), invite.call_id)
        assert again.message.from_.tag == invite.from_.tag
        assert again.message.cseq == invite.cseq + 1
        assert again.message.via.branch != invite.via.branch
        follower.answer(again.message, 200, body=sdp())
        assert call.progress is LegState.ANSWERED

    def test_another_host_gets_nothing_its_number_is_dialled_at_the_trunk(self, follower: Chart) -> None:
        """Nobody may have us send to a third party."""
        _, invite = follower.dial()
        follower.answer(invite, 302, headers=moved("<sip:5559999@203.0.113.66:5099>"))
        assert uris(follower)[-1] == "sip:5559999@192.0.2.10"
        assert follower.last_sent("INVITE").to == TRUNK

    def test_the_contacts_are_tried_in_the_order_of_their_q(self, follower: Chart) -> None:
        """RFC 3261, 13.2.2.3 and 20.10."""
        call, invite = follower.dial()
        contacts = moved("<sip:low@192.0.2.10>;q=0.1", "<sip:forbidden@192.0.2.10>", "<tel:+15550100>;q=0.7")
        follower.answer(invite, 300, headers=contacts)
        follower.answer(follower.last("INVITE"), 486)
        assert [u.split("@")[0] for u in uris(follower)[1:]] == ["sip:+15550100", "sip:low"]
        follower.answer(follower.last("INVITE"), 404, "Not Found")
        assert call.cause == HangupCause("rejected", "far", 404, "Not Found")

    def test_it_is_not_sent_on_once_more(self, follower: Chart) -> None:
        """A loop of redirections ends at the first."""
        call, invite = follower.dial()
        follower.answer(invite, 302, headers=moved("<sip:5559999@192.0.2.10>"))
        follower.answer(follower.last("INVITE"), 302, "Moved", headers=moved("<sip:5551234@192.0.2.10>"))
        assert call.cause == HangupCause("redirected", "far", 302, "Moved to 5551234")
        assert len(uris(follower)) == 2

    def test_back_to_itself_is_no_way(self, follower: Chart) -> None:
        call, invite = follower.dial()
        follower.answer(invite, 302, headers=moved(f"<{invite.uri_text}>"))
        assert call.progress is LegState.ENDED
        assert len(uris(follower)) == 1

    def test_at_most_five_are_tried(self, follower: Chart) -> None:
        call, invite = follower.dial()
        follower.answer(invite, 300, headers=moved(*(f"<sip:{n}@192.0.2.10>" for n in range(9))))
        while call.progress is not LegState.ENDED:
            follower.answer(follower.last("INVITE"), 480)
        assert len(uris(follower)) == 6

    def test_a_hangup_meanwhile_takes_the_new_one_back(self, follower: Chart) -> None:
        call, invite = follower.dial()
        follower.answer(invite, 302, headers=moved("<sip:5559999@192.0.2.10>"))
        again = follower.last("INVITE")
        follower.answer(again, 180)
        call.hangup_leg()
        assert follower.last("CANCEL").uri_text == again.uri_text
        assert follower.last("CANCEL").via.branch == again.via.branch

    def test_credentials_are_made_anew_for_the_new_target(self, follower: Chart) -> None:
        """RFC 3261, 22.4: the digest's uri is the Request-URI."""
        _, invite = follower.dial()
        follower.answer(invite, 302, headers=moved("<sip:5559999@192.0.2.10>"))
        challenge = 'Proxy-Authenticate: Digest realm="r", nonce="n"'
        follower.answer(follower.last("INVITE"), 407, headers=[challenge])
        again = follower.last("INVITE")
        assert again.uri_text == "sip:5559999@192.0.2.10"
        assert f'uri="{again.uri_text}"' in (again.get("Proxy-Authorization") or "")

    def test_a_number_that_may_not_be_called_is_not(self, follower: Chart) -> None:
        call, invite = follower.dial()
        follower.answer(invite, 302, "Moved", headers=moved("<sip:forbidden@192.0.2.10>"))
        assert call.cause == HangupCause("redirected", "far", 302, "Moved to forbidden")

    def test_set_to_report_it_ends_and_says_where_to(self) -> None:
        chart = Chart(Account(*TRUNK, username="1001", register=False, redirects="report"))
        chart.phone.on_redirect = lambda call, number: True
        call, invite = chart.dial()
        chart.answer(invite, 302, "Moved", headers=moved("<sip:5559999@192.0.2.10>"))
        assert call.cause == HangupCause("redirected", "far", 302, "Moved to 5559999")
        assert chart.take() == ["INVITE", "ACK"]

    @pytest.mark.parametrize("contact", ["*", "<<>>", "<sip:192.0.2.10>", "<mailto:a@b>"])
    def test_a_contact_that_is_no_target_is_none(self, follower: Chart, contact: str) -> None:
        call, invite = follower.dial()
        follower.answer(invite, 302, "Moved", headers=moved(contact))
        assert call.cause == HangupCause("rejected", "far", 302, "Moved")


def test_a_refusal_whose_to_holds_a_control_character_is_acknowledged(chart: Chart) -> None:
    """RFC 3261, 17.1.1.3 and 25.1: To is copied octet for octet, a quoted pair in its name too."""
    call, invite = chart.dial()
    data = answer(invite, 486, "Busy Here").replace(b"To: <", b'To: "a\\\x01b" <')
    chart.receive(data)
    assert call.progress is LegState.ENDED
    assert b'To: "a\\\x01b" <' in chart.raw[-1]
    assert chart.raw[-1].startswith(b"ACK ")
