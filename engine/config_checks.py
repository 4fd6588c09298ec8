"""What a configuration's values must be beyond their types: ports, files, one key against another."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path

from engine.config import (
    BEEP,
    RINGBACK,
    Campaign,
    Config,
    Detection,
    Recording,
    Trunk,
    plans_file,
    port_range,
    split_host_port,
    split_proxy,
    trunk_path,
)
from engine.detect.plans import PlanError
from engine.detect.plans import read as read_plans
from engine.dial_rules import RuleError, compiled
from engine.hearing_checks import Add, check_hearing, shown


def check(config: Config, need_trunk: bool, add: Add) -> None:
    """Tell `add` of every value that does not go with the others."""
    for name, trunk in config.all_trunks.items():
        _check_trunk(trunk_path(name), trunk, need_trunk, add)
        if trunk.number_format == "national" and not (trunk.country or config.trunk.country):
            allowed = f"{trunk_path(name)}.country is needed for it, such as cn"
            add(f"{trunk_path(name)}.number_format", shown("national"), allowed)
        if trunk.listen and not _same_address(trunk.listen, config.sip.listen):
            allowed = f"the address of sip.listen ({config.sip.listen}) is needed, since audio comes in there"
            add(f"{trunk_path(name)}.listen", shown(trunk.listen), allowed)
    if not _is_host_port(config.sip.listen, literal=True):
        add(
            "sip.listen",
            shown(config.sip.listen),
            "address:port is allowed, such as 0.0.0.0:5060 (port 0: any)",
        )
    try:
        port_range(config.rtp.ports)
    except ValueError:
        add(
            "rtp.ports",
            shown(config.rtp.ports),
            "low-high is allowed, such as 16384-16583, from 1024 to 65535",
        )
    if 0 < config.sip.session_expires < 90:
        add("sip.session_expires", shown(config.sip.session_expires), "90 or more is allowed, or 0: never")
    for called, number in config.sip.forward.items():
        if not re.fullmatch(r"\+?[0-9*#]{1,32}", number, re.ASCII):
            allowed = "a number to be dialled is allowed, such as +12125550100"
            add(f"sip.forward.{called}", shown(number), allowed)
    if not config.rtp.codecs:
        add("rtp.codecs", "an empty list", "at least one of PCMA, PCMU, G722, opus is needed")
    elif len(set(config.rtp.codecs)) < len(config.rtp.codecs):
        add("rtp.codecs", str(config.rtp.codecs), "name each codec once")
    if not config.rtp.jitter_min_ms <= config.rtp.jitter_ms <= config.rtp.jitter_max_ms:
        add(
            "rtp.jitter_ms",
            shown(config.rtp.jitter_ms),
            f"from rtp.jitter_min_ms ({config.rtp.jitter_min_ms}) to rtp.jitter_max_ms "
            f"({config.rtp.jitter_max_ms}) is allowed",
        )
    if config.operator.mode != "headset" and not config.operator.agents:
        add(
            "operator.agents",
            "an empty list",
            f'operator.mode = "{config.operator.mode}" needs an agent\'s number',
        )
    if config.compliance.calling_hours != "off":
        begin, _, end = config.compliance.calling_hours.partition("-")
        if begin >= end:
            add(
                "compliance.calling_hours",
                shown(config.compliance.calling_hours),
                "the first time must be before the second",
            )
    if config.dialer.machine == "message":
        _check_message(config.dialer.machine_message, add)
    _check_sections("", config.detection, config.recording, add)
    if (plans := plans_file(config)) is not None:
        try:
            read_plans(plans)
        except PlanError as error:
            add("detection.tone_plans", shown(config.detection.tone_plans), str(error))
    for name, own in config.campaigns.items():
        _check_campaign(name, own, config, add)
    for section, key, word in (
        ("dialer", "wait_tone", RINGBACK),
        ("compliance", "do_not_call", ""),
        ("compliance", "message", ""),
        ("call", "hold_music", ""),
        ("operator", "whisper", BEEP),
    ):
        value = getattr(getattr(config, section), key)
        if value and value != word and not Path(value).expanduser().is_file():
            add(f"{section}.{key}", shown(value), "the file does not exist; a readable file is needed")


def _check_campaign(name: str, own: Campaign, config: Config, add: Add) -> None:
    """What a campaign has of its own; what is wrong everywhere is not told again."""
    told: set[str] = set()
    path = f"campaigns.{name}."
    _check_sections("", config.detection, config.recording, lambda key, found, allowed: told.add(key))

    def add_own(key: str, found: str | None, allowed: str) -> None:
        if key.removeprefix(path) not in told:
            add(key, found, allowed)

    _check_sections(path, own.detection, own.recording, add_own)
    if not name.isprintable() or "/" in name:
        add(f"campaigns.{name}", "a name that no file has", "a queue file's name is allowed, without suffix")
    from engine.hearing import ENGINE_WIDE  # numpy: only where it is needed

    for key in sorted(ENGINE_WIDE):
        value = getattr(own.detection, key)
        if value != getattr(config.detection, key):
            add(f"{path}detection.{key}", shown(value), f"detection.{key} is for all calls")
    if own.recording.keep_days != config.recording.keep_days:
        add(f"{path}recording.keep_days", shown(own.recording.keep_days), "it counts for all recordings")


def _check_sections(path: str, detection: Detection, recording: Recording, add: Add) -> None:
    def below(key: str, found: str | None, allowed: str) -> None:
        add(f"{path}{key}", found, allowed)

    check_hearing(detection, recording, below)
    _check_announcement(recording.announcement, below)


def _check_message(path: str, add: Add) -> None:
    from engine.media.clip import SourceError, load
    from engine.media.orders import WavSource

    if not path:
        add("dialer.machine_message", None, 'dialer.machine = "message" needs a WAV file to be said')
        return
    try:
        load(WavSource(str(Path(path).expanduser())))
    except SourceError as error:
        add("dialer.machine_message", shown(path), f"a WAV file is needed: {error}")


MAX_ANNOUNCEMENT = 30.0
"""Seconds that a callee may have to listen to recording.announcement."""


def _check_announcement(announcement: str, add: Add) -> None:
    if not announcement:
        return
    from engine.media.clip import SourceError, load  # numpy and soxr: only where they are needed
    from engine.media.orders import WavSource

    try:
        seconds = len(load(WavSource(str(Path(announcement).expanduser()))).pcm) / 8000
    except SourceError as error:
        add("recording.announcement", shown(announcement), f"a WAV file is needed: {error}")
    else:
        if seconds > MAX_ANNOUNCEMENT:
            allowed = f"{MAX_ANNOUNCEMENT:g} s at most are allowed"
            add("recording.announcement", f"{seconds:.0f} s of sound", allowed)


def _check_trunk(path: str, trunk: Trunk, needed: bool, add: Add) -> None:
    if needed and not trunk.server:
        add(f"{path}.server", None, "the trunk's host or host:port is needed")
    if trunk.server and not _is_host_port(trunk.server):
        allowed = "host or host:port is allowed, such as sip.example.com:5060"
        add(f"{path}.server", shown(trunk.server), allowed)
    if trunk.proxy and not _is_proxy(trunk.proxy):
        allowed = "host, host:port or a URI is allowed, such as sip:proxy.example.com;transport=tcp"
        add(f"{path}.proxy", shown(trunk.proxy), allowed)
    if trunk.tls_ca and not Path(trunk.tls_ca).expanduser().is_file():
        add(f"{path}.tls_ca", shown(trunk.tls_ca), "the file does not exist; a PEM file is needed")
    if trunk.listen and not _is_host_port(trunk.listen, literal=True):
        allowed = "address:port is allowed, such as 0.0.0.0:5062 (port 0: any)"
        add(f"{path}.listen", shown(trunk.listen), allowed)
    for key in ("domain", "tls_server_name"):
        if (value := getattr(trunk, key)) and not _is_host_port(value):
            add(f"{path}.{key}", shown(value), "a host's name is allowed, such as sip.example.com")
    if needed and trunk.register and not trunk.username:
        add(f"{path}.username", None, f"the account's user name is needed, or {path}.register = false")
    for key in ("username", "auth_username", "from_user", "domain", "display_name", "password"):
        if any(ord(c) < 32 for c in getattr(trunk, key)):
            add(f"{path}.{key}", "a control character", "printable text is allowed")
    if trunk.caller_id and trunk.caller_id not in trunk.caller_ids:
        listed = ", ".join(trunk.caller_ids) or "the list is empty"
        add(f"{path}.caller_id", shown(trunk.caller_id), f"one of {path}.caller_ids is allowed: {listed}")
    if trunk.identity != "none" and not trunk.caller_ids:
        add(f"{path}.identity", shown(trunk.identity), f"{path}.caller_ids must hold the numbers to be shown")
    for place, rule in enumerate(trunk.rules, 1):
        try:
            compiled(rule)
        except RuleError as error:
            add(f"{path}.rules, rule {place}", shown(rule.match), str(error))
    for prefix in trunk.prefixes:
        if not re.fullmatch(r"\+?[0-9*#]{1,15}", prefix, re.ASCII):
            allowed = "the first digits of numbers are allowed, such as +86 or 00"
            add(f"{path}.prefixes", shown(prefix), allowed)


def _is_proxy(text: str) -> bool:
    try:
        host, _, _ = split_proxy(text)
    except ValueError:
        return False
    return _is_host_port(host)


def _same_address(listen: str, other: str) -> bool:
    try:
        hosts = {split_host_port(text)[0] for text in (listen, other)}
    except ValueError:
        return True  # told elsewhere
    return len(hosts) == 1 or split_host_port(other)[0] in ("0.0.0.0", "::")


def _is_host_port(text: str, literal: bool = False) -> bool:
    try:
        host, _ = split_host_port(text)
        if literal or ":" in host:
            ipaddress.ip_address(host)
    except ValueError:
        return False
    return bool(re.fullmatch(r"[A-Za-z0-9._:\-]+", host))
