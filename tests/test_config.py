"""The configuration is validated as a whole, and the example explains every key."""

from __future__ import annotations

import re
import wave
from pathlib import Path

import msgspec
import pytest
import tomli

from engine.config import Config, port_range, split_host_port
from engine.config_file import ConfigError, load

EXAMPLE = Path(__file__).parents[1] / "config.example.toml"
GOOD = ["trunk.server=127.0.0.1:5070", "trunk.username=1001", "trunk.password=x"]


def problems(*overrides: str, **kwargs: object) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        load(None, overrides, {}, **kwargs)
    return {p.key: str(p) for p in caught.value.problems}


def test_the_example_is_valid() -> None:
    config = load(EXAMPLE, environ={})
    assert config.trunk.server == "sip.example.com"


def uncommented_example() -> dict[str, dict[str, object]]:
    hidden = r"^# (?=[a-z_0-9]+ = |\[(?:ui|trunks|campaigns)\b)"
    text = re.sub(hidden, "", EXAMPLE.read_text("utf-8"), flags=re.M)
    return tomli.loads(text)


def test_the_example_explains_every_key_with_its_default() -> None:
    shown = uncommented_example()
    defaults = msgspec.to_builtins(Config())
    assert shown.keys() == defaults.keys()
    del defaults["trunks"], defaults["campaigns"]  # by names of the user's own
    for section, keys in defaults.items():
        assert shown[section].keys() == keys.keys(), section
        for key, value in keys.items():
            if (section, key) not in {
                ("trunk", "server"),
                ("trunk", "username"),
                ("trunk", "password"),
                ("trunk", "password_file"),
                ("ui", "keys"),
            }:
                assert shown[section][key] == value, f"{section}.{key}"


def test_every_mistake_is_in_one_report_with_what_is_allowed() -> None:
    found = problems(
        "trunk.serve=a",
        "trunk.transport=sctp",
        "rtp.ports=9",
        "dialer.max_channels=0",
        "audi.x=1",
        "rtp.codecs=G729",
        "trunk.register=maybe",
    )
    assert "did you mean server?" in found["trunk.serve"]
    assert found["trunk.transport"] == "trunk.transport: found 'sctp'; allowed: auto, udp, tcp, tls"
    assert "low-high" in found["rtp.ports"]
    assert "from 1 to 1000" in found["dialer.max_channels"]
    assert "did you mean audio?" in found["audi"]
    assert "PCMA, PCMU" in found["rtp.codecs"]
    assert "true or false" in found["trunk.register"]
    assert "trunk.server" in found
    assert "trunk.username" in found


def test_a_mistake_in_one_place_hides_no_other(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text('[trunk]\nserver = 5\nusername = "a"\n[sip]\nlisten = "nowhere"\n')
    with pytest.raises(ConfigError) as caught:
        load(file, environ={})
    assert {p.key for p in caught.value.problems} == {"trunk.server", "sip.listen"}
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"[trunk\n", b"\xff\xfe[trunk]", b"trunk = 3\n", b'[trunk]\nserver = "a"\nserver = "b"\n']
)
def test_a_file_that_is_not_toml_is_one_clear_sentence(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "bad.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load(file, environ={})
    assert all(p.allowed for p in caught.value.problems)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml"):
        load(Path("nowhere.toml"), environ={})


def test_a_file_that_is_missing_is_the_only_thing_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "none.toml", environ={})
    assert [p.key for p in caught.value.problems] == [str(tmp_path / "none.toml")]


def test_a_table_overridden_by_a_value_is_refused() -> None:
    assert "ui.keys" in problems("ui.keys=3", "ui.keys.dial=z")


def test_overrides_take_the_type_of_their_key() -> None:
    config = load(
        None,
        [
            *GOOD,
            "operator.agents=8001,8002",
            "rtp.codecs=['PCMU']",
            "rtp.timeout=5",
            "trunk.caller_ids=['12']",
            "trunk.caller_id=12",
            "ui.keys.pause=f3",
        ],
        {},
    )
    assert config.operator.agents == ["8001", "8002"]
    assert config.rtp.codecs == ["PCMU"]
    assert config.rtp.timeout == 5.0
    assert config.trunk.caller_id == "12"
    assert config.ui.keys == {"pause": "f3"}


def test_an_override_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text('[trunk]\nserver = "a.example"\nusername = "u"\n')
    assert load(file, ["trunk.server=b.example"], {}).trunk.server == "b.example"


def test_a_malformed_override_says_its_form() -> None:
    assert "section.key=value" in problems("trunk", *GOOD)["--set trunk"]


def test_the_password_may_come_from_the_environment_or_a_file(tmp_path: Path) -> None:
    without = GOOD[:2]
    assert load(None, without, {"OFFHOOK_PASSWORD": "from env"}).trunk.password == "from env"
    secret = tmp_path / "s"
    secret.write_text("from file\n")
    assert (
        load(None, [*without, f"trunk.password_file={secret}"], {"OFFHOOK_PASSWORD": "x"}).trunk.password
        == "from file"
    )
    assert "trunk.password_file" in problems(*without, "trunk.password_file=/nowhere")


def test_a_wrong_password_is_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text('[trunk]\nserver = "a"\nusername = "u"\npassword = ["hunter2"]\n')
    with pytest.raises(ConfigError) as caught:
        load(file, environ={})
    assert "hunter2" not in str(caught.value)


def test_the_caller_id_is_one_of_the_trunks_own() -> None:
    assert "12, 34" in problems(*GOOD, "trunk.caller_ids=12,34", "trunk.caller_id=56")["trunk.caller_id"]


def test_an_operator_by_phone_needs_an_agent() -> None:
    assert "operator.agents" in problems(*GOOD, "operator.mode=cold")


def test_calling_hours_run_forward() -> None:
    assert "before" in problems(*GOOD, "compliance.calling_hours=20:00-09:00")["compliance.calling_hours"]


@pytest.mark.parametrize(
    ("server", "exempt"),
    [
        ("127.0.0.1:5070", True),
        ("localhost", True),
        ("[::1]:5060", True),
        ("sip.example.com", False),
        ("10.0.0.1", False),
    ],
)
def test_only_a_loopback_trunk_is_exempt_from_calling_hours(server: str, exempt: bool) -> None:
    config = load(None, [*GOOD, f"trunk.server={server}"], {})
    assert config.hours_enforced is not exempt
    strict = load(None, [*GOOD, f"trunk.server={server}", "compliance.loopback_exempt=false"], {})
    assert strict.hours_enforced


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.example", ("a.example", 5060)),
        ("1.2.3.4:99", ("1.2.3.4", 99)),
        ("[::1]:7", ("::1", 7)),
        ("::1", ("::1", 5060)),
    ],
)
def test_host_and_port(text: str, expected: tuple[str, int]) -> None:
    assert split_host_port(text) == expected


@pytest.mark.parametrize("text", ["1.2.3.4:", "a:b", "a:70000"])
def test_a_bad_port_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="port"):
        split_host_port(text)


@pytest.mark.parametrize("text", ["", "1-2", "20000", "30000-20000", "16384-70000"])
def test_a_bad_port_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        port_range(text)


def test_further_trunks_have_the_keys_of_the_first_and_names_of_their_own() -> None:
    more = ["trunks.b.server=sip.b.example", "trunks.b.username=2", "trunks.b.priority=5"]
    config = load(None, [*GOOD, *more], {})
    assert list(config.all_trunks) == ["trunk", "b"]
    assert config.all_trunks["b"].priority == 5
    found = problems(*GOOD, "trunks.b.serve=x", "trunks.trunk.server=x", "trunks.c=3", "trunks.b c.server=x")
    assert "did you mean server?" in found["trunks.b.serve"]
    assert "trunks.b.server" in found
    assert "not trunk" in found["trunks.trunk"]
    assert "[trunks.c]" in found["trunks.c"]
    assert "bad name" in found["trunks.b c"]


def test_no_trunk_gets_the_password_of_another() -> None:
    more = ["trunks.back-up.server=b", "trunks.back-up.username=2"]
    environ = {"OFFHOOK_PASSWORD": "first", "OFFHOOK_PASSWORD_BACK_UP": "second"}
    passwords = [trunk.password for trunk in load(None, [*GOOD[:2], *more], environ).all_trunks.values()]
    assert passwords == ["first", "second"]
    assert load(None, [*GOOD[:2], *more], {"OFFHOOK_PASSWORD": "first"}).trunks["back-up"].password == ""
    named = [*more, "trunks.back-up.password_env=MINE"]
    assert load(None, [*GOOD[:2], *named], {"MINE": "x"}).trunks["back-up"].password == "x"
    assert "trunks.back-up.password_file" in problems(*GOOD, *more, "trunks.back-up.password_file=/nowhere")


def test_guards_stay_on_unless_every_trunk_is_on_loopback() -> None:
    assert load(None, GOOD, {}).nobody_can_ring
    assert not load(None, [*GOOD, "trunks.b.server=b.example", "trunks.b.username=2"], {}).nobody_can_ring
    assert load(None, [*GOOD, "trunks.b.server=127.0.0.2", "trunks.b.username=2"], {}).nobody_can_ring


def test_what_a_trunk_shows_and_dials_is_checked() -> None:
    found = problems(
        *GOOD,
        "trunk.identity=p_asserted",
        "trunk.number_format=national",
        "trunk.prefixes=['+86', 'abc']",
        "trunk.listen=everywhere",
        "trunk.digest=weakest",
    )
    assert "trunk.caller_ids must hold" in found["trunk.identity"]
    assert "trunk.country is needed" in found["trunk.number_format"]
    further = ["trunks.b.server=b", "trunks.b.username=2", "trunks.b.number_format=national"]
    assert "trunks.b.country is needed" in problems(*GOOD, *further)["trunks.b.number_format"]
    assert load(None, [*GOOD, *further, "trunk.country=cn"], {}).trunks["b"].number_format == "national"
    assert "'abc'" in found["trunk.prefixes"]
    assert "address:port" in found["trunk.listen"]
    elsewhere = problems(*GOOD, "trunk.listen=127.0.0.2:5060", "sip.listen=127.0.0.1:0")
    assert "the address of sip.listen" in elsewhere["trunk.listen"]
    assert "first, strongest" in found["trunk.digest"]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ('{match = "("}', "a regular expression is needed"),
        ('{match = "^0", replace = "\\\\1"}', "replace has no such group"),
        ('{match = "(1+)+$"}', "a group can't be repeated"),
        ('{match = "(?:1|2){9}"}', "a group can't be repeated"),
        ('{match = "1*1*1*1*1*1*x"}', "at the most are allowed"),
        ('{match = "(1|1)(1|1)(1|1)(1|1)(1|1)(1|1)(1|1)(1|1)(1|1)(1|1)(1|1)(1|1)(1|1)(1|1)(1|1)(1|1)x"}',
         "at the most are allowed"),
        (f'{{match = "{"1" * 201}"}}', "200 characters"),
    ],
)  # fmt: skip
def test_a_bad_dial_rule_is_told_with_its_place(rule: str, said: str) -> None:
    found = problems(*GOOD, f'trunk.rules=[{{match = "^9", replace = ""}}, {rule}]')
    assert said in found["trunk.rules, rule 2"]


def test_a_rule_of_another_form_says_which_is_allowed() -> None:
    for bad in ("3", "['x']", "[{match = '1'}, 2]"):
        assert "[{match =" in problems(*GOOD, f"trunk.rules={bad}")["trunk.rules"]


@pytest.mark.parametrize(
    ("rule", "found", "said"),
    [
        ("{math = '1'}", "the key math", "did you mean match?"),
        ("{replace = '1'}", "no match", 'such as match = "^0"'),
        ("{match = 1}", "match = 1", "text in quotes"),
        ("{match = '1', replace = false}", "replace = false", "text in quotes"),
    ],
)
def test_a_rule_with_a_wrong_key_says_which_rule_and_which_key(rule: str, found: str, said: str) -> None:
    told = problems(*GOOD, f"trunk.rules=[{{match = '^9'}}, {rule}]")["trunk.rules, rule 2"]
    assert f"found {found}; " in told
    assert said in told


def test_a_key_of_another_section_is_told_where_it_belongs() -> None:
    assert "did you mean trunk.transport?" in problems(*GOOD, "sip.transport=tcp")["sip.transport"]
    assert "did you mean trunk.transport?" in problems(*GOOD, "sip.tranport=tcp")["sip.tranport"]
    assert "did you mean password?" in problems(*GOOD, "trunk.pasword=x")["trunk.pasword"]
    found = problems(*GOOD, "trunks.b.keepalive=5", "trunks.b.server=x", "trunks.b.register=false")
    assert "did you mean sip.keepalive?" in found["trunks.b.keepalive"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[trunk]\nserver = "a"\nserver = "b"\n', "a key that stands there a second time, at line 3"),
        ('[trunk]\nserver = "a"\n[trunk]\n', "[trunk] a second time, at line 3"),
        ("[trunks.b]\nserver = 'a'\n[trunks.b]\n", "[trunks.b] a second time, at line 3"),
        ("[trunk]\nserver\n", "line 2"),
    ],
)
def test_what_stands_twice_in_the_file_is_told_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert said in str(caught.value)
    assert "(" not in str(caught.value)


def test_two_trunks_whose_passwords_would_have_one_variable_are_refused() -> None:
    more = [f"trunks.{name}.{key}" for name in ("b-1", "B_1") for key in ("server=x", "register=false")]
    assert "differ from b-1" in problems(*GOOD, *more)["trunks.B_1"]


@pytest.mark.parametrize("value", ["::::", "a b", "x>y", "1:2:3"])
@pytest.mark.parametrize("key", ["server", "proxy", "domain", "tls_server_name"])
def test_what_is_no_host_is_told(key: str, value: str) -> None:
    assert f"trunk.{key}" in problems(*GOOD, f"trunk.{key}={value}")


def test_files_that_a_configuration_names_are_looked_for_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    (there / "ca.pem").touch()
    (there / "wait.wav").touch()
    (here / "dnc.txt").touch()
    file = there / "config.toml"
    file.write_text(
        '[trunk]\nserver = "a"\nregister = false\ntls_ca = "ca.pem"\n'
        '[trunks.b]\nserver = "a"\nregister = false\ntls_ca = "ca.pem"\n'
        '[dialer]\nwait_tone = "wait.wav"\n[sip]\ntrace_file = "~/trace"\n'
    )
    monkeypatch.chdir(here)
    config = load(file, ["compliance.do_not_call=dnc.txt"])
    assert config.trunk.tls_ca == config.trunks["b"].tls_ca == str(there / "ca.pem")
    assert config.dialer.wait_tone == str(there / "wait.wav")
    assert config.sip.trace_file == str(Path.home() / "trace")
    assert config.compliance.do_not_call == "dnc.txt"
    file.write_text('[dialer]\nwait_tone = "ringback"\n')
    assert load(Path("../there/config.toml"), need_trunk=False).dialer.wait_tone == "ringback"


def test_keys_that_have_moved_say_where_to() -> None:
    found = problems(*GOOD, "call.record=both", "call.record_dir=/tmp")
    assert found["call.record"] == "call.record: found an unknown key; it is called recording.what now"
    assert found["call.record_dir"].endswith("it is called recording.folder now")


def test_names_of_recordings_are_checked() -> None:
    found = problems(*GOOD, "recording.name=../{number}", "recording.keep_days=-1", "recording.format=mp3")
    assert "no part of the name may be empty or begin with a dot" in found["recording.name"]
    assert "from 0 to 36500" in found["recording.keep_days"]
    assert "allowed: wav, wav_alaw, wav_ulaw, flac" in found["recording.format"]


def test_an_announcement_is_a_wav_file_of_thirty_seconds_at_most(tmp_path: Path) -> None:
    for name, seconds in (("short", 30), ("long", 31)):
        with wave.open(str(tmp_path / name), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8000)
            file.writeframes(bytes(16000 * seconds))
    assert load(None, [*GOOD, f"recording.announcement={tmp_path / 'short'}"], {}).recording.announcement
    for name, said in (("long", "31 s of sound; 30 s at most"), ("none", "a WAV file is needed")):
        found = problems(*GOOD, f"recording.announcement={tmp_path / name}")
        assert said in found["recording.announcement"]


def test_a_session_interval_below_what_is_allowed_is_told() -> None:
    """RFC 4028, 5: 90 s at least."""
    assert "90 or more" in problems(*GOOD, "sip.session_expires=89")["sip.session_expires"]
    assert problems(*GOOD, "sip.session_expires=0", "x=1").keys() == problems(*GOOD, "x=1").keys()


def test_calls_are_forwarded_to_numbers_alone() -> None:
    assert load(None, [*GOOD, "sip.forward.2000=+12125550100"], {}).sip.forward == {"2000": "+12125550100"}
    assert "a number to be dialled" in problems(*GOOD, "sip.forward.2000=sip:a@b")["sip.forward.2000"]
