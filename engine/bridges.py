"""Who hears whom: bridges of two, conferences of more, and supervisors.

Every party names in `bridged_to` whom it talks to. A conference is a star: its parties all name the
operator's end, the headset or an agent's leg. Where that end leaves, the two others name each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from engine.legs import LegState
from engine.media import orders

if TYPE_CHECKING:
    from engine.line import TrunkLine
    from engine.trunk_leg import TrunkLeg

Supervision = Literal["listen", "whisper", "barge"]


@dataclass(frozen=True, slots=True)
class Talk:
    """Parties that hear each other. `end` is the operator's: `sound`, an agent's leg, or empty for none."""

    name: str
    end: str
    legs: list[TrunkLeg]


class Bridges:
    """Keeps the legs' `bridged_to` and tells the media thread what follows from it."""

    def __init__(self, line: TrunkLine) -> None:
        self._line = line
        self._ordered: dict[str, tuple[str, ...] | tuple[orders.Member, ...]] = {}
        """By a talk's name: the two streams bridged, or the members of its conference."""

    # --- who talks to whom -----------------------------------------------------------------------

    def join(self, leg: TrunkLeg, other: str) -> None:
        """Bridge a leg to another, or to the headset (`sound`); whoever either talked to is left."""
        self.part(leg)
        for present in self.at(other):
            self.part(present)
        if (peer := self._line.legs.get(other)) is not None:
            self.part(peer)
            peer.bridged_to = leg.id
        leg.bridged_to = other
        if (talk := self.talk_of(leg)) is not None:
            self._ordered.pop(talk.name, None)
        self.carry(leg)
        for each in (peer, leg):
            if each is not None:
                self._line.on_leg(each)

    def add(self, leg: TrunkLeg, end: str) -> None:
        """Bring a leg to those who are at the operator's end already."""
        self.part(leg)
        leg.bridged_to = end
        agent = self._line.legs.get(end)
        if agent is not None and not agent.bridged_to:
            agent.bridged_to = leg.id
            self._line.on_leg(agent)
        self.carry(leg)
        self._line.on_leg(leg)

    def part(self, leg: TrunkLeg) -> None:
        """Take a leg out of its bridge or conference; of those who stay two or more go on."""
        if leg.supervises:
            watched = self._line.legs.get(leg.supervises)
            leg.supervises, leg.supervision = "", None
            if watched is not None:
                self.carry(watched)
                self._line.on_leg(watched)
        talk = self.talk_of(leg)
        if talk is None or not leg.bridged_to:
            return
        rest = [each for each in talk.legs if each is not leg]
        leg.bridged_to, leg.conference = "", ""
        goes_on = talk.end != leg.id and len(rest) + (talk.end == orders.SOUND) > 1
        if goes_on:
            agent = self._line.legs.get(talk.end)
            if agent is not None and agent.bridged_to == leg.id:
                agent.bridged_to = next(each.id for each in rest if each is not agent)
            self.carry(rest[0])
            self._line.media.order(orders.Unbridge(leg.stream))
        else:
            self._end(talk)
            for each in rest:
                each.bridged_to, each.conference = "", ""
        for each in rest:
            self._line.on_leg(each)
        if leg.state is not LegState.ENDED:
            self._line.on_leg(leg)
        if not goes_on:
            for watched in [*rest, leg]:
                if watched.state is not LegState.ENDED and self._supervisors(watched):
                    self.carry(watched)

    def at(self, end: str) -> list[TrunkLeg]:
        """Who is bridged to an operator's end: `sound` or an agent's leg."""
        return [leg for leg in self._line.legs.values() if leg.bridged_to == end]

    def end_of(self, leg: TrunkLeg) -> str:
        """The operator's end that a leg talks to: `sound`, an agent's leg, or empty for none."""
        talk = self.talk_of(leg)
        return talk.end if talk is not None else ""

    def talk_of(self, leg: TrunkLeg) -> Talk | None:
        """Those who hear each other with a leg among them; None for a leg that talks to nobody."""
        legs = self._line.legs
        if leg.bridged_to == orders.SOUND:
            return Talk(orders.SOUND, orders.SOUND, self.at(orders.SOUND))
        peer = legs.get(leg.bridged_to)
        agent = next((each for each in (leg, peer) if each is not None and each.role == "agent"), None)
        if agent is not None:
            return Talk(agent.id, agent.id, [*self.at(agent.id), agent])
        if peer is None:
            return None
        return Talk(min(leg.id, peer.id), "", [leg, peer])

    # --- supervisors -------------------------------------------------------------------------------

    def supervise(self, leg: TrunkLeg, of: TrunkLeg, mode: Supervision) -> None:
        """Let a leg listen to another's talk, be heard by the operator's end alone (whisper), or by all
        (barge)."""
        if leg.supervises != of.id:
            self.part(leg)
        leg.supervises, leg.supervision = of.id, mode
        self.carry(of)
        self._line.on_leg(leg)
        self._line.on_leg(of)

    def _supervisors(self, leg: TrunkLeg) -> list[TrunkLeg]:
        return [
            each
            for each in self._line.legs.values()
            if each.supervises == leg.id and each.state is LegState.ANSWERED and not each.held
        ]

    # --- what media is told ------------------------------------------------------------------------

    def carry(self, leg: TrunkLeg) -> None:
        """Have media do what the legs say. Whom we hold hears nobody and is heard by nobody."""
        watched = self._line.legs.get(leg.supervises)
        talk = self.talk_of(watched or leg)
        if talk is None:
            return
        present = [each.stream for each in talk.legs if not each.held]
        present += [orders.SOUND] if talk.end == orders.SOUND else []
        supervisors = [found for each in talk.legs for found in self._supervisors(each)]
        if len(present) > 2 or (supervisors and present):
            self._mix(talk, present, supervisors)
        elif len(present) == 2:
            self._bridge(talk, present)
        else:
            self._end(talk)
        many = len(talk.legs) + (talk.end == orders.SOUND) > 2
        for each in talk.legs:
            if each.conference != (name := talk.name if many else ""):
                each.conference = name
                self._line.on_leg(each)

    def _mix(self, talk: Talk, present: list[str], supervisors: list[TrunkLeg]) -> None:
        barging = [each.stream for each in supervisors if each.supervision == "barge"]
        whispering = [each.stream for each in supervisors if each.supervision == "whisper"]
        ears = self._line.legs.get(talk.end)
        operator = ears.stream if ears is not None else talk.end
        members = []
        for stream in present:
            hears = [each for each in present + barging if each != stream]
            members.append(orders.Member(stream, tuple(hears + (whispering if stream == operator else []))))
        for each in supervisors:
            heard = [stream for stream in present + barging if stream != each.stream]
            members.append(orders.Member(each.stream, tuple(heard)))
        if self._ordered.get(talk.name) != tuple(members):
            self._ordered[talk.name] = tuple(members)
            self._line.media.order(orders.Conference(talk.name, tuple(members)))

    def _bridge(self, talk: Talk, present: list[str]) -> None:
        if self._ordered.get(talk.name) != tuple(present):
            self._line.media.order(orders.Bridge(*present))  # first, so that there is no gap
            self._end_conference(talk.name)
            self._ordered[talk.name] = tuple(present)

    def _end(self, talk: Talk) -> None:
        self._end_conference(talk.name)
        self._ordered.pop(talk.name, None)
        for leg in talk.legs:
            self._line.media.order(orders.Unbridge(leg.stream))

    def _end_conference(self, name: str) -> None:
        if any(isinstance(each, orders.Member) for each in self._ordered.get(name, ())):
            self._line.media.order(orders.Conference(name, ()))

    def forget(self, leg: TrunkLeg) -> None:
        """A leg's audio has another name from now on."""
        if (talk := self.talk_of(leg)) is not None:
            self._end(talk)
