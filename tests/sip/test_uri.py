"""URIs and the headers made of them (RFC 3261, 19.1, 20.10; RFC 3966)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.sip.uri import (
    NameAddr,
    Uri,
    escape_user,
    is_ip,
    number,
    parse_name_addr,
    parse_params,
    parse_uri,
    split_outside_quotes,
)


class TestUri:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("sip:alice@example.net", Uri("sip", "alice", "example.net")),
            ("SIPS:alice@Example.net:5061", Uri("sips", "alice", "Example.net", 5061)),
            ("sip:192.0.2.1", Uri("sip", "", "192.0.2.1")),
            ("sip:a@[2001:db8::1]:5070", Uri("sip", "a", "2001:db8::1", 5070)),
            ("sip:a;b=c@h", Uri("sip", "a;b=c", "h")),
            ("sip:a:secret@h", Uri("sip", "a:secret", "h")),
            ("sip:+12125550100;phone-context=x@h;user=phone", Uri(
                "sip", "+12125550100;phone-context=x", "h", None, (("user", "phone"),))),
            ("sip:p1;lr", Uri("sip", "", "p1", None, (("lr", None),))),
            ("sip:a@h;x=1?Subject=y", Uri("sip", "a", "h", None, (("x", "1"),), "Subject=y")),
            ("tel:+1-201-555-0123;ext=9", Uri("tel", "+1-201-555-0123;ext=9", "")),
            ("urn:service:sos", Uri("urn", "service:sos", "")),
        ],
    )  # fmt: skip
    def test_forms_that_trunks_send(self, text: str, expected: Uri) -> None:
        assert parse_uri(text) == expected

    @pytest.mark.parametrize("text", [
        "", "sip", "sip:", "sip:@h", ":x", "1x:y", "sip:a@", "sip:a@h:99999", "sip:a@h:x", "sip:a@[::1",
        "sip:a b@h c", "sip:a@h:٥", "<sip:a@h>",
    ])  # fmt: skip
    def test_what_is_no_uri_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"URI|range"):
            parse_uri(text)

    @pytest.mark.parametrize("text", [
        "sip:alice@example.net:5070;transport=udp;lr?x=y", "sip:a@[2001:db8::1]", "tel:+12015550123;ext=9",
        "sips:h", "sip:a%40b@h;x",
    ])  # fmt: skip
    def test_writing_gives_back_what_was_read(self, text: str) -> None:
        assert str(parse_uri(text)) == text

    def test_where_a_request_goes(self) -> None:
        assert parse_uri("sip:a@h").address == ("h", 5060)
        assert parse_uri("sip:a@h:5070;maddr=192.0.2.9").address == ("192.0.2.9", 5070)

    def test_the_number_is_unescaped_and_without_parameters(self) -> None:
        assert parse_uri("sip:%2B1212;phone-context=x@h").number == "+1212"
        assert parse_uri("tel:+1-201;ext=9").number == "+1-201"

    @settings(deadline=None)
    @given(st.text())
    def test_an_escaped_user_is_one_and_comes_back(self, user: str) -> None:
        user = user.encode("utf-8", "ignore").decode()
        uri = parse_uri(f"sip:x{escape_user(user)}@h")
        assert uri.host == "h"
        assert uri.number == f"x{user}".split(";")[0]


class TestNameAddr:
    @pytest.mark.parametrize(
        ("text", "display", "host", "tag"),
        [
            ('"Ada \\"A\\" <x>" <sip:a@h>;tag=1', 'Ada "A" <x>', "h", "1"),
            ("Ada <sip:a@h>;tag=1", "Ada", "h", "1"),
            ("<sip:a@h;p=2>;TAG=1", "", "h", "1"),
            ("sip:a@h;tag=1", "", "h", "1"),
            ('"x"<sip:a@h>', "x", "h", ""),
            ("<sip:a@h> ; tag = 1", "", "h", "1"),
        ],
    )
    def test_forms_that_trunks_send(self, text: str, display: str, host: str, tag: str) -> None:
        found = parse_name_addr(text)
        assert (found.display, found.uri.host, found.tag) == (display, host, tag)

    def test_parameters_in_brackets_are_the_uris_and_outside_the_headers(self) -> None:
        assert parse_name_addr("<sip:a@h;x=1>;y=2").uri.param("x") == "1"
        assert parse_name_addr("<sip:a@h;x=1>;y=2").param("x") is None
        assert parse_name_addr("sip:a@h;x=1").param("x") == "1"

    @pytest.mark.parametrize("text", ['"open <sip:a@h>', '"x" sip:a@h', "<sip:a@h", "nonsense", "<>"])
    def test_damaged_ones_are_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"quote|display name|bracket|URI"):
            parse_name_addr(text)

    @settings(deadline=None)
    @given(st.text(alphabet=st.characters(exclude_categories=("C", "Z"))))
    def test_a_display_name_comes_back(self, display: str) -> None:
        written = str(NameAddr(Uri("sip", "a", "h"), display).with_tag("t"))
        assert parse_name_addr(written).display == display
        assert parse_name_addr(written).tag == "t"

    @settings(deadline=None)
    @given(st.text())
    def test_anything_else_raises_nothing_but_value_error(self, text: str) -> None:
        for parse in (parse_name_addr, parse_uri):
            try:
                parse(text)
            except ValueError:
                pass
        parse_params(text)


def test_a_separator_in_quotes_or_brackets_does_not_split() -> None:
    assert split_outside_quotes('"a,b" <sip:c,d>, e', ",") == ['"a,b" <sip:c,d>', " e"]


@pytest.mark.parametrize(
    ("text", "value"),
    [("42", 42), (" 7 ", 7), ("0", 0), ("", None), (None, None), ("-1", None), ("1.5", None), ("²", None),
     ("٣", None), ("9" * 5000, None), ("4294967296", None), ("4294967295", 4294967295)],
)  # fmt: skip
def test_numbers_are_plain_decimal_and_bounded(text: str | None, value: int | None) -> None:
    assert number(text) == value


def test_addresses_are_told_from_names() -> None:
    assert is_ip("127.0.0.1")
    assert is_ip("::1")
    assert not any(map(is_ip, ("localhost", "1.2.3", "", "1.2.3.4.5", "a\0b")))
