"""The trace file: what was said, without what must not be told."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from engine.sip import trace
from engine.sip.hop import Hop
from engine.sip.trace import Trace, mask

REGISTER = (
    b"REGISTER sip:x SIP/2.0\r\n"
    b'Authorization: Digest username="1001", realm="trunk", nonce="N0NCE", uri="sip:x", response="R35P", '
    b'cnonce="CN0NCE", nc=00000001, qop=auth, algorithm=MD5\r\nCall-ID: c\r\n\r\n'
)
PEER = Hop("192.0.2.10", 5060)


@pytest.mark.parametrize(
    "data",
    [
        REGISTER,
        REGISTER.replace(b"Authorization: ", b"proxy-authorization  :"),
        REGISTER.replace(b", nonce", b",\r\n nonce").replace(b", cnonce", b",\r\n\tcnonce"),
        REGISTER.replace(b"\r\n", b"\n"),
        REGISTER.replace(b"Digest ", b"digest"),
        REGISTER.replace(b"Digest ", b""),
    ],
    ids=["plain", "proxy", "folded", "bare LF", "no blank", "no scheme"],
)
def test_credentials_are_masked(data: bytes) -> None:
    masked = mask(data)
    for secret in (b"1001", b"N0NCE", b"R35P", b"CN0NCE"):
        assert secret not in masked
    assert b'realm="trunk"' in masked
    assert b"algorithm=MD5" in masked
    assert b"Call-ID: c" in masked


def test_basic_credentials_are_masked_whole() -> None:
    assert b"c2VjcmV0" not in mask(b"X\r\nAuthorization: Basic c2VjcmV0\r\n")


def test_the_rest_is_as_it_was() -> None:
    data = b"OPTIONS sip:x SIP/2.0\r\nSubject: Authorization\r\n\r\nbody"
    assert mask(data) == data


def test_entries_tell_time_direction_and_peer(tmp_path: Path) -> None:
    out = Trace(tmp_path / "logs" / "sip.txt")
    out.write(REGISTER, PEER, True)
    out.write(b"SIP/2.0 200 OK\r\n\r\n", PEER, False)
    out.write(b"\r\n\r\n", PEER, True)
    out.close()
    text = (tmp_path / "logs" / "sip.txt").read_text()
    heads = [line for line in text.splitlines() if line.startswith("---")]
    assert len(heads) == 2
    assert heads[0].endswith("sent to 192.0.2.10:5060")
    assert heads[1].endswith("received from 192.0.2.10:5060")
    assert "SIP/2.0 200 OK\n" in text


def test_escape_sequences_are_made_visible(tmp_path: Path) -> None:
    out = Trace(tmp_path / "sip.txt")
    out.write(b"OPTIONS \x1b[2J\x9b\x07\xff\r\nX: \r--- fake\r\n\r\n", PEER, False)
    out.close()
    text = (tmp_path / "sip.txt").read_bytes().decode()
    assert not set(text) & {"\x1b", "\x9b", "\x07", "\r"}
    assert "\N{REPLACEMENT CHARACTER}[2J" in text
    assert not any(line.startswith("--- fake") for line in text.splitlines())


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "sip.txt"
    before = os.umask(0)
    try:
        Trace(path).close()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        path.chmod(0o644)
        Trace(path).close()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    finally:
        os.umask(before)


def test_it_stops_at_its_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace, "MAX_BYTES", 1000)
    out = Trace(tmp_path / "sip.txt")
    for _ in range(100):
        out.write(b"OPTIONS " + b"x" * 100, PEER, True)
    out.close()
    assert (tmp_path / "sip.txt").stat().st_size < 1300


def test_a_full_disk_ends_the_trace_and_not_the_phone(tmp_path: Path) -> None:
    out = Trace(Path("/dev/full"))
    for _ in range(3):
        out.write(b"OPTIONS sip:x", PEER, True)
    out.close()
