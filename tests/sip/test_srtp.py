"""SRTP keys in offers and answers (SDES, RFC 4568), and what becomes of calls where they don't fit."""

from __future__ import annotations

import base64
import logging
from dataclasses import replace

import pytest
from charts import Chart, sdp

from engine.legs import LegState
from engine.sip.account import Account
from engine.sip.sdp import SdpError, Terms, negotiate, parse
from engine.sip.sdp.crypto import Crypto, mask_keys, parse_crypto
from engine.sip.trace import mask

KEY = base64.b64encode(bytes(range(30))).decode()
OTHER = base64.b64encode(bytes(range(100, 130))).decode()
SHA80, SHA32 = "AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"
LINE = f"1 {SHA80} inline:{KEY}"


def secure(text: str = "", *, profile: str = "RTP/SAVP", line: str = LINE, **more: object) -> str:
    return (text or sdp(extra=f"a=crypto:{line}\r\n", **more)).replace("RTP/AVP", profile)  # type: ignore[arg-type]


def chart_with(srtp: str) -> Chart:
    account = Account("192.0.2.10", 5060, username="1001", password="demo pass", register=False)
    return Chart(replace(account, srtp=srtp))  # type: ignore[arg-type]


@pytest.fixture(params=["preferred", "required"])
def either(request: pytest.FixtureRequest) -> Chart:
    return chart_with(request.param)


class TestLines:
    def test_the_examples_of_the_rfc_are_read(self) -> None:
        """RFC 4568, 4 and 9.1: lifetime and MKI."""
        found = parse_crypto(f"1 {SHA80} inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:4")
        assert found is not None
        assert (found.tag, found.suite, found.mki) == (1, SHA80, 4)
        assert found.key == base64.b64decode("WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz")

    @pytest.mark.parametrize(
        "value",
        [
            f"1 {SHA80} inline:{KEY}",
            f"1 {SHA80} inline:{KEY}|2^48",
            f"1 {SHA80} inline:{KEY}|1048576",
            f"1 {SHA80} inline:{KEY}|1:1",
            f"1 {SHA80} inline:{KEY} WSH=128",
            f"1 {SHA80} inline:{KEY} -UNKNOWN=1 KDR=0",
            f"7 aes_cm_128_hmac_sha1_32 INLINE:{KEY}",
        ],
    )
    def test_variants_that_change_nothing_are_taken(self, value: str) -> None:
        assert parse_crypto(value) is not None

    @pytest.mark.parametrize(
        "value",
        [
            "",
            f"x {SHA80} inline:{KEY}",
            f"1 F8_128_HMAC_SHA1_80 inline:{KEY}",
            f"1 {SHA80} uri:{KEY}",
            f"1 {SHA80} inline:short",
            f"1 {SHA80} inline:{KEY[:-4]}",
            f"1 {SHA80} inline:*{KEY[1:]}",
            f"1 {SHA80} inline:{KEY}|2^20|1:4|x",
            f"1 {SHA80} inline:{KEY}|1:4|2^20",
            f"1 {SHA80} inline:{KEY}|1:0",
            f"1 {SHA80} inline:{KEY}|1:999",
            f"1 {SHA80} inline:{KEY}|1:4;inline:{OTHER}|2:4",
            f"1 {SHA80} inline:{KEY} UNENCRYPTED_SRTP",
            f"1 {SHA80} inline:{KEY} UNAUTHENTICATED_SRTP",
            f"1 {SHA80} inline:{KEY} KDR=10",
            f"1 {SHA80} inline:{KEY} SOMETHING_NEW",
        ],
    )
    def test_what_we_do_not_do_or_understand_is_no_key(self, value: str) -> None:
        """RFC 4568, 6.3: a session parameter without "-" that is not understood spoils its line."""
        assert parse_crypto(value) is None

    def test_keys_are_random_and_never_shown(self) -> None:
        keys = {Crypto.make(1, SHA80).key for _ in range(20)}
        assert len(keys) == 20
        assert "key" not in repr(Crypto.make(1, SHA80))

    def test_a_masked_message_keeps_its_length_and_no_key(self) -> None:
        message = f"INVITE sip:x SIP/2.0\r\n\r\na=crypto:1 {SHA80} inline:{KEY}|2^20|1:4\r\n".encode()
        masked = mask_keys(message)
        assert len(masked) == len(message)
        assert KEY.encode() not in masked
        assert masked.endswith(b"|2^20|1:4\r\n")
        assert mask(message) == masked


class TestOffering:
    def test_required_is_offered_under_savp_with_both_suites(self) -> None:
        """RFC 4568, 5.1.1: the best first, each with a key of its own."""
        chart = chart_with("required")
        _, invite = chart.dial()
        audio = parse(invite.sdp).audio
        assert audio is not None
        assert audio.protocol == "RTP/SAVP"
        lines = [parse_crypto(value) for value in audio.crypto]
        assert [(c.tag, c.suite) for c in lines if c] == [(1, SHA80), (2, SHA32)]
        assert len({c.key for c in lines if c}) == 2

    def test_preferred_is_offered_beside_plain_rtp(self) -> None:
        chart = chart_with("preferred")
        _, invite = chart.dial()
        audio = parse(invite.sdp).audio
        assert audio is not None
        assert (audio.protocol, len(audio.crypto)) == ("RTP/AVP", 2)

    def test_off_offers_none(self, chart: Chart) -> None:
        _, invite = chart.dial()
        assert b"crypto" not in invite.sdp

    @pytest.mark.parametrize(("tag", "suite"), [(1, SHA80), (2, SHA32)])
    def test_the_answers_tag_chooses_the_suite_and_our_key(self, either: Chart, tag: int, suite: str) -> None:
        """RFC 4568, 5.1.3."""
        call, invite = either.dial()
        offered = parse(invite.sdp).audio
        assert offered is not None
        profile = offered.protocol
        either.answer(invite, 200, body=secure(profile=profile, line=f"{tag} {suite} inline:{KEY}"))
        keys = either.media.agreed[call.id].keys
        assert keys is not None
        ours = parse_crypto(offered.crypto[tag - 1])
        assert ours is not None
        assert (keys.ours, keys.theirs.key, keys.theirs.suite) == (ours, bytes(range(30)), suite)

    def test_a_plain_answer_where_encryption_is_required_ends_the_call_and_says_why(self) -> None:
        chart = chart_with("required")
        call, invite = chart.dial()
        chart.answer(invite, 200, body=sdp())
        assert chart.take() == ["INVITE", "ACK", "BYE"]
        assert call.cause is not None
        assert "does not encrypt" in call.cause.reason
        assert call.id not in chart.media.connected

    def test_a_plain_answer_where_it_is_preferred_is_a_plain_call(self) -> None:
        chart = chart_with("preferred")
        call, invite = chart.dial()
        chart.answer(invite, 200, body=sdp())
        assert call.progress is LegState.ANSWERED
        assert chart.media.agreed[call.id].keys is None

    @pytest.mark.parametrize("line", [f"3 {SHA80} inline:{KEY}", f"1 {SHA32} inline:{KEY}"])
    def test_an_answer_with_a_tag_or_suite_that_was_not_offered_is_none(self, line: str) -> None:
        """RFC 4568, 5.1.3."""
        chart = chart_with("required")
        call, invite = chart.dial()
        chart.answer(invite, 200, body=secure(line=line))
        assert call.progress is LegState.ENDED

    def test_hold_offers_the_same_key_again(self) -> None:
        chart = chart_with("required")
        call, invite = chart.dial()
        chart.answer(invite, 200, body=secure())
        call.hold(True)
        first, again = parse(invite.sdp).audio, parse(chart.last("INVITE").sdp).audio
        assert first is not None
        assert again is not None
        assert again.crypto == first.crypto
        assert again.protocol == "RTP/SAVP"

    def test_a_re_invite_with_a_new_key_is_followed_and_one_with_the_old_keeps_ours(self) -> None:
        """RFC 4568, 7.1.4."""
        chart = chart_with("required")
        call, invite = chart.dial()
        chart.answer(invite, 200, body=secure())
        before = chart.media.agreed[call.id].keys
        chart.request("INVITE", call, body=secure(line=f"1 {SHA80} inline:{OTHER}"))
        after = chart.media.agreed[call.id].keys
        assert before is not None
        assert after is not None
        assert after.theirs.key == bytes(range(100, 130))
        assert after.ours == before.ours

    def test_our_keys_are_not_kept_for_a_restart(self) -> None:
        chart = chart_with("required")
        call, invite = chart.dial()
        audio = parse(invite.sdp).audio
        assert audio is not None
        saved = chart.saved[call.id]
        assert audio.crypto[0].split(":")[1] not in repr(saved)


class TestAnswering:
    def test_the_answer_has_the_chosen_line_with_a_key_of_ours(self, either: Chart) -> None:
        """RFC 4568, 5.1.2: the same tag and suite."""
        call = either.ringing(body=secure(line=f"9 {SHA32} inline:{KEY}"))
        call.accept()
        audio = parse(either.last("200").sdp).audio
        assert audio is not None
        assert audio.protocol == "RTP/SAVP"
        [line] = [parse_crypto(value) for value in audio.crypto]
        keys = either.media.agreed[call.id].keys
        assert keys is not None
        assert line == keys.ours
        assert (line.tag, line.suite) == (9, SHA32)
        assert line.key != keys.theirs.key

    def test_an_unknown_suite_is_passed_over(self, either: Chart) -> None:
        unknown = "a=crypto:1 AEAD_AES_256_GCM inline:x\r\n"
        call = either.ringing(body=secure(sdp(extra=f"{unknown}a=crypto:2 {SHA80} inline:{KEY}\r\n")))
        call.accept()
        keys = either.media.agreed[call.id].keys
        assert keys is not None
        assert keys.ours.tag == 2

    @pytest.mark.parametrize("line", [f"1 F8_128_HMAC_SHA1_80 inline:{KEY}", f"1 {SHA80} inline:bad", "1"])
    def test_savp_without_a_usable_key_is_refused_488(
        self, either: Chart, line: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        either.request("INVITE", body=secure(line=line))
        assert either.take() == ["488 Not Acceptable Here"]
        assert "a=crypto" in caplog.text

    def test_savp_is_refused_488_where_srtp_is_off(
        self, chart: Chart, caplog: pytest.LogCaptureFixture
    ) -> None:
        chart.request("INVITE", body=secure())
        assert chart.take() == ["488 Not Acceptable Here"]
        assert "trunk.srtp is off" in caplog.text

    def test_a_key_beside_plain_rtp_is_used_where_we_can_and_ignored_where_srtp_is_off(
        self, either: Chart, chart: Chart
    ) -> None:
        for each, used in ((either, True), (chart, False)):
            call = each.ringing(body=secure(profile="RTP/AVP"))
            call.accept()
            assert (each.media.agreed[call.id].keys is not None) is used
            assert (b"a=crypto" in each.last("200").sdp) is used
            assert b" RTP/AVP " in each.last("200").sdp

    def test_a_plain_offer_is_refused_488_where_encryption_is_required(self) -> None:
        chart = chart_with("required")
        chart.request("INVITE", body=sdp())
        assert chart.take() == ["488 Not Acceptable Here"]

    @pytest.mark.parametrize(("srtp", "port"), [("off", 41000), ("preferred", 42000), ("required", 42000)])
    def test_of_an_encrypted_and_a_plain_stream_the_first_that_fits_is_taken(
        self, srtp: str, port: int
    ) -> None:
        """RFC 3264, 6: the other is refused in its place."""
        chart = chart_with(srtp)
        first = f"m=audio 42000 RTP/SAVP 8\r\na=crypto:{LINE}\r\n"
        call = chart.ringing(body=sdp().replace("m=audio", first + "m=audio"))
        call.accept()
        assert chart.media.agreed[call.id].port == port
        ports = [media.port for media in parse(chart.last("200").sdp).media]
        assert [p > 0 for p in ports] == [port == 42000, port == 41000]

    def test_dtls_keys_are_none_of_ours(self) -> None:
        text = sdp().replace("RTP/AVP", "UDP/TLS/RTP/SAVPF")
        with pytest.raises(SdpError, match="no audio stream"):
            negotiate(parse(text.encode()), Terms(("PCMA",), srtp="preferred"))


def test_a_log_never_holds_a_key(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    chart = chart_with("required")
    call, invite = chart.dial()
    chart.answer(invite, 200, body=secure())
    chart.request("BYE", call)
    assert KEY not in caplog.text
    assert "inline" not in caplog.text
