"""Every parameter of hearing in whole calls: a campaign whose rows each set their own, and a single call."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import soundfile
from rig import Bench, lines

NUMBERS = """
[numbers.5550100]
early = "busy"
refuse = 486
refuse_after = 4.3
[numbers.5550101]
early = "busy"
refuse = 486
refuse_after = 2.8
[numbers.5550102]
early = "silence"
refuse = 480
refuse_after = 3.5
[numbers.5550103]
early = "ringback"
answer_after = 4.0
hangup_after = 1.0
[numbers.5550104]
early = "tone"
refuse = 480
refuse_after = 6.0
[numbers.5550105]
early = "ringback"
answer_after = 1.0
says = "silence"
hangup_after = 4.0
[numbers.5550106]
refuse = 404
"""
TIMEOUT = "detecttime_timeout"
# name, number, its columns, the response to the INVITE, and what came of listening
ROWS: list[tuple[str, str, dict[str, str], int, dict[str, Any]]] = [
    ("as everybody", "5550100", {}, 486, {"finish_cause": TIMEOUT, "last_tone": "busy", "status": "busy"}),
    ("stop tone", "5550100", {"stoptone": "busy"}, 487, {"finish_cause": "stoptone", "result": "busy"}),
    ("no hang-up", "5550101", {"stoptone": "busy", "hang_up": "no"}, 486, {"result": "busy"}),
    ("time limit", "5550101", {"maxdetecttime": "1"}, 486, {"finish_cause": TIMEOUT}),
    ("hang-up by cause", "5550100", {"maxdetecttime": "1", "hang_up_on": TIMEOUT}, 487,
     {"finish_cause": TIMEOUT}),
    ("silence limit", "5550102", {"max_silence": "1", "hang_up_on": "all"}, 487, {"finish_cause": TIMEOUT}),
    ("silence", "5550102", {"stoptone": "silence"}, 487, {"result": "silence", "status": "silence"}),
    ("sound limit", "5550100", {"max_sound": "1.2", "hang_up_on": TIMEOUT, "maxdetecttime": "20"}, 487,
     {"finish_cause": TIMEOUT}),
    ("ringback", "5550103", {"stoptone": "ringback"}, 487, {"result": "ringback"}),
    ("450hz", "5550104", {"stoptone": "450hz"}, 487, {"result": "450hz", "status": "not recognised"}),
    ("another rule", "5550101", {"stoptone": "busy", "tone_busy_rule": "100-150|100-150"}, 486,
     {"finish_cause": "bus_close"}),
    ("answer", "5550105", {}, 200, {"finish_cause": "answer", "result": "answer", "status": "answered"}),
    ("after the answer", "5550105", {"stop_at_answer": "no", "max_after_answer": "1"}, 200,
     {"finish_cause": TIMEOUT, "status": "answered"}),
    ("too many", "5550102", {"max_calls": "1"}, 480, {"finish_cause": "limit", "status": "limit"}),
    ("no audio", "5550106", {}, 404, {"finish_cause": "bug_add_fail", "status": "call failed"}),
]  # fmt: skip
COLUMNS = {"stoptone": "da2_param_stoptone", "maxdetecttime": "da2_param_maxdetecttime"}


def test_each_row_of_a_campaign_is_listened_to_in_its_own_way(bench: Bench, tmp_path: Path) -> None:
    agents = [str(8000 + place) for place in range(len(ROWS))]
    bench.start_carrier(NUMBERS + "".join(f"[numbers.{agent}]\nanswer_after = 0.1\n" for agent in agents))
    config = tmp_path / "offhook.toml"
    config.write_text(
        '[campaigns.spring.detection]\nstop_on = ["sample"]\nmax_time = 3.5\n'
        '[campaigns.spring.recording]\nwhat = "analysed"\nname = "{campaign}/{name}-{result}"\n'
    )
    columns = sorted({column for _, _, own, _, _ in ROWS for column in own})
    queue = tmp_path / "spring.csv"
    with queue.open("w", newline="") as file:
        csv.writer(file).writerow(["number", "name", *(COLUMNS.get(each, each) for each in columns)])
        writer = csv.DictWriter(file, ["number", "name", *columns])
        writer.writerows({"number": number, "name": name, **own} for name, number, own, _, _ in ROWS)
    many = [f"dialer.max_channels={len(ROWS)}", "dialer.skip_duplicates=false", "dialer.max_attempts=99",
            "operator.mode=cold",
            f"operator.agents={','.join(agents)}"]  # fmt: skip
    ran = bench.offhook("run", str(queue), "--config", str(config), *bench.settings(*many), "--json")
    assert ran.returncode == 0, ran.stderr
    assert "bad rows" not in ran.stderr or "0 bad rows" in ran.stderr
    done = {each["name"]: each for each in lines(ran.stdout)}
    for name, _, _, code, wanted in ROWS:
        got = done[name]["hearing"]
        assert (got | wanted, done[name]["sip_code"]) == (got, code), (name, done[name])
    folder = bench.folder / "recordings" / "spring"
    assert done["stop tone"]["recording"] == str(
        folder / "stop_tone-busy.wav"
    )
    sound, rate = soundfile.read(folder / "stop_tone-busy.wav")
    assert 0.5 < len(sound) / rate < 3.0
    assert {path.name for path in folder.iterdir()} >= {"answer-answer.wav", "silence-silence.wav"}
    assert done["no audio"]["recording"] == ""


def test_a_single_call_tells_what_came_of_listening_last(bench: Bench) -> None:
    bench.start_carrier(NUMBERS)
    ran = bench.offhook("call", "5550100", *bench.settings(), "--json")
    assert ran.returncode == 3, ran.stderr
    *events, last = lines(ran.stdout)
    heard = {
        "finish_cause": "stoptone", "all_tone": 0x41, "last_tone": "busy", "category": None,
        "correction": None, "result": "busy", "status": "busy", "sample": None,
    }  # fmt: skip
    assert (last["type"], last["cause"], last["sip_code"]) == ("call_result", "cancelled", 487)
    assert last["hearing"] | heard == last["hearing"] | {"all_tone": 0x41}
    assert last["hearing"]["all_tone"] & 1
    (told,) = [event["hearing"] for event in events if event["type"] == "listened"]
    assert told == last["hearing"] | {"status": ""}
