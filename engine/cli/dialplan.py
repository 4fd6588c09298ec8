"""`offhook dialplan`: what would be dialled for a number, where, and whether the guards let it; offline."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from engine.cli.common import EXIT_OK, EXIT_USAGE, Usage, load_config, say
from engine.config import Config
from engine.dial_rules import RuleError, compiled
from engine.dialer.compliance import Compliance
from engine.dialer.numbers import NumberError, parse
from engine.dialplan import DialPlan, Route
from engine.sip.uri import NameAddr
from engine.station import account_of
from engine.text import safe


class TriedRule(msgspec.Struct, frozen=True):
    """One rule in its order; `matched` is None for those after the one that matched."""

    match: str
    replace: str
    matched: bool | None


class Way(msgspec.Struct, frozen=True):
    """One trunk that takes the number, and what it would get."""

    trunk: str
    why: str
    formatted: str
    rules: list[TriedRule]
    dialled: str
    headers: dict[str, str]


class Answer(msgspec.Struct, frozen=True):
    """What `--json` prints. `ways` are in the order in which they would be tried; `verdict` is allow, hold or
    block for a queue, `by_hand` for a number dialled by hand."""

    number: str
    e164: str
    region: str
    ways: list[Way]
    verdict: str
    reason: str
    by_hand: str


def run_dialplan(number: str, path: Path | None, overrides: list[str], as_json: bool) -> int:
    try:
        config = load_config(path, overrides)
        answer = explain(config, number, datetime.now(UTC))
    except Usage as error:
        say(f"offhook: {error}")
        return EXIT_USAGE
    if as_json:
        print(msgspec.json.encode(answer).decode())
    else:
        print("\n".join(in_words(answer)))
    return EXIT_OK


def explain(config: Config, number: str, now: datetime) -> Answer:
    """Raises Usage for what is no number, or goes to no trunk."""
    plan = DialPlan(config)
    try:
        parsed = parse(number, config.trunk.country)
        routes = plan.choose(number)
    except (NumberError, RuleError) as error:
        raise Usage(f"{error}") from None
    guards = Compliance(config, lambda: now)
    verdict, by_hand = guards.check(number), guards.check(number, manual=True)
    return Answer(
        number=parsed.dialable,
        e164=parsed.e164,
        region=parsed.region.lower(),
        ways=[_way(config, route) for route in routes],
        verdict=verdict.kind,
        reason=verdict.reason or verdict.warning,
        by_hand=by_hand.kind,
    )


def _way(config: Config, route: Route) -> Way:
    trunk = config.all_trunks[route.trunk]
    account = account_of(config, route.trunk)
    target = account.target(route.dialled)
    headers = {"Request-URI": str(target), "To": str(NameAddr(target)), "From": str(account.caller())}
    headers.update(account.identity_headers())
    chosen_by = f'prefix "{route.prefix}"' if route.prefix else "takes any number"
    reached = len(trunk.rules) if route.rule is None else route.rule + 1
    return Way(
        trunk=route.trunk,
        why=f"{chosen_by}, priority {trunk.priority}",
        formatted=route.formatted,
        rules=[
            TriedRule(
                rule.match,
                rule.replace,
                None if place >= reached else compiled(rule).search(route.formatted) is not None,
            )
            for place, rule in enumerate(trunk.rules)
        ],
        dialled=route.dialled,
        headers=headers,
    )


def in_words(answer: Answer) -> list[str]:
    """The answer as lines of text."""
    known = f"{answer.e164} ({answer.region})" if answer.e164 else "no country's number as far as can be told"
    lines = [f"{answer.number}: {known}"]
    for place, way in enumerate(answer.ways):
        order = "first" if place == 0 else "then, where a trunk can't take it,"
        lines.append(f"{order} trunk {way.trunk}: {way.why}")
        if way.formatted != answer.number:
            lines.append(f"  written as {way.formatted}")
        for number, rule in enumerate(way.rules, 1):
            outcome = {True: f"matches: {way.dialled}", False: "does not match", None: "is not tried"}
            shown = f"{safe(rule.match)} -> {safe(rule.replace)}"
            lines.append(f"  rule {number} {shown} {outcome[rule.matched]}")
        lines.append(f"  dialled as {way.dialled}")
        lines += [f"  {name}: {safe(value, 200)}" for name, value in way.headers.items()]
    words = {"allow": "allowed", "hold": "not now", "block": "never"}
    verdict = f"guards: {words[answer.verdict]}"
    if answer.verdict == "hold" and answer.by_hand == "allow":
        verdict += " from a queue, by hand with a warning"
    lines.append(verdict + (f": {answer.reason}" if answer.reason else ""))
    return lines
