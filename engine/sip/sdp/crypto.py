"""Keys for SRTP in session descriptions (RFC 4568, "SDES"): the a=crypto line, read and written."""

from __future__ import annotations

import base64
import binascii
import os
import re
from dataclasses import dataclass, field
from typing import Literal

from engine.sip.uri import number

Srtp = Literal["off", "preferred", "required"]
SUITES = ("AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32")
"""Suites that we speak, the best first."""
KEY_AND_SALT = 30
"""Octets of master key (16) and master salt (14) of both (6.2.1)."""
_KEY = re.compile(rb"(?i)(\binline:)([^\s|;]+)")
_LIFETIME = re.compile(r"(2\^)?(\d{1,15})")
_MAX_MKI = 128


@dataclass(frozen=True, slots=True)
class Crypto:
    """One a=crypto line that can be used. `key` is master key and salt; `mki` octets follow each packet's
    payload to name the key, 0 none.
    """

    tag: int
    suite: str
    key: bytes = field(repr=False)
    mki: int = 0

    @classmethod
    def make(cls, tag: int, suite: str) -> Crypto:
        return cls(tag, suite, os.urandom(KEY_AND_SALT))

    @property
    def line(self) -> str:
        return f"a=crypto:{self.tag} {self.suite} inline:{base64.b64encode(self.key).decode()}"


def mask_keys(message: bytes) -> bytes:
    """The same with every key starred out; no octet more or less, so that lengths in it stay right."""
    return _KEY.sub(lambda found: found[1] + b"*" * len(found[2]), message)


def parse_crypto(value: str) -> Crypto | None:
    """The attribute's value; None where it is damaged or asks for what we don't do.

    That is an unknown suite, several keys in turn, or a session parameter that changes the packets
    (unencrypted or unauthenticated ones, a key derivation rate, FEC). A parameter that begins with "-" may be
    ignored (6.3.7), and so may the window's size hint.
    """
    words = value.split()
    if len(words) < 3:
        return None
    tag, suite, keys = number(words[0], 10**9), words[1].upper(), words[2]
    if tag is None or suite not in SUITES or not keys.lower().startswith("inline:") or ";" in keys:
        return None
    for parameter in words[3:]:
        if not parameter.startswith(("-", "WSH=")) and parameter != "KDR=0":
            return None
    text, *parts = keys[7:].split("|")
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(key) != KEY_AND_SALT or len(parts) > 2:
        return None
    mki = 0
    for place, part in enumerate(parts):
        if ":" in part:  # MKI value : its length in octets; always the last
            value_text, _, length = part.partition(":")
            mki = number(length, _MAX_MKI + 1) or 0
            if not mki or not value_text.isascii() or not value_text.isdigit() or place != len(parts) - 1:
                return None
        elif place or not _LIFETIME.fullmatch(part):
            return None
    return Crypto(tag, suite, key, mki)
