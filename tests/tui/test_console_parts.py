"""Text, meters, keymap, themes, queue pages: the console's parts without a screen."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from engine.control.messages import Entry, QueueRows
from tui import keymap, theme
from tui.draw import Canvas, row_width
from tui.queue_book import MAX_PAGES, PAGE, QueueBook
from tui.text import clean, clip, fit, wrap
from tui.widgets.meter import draw_meter, draw_scale, position

anything = st.text(st.characters(), max_size=60)


class TestText:
    @pytest.mark.parametrize(
        ("given_text", "shown"),
        [
            ("\x1b[2J", "␛[2J"),
            ("a\r\nb", "a␍␊b"),
            ("\x9b31m", "⟨9b⟩31m"),
            ("\u202eabc", "⟨202e⟩abc"),
            ("a\u200bb\ufeffc\u200dd", "abcd"),
            ("[red]x[/]", "[red]x[/]"),
            ("שלום", "שלום"),
            ("\x7f", "␡"),
            ("a\u0301\u0301\u0301\u0301", "a\u0301\u0301"),
            ("\U0010ffff\ue000", "��"),
            ("a\u00a0b", "a b"),
        ],
    )
    def test_what_a_terminal_could_act_on_is_shown_instead(self, given_text: str, shown: str) -> None:
        assert clean(given_text) == shown

    @given(anything)
    def test_cleaning_leaves_nothing_to_act_on_and_is_done_once(self, text: str) -> None:
        done = clean(text)
        assert clean(done) == done
        assert not [c for c in done if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")]

    @given(anything, st.integers(0, 40))
    def test_fitted_text_is_exactly_as_wide_as_asked(self, text: str, cells: int) -> None:
        assert cell_len(fit(text, cells)) == cells
        assert cell_len(fit(text, cells, right=True)) == cells

    def test_what_is_cut_shows_as_an_ellipsis_and_never_half_a_character(self) -> None:
        assert clip("王小明", 6) == "王小明"
        assert clip("王小明", 5) == "王小…"
        assert clip("王小明", 4) == "王…"
        assert fit("王小明", 4) == "王… "

    @given(anything, st.integers(1, 30))
    def test_wrapped_lines_fit_and_are_few(self, text: str, cells: int) -> None:
        lines = wrap(text, cells, limit=4)
        assert 1 <= len(lines) <= 4
        assert all(cell_len(line) <= max(cells, 2) for line in lines)

    @given(st.lists(st.tuples(st.integers(-5, 25), anything), max_size=6))
    def test_a_canvas_keeps_its_width_whatever_is_put_on_it(self, pieces: list[tuple[int, str]]) -> None:
        canvas = Canvas(20)
        for column, text in pieces:
            canvas.put(column, text, "text")
        assert row_width(canvas.row()) == 20


class TestMeter:
    def test_the_scale_is_linear_in_decibels(self) -> None:
        assert [position(level, 60) for level in (-90, -60, -30, -10, 0, 20)] == [0, 0, 30, 50, 60, 60]

    @pytest.mark.parametrize("level", [None, -90.0, -60.0, -18.3, 0.0, 3.17])
    @pytest.mark.parametrize("cells", [30, 48, 71])
    def test_bar_and_scale_are_exactly_as_wide_as_asked(self, level: float | None, cells: int) -> None:
        assert row_width(draw_meter("rx", level, -10, cells)) == cells
        assert row_width(draw_scale("rx", cells)) == cells

    def test_the_reading_is_in_words_too(self) -> None:
        assert draw_meter("rx", -18.34, -90, 60)[-1][0] == "-18.3 dBm0"
        assert draw_meter("rx", -90.0, -90, 60)[-1][0].strip() == "silence"


class TestKeymap:
    def test_the_default_keys_clash_nowhere_and_spare_the_digits(self) -> None:
        keys = [key for each in keymap.merge({}).values() for key in each.split(",")]
        assert len(keys) == len(set(keys))
        assert not set(keys) & (keymap.DTMF | {"asterisk", "number_sign"})

    def test_a_key_moves_by_id(self) -> None:
        assert keymap.parse_keys('{"dial": "ctrl+d", "help": "?"}')["help"] == "question_mark"

    @pytest.mark.parametrize(
        ("given_keys", "says"),
        [
            ("{", "--keys is not JSON"),
            ("[1]", "must be a JSON object"),
            ('{"dial": 1}', "must be a JSON object"),
            ('{"dail": "f2"}', "no key id 'dail'"),
            ('{"dial": "n"}', "asked for by both 'dial' and 'next'"),
            ('{"dial": "5"}', "is a DTMF digit"),
            ('{"dial": "#"}', "is a DTMF digit"),
            ('{"dial": "A"}', "DTMF"),
            ('{"dial": "up"}', "moves in the queue"),
            ('{"dial": "f99"}', "is not a key"),
            ('{"dial": ""}', "is not"),
            ('{"stop": "z"}', "works while typing too"),
            ('{"dial": "f8"}', "both 'hangup' and 'dial'"),
        ],
    )
    def test_what_cannot_be_is_one_clear_sentence(self, given_keys: str, says: str) -> None:
        with pytest.raises(keymap.KeysError, match=says.replace("(", r"\(")) as caught:
            keymap.parse_keys(given_keys)
        assert "\n" not in str(caught.value)

    def test_keys_are_named_as_they_are_printed(self) -> None:
        names = [
            keymap.shown(key) for key in ("f8", "question_mark", "ctrl+d", "f1,question_mark", "shift+f2")
        ]
        assert names == ["F8", "?", "^d", "F1", "shift+F2"]


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """WCAG 2 contrast ratio."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


class TestThemes:
    def test_three_are_shipped_the_default_first(self) -> None:
        assert list(theme.shipped()) == ["offhook", "high-contrast", "offhook-light"]

    @pytest.mark.parametrize(
        ("name", "least"), [("offhook", 4.5), ("offhook-light", 4.5), ("high-contrast", 7.0)]
    )
    def test_every_text_can_be_read_on_its_ground(self, name: str, least: float) -> None:
        chosen = theme.shipped()[name]
        texts = [
            chosen.foreground,
            chosen.primary,
            chosen.accent,
            chosen.success,
            chosen.warning,
            chosen.error,
            chosen.variables["muted"],
        ]
        for text in texts:
            for ground in (chosen.background, chosen.surface):
                assert contrast(str(text), str(ground)) >= least, (text, ground)
        for bar in ("tone-ring", "tone-voice", "tone-bad", "tone-other", "flow"):
            assert contrast(str(chosen.foreground), chosen.variables[bar]) >= 4.5, bar

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("name = ", "not valid TOML"),
            ('name = "x"', "missing required field `dark`"),
            (
                'name = "x"\ndark = true\n[colors]\nbackground = "red"',
                "colors.background: a colour is written #rrggbb",
            ),
            ('name = "x"\ndark = 1\n[colors]', "dark: Expected `bool`"),
        ],
    )
    def test_a_bad_file_is_one_sentence_that_says_where(self, text: str, says: str, tmp_path: Path) -> None:
        file = tmp_path / "bad.toml"
        file.write_text(text)
        with pytest.raises(theme.ThemeError) as caught:
            theme.load(file)
        assert says in str(caught.value)
        chosen, sentence = theme.choose(str(file), theme.shipped())
        assert chosen.name == "offhook"
        assert sentence.endswith("Using offhook instead.")

    def test_an_unknown_name_names_the_known_ones(self, tmp_path: Path) -> None:
        _, sentence = theme.choose("ofhook", theme.shipped())
        assert sentence == (
            "There is no theme 'ofhook', only offhook, high-contrast, offhook-light or a .toml file. "
            "Using offhook."
        )
        assert "can't be read" in theme.choose(str(tmp_path / "none.toml"), theme.shipped())[1]


def page(number: int, total: int) -> QueueRows:
    first = number * PAGE
    rows = [
        Entry(id=i + 1, position=i, number=str(i), name="", note="", state="queued", attempts=0)
        for i in range(first, min(total, first + PAGE))
    ]
    return QueueRows(offset=first, total=total, rows=rows)


class TestQueuePages:
    def test_only_what_is_on_show_is_missing(self) -> None:
        book = QueueBook()
        assert book.missing(0, 20) == [0]
        book.put(0, page(0, 100_000))
        assert book.missing(0, 20) == []
        assert book.missing(95, 115) == [1]
        assert book.missing(99_990, 100_050) == [999]

    def test_the_pages_looked_at_longest_ago_go_first(self) -> None:
        book = QueueBook()
        for number in range(MAX_PAGES + 1):
            book.put(number, page(number, 100_000))
        assert book.row(0) is None
        assert book.row(PAGE) is not None

    def test_rows_that_moved_are_shown_until_newer_ones_come(self) -> None:
        book = QueueBook()
        book.put(0, page(0, 50))
        book.outdate()
        assert book.row(3) is not None
        assert book.missing(0, 10) == [0]

    def test_an_entry_that_is_elsewhere_now_outdates_its_page(self) -> None:
        book = QueueBook()
        book.put(0, page(0, 50))
        moved = Entry(id=9, position=3, number="x", name="", note="", state="done", attempts=1)
        assert book.update(moved)
        assert book.missing(0, 10) == [0]

    def test_a_queue_that_shrank_loses_its_tail(self) -> None:
        book = QueueBook()
        book.put(0, page(0, 500))
        book.put(4, page(4, 500))
        book.put(0, page(0, 120))
        assert book.row(450) is None
        assert book.missing(0, 400) == [1]

    def test_an_empty_queue_is_asked_for_once(self) -> None:
        book = QueueBook()
        book.put(0, QueueRows(offset=0, total=0, rows=[]))
        assert book.missing(0, 20) == []
