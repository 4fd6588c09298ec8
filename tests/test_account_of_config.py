"""From the configuration to the trunk's account: where requests go, by which transport, whom to trust."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.config import split_proxy, warnings_of
from engine.config_file import ConfigError, load
from engine.sip.hop import Target
from engine.sip.tls import TlsError, TlsTerms
from engine.station import account_of

GOOD = ["trunk.server=sip.example.com", "trunk.username=1001", "trunk.password=x"]


@pytest.mark.parametrize(
    ("settings", "target"),
    [
        ([], Target("sip.example.com")),
        (["trunk.server=sip.example.com:5080"], Target("sip.example.com", 5080)),
        (["trunk.transport=tls"], Target("sip.example.com", 0, "tls")),
        (["trunk.transport=udp", "trunk.server=[::1]:5070"], Target("::1", 5070, "udp")),
        (["trunk.proxy=edge.example.com"], Target("edge.example.com")),
        (["trunk.proxy=edge.example.com:70", "trunk.transport=tcp"], Target("edge.example.com", 70, "tcp")),
        (["trunk.proxy=sip:edge.example.com;transport=tcp;lr"], Target("edge.example.com", 0, "tcp")),
        (["trunk.proxy=sips:edge.example.com:5071;lr"], Target("edge.example.com", 5071, "tls")),
        (["trunk.proxy=sip:[::1];lr", "trunk.transport=tls"], Target("::1", 0, "tls")),
    ],
)
def test_where_requests_go(settings: list[str], target: Target) -> None:
    assert account_of(load(None, [*GOOD, *settings], {})).next_hop == target


def test_the_request_uri_names_no_port_that_was_not_given() -> None:
    account = account_of(load(None, [*GOOD, "trunk.transport=tls"], {}))
    assert str(account.registrar) == "sip:sip.example.com"
    assert str(account.target("42")) == "sip:42@sip.example.com"


@pytest.mark.parametrize("proxy", ["sip:a;transport=sctp", "sip:", "http://a", "sip:a:70000", "a b"])
def test_a_proxy_that_can_t_be_is_refused(proxy: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(None, [*GOOD, f"trunk.proxy={proxy}"], {})
    assert "such as sip:proxy.example.com;transport=tcp" in str(caught.value)


def test_a_loopback_proxy_as_a_uri_is_loopback() -> None:
    assert load(None, [*GOOD, "trunk.proxy=sip:127.0.0.1:5070;lr"], {}).is_loopback
    assert not load(None, [*GOOD, "trunk.proxy=sip:127.0.0.1.example.com;lr"], {}).is_loopback


def test_proxies_in_parts() -> None:
    assert split_proxy("sip:a.example;lr") == ("a.example", 5060, None)
    assert split_proxy("SIP:a.example:7;Transport=TCP") == ("a.example", 7, "tcp")
    assert split_proxy("a.example:7") == ("a.example", 7, None)


def test_tls_is_verified_unless_said_otherwise_and_that_is_warned_of() -> None:
    plain = load(None, GOOD, {})
    assert account_of(plain).tls == TlsTerms("", True, "")
    assert warnings_of(plain) == []
    trusting = load(None, [*GOOD, "trunk.tls_verify=false", "trunk.tls_server_name=t"], {})
    assert account_of(trusting).tls == TlsTerms("", False, "t")
    assert "trunk.tls_verify = false: any certificate is taken" in warnings_of(trusting)[0]


@pytest.mark.parametrize(
    ("settings", "warned"),
    [
        (["trunk.srtp=off"], False),
        (["trunk.srtp=preferred"], True),
        (["trunk.srtp=required", "trunk.transport=tcp"], True),
        (["trunk.srtp=required", "trunk.transport=tls"], False),
        (["trunk.srtp=required", "trunk.proxy=sips:edge.example.com"], False),
        (["trunk.srtp=required", "trunk.transport=tls", "trunk.proxy=sip:e;transport=tcp"], True),
    ],
)
def test_srtp_keys_over_clear_signalling_are_warned_of(settings: list[str], warned: bool) -> None:
    """RFC 4568, 7.4: the keys are as secret as what carries them."""
    config = load(None, [*GOOD, *settings], {})
    assert account_of(config).srtp == config.trunk.srtp
    assert bool(warnings_of(config)) is warned
    assert all("trunk.srtp: the keys of encrypted audio" in warning for warning in warnings_of(config))


def test_every_codec_can_be_named_once() -> None:
    config = load(None, [*GOOD, "rtp.codecs=['opus', 'G722', 'PCMU', 'PCMA']"], {})
    assert account_of(config).terms.codecs == ("opus", "G722", "PCMU", "PCMA")
    with pytest.raises(ConfigError, match="name each codec once"):
        load(None, [*GOOD, "rtp.codecs=['PCMA', 'PCMA']"], {})


def test_a_file_of_authorities_must_be_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(None, [*GOOD, "trunk.tls_ca=/nowhere.pem"], {})
    assert "trunk.tls_ca" in str(caught.value)
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("no certificate\n")
    with pytest.raises(TlsError, match=r"wrong\.pem can't be used .* no certificate in PEM form"):
        TlsTerms(str(wrong)).context()
