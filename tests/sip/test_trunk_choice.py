"""Several trunks as sequence charts: which one a call takes, and when it goes on to the next."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from charts import Chart, sdp

from engine.config_file import load
from engine.legs import LegState
from engine.line import TrunkLine
from engine.media import orders
from engine.sip.registration import RegistrationState
from engine.station import account_of
from engine.trunk_leg import TrunkLeg, UnplacedLeg
from engine.trunk_watch import TrunkWatch

BASE = ["trunk.server=192.0.2.10", "trunk.username=1001", "trunk.password=p", "trunk.register=false"]
BACKUP = ["trunks.b.server=192.0.2.110", "trunks.b.username=2002", "trunks.b.register=false"]


@dataclass
class Media:
    """Writes the orders down."""

    ordered: list[object] = field(default_factory=list)

    def order(self, order: object) -> None:
        self.ordered.append(order)

    def preload(self, source: object) -> None: ...


class Trunks:
    """A line over a chart for each trunk of a configuration."""

    def __init__(self, *settings: str) -> None:
        self.config = load(None, [*BASE, *BACKUP, *settings], {})
        self.charts = {name: Chart(account_of(self.config, name)) for name in self.config.all_trunks}
        for name, chart in self.charts.items():
            chart.phone.name = name
        self.media = Media()
        phones = {name: chart.phone for name, chart in self.charts.items()}
        self.line = TrunkLine(phones, self.media, self.config)  # type: ignore[arg-type]
        for chart in self.charts.values():
            chart.phone.on_registration = self.line.registration_changed
        self.line.registration_changed()
        self.states: list[str] = []
        self.told: list[str] = []
        self.line.on_leg = lambda leg: self.states.append(leg.state.value)
        self.line.on_detour = lambda leg, why: self.told.append(why)

    def dial(self, number: str = "5551234", **more: object) -> TrunkLeg:
        leg = self.line.dial(number, **more)  # type: ignore[arg-type]
        assert isinstance(leg, TrunkLeg)
        return leg

    def answer(self, name: str, code: int, reason: str = "Reason", **more: object) -> None:
        chart = self.charts[name]
        chart.answer(chart.last("INVITE"), code, reason, **more)

    def invites(self, name: str) -> int:
        sent = [s.message for s in self.charts[name].sent if s.message.method == "INVITE"]
        return len({message.call_id for message in sent})


def causes(leg: TrunkLeg) -> tuple[str, int | None]:
    assert leg.cause is not None
    return leg.cause.name, leg.cause.sip_code


class TestFailover:
    @pytest.mark.parametrize("code", [408, 503])
    def test_a_call_that_the_trunk_cant_take_goes_to_the_next_at_once(self, code: int) -> None:
        trunks = Trunks('trunks.b.rules=[{match = "^", replace = "9"}]')
        leg = trunks.dial()
        name = leg.id
        trunks.answer("trunk", 100)
        trunks.answer("trunk", code, "Out of order")
        assert trunks.charts["b"].last("INVITE").uri.user == "95551234"
        trunks.answer("b", 180)
        trunks.answer("b", 200, body=sdp())
        assert (leg.id, leg.number, leg.state) == (name, "5551234", LegState.ANSWERED)
        assert "ended" not in trunks.states
        assert trunks.told == [f"trunk trunk can't take the call ({code} Out of order): trying b"]
        leg.hangup()
        assert trunks.charts["b"].last().method == "BYE"
        assert not trunks.charts["trunk"].phone.calls
        assert not trunks.charts["trunk"].media.ports

    def test_silence_goes_on_too(self) -> None:
        trunks = Trunks()
        leg = trunks.dial()
        trunks.charts["trunk"].clock.advance(7.9)
        assert trunks.invites("b") == 0
        trunks.charts["trunk"].clock.advance(0.2)
        assert trunks.invites("b") == 1
        trunks.answer("b", 200, body=sdp())
        assert leg.state is LegState.ANSWERED
        assert trunks.told == ["trunk trunk can't take the call (no answer): trying b"]
        trunks.answer("trunk", 180)  # after all
        assert trunks.charts["trunk"].last().method == "CANCEL"
        trunks.charts["trunk"].clock.advance(60)
        assert not trunks.charts["trunk"].phone.calls
        assert leg.state is LegState.ANSWERED

    def test_a_late_answer_of_the_silent_trunk_is_hung_up(self) -> None:
        """RFC 3261, 13.2.2.4: acknowledged, then BYE."""
        trunks = Trunks()
        trunks.dial()
        trunks.charts["trunk"].clock.advance(8.1)
        trunks.answer("trunk", 200, body=sdp())
        assert trunks.charts["trunk"].take()[-2:] == ["ACK", "BYE"]

    def test_a_trunk_that_has_said_anything_is_waited_for(self) -> None:
        trunks = Trunks()
        leg = trunks.dial()
        trunks.answer("trunk", 100)
        trunks.charts["trunk"].clock.advance(50)
        assert trunks.invites("b") == 0
        assert leg.state is LegState.TRYING

    def test_the_last_trunk_has_all_the_time_there_is(self) -> None:
        trunks = Trunks()
        leg = trunks.dial()
        trunks.charts["trunk"].clock.advance(8.1)
        trunks.charts["b"].clock.advance(31.9)
        assert leg.state is LegState.DIALING
        trunks.charts["b"].clock.advance(0.2)  # timer B
        assert causes(leg) == ("no_response", None)

    @pytest.mark.parametrize("code", [400, 403, 404, 480, 486, 488, 500, 600, 603])
    def test_a_word_on_the_callee_is_final(self, code: int) -> None:
        trunks = Trunks()
        leg = trunks.dial()
        trunks.answer("trunk", code)
        assert leg.state is LegState.ENDED
        assert trunks.invites("b") == 0

    @pytest.mark.parametrize(("heard", "body"), [(180, ""), (183, sdp())])
    def test_nobody_is_called_twice(self, heard: int, body: str) -> None:
        trunks = Trunks()
        leg = trunks.dial()
        trunks.answer("trunk", heard, body=body)
        trunks.answer("trunk", 503)
        assert causes(leg) == ("rejected", 503)
        assert trunks.invites("b") == 0

    def test_nor_is_a_call_that_we_have_taken_back(self) -> None:
        trunks = Trunks()
        leg = trunks.dial()
        trunks.answer("trunk", 100)
        leg.hangup("cancelled")
        trunks.answer("trunk", 503)
        assert leg.state is LegState.ENDED
        assert trunks.invites("b") == 0

    def test_it_ends_with_the_last_trunk(self) -> None:
        trunks = Trunks(*(s.replace("trunks.b", "trunks.c").replace(".110", ".111") for s in BACKUP))
        leg = trunks.dial()
        for name, code in (("trunk", 503), ("b", 408), ("c", 503)):
            trunks.answer(name, code)
        assert causes(leg) == ("rejected", 503)
        assert [trunks.invites(name) for name in trunks.charts] == [1, 1, 1]
        assert not trunks.line.legs
        assert len(trunks.told) == 2

    def test_detection_as_the_entry_wants_it_goes_along_too(self) -> None:
        trunks = Trunks()
        leg = trunks.dial(options={"stop_on": "ringback", "max_time": "5", "max_sound": "ever"})
        assert leg.detection == trunks.config.detection
        leg = trunks.dial(options={"stop_on": "ringback", "max_time": "5"})
        leg.listen(True)
        trunks.answer("trunk", 503)
        listens = [o for o in trunks.media.ordered if isinstance(o, orders.Detect)]
        (order,) = [o for o in listens if o.stream == leg.stream]
        assert (order.settings.stop_on, order.settings.max_time) == ({"ringback"}, 5.0)

    def test_detection_goes_along(self) -> None:
        trunks = Trunks()
        leg = trunks.dial()
        leg.listen(True)
        trunks.answer("trunk", 503)
        detect = [o for o in trunks.media.ordered if isinstance(o, orders.Detect)][-1]
        assert (detect.stream, detect.on, detect.country) == (leg.stream, True, leg.country or None)
        assert leg.stream != leg.id

    def test_a_caller_id_goes_along_only_where_it_may_be_shown(self) -> None:
        showing = ["trunk.caller_ids=['+12125550100']", "trunks.b.caller_ids=['+12125550100']"]
        leg = (trunks := Trunks(*showing)).dial(caller_id="+12125550100")
        trunks.answer("trunk", 503)
        assert trunks.charts["b"].last("INVITE").from_.uri.user == "+12125550100"
        leg = (trunks := Trunks(showing[0])).dial(caller_id="+12125550100")
        trunks.answer("trunk", 503)
        assert trunks.invites("b") == 0
        assert leg.state is LegState.ENDED


class TestChoice:
    def test_prefixes_choose(self) -> None:
        trunks = Trunks("trunks.b.prefixes=['+86', '00']")
        trunks.dial("+8613900000001")
        trunks.dial("0012125550100")
        trunks.dial("5551234")
        assert [trunks.invites(name) for name in ("trunk", "b")] == [1, 2]

    def test_a_trunk_that_is_not_registered_is_passed_over(self) -> None:
        trunks = Trunks("trunk.register=true")
        assert trunks.charts["trunk"].agent.registration.state is RegistrationState.REGISTERING
        trunks.dial()
        assert trunks.invites("b") == 1
        chart = trunks.charts["trunk"]
        chart.answer(chart.last("REGISTER"), 200, headers=["Expires: 300"])
        trunks.dial()
        assert trunks.invites("trunk") == 1

    def test_so_is_one_that_answers_no_ping(self) -> None:
        trunks = Trunks("sip.keepalive_method=options")
        trunks.charts["trunk"].clock.advance(32.1)
        trunks.dial()
        assert [trunks.invites(name) for name in ("trunk", "b")] == [0, 1]

    def test_the_line_is_up_while_one_trunk_is(self) -> None:
        trunks = Trunks("trunk.register=true", "trunks.b.register=true")
        assert not trunks.line.registered
        chart = trunks.charts["b"]
        chart.answer(chart.last("REGISTER"), 200, headers=["Expires: 60"])
        assert trunks.line.registered
        chart.clock.advance(30.1)
        chart.answer(chart.last("REGISTER"), 503)
        assert not trunks.line.registered

    def test_with_none_the_first_is_tried_and_its_word_is_told(self) -> None:
        trunks = Trunks("trunk.register=true", "trunks.b.register=true")
        leg = trunks.dial()
        trunks.answer("trunk", 403)
        assert causes(leg) == ("rejected", 403)

    def test_a_number_for_no_trunk_is_not_placed(self) -> None:
        trunks = Trunks("trunk.prefixes=['+1']", "trunks.b.prefixes=['+2']")
        leg = trunks.line.dial("100")
        assert isinstance(leg, UnplacedLeg)
        assert leg.cause is not None
        assert "no trunk is for 100" in leg.cause.reason

    def test_calls_come_in_by_any(self) -> None:
        trunks = Trunks()
        seen: list[TrunkLeg] = []
        trunks.line.on_inbound = seen.append
        for name, chart in trunks.charts.items():
            chart.request("INVITE", body=sdp(), call_id=f"from-{name}")
        assert [leg.call.phone.name for leg in seen] == ["trunk", "b"]

    def test_what_a_restart_needs_names_its_trunk(self) -> None:
        trunks = Trunks("trunks.b.priority=1")
        trunks.dial()
        chart = trunks.charts["b"]
        [saved] = chart.saved.values()
        assert saved is not None
        assert saved.trunk == "b"
        trunks.answer("b", 200, body=sdp())
        [saved] = chart.saved.values()
        assert saved is not None
        assert saved.trunk == "b"


class TestWatch:
    """What the log says of a trunk: each event once."""

    @pytest.fixture
    def chart(self) -> Chart:
        config = load(None, [*BASE, "sip.keepalive_method=options", "sip.keepalive=200"], {})
        return Chart(replace(account_of(config), register=True))

    @pytest.fixture
    def lines(self, chart: Chart) -> list[str]:
        told: list[str] = []
        watch = TrunkWatch(lambda level, text: told.append(f"{level}: {text}"))
        chart.phone.on_registration = lambda: watch.changed(chart.phone)
        chart.answer(chart.last("OPTIONS"), 200)
        return told

    def test_lost_and_regained_with_how_long(self, chart: Chart, lines: list[str]) -> None:
        chart.answer(chart.last("REGISTER"), 200, headers=["Expires: 60"])
        assert lines == []
        chart.clock.advance(30)
        for _ in range(3):
            chart.answer(chart.last("REGISTER"), 503, "Busy", headers=["Retry-After: 20"])
            chart.clock.advance(20)
        chart.answer(chart.last("REGISTER"), 200, headers=["Expires: 60"])
        assert lines == [
            "warning: registration at 192.0.2.10 lost: 503 Busy",
            "info: registered again at 192.0.2.10 after 60 s",
        ]

    def test_never_registered(self, chart: Chart, lines: list[str]) -> None:
        chart.answer(chart.last("REGISTER"), 403, "No")
        assert lines == ["warning: not registered at 192.0.2.10: 403 No"]

    def test_silent_and_heard_again(self, chart: Chart, lines: list[str]) -> None:
        chart.answer(chart.last("REGISTER"), 200, headers=["Expires: 3600"])
        chart.clock.advance(200 + 32.1)
        chart.clock.advance(200)
        chart.answer(chart.last("OPTIONS"), 200)
        assert lines == [
            "warning: 192.0.2.10 does not answer: no call is placed there",
            "info: registered again at 192.0.2.10 after 200 s",
        ]
