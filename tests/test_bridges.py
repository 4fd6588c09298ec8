"""Bridges, conferences and supervisors as orders to the media thread, leg by leg."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from engine.bridges import Bridges
from engine.legs import LegState
from engine.media import orders


@dataclass(eq=False)
class FakeLeg:
    id: str
    role: str = "callee"
    state: LegState = LegState.ANSWERED
    bridged_to: str = ""
    conference: str = ""
    supervises: str = ""
    supervision: str | None = None
    held: bool = False

    @property
    def stream(self) -> str:
        return f"s-{self.id}"


@dataclass
class FakeLine:
    legs: dict[str, FakeLeg] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    given: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.media = self
        self.bridges = Bridges(self)  # type: ignore[arg-type]

    def order(self, order: Any) -> None:
        self.given.append(order)

    def on_leg(self, leg: FakeLeg) -> None:
        self.told.append(leg.id)

    def leg(self, name: str, role: str = "callee") -> FakeLeg:
        self.legs[name] = made = FakeLeg(name, role)
        return made

    def ends(self, leg: FakeLeg) -> None:
        leg.state = LegState.ENDED
        self.bridges.part(leg)  # type: ignore[arg-type]
        del self.legs[leg.id]

    def take(self) -> list[Any]:
        """The orders since the last time, without those that end what is over anyhow."""
        given, self.given = self.given, []
        return given


def hears(order: orders.Conference) -> dict[str, set[str]]:
    return {member.stream: set(member.hears or ()) for member in order.members}


@pytest.fixture
def line() -> FakeLine:
    return FakeLine()


@pytest.mark.parametrize("end", ["sound", "agent"])
def test_a_third_makes_a_conference_and_its_leaving_a_bridge_again(line: FakeLine, end: str) -> None:
    agent = line.leg("agent", "agent")
    a, b = line.leg("a"), line.leg("b")
    operator = agent.stream if end == "agent" else "sound"
    line.bridges.join(a, end)
    assert line.take()[-1] == orders.Bridge("s-a", operator)
    line.bridges.add(b, end)
    (conference,) = line.take()
    assert conference.name == end
    everyone = {"s-a", "s-b", operator}
    assert hears(conference) == {each: everyone - {each} for each in everyone}
    assert (a.conference, b.conference) == (end, end)
    line.ends(a)
    given = line.take()
    assert given[:2] == [orders.Bridge("s-b", operator), orders.Conference(end, ())]
    assert b.conference == ""
    assert agent.bridged_to == ("b" if end == "agent" else "")
    line.ends(b)
    assert orders.Unbridge("s-b") in line.take()
    assert agent.bridged_to == ""


def test_who_is_held_is_in_no_conference_and_comes_back_to_it(line: FakeLine) -> None:
    a, b, c = line.leg("a"), line.leg("b"), line.leg("c")
    line.bridges.join(a, "sound")
    line.bridges.add(b, "sound")
    line.bridges.add(c, "sound")
    line.take()
    a.held = True
    line.bridges.carry(a)
    (conference,) = line.take()
    assert set(hears(conference)) == {"s-b", "s-c", "sound"}
    b.held = True
    line.bridges.carry(b)
    assert line.take() == [orders.Bridge("s-c", "sound"), orders.Conference("sound", ())]
    line.ends(a)  # who is not in the bridge leaves it alone
    assert line.take() == [orders.Unbridge("s-a")]
    b.held = False
    line.bridges.carry(b)
    (conference,) = line.take()
    assert set(hears(conference)) == {"s-b", "s-c", "sound"}


def test_an_agent_who_goes_leaves_nobody_talking(line: FakeLine) -> None:
    agent = line.leg("agent", "agent")
    a, b = line.leg("a"), line.leg("b")
    line.bridges.join(a, "agent")
    line.bridges.add(b, "agent")
    line.take()
    line.ends(agent)
    assert line.take()[0] == orders.Conference("agent", ())
    assert [(leg.bridged_to, leg.conference) for leg in (a, b)] == [("", "")] * 2


def test_two_who_are_joined_leave_the_conference_and_the_operator(line: FakeLine) -> None:
    agent = line.leg("agent", "agent")
    a, b = line.leg("a"), line.leg("b")
    line.bridges.join(a, "agent")
    line.bridges.add(b, "agent")
    line.bridges.join(a, "b")
    assert line.take()[-1] == orders.Bridge("s-a", "s-b")
    assert (a.bridged_to, b.bridged_to, agent.bridged_to) == ("b", "a", "")
    assert (a.conference, b.conference) == ("", "")
    line.bridges.part(agent)  # the seat is given back
    assert (a.bridged_to, b.bridged_to) == ("b", "a")
    assert line.take() == []


@pytest.mark.parametrize(
    ("mode", "agent_hears", "callee_hears"),
    [
        ("listen", {"s-a"}, {"s-agent"}),
        ("whisper", {"s-a", "s-boss"}, {"s-agent"}),
        ("barge", {"s-a", "s-boss"}, {"s-agent", "s-boss"}),
    ],
)
def test_who_hears_a_supervisor(
    line: FakeLine, mode: Any, agent_hears: set[str], callee_hears: set[str]
) -> None:
    line.leg("agent", "agent")
    a, boss = line.leg("a"), line.leg("boss", "supervisor")
    line.bridges.join(a, "agent")
    line.take()
    line.bridges.supervise(boss, a, mode)
    (conference,) = line.take()
    assert hears(conference) == {
        "s-agent": agent_hears, "s-a": callee_hears, "s-boss": {"s-agent", "s-a"}
    }  # fmt: skip
    assert a.conference == ""  # a supervised call is still a call of two
    line.bridges.supervise(boss, a, mode)
    assert line.take() == []
    line.ends(boss)
    assert line.take()[:2] == [orders.Bridge("s-a", "s-agent"), orders.Conference("agent", ())]


def test_several_supervisors_hear_those_who_barge_in_and_not_each_others_whispers(line: FakeLine) -> None:
    a = line.leg("a")
    line.bridges.join(a, "sound")
    for name, mode in (("one", "listen"), ("two", "whisper"), ("three", "barge")):
        line.bridges.supervise(line.leg(name, "supervisor"), a, mode)  # type: ignore[arg-type]
    heard = hears(line.take()[-1])
    assert heard["sound"] == {"s-a", "s-two", "s-three"}
    assert heard["s-a"] == {"sound", "s-three"}
    assert heard["s-one"] == heard["s-two"] == {"s-a", "sound", "s-three"}
    assert heard["s-three"] == {"s-a", "sound"}


def test_an_agent_is_supervised_through_its_calls_and_can_be_spoken_to_between_them(line: FakeLine) -> None:
    agent, boss = line.leg("agent", "agent"), line.leg("boss", "supervisor")
    a, b = line.leg("a"), line.leg("b")
    line.bridges.join(a, "agent")
    line.bridges.supervise(boss, agent, "whisper")
    line.take()
    line.ends(a)
    between = [order for order in line.take() if isinstance(order, orders.Conference)][-1]
    assert hears(between) == {"s-agent": {"s-boss"}, "s-boss": {"s-agent"}}
    line.bridges.join(b, "agent")
    (conference,) = [order for order in line.take() if isinstance(order, orders.Conference) and order.members]
    assert hears(conference)["s-b"] == {"s-agent"}
    line.ends(agent)
    assert [o for o in line.take() if isinstance(o, orders.Conference)] == [orders.Conference("agent", ())]
