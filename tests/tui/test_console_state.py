"""The view model: pure, fed with the wire's own messages."""

from __future__ import annotations

import msgspec
import pytest

from engine.control import messages as wire
from tui.calls import Step
from tui.state import MAX_CALLS, MAX_LEGS, MAX_LOG, Change, ConsoleState
from tui.tracks import MAX_MARKS, MAX_SAMPLES

AT = 1000.0
FLOW = wire.Flow(running=True, operator="headset", agents=[])
COUNTS = wire.Counts(total=1, queued=0, active=1, done=0, interrupted=0, blocked=0)


def leg(id: str = "l1", **fields: object) -> wire.Leg:
    values: dict[str, object] = {"role": "callee", "number": "100", "state": "dialing", "at": AT}
    return wire.Leg(id=id, **{**values, **fields})  # type: ignore[arg-type]


def attempt(
    state: str = "dialing", at: float = AT, entry: int = 1, leg: str = "l1", **fields: object
) -> wire.Attempt:
    return wire.Attempt(
        entry=entry,
        attempt=1,
        number="100",
        name="Ada",
        state=state,
        at=at,
        leg=leg,
        **fields,  # type: ignore[arg-type]
    )


def snapshot(**fields: object) -> wire.Snapshot:
    values: dict[str, object] = {
        "at": AT,
        "trunk": wire.Trunk(server="s", user="u", state="registered"),
        "sound": wire.Sound(input="a", output="b"),
        "flow": FLOW,
        "counts": COUNTS,
        "legs": [],
        "attempts": [],
        "log": [],
    }
    return wire.Snapshot(**{**values, **fields})  # type: ignore[arg-type]


@pytest.fixture
def state() -> ConsoleState:
    return ConsoleState()


def feed(state: ConsoleState, *events: wire.Event) -> ConsoleState:
    for event in events:
        state.apply(event)
    return state


class TestACall:
    def test_goes_through_its_steps_and_remembers_when(self, state: ConsoleState) -> None:
        states = ("dialing", "listening", "answered", "wait_tone", "connecting", "bridged", "wrap_up")
        feed(state, leg(), *(attempt(name, AT + i) for i, name in enumerate(states)))
        call = state.call
        assert call is not None
        assert call.step is Step.WRAP_UP
        assert [call.reached[step] - AT for step in Step] == [0, 1, 2, 3, 5, 6]

    def test_connecting_belongs_to_the_wait_tone_and_does_not_restart_its_time(
        self, state: ConsoleState
    ) -> None:
        feed(state, attempt("wait_tone", AT), attempt("connecting", AT + 3, deadline=AT + 20))
        assert state.call is not None
        assert state.call.since == AT
        assert state.call.deadline == AT + 20

    def test_that_is_done_stays_on_show_with_its_outcome_until_the_next(self, state: ConsoleState) -> None:
        feed(state, attempt("listening"), attempt("done", AT + 9, disposition="no_answer"))
        assert state.call is not None
        assert not state.call.up
        assert state.call.outcome == "no answer"
        assert state.call.over_at == AT + 9
        feed(state, attempt("dialing", AT + 10, entry=2, leg="l2"))
        assert state.call.attempt is not None
        assert state.call.attempt.entry == 2

    def test_waiting_for_the_operator_comes_before_one_that_rings(self, state: ConsoleState) -> None:
        feed(
            state,
            attempt("wait_tone", entry=1, leg="l1", waiting_for_operator=True),
            attempt("dialing", AT + 5, entry=2, leg="l2"),
        )
        assert state.call is not None
        assert state.call.leg == "l1"

    def test_another_can_be_chosen_while_it_is_up(self, state: ConsoleState) -> None:
        feed(state, attempt("bridged", entry=1, leg="l1"), attempt("dialing", AT + 5, entry=2, leg="l2"))
        assert state.call is not None
        assert state.call.leg == "l1"
        chosen = state.choose_next_call()
        assert chosen is not None
        assert chosen.leg == "l2"
        feed(state, attempt("done", AT + 9, entry=2, leg="l2"))
        assert state.call.leg == "l1"

    def test_dialled_by_hand_is_a_call_of_its_own(self, state: ConsoleState) -> None:
        feed(
            state,
            leg(role="manual"),
            leg(role="manual", state="ringing", at=AT + 1),
            leg(role="manual", state="answered", at=AT + 2, answered_at=AT + 2),
            leg(role="manual", state="answered", at=AT + 3, answered_at=AT + 2, bridged_to="sound"),
        )
        assert state.call is not None
        assert state.call.step is Step.BRIDGE
        assert state.call.reached[Step.ANSWER] == AT + 2

    def test_by_hand_is_not_shown_twice_once_an_attempt_claims_its_leg(self, state: ConsoleState) -> None:
        feed(state, leg(role="manual"), attempt("dialing"), leg(role="manual", state="ringing"))
        assert [call.attempt is not None for call in state.calls.values()] == [True]

    def test_found_answered_on_attaching_counts_from_its_answer(self, state: ConsoleState) -> None:
        feed(
            state,
            snapshot(
                legs=[leg(state="answered", at=AT, answered_at=AT - 60, bridged_to="sound")],
                attempts=[attempt("bridged", AT - 50)],
            ),
        )
        assert state.call is not None
        assert state.call.started == AT - 60

    def test_an_agents_standing_leg_is_a_line_and_not_a_call(self, state: ConsoleState) -> None:
        feed(state, leg(role="agent", state="answered"))
        assert state.call is None
        assert len(state.legs_up) == 1

    def test_inbound_that_rings_longest_is_the_one_to_answer(self, state: ConsoleState) -> None:
        feed(
            state,
            leg("a", role="inbound", state="ringing", at=AT + 1),
            leg("b", role="inbound", state="ringing"),
        )
        assert state.ringing_in is not None
        assert state.ringing_in.id == "b"
        feed(state, leg("b", role="inbound", state="answered"), leg("a", role="inbound", state="ended"))
        assert state.ringing_in is None


class TestASnapshot:
    def test_replaces_everything_but_keeps_the_steps_of_a_call_that_goes_on(
        self, state: ConsoleState
    ) -> None:
        feed(state, leg(), leg("gone"), attempt("dialing"), attempt("bridged", AT + 9))
        change = state.apply(snapshot(legs=[leg(state="answered")], attempts=[attempt("bridged", AT + 9)]))
        assert change == Change.ALL
        assert set(state.legs) == {"l1"}
        assert state.call is not None
        assert state.call.reached == {Step.DIAL: AT, Step.BRIDGE: AT + 9}

    def test_drops_calls_that_the_engine_no_longer_knows(self, state: ConsoleState) -> None:
        feed(state, attempt("bridged"), snapshot())
        assert state.call is None

    def test_adds_only_log_lines_that_are_new(self, state: ConsoleState) -> None:
        one, two = (wire.LogLine(at=AT + i, level="info", text=str(i)) for i in range(2))
        feed(state, snapshot(log=[one]), snapshot(log=[one, two]))
        assert list(state.log) == [one, two]
        assert state.log_seen == 2


class TestTheTimeline:
    def test_places_a_verdict_so_that_it_ends_when_it_was_told(self, state: ConsoleState) -> None:
        feed(
            state,
            leg(),
            wire.Detection(
                at=AT + 5, leg="l1", tone="busy", begin_ms=1000, end_ms=2400, confidence=1, why=""
            ),
        )
        (stretch,) = state.tracks["l1"].heard
        assert (stretch.start, stretch.end) == (pytest.approx(AT + 3.6), AT + 5)

    def test_joins_what_the_meters_name_and_splits_at_a_gap(self, state: ConsoleState) -> None:
        feed(state, leg())
        for at in (0.0, 0.1, 0.2, 1.0):
            feed(state, wire.Meters(at=AT + at, legs={"l1": wire.Meter(received=-20, sent=-90, tone="busy")}))
        assert [(s.start, s.end) for s in state.tracks["l1"].tones] == [(AT, AT + 0.2), (AT + 1, AT + 1)]

    def test_gives_the_peak_of_each_column_and_nothing_where_nothing_was_read(
        self, state: ConsoleState
    ) -> None:
        feed(state, leg())
        for at, level in ((0.0, -30), (0.1, -10), (0.6, -50)):
            feed(state, wire.Meters(at=AT + at, legs={"l1": wire.Meter(received=level, sent=-90)}))
        assert state.tracks["l1"].received.peaks(AT, 0.2, 5) == [-10, None, None, -50, None]

    def test_levels_beyond_the_scale_and_out_of_order_are_harmless(self, state: ConsoleState) -> None:
        feed(state, leg())
        for at, level in ((1.0, 1e308), (0.5, -20), (2.0, float("nan"))):
            feed(state, wire.Meters(at=AT + at, legs={"l1": wire.Meter(received=level, sent=-90)}))
        assert all(-90 <= value <= 3.2 for value in state.tracks["l1"].received.values)
        assert len(state.tracks["l1"].received.values) == 2


class TestBounds:
    def test_hold_against_an_engine_that_never_stops(self, state: ConsoleState) -> None:
        for i in range(2000):
            feed(
                state,
                leg(f"x{i}"),
                attempt("bridged", AT + i, entry=i, leg=f"y{i}"),
                wire.Sip(at=AT, leg=f"z{i}", sent=True, text="x"),
                wire.LogLine(at=AT, level="info", text="x"),
            )
        assert len(state.calls) <= MAX_CALLS
        assert len(state.legs) <= MAX_LEGS
        assert len(state.tracks) <= 2 * MAX_LEGS
        assert len(state.log) == MAX_LOG

    def test_hold_within_one_call(self, state: ConsoleState) -> None:
        feed(state, leg())
        for i in range(MAX_SAMPLES + 100):
            feed(
                state,
                wire.Meters(at=AT + i, legs={"l1": wire.Meter(received=-20, sent=-20, tone=str(i))}),
                wire.Digit(at=AT, leg="l1", digit="1"),
                wire.Sip(at=AT, leg="l1", sent=True, text="x"),
            )
        track = state.tracks["l1"]
        assert len(track.received.times) <= MAX_SAMPLES
        assert len(track.digits) == len(track.sip) == len(track.tones) == MAX_MARKS

    def test_a_flood_of_rows_becomes_one_refresh(self, state: ConsoleState) -> None:
        row = wire.Entry(id=1, position=0, number="1", name="", note="", state="queued", attempts=0)
        changes = [state.apply(msgspec.structs.replace(row, attempts=i)) for i in range(1001)]
        assert changes[0] == Change.ROWS
        assert changes[-1] == Change.QUEUE
        assert state.changed_rows == []

    def test_events_for_legs_that_were_never_heard_of_change_nothing(self, state: ConsoleState) -> None:
        feed(
            state,
            wire.Digit(at=AT, leg="?", digit="1"),
            wire.Meters(at=AT, legs={"?": wire.Meter(received=0, sent=0)}),
            wire.Detection(at=AT, leg="?", tone="busy", begin_ms=0, end_ms=1, confidence=1, why=""),
        )
        assert state.tracks == {}


def test_a_number_dialled_by_hand_is_one_call_before_its_attempt_names_the_leg() -> None:
    state = ConsoleState()
    state.apply(attempt(leg=""))
    state.apply(leg("l1", role="manual", entry=1))
    assert [call.leg for call in state.calls_up] == ["l1"]
    state.apply(attempt("listening", leg="l1"))
    assert len(state.calls_up) == 1


def test_the_leg_of_an_attempt_before_is_not_taken_for_the_new_ones() -> None:
    state = ConsoleState()
    state.apply(attempt(leg=""))
    state.apply(leg("old", entry=1, state="ended"))
    assert [call.leg for call in state.calls_up] == [""]
