"""Which trunk a number goes to and what is dialled there; `offhook dialplan` tells the same."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine.cli.dialplan import run_dialplan
from engine.config import Config, Rule
from engine.config_file import load
from engine.dial_rules import RuleError, compiled, rewrite
from engine.dialer.compliance import Compliance
from engine.dialplan import DialPlan

TRUNK = ["trunk.server=sip.a.example", "trunk.username=1001", "trunk.password=x"]
NOON_IN_SHANGHAI = datetime(2026, 6, 3, 4, 0, tzinfo=UTC)


def config(*more: str) -> Config:
    return load(None, [*TRUNK, *more], {})


def further(name: str, *keys: str) -> list[str]:
    return [f"trunks.{name}.server={name}.example", f"trunks.{name}.username=2"] + [
        f"trunks.{name}.{key}" for key in keys
    ]


def dialled(number: str, *more: str) -> str:
    return DialPlan(config(*more)).route("trunk", number).dialled


class TestFormat:
    @pytest.mark.parametrize(("number", "country", "style", "expected"), [
        ("010 6000-0000", "cn", "as_dialed", "01060000000"),
        ("010 6000-0000", "cn", "e164", "+861060000000"),
        ("010 6000-0000", "cn", "e164_no_plus", "861060000000"),
        ("+86 10 6000 0000", "cn", "national", "01060000000"),
        ("+12125550100", "cn", "national", "0012125550100"),
        ("(212) 555-0100", "us", "e164", "+12125550100"),
        ("+442079460000", "us", "national", "011442079460000"),
        ("8001", "cn", "e164", "8001"), ("*70", "us", "e164", "*70"), ("60000000", "", "e164", "60000000"),
    ])  # fmt: skip
    def test_numbers_as_trunks_want_them(self, number: str, country: str, style: str, expected: str) -> None:
        assert dialled(number, f"trunk.country={country}", f"trunk.number_format={style}") == expected


class TestRules:
    @pytest.mark.parametrize(("rules", "number", "expected"), [
        ([("^0(.*)$", r"+86\1")], "01060000000", "+861060000000"),
        ([("^", "9")], "5551234", "95551234"),
        ([("^9", "")], "95551234", "5551234"),
        ([(r"^\+", "00")], "+12125550100", "0012125550100"),
        ([("^1", "2"), ("^2", "3")], "100", "200"),
        ([("^7", ""), (r"^(\d{3})(\d*)$", r"\g<2>\1")], "1234567", "4567123"),
        ([("^7", "")], "100", "100"),
        ([(r"^[*+#](\d?)$", r"\1")], "*5", "5"),
    ])  # fmt: skip
    def test_the_first_that_matches_rewrites(
        self, rules: list[tuple[str, str]], number: str, expected: str
    ) -> None:
        assert rewrite(number, [Rule(match=m, replace=r) for m, r in rules])[0] == expected

    def test_they_work_on_the_trunks_own_format(self) -> None:
        rule = 'trunk.rules=[{match = "^\\\\+86", replace = "0"}]'
        assert dialled("010 6000 0000", "trunk.country=cn", "trunk.number_format=e164", rule) == "01060000000"

    @pytest.mark.parametrize("replace", ["", "sip:x@y", "1\r\nX: y", "1" * 40])
    def test_what_cant_be_dialled_is_refused(self, replace: str) -> None:
        with pytest.raises(RuleError, match="can't be dialled"):
            rewrite("100", [Rule(match="^100$", replace=replace)])

    @pytest.mark.parametrize("match", [
        r"^\d*\d*\d*\d*\d*x", "^1+1+1+1+(?:1|1)x", r"(1|1)(1|1)(1|1)(1|1)(1|1)(1|1)1*1*1*x",
        "(1|1)(1|1)(1|1)(1|1)(1|1)(1|1)(1|1)(1|1)(1|1)(1|1)(1|1)(1|1)(1|1)(1|1)(1|1)x",
    ])  # fmt: skip
    def test_the_costliest_that_are_allowed_end(self, match: str) -> None:
        assert compiled(Rule(match=match)).search("1" * 32) is None


class TestChoice:
    def test_the_longest_prefix_then_priority_then_the_order_of_the_file(self) -> None:
        plan = DialPlan(config(
            "trunk.country=cn", *further("b", "prefixes=['+86', '00']"), *further("c", "prefixes=['+8610']"),
            *further("d", "priority=5"), *further("e"),
        ))  # fmt: skip
        assert plan.order("010 6000 0000") == ["c", "b", "d", "trunk", "e"]
        assert plan.order("0012125550100") == ["b", "d", "trunk", "e"]
        assert plan.order("8001") == ["d", "trunk", "e"]

    def test_only_usable_ones_while_there_is_one(self) -> None:
        plan = DialPlan(config(*further("b")))
        assert [r.trunk for r in plan.choose("100", usable=lambda name: name == "b")] == ["b"]
        assert [r.trunk for r in plan.choose("100", usable=lambda name: False)] == ["trunk", "b"]

    def test_a_number_for_no_trunk_is_told(self) -> None:
        with pytest.raises(RuleError, match="no trunk is for 100"):
            DialPlan(config("trunk.prefixes=['+1']")).choose("100")

    def test_a_caller_id_goes_by_the_trunk_that_may_show_it(self) -> None:
        plan = DialPlan(config(*further("b", "caller_ids=['+12125550100']")))
        assert plan.order("100", "+12125550100") == ["b"]
        assert plan.order("100") == ["trunk", "b"]
        assert plan.order("100", "+19005550100") == ["trunk", "b"]  # the trunk refuses it, with its reason

    def test_a_trunk_whose_rules_spoil_the_number_is_passed_over(self) -> None:
        plan = DialPlan(config('trunk.rules=[{match = "^1.*", replace = "x"}]', *further("b")))
        assert [route.trunk for route in plan.choose("100")] == ["b"]
        with pytest.raises(RuleError):
            DialPlan(config('trunk.rules=[{match = "^1.*", replace = "x"}]')).choose("100")


class TestGuards:
    """A rule can't turn a number that must not be called into one that may, nor the other way round."""

    def check(self, number: str, *more: str) -> tuple[str, str]:
        made = config("trunk.country=cn", *more)
        verdict = Compliance(made, lambda: NOON_IN_SHANGHAI).check(number)
        return verdict.kind, verdict.reason

    def test_a_rule_that_makes_an_emergency_number(self) -> None:
        kind, reason = self.check("13900000001", 'trunk.rules=[{match = "^139.*", replace = "110"}]')
        assert kind == "block"
        assert reason == "110 is an emergency number and is never dialled. Dial rules make it of 13900000001."

    def test_a_rule_that_hides_one(self) -> None:
        assert self.check("110", 'trunk.rules=[{match = "^110$", replace = "+8613900000001"}]')[0] == "block"

    def test_the_rules_of_every_trunk_count(self) -> None:
        more = further("b", 'rules=[{match = "^139.*", replace = "120"}]')
        assert self.check("13900000001", *more)[0] == "block"

    def test_a_listed_number_however_it_comes_about(self, tmp_path: Path) -> None:
        listed = tmp_path / "dnc"
        listed.write_text("+86 139 0000 0002\n")
        dnc = f"compliance.do_not_call={listed}"
        assert self.check("13900000001", dnc)[0] == "allow"
        assert self.check("13900000001", dnc, 'trunk.rules=[{match = "1$", replace = "2"}]')[0] == "block"
        assert self.check("13900000002", dnc, 'trunk.rules=[{match = "2$", replace = "1"}]')[0] == "block"

    def test_hours_hold_where_the_phone_rings(self) -> None:
        rule = 'trunk.rules=[{match = "^139.*", replace = "+12125550100"}]'
        assert self.check("13900000001")[0] == "allow"
        kind, reason = self.check("13900000001", rule)
        assert kind == "hold"
        assert "America/New_York" in reason

    def test_a_prefix_for_an_outside_line_changes_nothing(self) -> None:
        assert self.check("13900000001", 'trunk.rules=[{match = "^", replace = "9"}]') == ("allow", "")

    def test_a_spoilt_number_is_blocked_with_the_reason(self) -> None:
        kind, reason = self.check("13900000001", 'trunk.rules=[{match = "^139.*", replace = ""}]')
        assert kind == "block"
        assert "rule 1 makes ''" in reason


class TestCommand:
    RULES = (
        'trunk.rules=[{match = "^7"}, {match = "^0(.*)$", replace = "+86\\\\1"}, '
        '{match = "^", replace = "9"}]'
    )

    def run(self, capsys: pytest.CaptureFixture[str], number: str, *more: str) -> dict[str, object]:
        assert run_dialplan(number, None, [*TRUNK, *more], True) == 0
        found: dict[str, object] = json.loads(capsys.readouterr().out)
        return found

    def test_it_tells_each_rule_the_trunk_and_the_headers(self, capsys: pytest.CaptureFixture[str]) -> None:
        found = self.run(
            capsys, "010 6000 0000", self.RULES, "trunk.country=cn", "trunk.user_phone=true",
            "trunk.identity=p_asserted", "trunk.caller_ids=['+861060000001']",
            "trunk.caller_id=+861060000001", "trunk.from_user=t7",
            "compliance.calling_hours=off", *further("b", "priority=200"),
        )  # fmt: skip
        first, second = found["ways"]  # type: ignore[misc]
        assert (first["trunk"], second["trunk"]) == ("trunk", "b")
        assert [rule["matched"] for rule in first["rules"]] == [False, True, None]
        assert first["dialled"] == "+861060000000"
        assert first["headers"] == {
            "Request-URI": "sip:+861060000000@sip.a.example;user=phone",
            "To": "<sip:+861060000000@sip.a.example;user=phone>",
            "From": "<sip:t7@sip.a.example>",
            "P-Asserted-Identity": "<sip:+861060000001@sip.a.example>",
        }
        assert second["headers"]["Request-URI"] == "sip:01060000000@b.example"
        assert (found["verdict"], found["e164"], found["region"]) == ("allow", "+861060000000", "cn")

    def test_in_words(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert run_dialplan("110", None, [*TRUNK, self.RULES, "trunk.country=cn"], False) == 0
        said = capsys.readouterr().out
        assert "first trunk trunk: takes any number, priority 100" in said
        assert "rule 3 ^ -> 9 matches: 9110" in said
        assert "Request-URI: sip:9110@sip.a.example" in said
        assert "guards: never: 110 is an emergency number" in said

    def test_the_page_shows_what_it_says(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        page = (Path(__file__).parents[1] / "docs" / "trunks.md").read_text("utf-8")
        _, toml, _, said, *_ = page.split("```")
        (file := tmp_path / "config.toml").write_text(toml.removeprefix("toml"))
        assert run_dialplan("010 6000 0000", file, [], False) == 0
        assert capsys.readouterr().out.strip() == said.strip()

    def test_what_is_no_number_is_one_sentence(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert run_dialplan("call me", None, TRUNK, False) == 2
        assert "is not a number" in capsys.readouterr().err
