"""Coverage-guided fuzzing of everything that reads what the network sends (atheris, libFuzzer).

    python tests/fuzz/fuzz_message.py SECONDS

The corpus starts from the torture set and from what the charts' trunk says. Ends with status 0 where nothing
was found in the time given; what broke something is left in a file beside it, and named.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "sip")]

with atheris.instrument_imports(include=["engine.sip", "engine.text"]):
    import pyVoIP.VoIP  # noqa: F401  first: pyVoIP.SIP alone is a circular import
    from charts import CALLEE, TRUNK, sdp, text
    from pyVoIP.SIP import SIPParseError

    from engine.sip.digest import Authenticator, Credentials
    from engine.sip.framing import Framing, FramingError
    from engine.sip.gate import Gate
    from engine.sip.message import MAX_VALUES, Message, response_to
    from engine.sip.refer import ReferError, parse_fragment, parse_refer, replaces_of
    from engine.sip.refusal import refusal_of_malformed
    from engine.sip.sdp import LocalDescription, SdpError, Terms, parse
    from engine.sip.trace import mask
    from engine.sip.uri import parse_name_addr, parse_uri

HEADERS = [
    f"Via: SIP/2.0/UDP {TRUNK[0]}:{TRUNK[1]};rport;branch=z9hG4bKfuzz", "Max-Forwards: 70",
    "From: <sip:+12125550199@192.0.2.10>;tag=far", "To: <sip:1001@192.0.2.10>;tag=us", "Call-ID: fuzz",
]  # fmt: skip
SEEDS = [
    text("INVITE sip:1001@192.0.2.1 SIP/2.0", [*HEADERS, "CSeq: 1 INVITE", f"Contact: {CALLEE}"], sdp()),
    text("SIP/2.0 200 OK", [*HEADERS, "CSeq: 1 INVITE", f"Contact: {CALLEE}"], sdp(extra="a=ptime:30\r\n")),
    text("SIP/2.0 401 No", [
        *HEADERS, "CSeq: 1 REGISTER",
        'WWW-Authenticate: Digest realm="a", nonce="b", algorithm=SHA-256-sess, qop="auth,auth-int"',
    ]),
    text("REFER sip:1001@198.51.100.7 SIP/2.0", [
        *HEADERS, "CSeq: 2 REFER", "Refer-To: <sip:a@b?Replaces=c%3Bto-tag%3Dd%3Bfrom-tag%3De>",
        "Referred-By: <sip:a@b>", "Replaces: c;to-tag=d;from-tag=e",
    ]),
]  # fmt: skip
TERMS = Terms(("PCMA", "PCMU"), srtp="preferred")
INVITE = Message(SEEDS[0])
CREDENTIALS = Credentials("1001", "fuzz secret")


def one_input(data: bytes) -> None:
    """Every parser on the same octets. Raises where one raises what it should not, or breaks a promise."""
    Gate(knows=lambda call_id: False).admits(data, "192.0.2.10", True, 1.0)
    mask(data)
    refusal_of_malformed(data, "it does not parse")
    parse_fragment(data)
    try:
        whole = list(Framing().feed(data))
    except FramingError:
        pass
    else:
        if sum(map(len, whole)) > len(data):
            raise AssertionError("a stream gave more than came")
    try:
        LocalDescription.offer("192.0.2.1", 4000, TERMS).answer(parse(data))
    except SdpError:
        pass
    line = data.decode("utf-8", "replace")
    for reader in (parse_uri, parse_name_addr):
        try:
            found = reader(line)
        except ValueError:
            continue
        if reader(str(found)) is None:
            raise AssertionError("an address that does not parse back")
    try:
        message = Message(data)
    except SIPParseError:
        return
    see(message)


def see(message: Message) -> None:
    if len(message.fields) > MAX_VALUES:
        raise AssertionError("too many header values")
    if not message.is_request:
        retry = Authenticator(CREDENTIALS).retry(message, INVITE) if message.code in (401, 407) else []
        for name, value in retry:
            if "\r" in value or "\n" in value or CREDENTIALS.password in value:
                raise AssertionError(f"{name} must not hold this")
        return
    try:
        answer = response_to(message, 488, to_tag="us")
    except SIPParseError:
        return  # a control character that we refuse to send
    if (answer.call_id, answer.cseq) != (message.call_id, message.cseq):
        raise AssertionError("an answer to another request")
    for reader in (parse_refer, replaces_of, lambda request: request.uri):
        try:
            reader(message)
        except (ReferError, ValueError):
            pass


def main() -> None:
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(SEEDS):
            (Path(corpus) / f"seed{number}").write_bytes(seed)
        for file in (ROOT / "tests" / "sip" / "torture").glob("*.dat"):
            (Path(corpus) / file.stem).write_bytes(file.read_bytes())
        atheris.Setup(
            [sys.argv[0], f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048", "-max_len=4096",
             "-print_final_stats=1", f"-artifact_prefix={Path(__file__).parent}/found-", corpus],
            one_input,
        )  # fmt: skip
        atheris.Fuzz()


if __name__ == "__main__":
    main()
