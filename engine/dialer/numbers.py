"""Telephone numbers: what a list or an operator wrote, what is dialled, and what is known of it."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import phonenumbers
from phonenumbers import PhoneNumber, PhoneNumberType, timezone

MAX_LENGTH = 32
"""Longest number that is dialled, in characters; E.164 allows 15 digits and prefixes come on top."""

_SEPARATORS = re.compile(r"[\s\-‐-―−().·/  ]+|^tel:", re.IGNORECASE)
_TRUNK_ZERO = re.compile(r"^(\+\d[\d\s\-.]*?)\s*\(0\)")
_DIALABLE = re.compile(r"\+?[0-9*#]+")
_FLOAT = re.compile(r"^(\+?\d{5,})\.0{1,2}$")  # how programs write a column they took for numbers
_EXPONENT = re.compile(r"[+\-]?\d+([.,]\d+)?[eE][+\-]?\d+")

NumberFormat = Literal["as_dialed", "e164", "e164_no_plus", "national"]

_UNKNOWN_ZONE = "Etc/Unknown"

_RENAMED = {
    "Africa/Asmera": "Africa/Asmara",
    "America/Buenos_Aires": "America/Argentina/Buenos_Aires",
    "America/Godthab": "America/Nuuk",
    "Asia/Calcutta": "Asia/Kolkata",
    "Asia/Choibalsan": "Asia/Ulaanbaatar",
    "Asia/Katmandu": "Asia/Kathmandu",
    "Asia/Rangoon": "Asia/Yangon",
    "Atlantic/Faeroe": "Atlantic/Faroe",
    "Pacific/Enderbury": "Pacific/Kanton",
    "Pacific/Ponape": "Pacific/Pohnpei",
    "Pacific/Truk": "Pacific/Chuuk",
}
"""Old zone names in phonenumbers' data, which systems no longer install by default."""


class NumberError(ValueError):
    """A text that is no telephone number; one sentence says why."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number: `dialable` goes to the trunk as the list wrote it, without separators.

    `e164` is empty where the country can't be told or the number is not one of its plan. `zones`
    are all time zones that the callee may be in, empty where they can't be told. `national` is
    the number within its country, without trunk prefix.
    """

    dialable: str
    e164: str = ""
    region: str = ""
    national: str = ""
    zones: tuple[str, ...] = ()
    kind: int = PhoneNumberType.UNKNOWN

    @property
    def key(self) -> str:
        """The same for every way to write the same number."""
        return self.e164 or self.dialable


def clean(text: str) -> str:
    """The number without separators, full-width digits made plain. Raises NumberError."""
    shown = text if len(text) <= 40 else text[:37] + "..."
    if _EXPONENT.fullmatch(text.strip()):
        raise NumberError(
            f"{shown} is how a spreadsheet abbreviates a long number, and its last digits are lost: "
            "format the column as text and export it again"
        )
    plain = unicodedata.normalize("NFKC", text).strip().strip("'\"").strip()
    plain = _FLOAT.sub(r"\1", plain)
    plain = _TRUNK_ZERO.sub(r"\1", plain)
    plain = _SEPARATORS.sub("", plain)
    if not plain:
        raise NumberError("the number is empty")
    if len(plain) > MAX_LENGTH:
        raise NumberError(f"{shown} is longer than {MAX_LENGTH} characters")
    if not _DIALABLE.fullmatch(plain) or not plain.isascii():
        raise NumberError(f"{shown!r} is not a number: digits, a leading +, * and # are allowed")
    if not any(c.isdigit() for c in plain):
        raise NumberError(f"{shown!r} has no digit")
    return plain


@lru_cache(maxsize=4096)
def parse(text: str, country: str = "") -> Number:
    """What can be known of a number written in `country` (two letters, empty: unknown).

    Raises NumberError for what can't be dialled at all. A short or unassigned number is no error:
    it has no `e164`.
    """
    dialable = clean(text)
    parsed = _parse(dialable, country)
    if parsed is None:
        return Number(dialable)
    national = phonenumbers.national_significant_number(parsed)
    valid = phonenumbers.is_valid_number(parsed)
    where = phonenumbers.region_code_for_number(parsed) if valid else country.upper()
    if not where or (not valid and dialable.startswith("+")):
        where = phonenumbers.region_code_for_country_code(parsed.country_code or 0)
    return Number(
        dialable,
        e164=_e164(parsed),
        region="" if where == "ZZ" else where,
        national=national,
        zones=_zones(parsed, valid),
        kind=phonenumbers.number_type(parsed),
    )


def written(number: Number, style: NumberFormat, country: str) -> str:
    """The number as a trunk in `country` wants it; as it was dialled where it can't be read.

    `national` is what one would dial there: the trunk prefix within the country, 00 or the like abroad.
    """
    if style == "as_dialed" or not number.e164:
        return number.dialable
    if style == "national":
        parsed = phonenumbers.parse(number.e164)
        spaced = phonenumbers.format_out_of_country_calling_number(parsed, country.upper())
        return re.sub(r"[^0-9+]", "", spaced) or number.dialable
    return number.e164 if style == "e164" else number.e164.lstrip("+")


def key_of(text: str, country: str = "") -> str:
    """`Number.key` alone, in half the time, for the numbers of a long list. Raises NumberError."""
    dialable = clean(text)
    parsed = _parse(dialable, country)
    return _e164(parsed) or dialable if parsed is not None else dialable


def _parse(dialable: str, country: str) -> PhoneNumber | None:
    region = country.upper() or None
    if "*" in dialable or "#" in dialable or (region is None and not dialable.startswith("+")):
        return None
    try:
        return phonenumbers.parse(dialable, region)
    except phonenumbers.NumberParseException:
        return None


def _e164(parsed: PhoneNumber) -> str:
    if not phonenumbers.is_possible_number(parsed):
        return ""
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def _zones(parsed: PhoneNumber, valid: bool) -> tuple[str, ...]:
    # A number that is not of the plan still begins with digits that say where it would be.
    find = timezone.time_zones_for_number if valid else timezone.time_zones_for_geographical_number
    return tuple(_RENAMED.get(zone, zone) for zone in find(parsed) if zone != _UNKNOWN_ZONE)
