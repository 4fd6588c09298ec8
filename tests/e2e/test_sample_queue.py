"""`offhook run` of the sample queue: every number ends as the carrier's directory says it must."""

from __future__ import annotations

import csv
import json
import shutil
import tomllib
from pathlib import Path

import pytest
from rig import Bench, lines

from engine.demo.process import CarrierProcess
from engine.samples.starter import make_starter

DEMO = Path(__file__).parents[2] / "engine" / "demo"
NUMBERS = tomllib.loads((DEMO / "directory.toml").read_text("utf-8"))["numbers"]
STATES = [
    "queued",
    "dialing",
    "listening",
    "answered",
    "wait_tone",
    "connecting",
    "bridged",
    "wrap_up",
    "done",
]


@pytest.mark.timeout(240)
def test_every_number_of_the_sample_queue_meets_its_fate(bench: Bench) -> None:
    bench.carrier = CarrierProcess()
    queue = DEMO / "queue.csv"
    settings = ["--config", str(DEMO / "demo.toml"), *bench.settings()]
    ran = bench.offhook("run", str(queue), *settings, "--json", timeout=200)
    assert ran.returncode == 0, ran.stderr
    done = {d["number"]: d for d in lines(ran.stdout)}
    with queue.open(encoding="utf-8") as file:
        numbers = [row["number"] for row in csv.DictReader(file)]
    assert len(numbers) >= 12
    assert list(done) == numbers
    for number in numbers:
        expected, got = NUMBERS[number]["expect"], done[number]
        wanted = expected["disposition"]
        assert got["disposition"] in ([wanted] if isinstance(wanted, str) else wanted), got
        if "sip_code" in expected:
            assert got["sip_code"] == expected["sip_code"], got
        assert got["digits"] == expected.get("digits", ""), got
        assert set(expected.get("heard", [])) <= {d["tone"] for d in got["detections"]}, got
        entered = [got["states"][state] for state in STATES if state in got["states"]]
        assert entered == sorted(entered), got
        assert got["duration"] >= 0

    again = bench.offhook("run", str(queue), *settings, "--json")
    assert again.returncode == 0
    assert again.stdout == "", "a campaign that is done is resumed, so nobody is called again"


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_every_category_and_tone_is_named_by_run(bench: Bench, tmp_path: Path) -> None:
    bench.carrier = CarrierProcess()
    make_starter(tmp_path / "samples")
    queue = DEMO / "hearing.csv"
    settings = [
        "--config", str(DEMO / "demo.toml"), *bench.settings(f"detection.samples={tmp_path / 'samples'}"),
        "--set", "dialer.ring_timeout=14",
    ]  # fmt: skip
    ran = bench.offhook("run", str(queue), *settings, "--json", timeout=380)
    assert ran.returncode == 0, ran.stderr
    done = {d["number"]: d for d in lines(ran.stdout)}
    with queue.open(encoding="utf-8") as file:
        numbers = [row["number"] for row in csv.DictReader(file)]
    wrong = []
    for number in numbers:
        expected, got = NUMBERS[number]["expect"], done[number]
        heard = {d["tone"] for d in got["detections"]}
        assert got["hearing"], got
        result = got["hearing"]["result"]
        named = result == expected.get("result", result) and set(expected["heard"]) <= heard
        if got["disposition"] != expected["disposition"] or not named:
            wrong.append((number, got["disposition"], result, sorted(heard)))
        elif got["hearing"]["category"]:
            assert got["hearing"]["category"] == NUMBERS[number]["announces"]
            assert got["hearing"]["status"] == result
    assert not wrong


def test_run_reports_bad_rows_and_duplicates_and_keeps_the_good_ones(bench: Bench, tmp_path: Path) -> None:
    bench.start_carrier("[numbers.5550001]\nrefuse = 486\n")
    queue = tmp_path / "queue.csv"
    queue.write_bytes("\ufeffnumber;name\n5550001;张伟\nnot a number;x\n1.39E+10;y\n5550001;again\n".encode())
    ran = bench.offhook(
        "run", str(queue), *bench.settings("operator.mode=cold", "operator.agents=8001"), "--json"
    )
    assert ran.returncode == 0, ran.stderr
    assert [(d["number"], d["name"], d["disposition"]) for d in lines(ran.stdout)] == [
        ("5550001", "张伟", "busy")
    ]
    for said in ("line 3", "line 4", "spreadsheet", "line 5"):
        assert said in ran.stderr, ran.stderr


@pytest.mark.parametrize("content", ["", "\x00\x01", "name\nx\n"])
def test_a_queue_without_a_number_is_one_sentence(bench: Bench, tmp_path: Path, content: str) -> None:
    bench.start_carrier("[numbers.5550001]\nrefuse = 486\n")
    queue = tmp_path / "queue.csv"
    queue.write_text(content)
    ran = bench.offhook("run", str(queue), *bench.settings("operator.mode=cold", "operator.agents=8001"))
    assert "Traceback" not in ran.stderr
    assert str(queue) in ran.stderr


def test_a_missing_queue_is_bad_use(bench: Bench) -> None:
    bench.start_carrier("[numbers.5550001]\nrefuse = 486\n")
    ran = bench.offhook("run", "/nowhere.csv", *bench.settings())
    assert ran.returncode == 2
    assert "/nowhere.csv" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_call_prints_its_events_and_says_how_it_ended(bench: Bench, tmp_path: Path) -> None:
    carrier = bench.start_carrier(
        '[numbers.5550001]\nearly = "ringback"\ncountry = "cn"\nanswer_after = 4.0\ndigits = "7"\n'
    )
    file = tmp_path / "call.wav"
    ran = bench.offhook(
        "call",
        "5550001",
        *bench.settings("trunk.country=cn"),
        "--hangup-after",
        "2",
        "--dtmf",
        "31",
        "--record",
        str(file),
        "--json",
    )
    assert ran.returncode == 0, ran.stderr
    events = lines(ran.stdout)
    states = [e["state"] for e in events if e["type"] == "leg"]
    assert [s for i, s in enumerate(states) if i == 0 or states[i - 1] != s] == [
        "dialing",
        "trying",
        "early",
        "answered",
        "ended",
    ]
    assert "ringback" in [e["tone"] for e in events if e["type"] == "detection"]
    assert events[-1] == events[-1] | {
        "type": "call_result",
        "answered": True,
        "cause": "normal",
        "digits": "7",
        "sip_code": 200,
        "recording": str(file),
    }
    assert 1.5 < events[-1]["duration"] < 4
    carrier.wait("digit", digit="3")
    carrier.wait("digit", digit="1")
    assert file.stat().st_size > 16000
    assert not [json.dumps(e) for e in events if "demo pass" in json.dumps(e)]


@pytest.mark.parametrize(("arguments", "status", "said"), [
    (["5550404"], 3, "404"),
    (["5550009", "--timeout", "1"], 3, "timeout"),
    (["5550009", "--cancel-after", "0.5"], 3, "cancelled"),
    (["911"], 2, "emergency"),
    (["5550404", "--dtmf", "xyz"], 2, "--dtmf"),
    (["5550404", "--play", "/nowhere.wav"], 2, "/nowhere.wav"),
    (["5550404", "--set", "trunk.password=wrong"], 4, "40"),
    (["5550404", "--set", "rtp.ports=9"], 2, "rtp.ports"),
])  # fmt: skip
def test_the_exit_status_of_call(bench: Bench, arguments: list[str], status: int, said: str) -> None:
    bench.start_carrier("[numbers.5550404]\nrefuse = 404\n[numbers.5550009]\n")
    ran = bench.offhook("call", *bench.settings(), *arguments)
    assert ran.returncode == status, ran.stderr
    assert said in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_trunk_that_says_nothing_is_status_4(bench: Bench) -> None:
    bench.start_carrier("")
    ran = bench.offhook("call", "5550001", *bench.settings("trunk.server=127.0.0.1:9"), "--timeout", "2")
    assert ran.returncode == 4, ran.stderr


def test_check_tells_each_step_in_plain_words(bench: Bench) -> None:
    bench.start_carrier("")
    good = bench.offhook("check", *bench.settings())
    assert good.returncode == 0, good.stdout + good.stderr
    assert "registered as 1001" in good.stdout
    bad = bench.offhook("check", *bench.settings("trunk.password=wrong"))
    assert bad.returncode == 4
    assert "trunk.password" in bad.stdout
    broken = bench.offhook("check", *bench.settings("rtp.ports=x"))
    assert broken.returncode == 2
    assert "rtp.ports" in broken.stdout


def test_a_trunk_that_says_nothing_holds_up_no_call_where_there_is_another(bench: Bench) -> None:
    bench.start_carrier("[numbers.5550001]\nanswer_after = 0.1\nhangup_after = 0.3\n")
    keys = [f"server={bench.carrier.sip}", "username=1001", "password=demo pass"]
    further = [f"trunks.b.{key}" for key in keys]
    ran = bench.offhook("call", "5550001", *bench.settings("trunk.server=127.0.0.1:9", *further), "--json")
    assert ran.returncode == 0, ran.stderr
    legs = [event for line in ran.stdout.splitlines() if (event := json.loads(line))["type"] == "leg"]
    assert {leg["trunk"] for leg in legs} == {"b"}
    assert legs[-1]["cause"] == "normal"


@pytest.mark.slow
def test_a_queue_goes_on_by_the_next_trunk_in_the_same_attempt(bench: Bench, tmp_path: Path) -> None:
    bench.start_carrier(
        "[numbers.5550001]\nrefuse = 503\nrings = false\n\n"
        "[numbers.5550002]\nanswer_after = 0.2\nhangup_after = 1.0\n"
    )
    queue = tmp_path / "queue.csv"
    queue.write_text("number\n5550001\n")
    rule = 'trunks.b.rules=[{match = "1$", replace = "2"}]'  # another carrier's, played by the same
    keys = [f"server={bench.carrier.sip}", "username=1001", "password=demo pass"]
    further = [f"trunks.b.{key}" for key in keys]
    ran = bench.offhook("run", str(queue), *bench.settings(*further, rule), "--json")
    assert ran.returncode == 0, ran.stderr
    [done] = lines(ran.stdout)
    assert (done["number"], done["disposition"], done["sip_code"]) == ("5550001", "bridged", 200)
    assert "trunk trunk can't take the call (503" in ran.stderr
    asked = [event["number"] for event in bench.carrier.events if event["event"] == "invite"]
    assert asked == ["5550001", "5550002"]


def test_check_tells_of_every_trunk(bench: Bench) -> None:
    bench.start_carrier("")
    keys = [f"server={bench.carrier.sip}", "username=1001", "password=wrong"]
    ran = bench.offhook("check", *bench.settings(*(f"trunks.b.{key}" for key in keys)))
    assert ran.returncode == 4
    assert "trunk trunk: OK: registered as 1001" in ran.stdout
    assert "trunk b: NOT OK" in ran.stdout
    assert "check trunks.b.username and trunks.b.password" in ran.stdout


def test_run_with_no_operator_and_no_sound_calls_nobody_on_a_real_trunk(bench: Bench, tmp_path: Path) -> None:
    bench.start_carrier("[numbers.5550001]\nanswer_after = 0.1\n")
    queue = tmp_path / "queue.csv"
    queue.write_text("number\n5550001\n")
    real = ["compliance.loopback_exempt=false", "compliance.calling_hours=off"]
    ran = bench.offhook("run", str(queue), *bench.settings(*real))
    assert ran.returncode == 2
    assert "operator.mode" in ran.stderr
    assert not [e for e in bench.carrier.events if e["event"] == "invite"]


def test_run_ends_when_the_trunk_refuses_the_credentials(bench: Bench, tmp_path: Path) -> None:
    bench.start_carrier("[numbers.5550001]\nanswer_after = 0.1\n")
    queue = tmp_path / "queue.csv"
    queue.write_text("number\n5550001\n")
    ran = bench.offhook("run", str(queue), *bench.settings("trunk.password=wrong"))
    assert ran.returncode == 4
    assert "403" in ran.stderr


@pytest.mark.parametrize(
    "how",
    [
        ["sip.listen=0.0.0.0:0"],
        ["trunk.register=false"],
        ["trunk.auth_username=1001", "trunk.username=trunk7", "trunk.register=false",
         "trunk.domain=sip.example.com",
         "trunk.proxy={carrier}", "trunk.server=sip.example.com", "trunk.caller_ids=+12125550199",
         "trunk.caller_id=+12125550199"],
    ],
)  # fmt: skip
def test_a_call_is_placed_however_the_trunk_wants_it(bench: Bench, how: list[str]) -> None:
    carrier = bench.start_carrier('[numbers.5550001]\nanswer_after = 0.1\ndigits = "5"\ndigits_after = 0.2\n')
    settings = bench.settings(*[key.format(carrier=carrier.sip) for key in how])
    ran = bench.offhook("call", "5550001", *settings, "--hangup-after", "1.5", "--json")
    assert ran.returncode == 0, ran.stderr
    assert lines(ran.stdout)[-1]["digits"] == "5"
    if "trunk.caller_id=+12125550199" in how:
        assert carrier.wait("invite")["from"] == "+12125550199"


def test_run_ends_when_no_agent_can_be_reached(bench: Bench, tmp_path: Path) -> None:
    bench.start_carrier("[numbers.5550001]\nanswer_after = 0.1\n[numbers.8002]\nrefuse = 486\n")
    queue = tmp_path / "queue.csv"
    queue.write_text("number\n5550001\n")
    standing = ["operator.mode=standing", "operator.agents=8002", "operator.ring_timeout=1"]
    ran = bench.offhook("run", str(queue), *bench.settings(*standing))
    assert ran.returncode == 2
    assert "8002" in ran.stderr
    assert not [e for e in bench.carrier.events if e["event"] == "invite" and e["number"] == "5550001"]
