"""Session descriptions: what trunks send, and offer and answer (RFC 8866, RFC 3264)."""

from __future__ import annotations

import pytest
from charts import sdp
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.sip.sdp import (
    MAX_LINES,
    LocalDescription,
    Negotiated,
    SdpError,
    Terms,
    negotiate,
    parse,
    pyvoip_body,
)

OURS = Terms(("PCMA", "PCMU"))


def agree(text: str, terms: Terms = OURS) -> Negotiated:
    return negotiate(parse(text.encode()), terms)


def offer(terms: Terms = OURS) -> LocalDescription:
    return LocalDescription.offer("198.51.100.7", 40000, terms)


def answer(text: str, terms: Terms = OURS) -> str:
    """Our answer to an offer, as text."""
    return offer(terms).answer(parse(text.encode()))[0].encode().decode()


class TestReading:
    def test_the_usual_description(self) -> None:
        agreed = agree(sdp(host="192.0.2.30", port=41000, codecs="0 8 101"))
        codecs = (("PCMU", 0), ("PCMA", 8))
        assert agreed == Negotiated(
            "192.0.2.30", 41000, codecs, 101, "sendrecv", events=((101, 8000),)
        )

    @pytest.mark.parametrize("host", ["media.example", "a_b.example.", "x"])
    def test_a_name_may_stand_for_the_address(self, host: str) -> None:
        """RFC 8866, 5.7."""
        assert agree(sdp(host=host)).host == host

    @pytest.mark.parametrize("host", ["1.2.3", "192.0.2.256", "a..b", ".", "x" * 64, "a." * 127 + "example"])
    def test_what_is_no_name_is_no_address(self, host: str) -> None:
        media = parse(sdp(host=host).encode()).audio
        assert media is not None
        assert media.host == ""

    def test_the_medias_address_and_direction_come_before_the_sessions(self) -> None:
        text = sdp(host="192.0.2.1").replace("t=0 0\r\n", "t=0 0\r\na=inactive\r\n")
        assert agree(text + "c=IN IP4 192.0.2.2\r\n").host == "192.0.2.2"
        assert agree(text).direction == "sendrecv"
        assert agree(text.replace("a=sendrecv\r\n", "")).direction == "inactive"

    def test_well_known_payload_types_need_no_rtpmap(self) -> None:
        text = "v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 8 0\r\n"
        assert agree(text).codecs == (("PCMA", 8), ("PCMU", 0))

    def test_dynamic_payload_types_for_g711_and_events_are_kept(self) -> None:
        text = (
            "v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 97 126\r\na=rtpmap:97 pcma/8000/1\r\n"
            "a=rtpmap:126 Telephone-Event/8000\r\n"
        )
        assert agree(text).codecs == (("PCMA", 97),)
        assert agree(text).event_payload_type == 126

    def test_an_event_of_another_clock_is_not_taken(self) -> None:
        text = (
            "v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP 8 100 101\r\n"
            "a=rtpmap:100 telephone-event/48000\r\na=rtpmap:101 telephone-event/8000\r\n"
        )
        assert agree(text).event_payload_type == 101

    def test_a_refused_first_stream_is_passed_over(self) -> None:
        text = "v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 0 RTP/AVP 8\r\nm=audio 4002 RTP/AVPF 8\r\n"
        assert agree(text).port == 4002

    def test_ipv6(self) -> None:
        assert agree(sdp(host="2001:db8::1").replace("IP4", "IP6")).host == "2001:db8::1"

    def test_bare_line_feeds_blanks_and_unknown_lines(self) -> None:
        text = sdp().replace("\r\n", "\n").replace("a=send", "x=?\nq\n=\n\n a=send")
        assert agree(text).port == 41000

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("", "no media line"),
            ("v=0\r\nm=audio x RTP/AVP 8\r\n", "no audio"),
            ("v=0\r\nm=audio 99999 RTP/AVP 8\r\n", "no audio"),
            ("v=0\r\nm=video 4000 RTP/AVP 99\r\n", "no audio"),
            ("v=0\r\nm=audio 4000 RTP/AVP 8\r\n", "names no address"),
            ("v=0\r\nc=IN IP4 -no;name\r\nm=audio 4000 RTP/AVP 8\r\n", "names no address"),
            (sdp(codecs="18"), "none of PCMA, PCMU"),
            ("a=x\r\n" * (MAX_LINES + 1), "too many lines"),
        ],
    )
    def test_what_cannot_be_used_says_why(self, text: str, words: str) -> None:
        with pytest.raises(SdpError, match=words):
            agree(text)

    @settings(max_examples=300, deadline=None)
    @given(st.one_of(st.binary(), st.text(alphabet="vocmat=:/ 0189\r\nINP4²٣.-udiRTV").map(str.encode)))
    def test_anything_else_raises_nothing_but_sdp_error(self, data: bytes) -> None:
        pyvoip_body(data)
        try:
            negotiate(parse(data), OURS)
        except SdpError:
            pass

    def test_a_line_of_very_many_formats_is_cut(self) -> None:
        text = f"v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP {'0 ' * 20000}8\r\n"
        assert agree(text).codecs == (("PCMU", 0),)


class TestDirections:
    @pytest.mark.parametrize(
        ("theirs", "local", "ours", "hold"),
        [
            ("sendrecv", "sendrecv", "sendrecv", False),
            ("sendonly", "sendrecv", "recvonly", True),
            ("recvonly", "sendrecv", "sendonly", False),
            ("inactive", "sendrecv", "inactive", True),
            ("sendrecv", "sendonly", "sendonly", False),
            ("sendonly", "sendonly", "inactive", True),
            ("recvonly", "sendonly", "sendonly", False),
        ],
    )
    def test_ours_follows_from_theirs_and_what_we_want(
        self, theirs: str, local: str, ours: str, hold: bool
    ) -> None:
        agreed = negotiate(parse(sdp(direction=theirs).encode()), OURS, local)  # type: ignore[arg-type]
        assert (agreed.direction, agreed.on_hold) == (ours, hold)

    def test_address_zero_is_the_old_hold(self) -> None:
        agreed = agree(sdp(host="0.0.0.0"))
        assert (agreed.direction, agreed.on_hold) == ("inactive", True)


class TestWriting:
    def test_an_offer_lists_our_codecs_in_our_order(self) -> None:
        made = offer(Terms(("PCMU", "PCMA")))
        audio = parse(made.encode()).audio
        assert audio is not None
        assert audio.formats == [0, 8, 101]
        assert audio.fmtp == {101: "0-15"}
        assert audio.ptime == 20
        assert made.encode().endswith(b"a=sendrecv\r\n")

    def test_an_answer_has_only_what_was_offered_with_its_payload_types(self) -> None:
        text = answer(sdp(codecs="18 0 96", direction="sendonly"))
        assert "m=audio 40000 RTP/AVP 0 96\r\n" in text
        assert "a=recvonly\r\n" in text
        assert "a=rtpmap:96 telephone-event/8000\r\n" in text

    def test_an_answer_to_an_offer_without_events_has_none(self) -> None:
        assert "telephone-event" not in answer(sdp(codecs="8"))

    def test_each_change_raises_the_version_of_one_session_and_no_change_does_not(self) -> None:
        """RFC 3264, 8."""
        first = offer()
        held = first.with_direction("sendonly")
        assert parse(held.encode()).version == parse(first.encode()).version + 1
        assert held.session_id == first.session_id
        assert held.with_direction("sendonly") is held
        answered, _ = first.answer(parse(sdp().encode()))
        assert answered.answer(parse(sdp().encode()))[0] is answered
        assert answered.answer(parse(sdp(codecs="0").encode()))[0].version == answered.version + 1

    def test_two_sessions_have_different_ids(self) -> None:
        assert len({offer().session_id for _ in range(20)}) == 20

    def test_other_streams_of_an_offer_are_refused_each_in_its_place(self) -> None:
        """RFC 3264, 6: an answer has one m= line for each, in the same order."""
        video, fax = "m=video 4 RTP/AVP 99\r\n", "m=image 6 udptl t38\r\n"
        text = answer(sdp(extra=fax).replace("m=audio", video + "m=audio"))
        lines = [line for line in text.split("\r\n") if line.startswith("m=")]
        assert lines == ["m=video 0 RTP/AVP 99", "m=audio 40000 RTP/AVP 8 0 101", "m=image 0 udptl t38"]

    def test_refused_streams_keep_their_place_in_our_own_later_offers(self) -> None:
        """RFC 3264, 8: the number of m= lines never gets smaller."""
        answered, _ = offer().answer(parse(sdp(extra="m=video 4 RTP/AVP 99\r\n").encode()))
        assert b"m=video 0 RTP/AVP 99\r\n" in answered.with_direction("sendonly").encode()

    def test_ipv6_is_named(self) -> None:
        assert b"c=IN IP6 ::1\r\n" in LocalDescription.offer("::1", 4000, OURS).encode()


WIDE = Terms(("opus", "G722", "PCMA"))


def described(formats: str, *lines: str) -> str:
    body = "".join(f"a={line}\r\n" for line in lines)
    return f"v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 4000 RTP/AVP {formats}\r\n{body}"


class TestWideband:
    def test_an_offer_names_each_codec_with_its_rtp_clock(self) -> None:
        """RFC 3551, 4.5.2 (G.722 at 8000); RFC 7587, 7 (Opus at 48000 and two channels, always)."""
        text = offer(WIDE).encode().decode()
        assert "m=audio 40000 RTP/AVP 96 9 8 101 97\r\n" in text
        assert "a=rtpmap:96 opus/48000/2\r\n" in text
        assert "a=rtpmap:9 G722/8000\r\n" in text

    def test_telephone_event_is_offered_for_each_clock(self) -> None:
        """RFC 4733, 2.1 and 7.1.1."""
        text = offer(WIDE).encode().decode()
        assert "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n" in text
        assert "a=rtpmap:97 telephone-event/48000\r\na=fmtp:97 0-15\r\n" in text

    def test_beside_opus_alone_the_event_that_every_far_end_has_is_offered_too(self) -> None:
        assert offer(Terms(("opus",))).events == ((101, 8000), (97, 48000))

    def test_payload_types_never_collide(self) -> None:
        made = offer(Terms(("opus", "PCMA"), event_payload_type=96))
        audio = parse(made.encode()).audio
        assert audio is not None
        assert len(set(audio.formats)) == len(audio.formats) == 4

    @pytest.mark.parametrize(
        ("formats", "codec", "event"),
        [
            ("111 110 126", "opus", 110),
            ("8 110 126", "PCMA", 126),
            ("9 110 126", "G722", 126),
            ("111 126", "opus", 126),
            ("9 110", "G722", 110),
            ("9 113", "G722", 113),
            ("9 113 126", "G722", 126),
        ],
    )
    def test_the_event_of_the_codecs_clock_is_chosen(self, formats: str, codec: str, event: int) -> None:
        """RFC 4733, 2.1; where there is none of that clock, the one that there is."""
        maps = ("111 OPUS/48000/2", "110 telephone-event/48000", "126 telephone-event/8000",
                "113 telephone-event/16000")  # fmt: skip
        agreed = agree(described(formats, *(f"rtpmap:{m}" for m in maps)), WIDE)
        assert (agreed.codecs[0][0], agreed.event_payload_type) == (codec, event)

    def test_an_answer_keeps_the_offers_numbers_for_codecs_and_events(self) -> None:
        """RFC 3264, 6.1."""
        maps = ("rtpmap:111 opus/48000/2", "rtpmap:110 telephone-event/48000")
        text = answer(described("111 110", *maps), WIDE)
        assert "m=audio 40000 RTP/AVP 111 110\r\n" in text
        assert "a=rtpmap:110 telephone-event/48000\r\n" in text

    def test_opus_under_another_number_in_the_answer_may_come_with_ours_too(self) -> None:
        """RFC 3264, 6.1: each side sends with the numbers of the other."""
        agreed = offer(WIDE).accept(parse(described("111", "rtpmap:111 opus/48000/2").encode()))
        assert (agreed.codecs, agreed.also) == ((("opus", 111),), (("opus", 96),))

    @pytest.mark.parametrize("rtpmap", ["111 opus/16000", "111 G722/48000", "111 PCMA/16000", "111 iLBC/8"])
    def test_a_name_with_a_clock_that_it_never_has_is_another_codec(self, rtpmap: str) -> None:
        with pytest.raises(SdpError, match="speaks none"):
            agree(described("111", f"rtpmap:{rtpmap}"), WIDE)

    def test_g722_by_its_number_alone_and_with_its_sampling_rate_for_its_clock(self) -> None:
        assert agree(described("9"), WIDE).codecs == (("G722", 9),)
        assert agree(described("9", "rtpmap:9 G722/16000"), WIDE).codecs == (("G722", 9),)

    def test_comfort_noise_is_no_codec(self) -> None:
        """RFC 3389, 4: it is not offered, and not taken for audio."""
        assert agree(described("13 8", "rtpmap:13 CN/8000")).codecs == (("PCMA", 8),)
        media = next(line for line in answer(described("13 8")).splitlines() if line.startswith("m="))
        assert media.endswith(" 8")


class TestAttributes:
    @pytest.mark.parametrize(
        ("lines", "sent"),
        [
            ((), 20),
            (("ptime:10",), 10),
            (("ptime:30",), 30),
            (("ptime:40",), 40),
            (("ptime:60",), 60),
            (("ptime:20.0",), 20),
            (("ptime:25",), 20),
            (("ptime:200",), 60),
            (("ptime:5",), 10),
            (("ptime:0",), 20),
            (("ptime:x",), 20),
            (("ptime:60", "maxptime:40"), 40),
            (("maxptime:10",), 10),
            (("maxptime:150",), 20),
        ],
    )
    def test_packets_are_as_long_as_the_far_end_wants(self, lines: tuple[str, ...], sent: int) -> None:
        """RFC 8866, 6.4: never longer than asked for, and never longer than maxptime."""
        assert agree(described("8", *lines)).ptime == sent

    def test_rtcp_mux_is_accepted_where_offered_and_offered_by_setting(self) -> None:
        """RFC 5761, 5.1.1."""
        assert "rtcp-mux" not in offer().encode().decode()
        ours = offer(Terms(("PCMA",), rtcp_mux=True))
        assert "a=rtcp-mux\r\n" in ours.encode().decode()
        assert ours.accept(parse(described("8", "rtcp-mux").encode())).rtcp_mux
        assert not ours.accept(parse(described("8").encode())).rtcp_mux
        assert not offer().accept(parse(described("8", "rtcp-mux").encode())).rtcp_mux
        assert "a=rtcp-mux\r\n" in answer(described("8", "rtcp-mux", "rtcp:4001"))
        assert "rtcp" not in answer(described("8", "rtcp:4001"))

    @pytest.mark.parametrize(
        ("line", "rtcp"),
        [
            ("ptime:20", ("", 0)),
            ("rtcp:53020", ("", 53020)),
            ("rtcp:53020 IN IP4 192.0.2.77", ("192.0.2.77", 53020)),
            ("rtcp:53020 IN IP4 host.example", ("", 53020)),
            ("rtcp:0", ("", 0)),
            ("rtcp:70000", ("", 0)),
            ("rtcp:", ("", 0)),
            ("rtcp:x IN", ("", 0)),
        ],
    )
    def test_where_rtcp_goes_is_read(self, line: str, rtcp: tuple[str, int]) -> None:
        """RFC 3605, 2.1."""
        assert agree(described("8", line)).rtcp == rtcp

    def test_who_gives_rtcp_no_bandwidth_gets_none(self) -> None:
        """RFC 3556, 2: RS is of senders, RR of receivers."""
        text = described("8", "ptime:20")
        assert agree(text.replace("a=ptime:20", "b=RS:0\r\nb=RR:0")).rtcp is None
        assert agree(text.replace("a=ptime:20", "b=RS:0\r\nb=RR:800")).rtcp == ("", 0)

    def test_what_we_do_not_do_is_passed_over(self) -> None:
        text = described(
            "0 8", "candidate:1 1 UDP 1 192.0.2.9 9 typ host", "ice-ufrag:x", "fingerprint:sha-256 AA",
            f"crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{'A' * 40}", "setup:actpass", "ssrc:1 cname:x",
        ).replace("m=", "b=AS:84\r\nm=")  # fmt: skip
        assert agree(text).codecs == (("PCMU", 0), ("PCMA", 8))
        assert "candidate" not in answer(text)

    def test_an_rtpmap_of_a_number_that_is_not_listed_says_nothing(self) -> None:
        assert agree(described("8", "rtpmap:0 PCMU/8000", "rtpmap:101 telephone-event/8000")).codecs == (
            ("PCMA", 8),
        )

    def test_numbers_in_the_origin_may_be_longer_than_64_bits(self) -> None:
        """RFC 8866, 5.2."""
        long = "o=- 99999999999999999999999 99999999999999999999998 IN IP4 h\r\n"
        session = parse(described("8").replace("v=0\r\n", "v=0\r\n" + long).encode())
        assert session.version == 99999999999999999999998

    @pytest.mark.parametrize("profile", ["RTP/AVP", "RTP/AVPF", "rtp/avp"])
    def test_the_answer_has_the_offers_profile(self, profile: str) -> None:
        text = answer(described("8").replace("RTP/AVP", profile))
        assert f"m=audio 40000 {profile.upper()} 8\r\n" in text

    def test_the_first_of_two_audio_streams_that_can_be_used_is(self) -> None:
        two = described("18") + "m=audio 4002 RTP/AVP 8\r\nm=audio 4004 RTP/AVP 0\r\n"
        assert agree(two).port == 4002
        lines = [line for line in answer(two).split("\r\n") if line.startswith("m=")]
        assert lines == ["m=audio 0 RTP/AVP 18", "m=audio 40000 RTP/AVP 8", "m=audio 0 RTP/AVP 0"]

    def test_a_line_that_cannot_be_read_keeps_its_place_in_the_answer(self) -> None:
        """RFC 3264, 6."""
        text = "v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 99999 RTP/AVP 8\r\nm=audio 4000 RTP/AVP 8\r\n"
        lines = [line for line in answer(text).split("\r\n") if line.startswith("m=")]
        assert lines == ["m=audio 0 RTP/AVP 8", "m=audio 40000 RTP/AVP 8"]

    def test_too_many_streams_are_refused(self) -> None:
        with pytest.raises(SdpError, match="too many media"):
            agree(described("8") + "m=video 4 RTP/AVP 99\r\n" * 40)


class TestComfortNoise:
    """RFC 3389, 4: payload type 13, agreed on like a codec."""

    def test_it_is_offered_by_setting_and_used_where_the_far_end_takes_it(self) -> None:
        ours = offer(Terms(("PCMA",), comfort_noise=True))
        assert b"RTP/AVP 8 13 101\r\n" in ours.encode()
        assert b"a=rtpmap:13 CN/8000\r\n" in ours.encode()
        assert ours.accept(parse(described("8 13").encode())).comfort_noise
        assert not ours.accept(parse(described("8").encode())).comfort_noise

    def test_without_the_setting_it_is_neither_offered_nor_agreed_on(self) -> None:
        ours = offer()
        audio = next(line for line in ours.encode().splitlines() if line.startswith(b"m=audio"))
        assert b"13" not in audio.split()[3:]
        assert not ours.accept(parse(described("8 13").encode())).comfort_noise

    def test_an_answer_agrees_to_it_where_it_was_offered(self) -> None:
        ours = offer(Terms(("PCMA",), comfort_noise=True))
        answered, agreed = ours.answer(parse(described("8 13").encode()))
        assert agreed.comfort_noise
        assert b"RTP/AVP 8 13" in answered.encode()
        answered, agreed = ours.answer(parse(described("8").encode()))
        assert not agreed.comfort_noise
        assert b"13" not in answered.encode().split(b"m=audio")[1].split(b"\r\n")[0].split(b"RTP/AVP")[1]
