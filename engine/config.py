"""The configuration's keys with their types, ranges and defaults; `engine.config_file` reads and checks one.

Units are in the keys' names or comments, seconds where nothing is said. config.example.toml explains each
key to users.
"""

from __future__ import annotations

import ipaddress
import re
import warnings
from pathlib import Path
from typing import Annotated, Literal, cast

import msgspec
import platformdirs
from msgspec import Meta

FIRST_TRUNK = "trunk"
RINGBACK = "ringback"
"""The one wait tone that is no file."""
BEEP = "beep"
"""The one whisper that is no file."""
PASSWORD_ENV = "OFFHOOK_PASSWORD"
TRUNK_NAME = r"[A-Za-z0-9_-]{1,20}"
HOURS = r"^off$|^([01]\d|2[0-3]):[0-5]\d-(([01]\d|2[0-3]):[0-5]\d|24:00)$"
HEADER = r"^[A-Za-z][A-Za-z0-9-]{0,63}$|^$"
Decibels = Annotated[float, Meta(ge=-30, le=20)]
Seconds = Annotated[float, Meta(ge=0, le=86400)]
Count = Annotated[int, Meta(ge=1, le=1000)]
CodecName = Literal["PCMA", "PCMU", "G722", "opus"]


class Section(msgspec.Struct, frozen=True, kw_only=True):
    pass


class Rule(Section, frozen=True, forbid_unknown_fields=True):
    """A number that `match` (a regular expression) matches whole or in part is dialled with the match
    replaced; `\\1` in `replace` is the first group."""

    match: str
    replace: str = ""


class Trunk(Section, frozen=True):
    server: str = ""
    transport: Literal["auto", "udp", "tcp", "tls"] = "auto"
    tls_ca: str = ""
    tls_verify: bool = True
    tls_server_name: str = ""
    username: str = ""
    password: str = ""
    password_env: str = PASSWORD_ENV
    password_file: str = ""
    register: bool = True
    expires: Annotated[int, Meta(ge=10, le=86400)] = 300
    auth_username: str = ""
    from_user: str = ""
    display_name: str = ""
    domain: str = ""
    proxy: str = ""
    caller_ids: list[str] = []
    caller_id: str = ""
    country: Annotated[str, Meta(pattern="^[a-z]{2}$|^$")] = ""
    number_format: Literal["as_dialed", "e164", "e164_no_plus", "national"] = "as_dialed"
    rules: list[Rule] = []
    user_phone: bool = False
    identity: Literal["none", "p_asserted", "p_preferred", "remote_party"] = "none"
    digest: Literal["first", "strongest"] = "first"
    prefixes: list[str] = []
    priority: Annotated[int, Meta(ge=0, le=1000)] = 100
    listen: str = ""
    srtp: Literal["off", "preferred", "required"] = "off"
    dtmf: Literal["auto", "rtp", "info", "inband"] = "auto"


class Sip(Section, frozen=True):
    listen: str = "0.0.0.0:0"
    keepalive: Seconds = 25.0
    keepalive_method: Literal["crlf", "options"] = "crlf"
    trace_file: str = ""
    inbound: bool = True
    reliable: Literal["off", "supported", "required"] = "supported"
    redirects: Literal["follow", "report"] = "follow"
    session_expires: Annotated[int, Meta(ge=0, le=86400)] = 1800
    auto_answer: Literal["off", "header", "all"] = "off"
    do_not_disturb: bool = False
    accept_transfer: bool = False
    forward: dict[str, str] = {}


class Rtp(Section, frozen=True):
    ports: str = "16384-16583"
    codecs: list[CodecName] = msgspec.field(default_factory=lambda: ["PCMA", "PCMU"])
    jitter_ms: Annotated[int, Meta(ge=20, le=200)] = 60
    jitter_min_ms: Annotated[int, Meta(ge=20, le=200)] = 20
    jitter_max_ms: Annotated[int, Meta(ge=20, le=200)] = 200
    timeout: Seconds = 30.0
    send_first: bool = True
    event_payload_type: Annotated[int, Meta(ge=96, le=127)] = 101
    inband_dtmf: Literal["auto", "on", "off"] = "auto"
    rtcp: bool = True
    rtcp_mux: Literal["accept", "offer"] = "accept"
    latch: Literal["sdp", "nat", "first"] = "nat"
    relatch_after: Seconds = 0.0
    comfort_noise: bool = False


class Audio(Section, frozen=True):
    input: str = "default"
    output: str = "default"
    ring_output: str = ""
    input_gain: Decibels = 0.0
    output_gain: Decibels = 0.0
    push_to_talk: bool = False
    echo_cancel: bool = False
    noise_suppression: bool = False
    auto_gain: bool = False


class Operator(Section, frozen=True):
    mode: Literal["headset", "standing", "cold"] = "headset"
    agents: list[str] = []
    accept_after: Annotated[float, Meta(ge=-1, le=600)] = 1.0
    connect_timeout: Seconds = 20.0
    ring_timeout: Seconds = 60.0
    wrap_up: Seconds = 0.0
    whisper: str = ""


class Dialer(Section, frozen=True):
    wait_tone: str = RINGBACK
    early_media: Literal["listen", "ignore", "operator"] = "listen"
    machine: Literal["bridge", "hangup", "message"] = "bridge"
    machine_message: str = ""
    ring_timeout: Seconds = 60.0
    max_channels: Count = 1
    max_attempts: Count = 3
    pause_between: Seconds = 0.0
    autostart: bool = False
    skip_duplicates: bool = True


StopTone = Literal[
    "all", "busy", "ringback", "colorringback", "prompt", "sample", "silence", "450hz", "unmatch",
    "congestion", "dial", "sit", "fax", "dtmf",
]
FinishWord = Literal[
    "all", "stoptone", "match", "detecttime_timeout", "answer", "bus_close", "bug_add_fail", "break",
    "func_exit", "limit",
]  # fmt: skip


CadenceRule = Annotated[str, Meta(max_length=200)]


class Detection(Section, frozen=True):
    """How calls are listened to; `engine.hearing` makes the detector's settings of it."""

    stop_on: list[StopTone] = msgspec.field(default_factory=lambda: ["sample", "busy"])
    hang_up: bool = True
    hang_up_on: list[FinishWord] = []
    ignore: list[str] = []
    unmatched_limit: Count = 2
    matched_limit: Annotated[int, Meta(ge=0, le=1000)] = 0
    stop_at_answer: bool = True
    max_time: Seconds = 60.0
    max_sound: Seconds = 60.0
    max_silence: Seconds = 30.0
    max_after_answer: Seconds = 10.0
    max_prompt: Seconds = 10.0
    wait_for_result_ms: Annotated[int, Meta(ge=0, le=10_000)] = 500
    max_calls: Annotated[int, Meta(ge=0, le=1000)] = 0
    samples: str = ""
    starter: bool = True
    reason_header: Annotated[str, Meta(pattern=HEADER)] = ""
    codes: dict[str, int] = {}
    amd: dict[str, int] = {}
    tone_plans: str = ""
    tone_busy_rule: CadenceRule = ""
    tone_congestion_rule: CadenceRule = ""
    tone_ringback_rule: CadenceRule = ""
    tone_450hz_rule: CadenceRule = ""
    ringback_whole_cadence: bool = False


class Call(Section, frozen=True):
    max_duration: Annotated[float, Meta(ge=1, le=86400)] = 14400.0
    hold_music: str = ""


class Recording(Section, frozen=True):
    what: Literal["off", "callee", "agent", "both", "analysed"] = "off"
    begin: Literal["answer", "early"] = "answer"
    format: Literal["wav", "wav_alaw", "wav_ulaw", "flac"] = "wav"
    layout: Literal["stereo", "mixed"] = "stereo"
    folder: str = ""
    name: str = "{date}/{time}-{number}-{leg}-{result}"
    keep_days: Annotated[int, Meta(ge=0, le=36500)] = 0
    min_free_mb: Annotated[int, Meta(ge=0, le=1_000_000)] = 100
    announcement: str = ""


class Campaign(Section, frozen=True, kw_only=False):
    """What counts for the calls of one queue file: the configuration's sections with its own keys in them."""

    detection: Detection = Detection()
    recording: Recording = Recording()


class Compliance(Section, frozen=True):
    do_not_call: str = ""
    calling_hours: Annotated[str, Meta(pattern=HOURS)] = "09:00-20:00"
    block_special_numbers: bool = True
    max_abandoned: Annotated[float, Meta(ge=0, le=100)] = 3.0
    message: str = ""
    message_after: Seconds = 2.0
    loopback_exempt: bool = True


class Store(Section, frozen=True):
    url: str = ""


class Control(Section, frozen=True):
    socket: str = ""


class Log(Section, frozen=True):
    level: Literal["debug", "info", "warning", "error"] = "info"
    file: str = ""


class Ui(Section, frozen=True):
    theme: str = "offhook"
    keys: dict[str, str] = {}


class Config(Section, frozen=True):
    trunk: Trunk = Trunk()
    trunks: dict[str, Trunk] = {}
    sip: Sip = Sip()
    rtp: Rtp = Rtp()
    audio: Audio = Audio()
    operator: Operator = Operator()
    dialer: Dialer = Dialer()
    detection: Detection = Detection()
    call: Call = Call()
    recording: Recording = Recording()
    campaigns: dict[str, Campaign] = {}
    compliance: Compliance = Compliance()
    store: Store = Store()
    control: Control = Control()
    log: Log = Log()
    ui: Ui = Ui()

    @property
    def all_trunks(self) -> dict[str, Trunk]:
        """Every trunk by its name, in order; `[trunk]` comes first and is called FIRST_TRUNK."""
        return {FIRST_TRUNK: self.trunk, **self.trunks}

    def of_campaign(self, queue: str) -> Config:
        """What counts for the calls of a queue: `campaigns` has it by its file's name, without the suffix."""
        own = self.campaigns.get(Path(queue).stem)
        if own is None:
            return self
        return msgspec.structs.replace(self, detection=own.detection, recording=own.recording)

    @property
    def is_loopback(self) -> bool:
        """True when every trunk is at a literal loopback address, so nobody's real phone can ring."""
        return all(_is_loopback(trunk.proxy or trunk.server) for trunk in self.all_trunks.values())

    @property
    def hours_enforced(self) -> bool:
        """Whether the calling-hours guard is on for this trunk."""
        if self.compliance.calling_hours == "off":
            return False
        return not self.nobody_can_ring

    @property
    def gauge_enforced(self) -> bool:
        """Whether the abandoned-call gauge is on for this trunk."""
        return self.compliance.max_abandoned < 100 and not self.nobody_can_ring

    @property
    def nobody_can_ring(self) -> bool:
        """True for a loopback trunk, unless the configuration says that it leads to real phones."""
        return self.is_loopback and self.compliance.loopback_exempt


def warnings_of(config: Config) -> list[str]:
    """What the configuration allows and should not rely on, a sentence each."""
    unverified = [
        f"{trunk_path(name)}.tls_verify = false: any certificate is taken for the trunk's: whoever is on "
        "the way there can read and change every call"
        for name, trunk in config.all_trunks.items()
        if not trunk.tls_verify
    ]
    return unverified + [
        f"{trunk_path(name)}.srtp: the keys of encrypted audio cross the network in clear, since "
        "the signalling that carries them is not encrypted (transport)"
        for name, trunk in config.all_trunks.items()
        if trunk.srtp != "off" and ((trunk.proxy and split_proxy(trunk.proxy)[2]) or trunk.transport) != "tls"
    ]


def trunk_path(name: str) -> str:
    """A trunk's section in the configuration."""
    return name if name == FIRST_TRUNK else f"trunks.{name}"


def _is_loopback(server: str) -> bool:
    host = split_proxy(server)[0]
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class SetupError(Exception):
    """The phone can't be set up as configured; the text is one plain sentence with what to change."""


def default_path() -> Path:
    return Path(platformdirs.user_config_dir("offhook")) / "config.toml"


def state_dir() -> Path:
    """Where the store and logs live unless the configuration says otherwise."""
    return Path(platformdirs.user_state_dir("offhook"))


def runtime_dir() -> Path:
    """The user's runtime directory, for the control socket."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # without XDG_RUNTIME_DIR it falls back to /tmp, and says so each time
        return Path(platformdirs.user_runtime_dir("offhook"))


def recordings_folder(config: Recording) -> Path:
    """Where recordings go; by default a folder in the state directory."""
    return Path(config.folder).expanduser().absolute() if config.folder else state_dir() / "recordings"


def samples_folder(config: Config) -> Path:
    """Where known announcements are; by default a folder in the state directory."""
    folder = config.detection.samples
    return Path(folder).expanduser().absolute() if folder else state_dir() / "samples"


def plans_file(config: Config) -> Path | None:
    """The file of tone plans of the user's own; None: there is none."""
    file = config.detection.tone_plans
    return Path(file).expanduser().absolute() if file else None


def control_socket(config: Config) -> Path:
    """Where the engine's control socket is."""
    if config.control.socket:
        return Path(config.control.socket).expanduser()
    return runtime_dir() / "control.sock"


def store_url(config: Config) -> str:
    """The store's SQLAlchemy URL; by default a SQLite file in the state directory."""
    return config.store.url or f"sqlite:///{state_dir() / 'offhook.db'}"


def split_host_port(text: str, default: int = 5060) -> tuple[str, int]:
    """`host`, `host:port`, `[v6]:port` or a bare IPv6 address. Raises ValueError for a bad port."""
    text = text.strip()
    if match := re.fullmatch(r"\[([^\]]+)\](?::(\d+))?", text):
        host, port = match[1], match[2]
    elif text.count(":") > 1:
        host, port = text, None
    else:
        host, _, port = text.partition(":")
        port = port if ":" in text else None
    number = default if port is None else int(port) if port.isdigit() else -1
    if not 0 <= number <= 65535:
        raise ValueError(f"port {port!r} is not between 0 and 65535")
    return host, number


def split_proxy(text: str, default: int = 5060) -> tuple[str, int, Literal["udp", "tcp", "tls"] | None]:
    """Host, port and transport of `host:port` or of a URI such as `sip:host:port;transport=tcp;lr`.

    Raises ValueError.
    """
    scheme, colon, rest = text.strip().partition(":")
    if not colon or scheme.lower() not in ("sip", "sips"):
        return *split_host_port(text, default), None
    where, *params = rest.split(";")
    found = dict(p.lower().partition("=")[::2] for p in params)
    transport = "tls" if scheme.lower() == "sips" else found.get("transport")
    if transport not in (None, "udp", "tcp", "tls"):
        raise ValueError(f"transport {transport!r} is not udp, tcp or tls")
    return *split_host_port(where, default), cast(Literal["udp", "tcp", "tls"] | None, transport)


def port_range(text: str) -> tuple[int, int]:
    """`low-high`, both within 1024-65535, with room for at least two ports. Raises ValueError."""
    match = re.fullmatch(r"\s*(\d+)\s*-\s*(\d+)\s*", text)
    if not match or not 1024 <= int(match[1]) < int(match[2]) <= 65535:
        raise ValueError(text)
    return int(match[1]), int(match[2])
