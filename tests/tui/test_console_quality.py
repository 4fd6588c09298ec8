"""The line that says how the call on show sounds."""

from __future__ import annotations

import pytest

from engine.control import messages as wire
from tui.state import ConsoleState
from tui.widgets.call_panel import draw_call, draw_quality

AT = 1_700_000_000.0
GOOD = wire.Quality(mos=4.32, loss=0.0, jitter_ms=3.2, round_trip_ms=24.4, far_loss=0.4, depth_ms=41.0)


def text_of(row) -> str:
    return "".join(piece for piece, _ in row)


def test_figures_stand_in_one_line_the_important_first():
    shown = text_of(draw_quality(GOOD, 100))
    assert shown == "MOS 4.3  loss 0.0 %  jitter 3 ms  rtt 24 ms  far loss 0.4 %  buffer 41 ms"
    assert len(text_of(draw_quality(GOOD, 24))) <= 24


def test_what_is_not_known_is_left_out():
    assert (
        text_of(draw_quality(wire.Quality(mos=4.4, loss=0, jitter_ms=0), 100))
        == "MOS 4.4  loss 0.0 %  jitter 0 ms"
    )


@pytest.mark.parametrize(
    ("mos", "role", "word"), [(4.0, "good", ""), (3.9, "warn", " fair"), (3.5, "bad", " poor")]
)
def test_what_is_not_good_has_a_colour_and_a_word(mos, role, word):
    first = draw_quality(wire.Quality(mos=mos, loss=3, jitter_ms=20), 100)[0]
    assert first == (f"MOS {mos:.1f}{word}", role)


def test_the_call_on_show_has_it_while_it_is_up():
    state = ConsoleState()
    up = wire.Leg(id="l1", role="manual", number="100", state="answered", at=AT, bridged_to="sound")
    state.apply(up)
    state.apply(wire.Qualities(at=AT, legs={"l1": GOOD, "other": wire.Quality(mos=1, loss=50, jitter_ms=99)}))

    def shown(rows: int = 14) -> str:
        call = state.call
        assert call is not None
        return "\n".join(text_of(row) for row in draw_call(state, call, AT + 5, 80, rows, "a"))

    assert "MOS 4.3  loss 0.0 %" in shown()
    assert len(draw_call(state, state.call, AT, 80, 6, "a")) <= 6
    state.apply(wire.Leg(id="l1", role="manual", number="100", state="ended", at=AT + 6))
    assert "MOS" not in shown()
