"""Whom may be called and when, and what a refusal says."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from dialer_fakes import World, config, fate
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers.tzdata import TIMEZONE_DATA
from virtual_time import virtual_time

from engine.dialer.compliance import NEVER, Compliance, Hours, exemptions
from engine.dialer.numbers import _RENAMED, NumberError, key_of, parse

TRUNK = {"server": "sip.example.com"}
NOON_UTC = datetime(2026, 6, 3, 12, 0, tzinfo=UTC)


def guards(
    at: datetime = NOON_UTC, *, country: str = "", loopback: bool = False, **keys: object
) -> Compliance:
    server = "127.0.0.1" if loopback else "sip.example.com"
    made = config(trunk={"server": server, "country": country}, compliance=keys)
    return Compliance(made, lambda: at)


# numbers

@pytest.mark.parametrize(
    ("text", "country", "e164", "zones"),
    [
        ("+86 139 0000 0001", "", "+8613900000001", ("Asia/Shanghai",)),
        ("139-0000-0001", "cn", "+8613900000001", ("Asia/Shanghai",)),
        ("(212) 555-1234", "us", "+12125551234", ("America/New_York",)),
        ("+44 (0)20 7946 0000", "", "+442079460000", ("Europe/London",)),
        ("020 7946 0000", "gb", "+442079460000", ("Europe/London",)),
        ("1001", "", "", ()),
        ("*70", "us", "", ()),
        ("13900000001", "", "", ()),
        ("+999123456", "", "", ()),
    ],
)
def test_a_number_is_known_by_its_e164_form_and_time_zones(text, country, e164, zones):
    number = parse(text, country)
    assert (number.e164, number.zones) == (e164, zones)


def test_every_zone_of_the_numbering_plans_is_one_that_systems_install():
    found = {zone for names in TIMEZONE_DATA.values() for zone in names}
    backward = {"Asia/Calcutta", "America/Buenos_Aires"}
    assert backward <= found
    assert parse("+919876543210").zones == ("Asia/Kolkata",)
    assert parse("+541143210000").zones == ("America/Argentina/Buenos_Aires",)
    assert all(ZoneInfo(_RENAMED.get(zone, zone)) for zone in found)


@pytest.mark.parametrize("text", ["13900000001.0", "139 0000 0001", "13900000001.00", "139.0000.0001"])
def test_a_number_that_a_program_took_for_a_fraction_is_itself_again(text):
    assert parse(text, "cn").e164 == key_of(text, "cn") == "+8613900000001"


@given(st.text(max_size=60), st.sampled_from(["", "cn", "us", "xx"]))
def test_any_text_is_a_dialable_number_or_a_number_error(text, country):
    try:
        number = parse(text, country)
    except NumberError:
        return
    assert set(number.dialable) <= set("+*#0123456789")
    assert any(c.isdigit() for c in number.dialable)


# emergency and premium numbers

@pytest.mark.parametrize(
    ("number", "country"),
    [
        ("112", ""), ("911", ""), ("911", "us"), ("9115551234", "us"),
        ("110", "cn"), ("119", "cn"), ("120", "cn"), ("999", "gb"),
        ("000", "au"), ("17", "fr"), ("+86110", ""), ("+1911", ""), ("１１０", "cn"),
        ("110", ""), ("999", ""), ("1-1-9", ""), ("112", "us"),
    ],
)
@pytest.mark.parametrize("manual", [False, True])
def test_emergency_numbers_are_never_dialled(number, country, manual):
    verdict = guards(country=country).check(number, manual=manual)
    assert verdict.kind == "block"
    assert "emergency" in verdict.reason


@pytest.mark.parametrize(
    ("number", "country"),
    [("900 555 1234", "us"), ("+19005551234", ""), ("0900 1234567", "de"), ("+44 909 879 0000", ""),
     ("0906 123 4567", "gb")],
)
@pytest.mark.parametrize("manual", [False, True])
def test_premium_and_shared_cost_numbers_are_never_dialled(number, country, manual):
    verdict = guards(country=country).check(number, manual=manual)
    assert verdict.kind == "block"
    assert "premium" in verdict.reason or "shared-cost" in verdict.reason


def test_that_guard_holds_on_loopback_too_and_can_be_switched_off_visibly():
    assert guards(country="cn", loopback=True).check("110").kind == "block"
    off = guards(country="cn", loopback=True, block_special_numbers=False)
    assert off.check("110").kind == "allow"


@pytest.mark.parametrize("number", ["1001", "8001", "8002", "5551234", "+8613900000001", "*70", "100"])
def test_extensions_and_demo_numbers_pass_on_a_loopback_trunk(number):
    assert guards(loopback=True).check(number).kind == "allow"


@pytest.mark.parametrize("country", ["cn", "us", "gb", "de"])
def test_four_digit_extensions_pass_on_a_loopback_trunk_with_a_country(country):
    for number in ("1001", "8001", "8002", "8003", "5551234", "+8613900000001"):
        assert guards(loopback=True, country=country).check(number).kind == "allow"


# do not call

@pytest.mark.parametrize(
    "line",
    ["+8613900000001", "+86 139-0000-0001", "13900000001", "139 0000 0001 # asked on 3 May",
     "008613900000001", "8613900000001", "013900000001"],
)
@pytest.mark.parametrize("number", ["+8613900000001", "139 0000 0001"])
@pytest.mark.parametrize("manual", [False, True])
def test_a_listed_number_is_never_called_however_either_is_written(tmp_path, line, number, manual):
    path = tmp_path / "dnc.txt"
    path.write_text(f"# do not call\n\n{line}\n", encoding="utf-8-sig")
    verdict = guards(country="cn", loopback=True, do_not_call=str(path)).check(number, manual=manual)
    assert (verdict.kind, "do-not-call" in verdict.reason) == ("block", True)


def test_numbers_that_are_not_listed_pass_and_bad_lines_are_kept_for_a_report(tmp_path):
    path = tmp_path / "dnc.txt"
    path.write_bytes(b"13900000001\nhello\n\xff\xfe\n1001\n")
    made = guards(country="cn", loopback=True, do_not_call=str(path))
    assert made.check("13900000002").kind == "allow"
    assert made.check("1001").kind == "block"
    assert [line for line, _ in made.do_not_call.bad_lines] == [2, 3]


async def test_the_list_is_read_again_when_it_changes(tmp_path):
    path = tmp_path / "dnc.txt"
    path.write_text("5550000\n")
    made = guards(loopback=True, do_not_call=str(path))
    assert made.check("5551234").kind == "allow"
    path.write_text("5550000\n5551234\n")
    await made.refresh()
    assert made.check("5551234").kind == "block"
    path.write_text("5550000\n5551235\n")
    os.utime(path, ns=(1, 1))
    await made.refresh()
    assert made.check("5551234").kind == "allow"


async def test_a_list_that_cannot_be_read_any_more_lets_nobody_be_called(tmp_path):
    path = tmp_path / "dnc.txt"
    path.write_text("5550000\n")
    made = guards(loopback=True, do_not_call=str(path))
    assert made.check("5551234").kind == "allow"
    path.unlink()
    await made.refresh()
    verdict = made.check("5551234")
    assert verdict.kind == "hold"
    assert str(path) in verdict.reason
    assert verdict.until < NEVER
    path.write_text("5550000\n")
    await made.refresh()
    assert made.check("5551234").kind == "allow"


# calling hours

def at(zone: str, text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


@pytest.mark.parametrize(
    ("local", "allowed"),
    [("08:59:59", False), ("09:00:00", True), ("19:59:59", True), ("20:00:00", False), ("03:00:00", False)],
)
def test_hours_go_by_the_callees_clock(local, allowed):
    verdict = guards(at("Asia/Shanghai", f"2026-06-03T{local}")).check("+8613900000001")
    assert (verdict.kind == "allow") is allowed


def test_a_held_number_says_until_when_by_the_callees_clock():
    verdict = guards(at("Asia/Shanghai", "2026-06-03T21:30:00")).check("+8613900000001")
    assert verdict.kind == "hold"
    assert verdict.until == at("Asia/Shanghai", "2026-06-04T09:00:00").timestamp()
    assert "held until 2026-06-04 09:00 CST" in verdict.reason


def test_every_zone_that_a_number_may_be_in_must_be_inside_the_hours():
    toll_free = "+18005551234"
    morning_in_new_york = at("America/New_York", "2026-06-03T09:30:00")
    assert guards(morning_in_new_york).check("+12125551234").kind == "allow"
    verdict = guards(morning_in_new_york).check(toll_free)
    assert verdict.kind == "hold"
    assert "time zones" in verdict.reason


def test_a_number_that_no_moment_suits_is_held_with_that_reason():
    verdict = guards(calling_hours="12:00-12:30").check("+18005551234")
    assert (verdict.kind, verdict.until) == ("hold", NEVER)
    assert "no moment" in verdict.reason


@pytest.mark.parametrize("number", ["1001", "13900000001", "+80012345678"])
def test_a_number_whose_zone_cannot_be_told_is_held_with_the_cure(number):
    verdict = guards().check(number)
    assert (verdict.kind, verdict.until) == ("hold", NEVER)
    assert "trunk.country" in verdict.reason


def test_the_hours_only_warn_of_a_number_dialled_by_hand():
    verdict = guards(at("Asia/Shanghai", "2026-06-03T23:00:00")).check("+8613900000001", manual=True)
    assert verdict.kind == "allow"
    assert "Outside 09:00-20:00" in verdict.warning


@pytest.mark.parametrize(
    ("day", "offset"),
    [("2026-03-07", -5), ("2026-03-08", -4), ("2026-10-31", -4), ("2026-11-01", -5)],
)
def test_hours_follow_daylight_saving_time(day, offset):
    opening = datetime.fromisoformat(f"{day}T09:00:00+00:00") - timedelta(hours=offset)
    number = "+12125551234"
    assert guards(opening - timedelta(seconds=1)).check(number).until == opening.timestamp()
    assert guards(opening).check(number).kind == "allow"


def test_an_opening_that_the_clocks_jump_over_comes_when_they_have_jumped():
    hours = Hours("02:30-10:00")
    midnight = at("America/New_York", "2026-03-08T00:00:00")
    opening = hours.next_opening(("America/New_York",), midnight)
    assert opening is not None
    assert opening.astimezone(UTC) == datetime(2026, 3, 8, 7, 30, tzinfo=UTC)
    assert hours.open(("America/New_York",), opening)


def test_24_00_means_until_midnight():
    assert Hours("20:00-24:00").open(["UTC"], datetime(2026, 1, 1, 23, 59, 59, 999999, tzinfo=UTC))
    assert not Hours("20:00-24:00").open(["UTC"], datetime(2026, 1, 2, 0, 0, tzinfo=UTC))


zones = st.lists(
    st.sampled_from(["UTC", "Asia/Shanghai", "America/New_York", "Europe/London", "Australia/Lord_Howe",
                     "America/Los_Angeles", "Asia/Kolkata", "Pacific/Apia"]),
    min_size=1, max_size=4, unique=True,
)


moments = st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1))


@given(zones, moments, st.sampled_from(["09:00-20:00", "02:10-23:30"]))
def test_the_next_opening_is_open_and_nothing_before_it_was(names, moment, text):
    hours, now = Hours(text), moment.replace(tzinfo=UTC)
    opening = hours.next_opening(tuple(names), now)
    if hours.open(names, now):
        return
    if opening is None:
        probes = [now + timedelta(minutes=30 * i) for i in range(7 * 48)]
    else:
        assert opening >= now
        assert hours.open(names, opening)
        steps = int((opening - now) / timedelta(minutes=30))
        probes = [now + timedelta(minutes=30 * i) for i in range(steps + 1)]
        probes = [probe for probe in probes if probe < opening]
    assert not any(hours.open(names, probe) for probe in probes)


def test_guards_that_are_off_are_named():
    loopback = config()
    assert exemptions(loopback) == [
        "calling hours are off: the trunk is on loopback", "no do-not-call file",
        "no message to abandoned callees",
    ]
    strict = config(compliance={"loopback_exempt": False, "do_not_call": "/x", "message": "/m.wav"})
    assert exemptions(strict) == []
    keys = {"calling_hours": "off", "block_special_numbers": False, "do_not_call": "x", "message": "m"}
    off = config(trunk=TRUNK, compliance=keys)
    assert exemptions(off) == ["calling hours are off", "emergency and premium numbers are not refused"]


# in the queue

@virtual_time
async def test_held_entries_wait_for_their_morning_and_the_rest_goes_on():
    london, shanghai = "+442079460000", "+8613900000001"
    world = World([shanghai, london], trunk=TRUNK)
    world.start_time = at("Asia/Shanghai", "2026-06-03T21:00:00")  # 14:00 in London
    async with world:
        await world.work()
        assert world.line.numbers() == [london]
        held = (await world.rows())[0]
        assert (held.state, held.reason[:7]) == ("queued", "Outside")
        assert "Outside" in world.dialer.flow().notice
        record = await world.until_done()
        assert record.number == shanghai
        assert world.wall().astimezone(ZoneInfo("Asia/Shanghai")).hour == 9


@virtual_time
async def test_blocked_entries_get_a_record_and_never_a_call(tmp_path):
    path = tmp_path / "dnc.txt"
    path.write_text("5551235\n")
    numbers = ["5551234", "112", "5551235", "5551236"]
    async with World(numbers, compliance={"do_not_call": str(path)}) as world:
        records = await world.work()
        assert world.line.numbers() == ["5551234", "5551236"]
        assert sorted(record.disposition for record in records) == ["blocked"] * 2 + ["bridged"] * 2
        assert await world.states() == ["done", "blocked", "blocked", "done"]
        assert (await world.rows())[1].reason == "112 is an emergency number and is never dialled."
        assert world.dialer.counts.blocked == 2


@virtual_time
async def test_a_whole_queue_of_held_entries_is_judged_once_and_leaves_the_loop_responsive():
    numbers = [f"+86139{i:08d}" for i in range(300)]
    world = World(numbers, trunk=TRUNK)
    world.start_time = at("Asia/Shanghai", "2026-06-03T21:00:00")
    async with world:
        await world.work()
        assert world.line.legs == []
        assert all(row.reason for row in await world.rows())


@virtual_time
async def test_a_number_put_on_the_do_not_call_list_during_the_campaign_is_not_called(tmp_path):
    path = tmp_path / "dnc.txt"
    path.write_text("")
    async with World(["5551234", "5551235"], compliance={"do_not_call": str(path)}) as world:
        world.line.fates["5551234"] = fate(1, "answers", 9, "far_bye")
        await world.dialer.resume()
        await world.until_state("bridged")
        path.write_text("5551235\n")
        await world.dialer.worked()
        assert world.line.numbers() == ["5551234"]
