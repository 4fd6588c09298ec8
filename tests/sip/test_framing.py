"""Streams cut into messages: however TCP splits and joins them (RFC 3261, 18.3; RFC 5626, 4.4.1)."""

from __future__ import annotations

import contextlib
import itertools

import pytest
from charts import text
from hypothesis import given
from hypothesis import strategies as st

from engine.sip.framing import PING, PONG, Framing, FramingError
from engine.sip.message import MAX_MESSAGE


def message(body: str = "", n: int = 1) -> bytes:
    headers = ["Via: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bKa", "From: <sip:a@x>;tag=1", "To: <sip:b@x>",
               f"Call-ID: c{n}", "CSeq: 1 MESSAGE"]  # fmt: skip
    return text("MESSAGE sip:b@x SIP/2.0", headers, body)


def fed(framing: Framing, *pieces: bytes) -> list[bytes]:
    return [item for piece in pieces for item in framing.feed(piece)]


bodies = st.text("ab\r\n: 1", max_size=40)


@given(st.lists(st.one_of(bodies.map(message), st.just(PING)), max_size=6), st.lists(st.integers(0, 2000)))
def test_any_split_gives_the_same_messages(items: list[bytes], cuts: list[int]) -> None:
    """RFC 3261, 18.3: Content-Length alone says where a message ends."""
    stream = b"".join(items)
    marks = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    assert fed(Framing(), *(stream[a:b] for a, b in itertools.pairwise(marks))) == items


@given(st.binary(max_size=300), st.integers(1, 50))
def test_nothing_that_comes_raises_but_a_framing_error(data: bytes, step: int) -> None:
    framing = Framing()
    with contextlib.suppress(FramingError):
        fed(framing, *(data[n : n + step] for n in range(0, len(data), step)))
    assert len(fed(Framing(), message())) == 1


def test_octet_by_octet() -> None:
    stream = PING + message("x\r\n\r\ny") + message()
    assert fed(Framing(), *(stream[n : n + 1] for n in range(len(stream)))) == [
        PING, message("x\r\n\r\ny"), message(),
    ]  # fmt: skip


def test_a_single_crlf_answers_our_ping() -> None:
    """RFC 5626, 4.4.1: a double CRLF is a ping, a single one its answer."""
    framing = Framing()
    framing.pong_due = True
    assert fed(framing, b"\r", b"\n") == [PONG]
    assert fed(framing, b"\r\n\r\n") == [PING]
    assert not framing.partial


def test_one_crlf_between_messages_is_nothing() -> None:
    """RFC 3261, 7.5: line ends before the start line are ignored."""
    assert fed(Framing(), b"\r\n" + message() + b"\r\n" + message()) == [message(), message()]


@pytest.mark.parametrize(
    "head", ["l: 3", "content-length : 3", "Content-Length:\r\n 3", "CONTENT-LENGTH:3  "]
)
def test_content_length_in_all_its_forms(head: str) -> None:
    data = f"OPTIONS sip:a SIP/2.0\r\n{head}\r\nTo: x\r\n\r\nabc".encode()
    assert fed(Framing(), data + b"more") == [data]


@pytest.mark.parametrize(("lines", "why"), [
    ("To: x", "without one Content-Length"),
    ("Content-Length: 3\r\nl: 4", "without one Content-Length"),
    ("Content-Length: three", "without one Content-Length"),
    (f"Content-Length: {MAX_MESSAGE}", "a message of"),
    ("Content-Length: 4294967295", "a message of"),
])  # fmt: skip
def test_what_can_t_be_followed_ends_the_stream(lines: str, why: str) -> None:
    """RFC 3261, 18.3: on a stream Content-Length is a must."""
    head = f"OPTIONS sip:a SIP/2.0\r\n{lines}\r\n\r\n".encode()
    came = Framing().feed(message() + head)
    assert next(came) == message()
    with pytest.raises(FramingError, match=why):
        next(came)


def test_headers_without_an_end_are_not_gathered_for_ever() -> None:
    line = b"X: " + b"a" * 95 + b"\r\n"
    with pytest.raises(FramingError, match="headers without an end"):
        fed(Framing(), *[line] * (MAX_MESSAGE // len(line) + 1))
