"""`offhook ctl`: a command from what is typed."""

from __future__ import annotations

import pytest

from engine.cli.common import Usage
from engine.cli.ctl import parse_command
from engine.control import messages


@pytest.mark.parametrize(
    ("typed", "command"),
    [
        ("transfer ab12 2125550101", messages.Transfer(leg="ab12", to="2125550101")),
        ("transfer to=2125550101 ab12", messages.Transfer(leg="ab12", to="2125550101")),
        ("attend ab12 cd34", messages.TransferToLeg(leg="ab12", other="cd34")),
        ("transfer-to-leg ab12 cd34", messages.TransferToLeg(leg="ab12", other="cd34")),
        ("refuse ab12", messages.Refuse(leg="ab12", code=486)),
        ("refuse ab12 603", messages.Refuse(leg="ab12", code=603)),
        ("consult 2125550101", messages.Consult(number="2125550101")),
        ("consult 2125550101 ab12", messages.Consult(number="2125550101", leg="ab12")),
        ("attend ab12 cd34 here=on", messages.TransferToLeg(leg="ab12", other="cd34", here=True)),
        ("conference", messages.Conference()),
        ("supervise ab12 cd34 whisper", messages.Supervise(leg="ab12", of="cd34", mode="whisper")),
        ("supervise number=8009 of=cd34", messages.Supervise(of="cd34", number="8009")),
        ("gain -6", messages.Gain(received=-6)),
        ("gain sent=4.5 leg=ab12", messages.Gain(sent=4.5, leg="ab12")),
        ("talk on seconds=30", messages.Talk(on=True, seconds=30)),
        ("dnd on", messages.DoNotDisturb(on=True)),
        ("dnd off", messages.DoNotDisturb(on=False)),
        ("dnd on=true", messages.DoNotDisturb(on=True)),
        ("hold off ab12", messages.Hold(on=False, leg="ab12")),
        ("dial number=5551234", messages.Dial(number="5551234")),
        ("set_operator cold 8001,8002", messages.SetOperator(mode="cold", agents=["8001", "8002"])),
        ("next", messages.Next()),
    ],
)
def test_values_come_in_order_or_by_name(typed: str, command: messages.Command) -> None:
    name, *values = typed.split()
    assert parse_command(name, values) == command


@pytest.mark.parametrize(
    "typed",
    ["transfer ab12", "attend a b c", "dnd maybe", "refuse ab12 busy", "next 1", "dial numbr=1", "dance"],
)
def test_what_is_no_command_is_said_in_one_sentence(typed: str) -> None:
    name, *values = typed.split()
    with pytest.raises(Usage, match="ctl"):
        parse_command(name, values)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("transfer", "leg=... is missing; it takes leg=... to=... (`offhook ctl get-snapshot`"),
        ("transfer ab12", "to=... is missing"),
        ("refuse ab12 busy", "found code=busy; a whole number is allowed"),
        ("gain loud", "found received=loud; a number is allowed"),
        ("talk on seconds=nan", "found seconds=nan; a number is allowed"),
        ("supervise ab12 cd34 spy", "found mode=spy; listen, whisper, barge, off is allowed"),
        ("dnd maybe", "found on=maybe; on or off is allowed"),
        ("hold on ab12 cd34", "it takes on=... [leg=...]"),
        ("transfr a b", "did you mean transfer?"),
        ("atend a b", "did you mean attend?"),
    ],
)
def test_it_is_said_how_to_mend_it(typed: str, said: str) -> None:
    name, *values = typed.split()
    with pytest.raises(Usage) as caught:
        parse_command(name, values)
    assert said in str(caught.value)
    assert "`str`" not in str(caught.value)
