"""Dialogs: route sets, targets, sequence numbers, and their way through a crash (RFC 3261, 12)."""

from __future__ import annotations

import msgspec
import pytest
from charts import text

from engine.sip.dialog import Dialog, SavedDialog, SavedInvite, new_branch, new_call_id, new_tag
from engine.sip.message import Message


def response(contact: str = "<sip:callee@192.0.2.20>", routes: tuple[str, ...] = ()) -> Message:
    headers = [
        "Via: SIP/2.0/UDP a;branch=z9hG4bKa", 'From: "Ada" <sip:a@x>;tag=ours', "To: <sip:b@y>;tag=theirs",
        "Call-ID: c", "CSeq: 7 INVITE", f"Contact: {contact}", *(f"Record-Route: {r}" for r in routes),
    ]  # fmt: skip
    return Message(text("SIP/2.0 200 OK", headers))


def caller(contact: str = "<sip:callee@192.0.2.20>", routes: tuple[str, ...] = ()) -> Dialog:
    return Dialog.as_caller(response(contact, routes), response(contact, routes))


VIA = "SIP/2.0/UDP a;branch=z9hG4bKb"


class TestRoutes:
    def test_without_a_route_set_requests_go_to_the_contact(self) -> None:
        dialog = caller("<sip:callee@192.0.2.20:5080;transport=udp>")
        bye = dialog.request("BYE", VIA)
        assert bye.uri_text == "sip:callee@192.0.2.20:5080;transport=udp"
        assert bye.all("Route") == []
        assert dialog.next_hop()[:2] == ("192.0.2.20", 5080)

    def test_the_caller_reverses_the_record_route(self) -> None:
        dialog = caller(routes=("<sip:p3;lr>", "<sip:p2;lr>, <sip:p1:5062;lr>"))
        bye = dialog.request("BYE", VIA)
        assert bye.all("Route") == ["<sip:p1:5062;lr>", "<sip:p2;lr>", "<sip:p3;lr>"]
        assert bye.uri_text == "sip:callee@192.0.2.20"
        assert dialog.next_hop()[:2] == ("p1", 5062)

    def test_the_callee_keeps_its_order(self) -> None:
        headers = [
            "Via: SIP/2.0/UDP a;branch=z9hG4bKa", "From: <sip:a@x>;tag=theirs", "To: <sip:b@y>", "Call-ID: c",
            "CSeq: 7 INVITE", "Contact: <sip:a@192.0.2.20>", "Record-Route: <sip:p1;lr>, <sip:p2;lr>",
        ]  # fmt: skip
        dialog = Dialog.as_callee(Message(text("INVITE sip:b@y SIP/2.0", headers)), "ours")
        bye = dialog.request("BYE", VIA)
        assert bye.all("Route") == ["<sip:p1;lr>", "<sip:p2;lr>"]
        assert (bye.from_.tag, bye.to.tag) == ("ours", "theirs")
        assert dialog.remote_cseq == 7

    def test_a_strict_first_router_is_the_request_uri_and_the_target_the_last_route(self) -> None:
        dialog = caller(routes=("<sip:p2;lr>", "<sip:p1:5062>"))
        bye = dialog.request("BYE", VIA)
        assert bye.uri_text == "sip:p1:5062"
        assert bye.all("Route") == ["<sip:p2;lr>", "<sip:callee@192.0.2.20>"]
        assert dialog.next_hop()[:2] == ("p1", 5062)

    def test_lr_counts_with_a_value_too(self) -> None:
        assert caller(routes=("<sip:p1;lr=on>",)).request("BYE", VIA).uri_text == "sip:callee@192.0.2.20"

    def test_a_damaged_route_is_left_out(self) -> None:
        bye = caller(routes=("<sip:p2;lr>", "<<>>")).request("BYE", VIA)
        assert bye.all("Route") == ["<sip:p2;lr>"]


class TestSequence:
    def test_each_request_counts_up_but_the_ack_takes_its_invites_number(self) -> None:
        dialog = caller()
        assert dialog.request("ACK", VIA, cseq=7).cseq == 7
        assert [dialog.request(m, VIA).cseq for m in ("INVITE", "BYE")] == [8, 9]

    def test_a_target_refresh_moves_the_target(self) -> None:
        dialog = caller()
        dialog.refresh_target(response("<sip:moved@192.0.2.21>"))
        assert dialog.request("BYE", VIA).uri_text == "sip:moved@192.0.2.21"

    def test_and_one_without_a_usable_contact_does_not(self) -> None:
        dialog = caller()
        dialog.refresh_target(response("*"))
        assert dialog.request("BYE", VIA).uri_text == "sip:callee@192.0.2.20"


class TestSaving:
    def test_what_was_saved_makes_the_same_requests(self) -> None:
        dialog = caller(routes=("<sip:p2;lr>", "<sip:p1:5062;lr>"))
        blob = msgspec.json.encode(dialog.save(("198.51.100.7", 5070)))
        saved = msgspec.json.decode(blob, type=SavedDialog | SavedInvite)
        assert isinstance(saved, SavedDialog)
        assert saved.source == "198.51.100.7:5070"
        again = Dialog.restore(saved)
        assert again.request("BYE", VIA).raw == dialog.request("BYE", VIA).raw
        assert again.next_hop() == dialog.next_hop()

    def test_what_was_not_saved_by_us_is_refused(self) -> None:
        with pytest.raises(ValueError, match="URI"):
            Dialog.restore(SavedDialog("c", "x", "y", "z", [], 1, ""))


def test_branches_tags_and_call_ids_are_never_twice_the_same() -> None:
    for make in (new_branch, new_tag, new_call_id):
        assert len({make() for _ in range(1000)}) == 1000
    assert new_branch().startswith("z9hG4bK")
