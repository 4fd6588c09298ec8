"""Dial rules: regular expressions that rewrite a number for a trunk, bounded in what they can cost."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from engine.config import Rule

MAX_RULE = 200
"""Longest `match` or `replace`, in characters."""
MAX_COST = 15
"""What a rule may hold: `|` counts 1, a repeat (`*`, `+`, `?`, `{,}`) counts 3."""
MAX_DIALLED = 32
"""Longest number that a rule may make, in characters."""

_REPEATED_GROUP = re.compile(r"\)\s*(?:[*+]|\{)")
_REPEAT = re.compile(r"[*+]|\{[0-9]*,[0-9]*\}|\?")
_DIALABLE = re.compile(r"\+?[0-9*#]+")


class RuleError(ValueError):
    """A rule that can't be used; one sentence says why."""


def compiled(rule: Rule) -> re.Pattern[str]:
    """The rule's expression. Raises RuleError.

    Python's matcher can't be interrupted, so what could make it run for minutes on 32 digits is refused:
    a group that is repeated, and more choices than MAX_COST. What is left ends within a second.
    """
    if max(len(rule.match), len(rule.replace)) > MAX_RULE:
        raise RuleError(f"{MAX_RULE} characters at the most are allowed")
    bare = re.sub(r"\\.", "x", rule.match)
    bare = re.sub(r"\[\^?\]?[^\]]*\]", "x", bare)  # in a set, * and + are themselves
    if _REPEATED_GROUP.search(bare):
        raise RuleError("a group can't be repeated: ( ) may be followed by ? alone")
    if 3 * len(_REPEAT.findall(bare.replace("(?", "("))) + bare.count("|") > MAX_COST:
        raise RuleError(f"{MAX_COST // 3} of * + ? {{,}}, or {MAX_COST} of |, at the most are allowed")
    return _compile(rule.match, rule.replace)


@lru_cache(maxsize=256)
def _compile(match: str, replace: str) -> re.Pattern[str]:
    try:
        pattern = re.compile(match, re.ASCII)
    except (re.error, OverflowError, RecursionError) as error:
        raise RuleError(f"a regular expression is needed ({error})") from None
    try:
        pattern.sub(replace, "")  # reads `replace` whether anything matches or not
    except (re.error, IndexError) as error:
        raise RuleError(f"replace has no such group ({error})") from None
    return pattern


def rewrite(number: str, rules: Sequence[Rule]) -> tuple[str, int | None]:
    """The number after the first rule that matches it, and that rule's place; the number and None where
    none does. Raises RuleError where the result can't be dialled.
    """
    for place, rule in enumerate(rules):
        pattern = compiled(rule)
        if pattern.search(number) is None:
            continue
        result = pattern.sub(rule.replace, number, count=1)
        if not _DIALABLE.fullmatch(result) or len(result) > MAX_DIALLED:
            shown = result[:MAX_DIALLED]
            raise RuleError(f"rule {place + 1} makes {shown!r} of {number}, which can't be dialled")
        return result, place
    return number, None
