"""What the carrier's numbers do, seen from the SIP side."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from rawphone import Audio, Phone, media_port, respond


def test_an_invite_without_credentials_is_challenged_and_wrong_ones_are_forbidden(line):
    _, phone = line("answer_after = 0")
    uri = f"{phone.uri.replace('sip:', 'sip:5550001@')}"
    audio = Audio()
    challenge = phone.ask("INVITE", uri, body=audio.offer())
    assert challenge.code == 407
    bad = phone.credentials(challenge, "INVITE", uri, password="guess")
    assert phone.ask("INVITE", uri, extra=bad, body=audio.offer()).code == 403


def test_a_trunk_that_knows_its_customers_by_address_does_not_challenge(line):
    _, phone = line("answer_after = 0", settings="challenge_invites = false")
    uri = phone.uri.replace("sip:", "sip:5550001@")
    assert phone.ask("INVITE", uri, body=Audio().offer()).code == 200


def test_a_number_that_refuses_gives_its_final_response(carriers):
    phrases = {404: "Not Found", 480: "Temporarily Unavailable", 486: "Busy Here", 503: "Service Unavailable",
               603: "Decline"}
    carrier = carriers.start("\n".join(f"[numbers.{c}]\nrefuse = {c}\nrings = false" for c in phrases))
    for code, phrase in phrases.items():
        response = Phone(carrier.sip).dial(str(code)).until(code)
        assert response.start == f"SIP/2.0 {code} {phrase}"
        assert carrier.wait("ended", number=str(code))["why"] == "refused"


def test_a_refusal_may_have_a_reason_phrase_of_its_own_and_come_after_ringing(line):
    _, phone = line('refuse = 480\nreason = "Gone fishing"\nrefuse_after = 0.1')
    dialog = phone.dial("5550001")
    dialog.until(180)
    assert dialog.until(480).start == "SIP/2.0 480 Gone fishing"


def test_an_unknown_number_is_not_found(line):
    carrier, phone = line("answer_after = 0")
    phone.dial("999").until(404)
    carrier.wait("unknown_number", number="999")


def test_visual_separators_and_a_missing_plus_do_not_matter(carriers):
    carrier = carriers.start('[numbers."+12125550101"]\nrefuse = 603\n')
    for written in ("+12125550101", "+1-212-555-0101", "12125550101"):
        Phone(carrier.sip).dial(written).until(603)


def test_a_number_without_answer_or_refusal_rings_until_it_is_cancelled(line):
    carrier, phone = line('note = "never answers"')
    dialog = phone.dial("5550001")
    assert not dialog.until(180).body
    dialog.cancel()
    codes = {phone.receive().code, phone.receive().code}
    assert codes == {200, 487}  # to the CANCEL and to the INVITE
    assert carrier.wait("ended", number="5550001")["why"] == "cancel"


def test_early_media_plays_before_a_refusal(line):
    _, phone = line('early = "congestion"\ncountry = "uk"\nrefuse = 503\nrefuse_after = 0.6')
    audio = Audio()
    dialog = phone.dial("5550001", audio)
    assert media_port(dialog.until(183)) > 0
    assert audio.receive().payload_type == 8
    dialog.until(503)


def test_an_answered_call_is_told_step_by_step_and_ended_by_the_callee(line):
    carrier, phone = line("answer_after = 0.1\nhangup_after = 0.2")
    dialog = phone.dial("5550001")
    dialog.until(200)
    request = phone.receive()
    assert request.start.startswith(f"BYE {phone.contact}")
    respond(phone, request, 200, "OK")
    carrier.wait("ended", number="5550001")
    told = [e for e in carrier.events if e.get("call") == dialog.call]
    names = [e["event"] for e in told if e["event"] != "rtp"]
    assert [n for n in names if n != "ack"] == ["invite", "ringing", "answered", "bye", "ended"]
    assert "ack" in names
    assert [e["t"] for e in told] == sorted(e["t"] for e in told)


def test_a_bye_from_the_phone_ends_the_call_and_its_rtp(line):
    carrier, phone = line("answer_after = 0")
    audio = Audio()
    dialog = phone.dial("5550001", audio)
    dialog.until(200)
    audio.receive()
    dialog.bye()
    assert phone.receive().code == 200
    assert carrier.wait("bye", number="5550001")["by"] == "phone"
    carrier.wait("ended", number="5550001")
    audio.drain()
    assert audio.silent_for(0.2)


def test_a_callee_that_vanishes_falls_silent_and_answers_nothing(line):
    carrier, phone = line("answer_after = 0\nvanish_after = 0.3")
    audio = Audio()
    dialog = phone.dial("5550001", audio)
    dialog.until(200)
    audio.receive()
    carrier.wait("vanished", number="5550001")
    audio.drain()
    assert audio.silent_for(0.3)
    dialog.bye()
    with pytest.raises(TimeoutError):
        phone.receive(0.7)


def test_a_callee_may_answer_and_send_no_rtp(line):
    _, phone = line('answer_after = 0\nsays = "nothing"')
    audio = Audio()
    phone.dial("5550001", audio).until(200)
    assert audio.silent_for(0.4)


def test_a_number_with_one_line_is_busy_to_a_second_call(line):
    carrier, phone = line("answer_after = 0\none_call = true")
    first = phone.dial("5550001")
    first.until(200)
    Phone(carrier.sip).dial("5550001").until(486)
    first.bye()
    assert phone.receive().code == 200
    carrier.wait("ended", number="5550001", call=first.call)
    Phone(carrier.sip).dial("5550001").until(200)


def test_calls_beyond_the_limit_get_503(line):
    carrier, phone = line("answer_after = 0", settings="max_calls = 1")
    phone.dial("5550001").until(200)
    Phone(carrier.sip).dial("5550001").until(503)


def test_a_call_that_lasts_too_long_is_ended(line):
    carrier, phone = line("answer_after = 0", settings="max_call_seconds = 1")
    phone.dial("5550001").until(200)
    assert phone.receive().start.startswith("BYE ")
    assert carrier.wait("bye", number="5550001")["by"] == "carrier"


def test_hold_stops_the_callees_rtp_and_resume_starts_it_again(line):
    carrier, phone = line("answer_after = 0")
    audio = Audio()
    dialog = phone.dial("5550001", audio)
    dialog.until(200)
    audio.receive()
    assert "a=recvonly" in dialog.reinvite("sendonly").body
    audio.drain()
    assert audio.silent_for(0.2)
    assert "a=sendrecv" in dialog.reinvite("sendrecv").body
    audio.receive()
    assert [e["direction"] for e in carrier.events if e["event"] == "reinvite"] == ["sendonly", "sendrecv"]


def test_an_offer_without_a_codec_of_the_callees_is_not_acceptable(line):
    _, phone = line("answer_after = 0")
    uri = phone.uri.replace("sip:", "sip:5550001@")
    video = Audio().offer().split("m=audio")[0] + "m=video 4000 RTP/AVP 31\r\n"
    challenge = phone.ask("INVITE", uri, body=video)
    good = phone.credentials(challenge, "INVITE", uri)
    assert phone.ask("INVITE", uri, extra=good, body=video).code == 488


def test_a_registered_phone_can_be_called_by_order(line):
    carrier, phone = line("hangup_after = 0.3")
    phone.register()
    carrier.order("call", **{"from": "5550001", "to": "1001"})
    invite = phone.receive()
    assert invite.start.startswith(f"INVITE {phone.contact}")
    assert "5550001" in invite.header("From")
    audio = Audio()
    respond(phone, invite, 180, "Ringing")
    respond(phone, invite, 200, "OK", body=audio.offer())
    assert phone.receive().start.startswith("ACK ")
    assert audio.receive().payload_type == 8
    bye = phone.receive()
    assert bye.start.startswith("BYE ")
    respond(phone, bye, 200, "OK")
    carrier.wait("answered", number="5550001")


def test_a_number_may_call_back_once_it_is_over(line):
    carrier, phone = line("answer_after = 0\nhangup_after = 0.1\ncalls_back_after = 0.1")
    phone.register()
    phone.dial("5550001").until(200)
    respond(phone, phone.receive(), 200, "OK")
    invite = phone.receive()
    assert invite.start.startswith(f"INVITE {phone.contact}")
    respond(phone, invite, 486, "Busy Here")
    assert phone.receive().start.startswith("ACK ")
    assert carrier.wait("refused", by="phone")["code"] == 486


def test_a_call_to_nobody_registered_is_told(line):
    carrier, _ = line("answer_after = 0")
    carrier.order("call", **{"from": "5550001", "to": "1002"})
    carrier.wait("not_registered", user="1002")


def test_options_are_answered_and_strangers_to_a_dialog_are_told_so(line):
    _, phone = line("answer_after = 0")
    assert phone.ask("OPTIONS").code == 200
    assert phone.ask("BYE", to="<sip:x@127.0.0.1>;tag=nobody").code == 481
    assert phone.ask("SUBSCRIBE").code == 501


@pytest.mark.skipif(not shutil.which("sipp"), reason="needs sipp (apt: sip-tester)")
def test_sipps_own_client_completes_calls(line, tmp_path):
    carrier, _ = line("answer_after = 0.1", settings="challenge_invites = false")
    result = subprocess.run(
        ["sipp", "-sn", "uac", carrier.sip, "-s", "5550001", "-i", "127.0.0.1", "-m", "3", "-r", "10",
         "-d", "200", "-nostdin", "-timeout", "15s"],
        cwd=tmp_path, capture_output=True, timeout=20, check=False,
    )
    assert result.returncode == 0, result.stdout[-500:]
    assert sum(e["event"] == "answered" for e in carrier.events) == 3
