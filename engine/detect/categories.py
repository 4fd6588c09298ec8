"""What announcements mean: mod_da2's nineteen categories, with the codes that tell them on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Category:
    """`id`, Chinese `name` and English `alias` as mod_da2 has them; `code` is its default SIP code."""

    id: int
    name: str
    alias: str
    meaning: str

    @property
    def code(self) -> int:
        return 430 + self.id


CATEGORIES: dict[int, Category] = {
    each.id: each
    for each in (
        Category(2, "关机", "power off", "the phone is switched off"),
        Category(3, "空号", "does not exist", "there is no such number"),
        Category(4, "停机", "out of service", "disconnected, mostly after a long time without payment"),
        Category(5, "正在通话中", "hold on", "in a call; many exchanges also say it when a call is declined"),
        Category(6, "用户拒接", "not convenient", "declined"),
        Category(7, "无法接通", "is not reachable", "out of coverage"),
        Category(8, "暂停服务", "not in service", "suspended for a while, mostly after a bill was not paid"),
        Category(9, "用户正忙", "busy now", "busy, without call waiting"),
        Category(10, "拨号方式不正确", "not a local number", "dialled wrongly; a prefix is missing"),
        Category(11, "呼入限制", "barring of incoming", "incoming calls are barred"),
        Category(12, "来电提醒", "call reminder", "a secretary, call reminder or voice mailbox answers"),
        Category(13, "呼叫转移失败", "forwarded", "forwarded, and the call to the other number failed"),
        Category(14, "网络忙", "line is busy", "the network is overloaded"),
        Category(15, "无人接听", "not answer", "nobody answers"),
        Category(16, "欠费", "defaulting", "a bill was not paid, the callee's or the caller's"),
        Category(17, "无法接听", "cannot be connected", "the call can't be taken"),
        Category(18, "改号", "number change", "the number has changed"),
        Category(19, "线路故障", "line fault", "this line can't place calls"),
        Category(20, "稍后再拨", "redial later", "try again later, without saying why"),
    )
}
"""By id, 2 to 20."""

BUSY = (5, 9)
"""Categories that networks also say when a ringing call was declined or not answered."""
DECLINED, NOT_ANSWERED = 6, 15
CORRECTED_AFTER_S = 45.0
"""A busy announcement after ringing means not answered when it comes later than this, declined when
sooner."""


def by_word(word: str) -> Category | None:
    """A category by its id, alias or Chinese name; mod_da2's own misspelling `does not exis` is taken too."""
    text = " ".join(word.strip().lower().split())
    if text == "does not exis":
        text = "does not exist"
    return next((c for c in CATEGORIES.values() if text in (str(c.id), c.alias, c.name)), None)


def corrected(category: int, rang: bool, call_s: float) -> int:
    """The category that a busy announcement `call_s` seconds into the call really means."""
    if category not in BUSY or not rang:
        return category
    return NOT_ANSWERED if call_s > CORRECTED_AFTER_S else DECLINED
