"""The timeline's lanes and the steps' rail as text, drawn without a screen."""

from __future__ import annotations

import pytest

from engine.control import messages as wire
from tui.calls import Call, Step, call_of_attempt
from tui.draw import Row, row_width
from tui.tracks import MAX_COLUMNS, Stretch, Track
from tui.widgets.spectrogram import cell, draw_spectrum, scale
from tui.widgets.steps import draw_present, draw_steps
from tui.widgets.timeline import (
    draw_axis,
    draw_digits,
    draw_flow,
    draw_heard,
    draw_levels,
    draw_sip,
    draw_timeline,
    last_heard,
    window,
)

AT = 1000.0


def text(row: Row) -> str:
    return "".join(piece for piece, _ in row)


def attempt(state: str, at: float, **fields: object) -> wire.Attempt:
    return wire.Attempt(entry=1, attempt=1, number="1", name="", state=state, at=AT + at, leg="l", **fields)  # type: ignore[arg-type]


@pytest.fixture
def call() -> Call:
    return call_of_attempt(attempt("dialing", 0))


def sip(track: Track, *messages: tuple[float, str]) -> Track:
    for at, message in messages:
        track.sip.append(wire.Sip(at=AT + at, leg="l", sent=message[0].isupper(), text=message))
    return track


class TestTheWindow:
    def test_shows_a_short_call_whole_and_follows_a_long_one(self, call: Call) -> None:
        assert window(call, AT + 5, 60).step == 0.1
        assert window(call, AT + 25, 60).step == 0.5
        long = window(call, AT + 3600, 60)
        assert long.step == 0.5
        assert long.column(AT + 3600) == 59

    def test_stands_still_once_the_call_is_over(self, call: Call) -> None:
        call.follow_attempt(attempt("done", 9))
        assert window(call, AT + 500, 60) == window(call, AT + 5000, 60)

    @pytest.mark.parametrize("zoom", [-20, -2, 0, 1, 20])
    def test_keeps_the_end_in_view_at_every_zoom(self, call: Call, zoom: int) -> None:
        view = window(call, AT + 123.4, 60, zoom)
        assert 0 <= view.column(AT + 123.4) < 60

    def test_marks_its_axis_in_seconds_of_the_call(self, call: Call) -> None:
        assert text(draw_axis(window(call, AT + 3.8, 40))).split() == ["╵0s", "╵1s", "╵2s", "╵3s"]
        assert "╵1:00:00" in text(draw_axis(window(call, AT + 3605, 40)))


class TestLanes:
    def test_levels_rise_in_eighths_over_the_rows(self, call: Call) -> None:
        track = Track()
        for at, level in ((0.0, -90.0), (0.1, -30.0), (0.2, 0.0)):
            track.received.add(AT + at, level)
        top, bottom = (text(row)[:3] for row in draw_levels(track, window(call, AT + 1, 40), 2))
        assert (top, bottom) == ("  █", "▁██")

    def test_a_verdict_covers_what_the_meters_named_meanwhile(self, call: Call) -> None:
        track = Track()
        track.tones.append(Stretch(AT, AT + 3, "450hz"))
        track.heard.append(Stretch(AT + 1, AT + 2, "ringback"))
        assert text(draw_heard(track, window(call, AT + 3.5, 40))).rstrip() == "▎450hz    ▎ringback  ▎450hz"

    def test_sip_messages_stand_where_they_happened(self, call: Call) -> None:
        track = sip(Track(), (0, "INVITE"), (2, "180 Ringing"))
        one, two = draw_sip(track, window(call, AT + 3.5, 40), 2)
        assert text(one).rstrip() == "▸INVITE             ◂180 Ringing"
        assert text(two).strip() == ""

    def test_sip_messages_of_one_moment_are_all_shown_in_order(self, call: Call) -> None:
        track = sip(
            Track(),
            (0, "INVITE"),
            (0, "407 Proxy Authentication Required"),
            (0, "ACK"),
            (0, "INVITE"),
            (0, "180 Ringing"),
        )
        one, two = (text(row).rstrip() for row in draw_sip(track, window(call, AT + 3.5, 40), 2))
        assert one == "▸INVITE ▸INVITE"
        assert two == "◂407 ▸ACK ◂180 Ringing"

    def test_sip_messages_at_the_edge_never_cover_each_other(self, call: Call) -> None:
        track = sip(Track(), *[(i / 10, f"{180 + i} Ringing") for i in range(39)])
        lanes = [text(row) for row in draw_sip(track, window(call, AT + 3.9, 40), 2)]
        for lane in lanes:
            assert len(lane) == 40
            assert all(len(part) in (1, 4) and part[0] == "◂" for part in lane.split()), lane

    def test_sent_digits_are_told_from_received_ones_without_colour(self, call: Call) -> None:
        track = Track()
        for received in (True, False):
            track.digits.append(wire.Digit(at=AT + 1, leg="l", digit="5", received=received))
        assert text(draw_digits(track, window(call, AT + 3.5, 40))).strip() == "5▸5"

    def test_the_flow_shows_each_step_until_the_next(self, call: Call) -> None:
        call.follow_attempt(attempt("listening", 0.8))
        call.follow_attempt(attempt("bridged", 2))
        lane = text(draw_flow(call, window(call, AT + 3.5, 40), AT + 3.5)).rstrip(" ")
        assert lane == "▎dial   ▎ring       ▎bridge"

    @pytest.mark.parametrize("rows", range(1, 13))
    def test_every_height_is_filled_with_rows_of_the_same_width(self, call: Call, rows: int) -> None:
        drawn = draw_timeline(call, sip(Track(), (0, "INVITE")), AT + 3, 60, rows)
        assert len(drawn) <= rows
        assert {row_width(row) for row in drawn} <= {59, 60}
        assert "╵0s" in text(drawn[-1])


def heard_band(track: Track, band: int, *places: int, level: str = "d") -> Track:
    """One band's sound in the columns of 100 ms at `places`, silence before and between them."""
    for place in range(max(places) + 1):
        digits = "0" * band + (level if place in places else "0") + "0" * (15 - band)
        track.spectra.add(wire.Spectrum(at=AT + place / 10, leg="l", step_s=0.1, columns=[digits]))
    return track


class TestTheSpectrogram:
    def test_a_tone_stands_at_its_time_and_frequency(self, call: Call) -> None:
        track = heard_band(Track(), 3, 5, 6)  # 750 to 1000 Hz
        view = window(call, AT + 3.5, 40)
        rows = [text(row) for row in draw_spectrum(track.spectra, view.start, view.step, 40, 8)]
        assert [row.rstrip() for row in rows] == ["", "", "", "", "", "", "     ▀▀", ""]
        low = [text(row) for row in draw_spectrum(track.spectra, view.start, view.step, 40, 4)]
        assert [row.rstrip() for row in low] == ["", "", "", "     ▀▀"]

    def test_it_shares_the_scale_of_what_was_heard(self, call: Call) -> None:
        track = heard_band(Track(), 1, *range(10, 20))
        track.heard.append(Stretch(AT + 1, AT + 1.9, "busy"))
        rows = [text(row) for row in draw_timeline(call, track, AT + 3, 60, 12)]
        strip = next(row for row in rows if "▀" in row)
        heard = next(row for row in rows if "busy" in row)
        assert strip.index("▀") == heard.index("▎busy")
        assert len(rows) == 12
        assert rows[0].startswith(" 4 kHz ")

    def test_the_louder_half_is_the_ink_so_that_it_can_be_read_without_colours(self) -> None:
        assert cell(0, 0)[0] == " "
        assert cell(5, 2) == ("▀", "heat-5 on heat-2")
        assert cell(2, 5) == ("▄", "heat-5 on heat-2")
        assert cell(4, 4) == ("█", "heat-4")
        assert cell(3, 0) == ("▀", "heat-3")

    def test_the_loudest_counts_where_a_column_is_longer(self) -> None:
        track = heard_band(Track(), 0, 7)
        assert [bands[0] for bands in track.spectra.loudest(AT, 0.5, 2) if bands] == [0, 13]

    def test_its_scale_says_where_whole_kilohertz_are(self) -> None:
        assert scale(8) == ["4 kHz", "", "3", "", "2", "", "1", ""]
        assert scale(4) == ["4 kHz", "3", "2", "1"]
        assert scale(3) == ["4 kHz", "", ""]

    def test_columns_that_make_no_sense_are_left_out_and_memory_is_bounded(self) -> None:
        track = Track()
        for columns in (["00"], ["x" * 16], ["0" * 17], []):
            track.spectra.add(wire.Spectrum(at=AT, leg="l", step_s=0.1, columns=columns))
        assert not track.spectra.times
        for turn in range(2 * MAX_COLUMNS):
            track.spectra.add(wire.Spectrum(at=AT + turn, leg="l", step_s=0.1, columns=["f" * 16]))
        assert len(track.spectra.times) == len(track.spectra.columns) <= MAX_COLUMNS

    def test_an_announcement_is_named_by_what_it_means(self, call: Call) -> None:
        track = Track()
        known = wire.Sample(uniqueid="x", alias="power off")
        told = wire.Detection(
            at=AT + 3, leg="l", tone="sample", begin_ms=1000, end_ms=2600, confidence=1, why="", sample=known
        )
        track.detection(told)
        assert "▎power off" in text(draw_heard(track, window(call, AT + 3.5, 40)))
        assert last_heard(call, track) == "sample: power off 1.4-3.0 s"


class TestSteps:
    def test_the_rail_shows_passed_present_and_coming_without_colour(self, call: Call) -> None:
        call.follow_attempt(attempt("listening", 1))
        call.follow_attempt(attempt("wait_tone", 4))
        rail, labels, times = (text(row) for row in draw_steps(call, AT + 5, 67))
        assert [c for c in rail if c not in "━╌ "] == ["●", "●", "◌", "◉", "○", "○"]
        assert labels.split() == ["Dial", "Ring", "Answer", "Wait", "tone", "Bridge", "Wrap-up"]
        assert times.split() == ["0.0", "s", "1.0", "s", "4.0", "s"]

    def test_a_call_that_failed_breaks_off_where_it_was(self, call: Call) -> None:
        call.follow_attempt(attempt("listening", 1))
        call.follow_attempt(attempt("done", 4, disposition="busy"))
        assert [c for c in text(draw_steps(call, AT + 9, 67)[0]) if c not in "━╌ "] == [
            "●",
            "✕",
            "○",
            "○",
            "○",
            "○",
        ]
        assert text(draw_present(call, AT + 9, 60)) == "Ended after 0:04"

    def test_the_present_step_tells_its_time_and_its_deadline(self, call: Call) -> None:
        call.follow_attempt(attempt("listening", 1, deadline=AT + 61))
        assert call.step is Step.RING
        line = text(draw_present(call, AT + 13.5, 60))
        assert line.startswith("Ring 0:12 ━━━━━─")
        assert line.endswith("─ 0:48 left of 1:00")
