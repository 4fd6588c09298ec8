"""A category guessed from what an announcement says, where its words leave no doubt."""

from __future__ import annotations

import re

_MEANINGS: tuple[tuple[int, str], ...] = (
    (2, r"power(ed)? off|switched off|turned off|关机"),
    (3, r"does not exist|not a valid number|number is (invalid|unallocated)|不存在|空号"),
    (3, r"number (that )?you (have )?(dialed|dialled|called|reached) is not in service"),
    (18, r"number .*has (been )?changed|改号|号码已(变更|更改)"),
    (4, r"out of service|(has been|is) disconnected|停机"),
    (8, r"not in service|temporarily suspended|service .*suspended|暂停服务"),
    (5, r"is talking|is on the (phone|other line)|another call|正在通话|通话中"),
    (6, r"not convenient|declined your call|不方便接听|拒接"),
    (7, r"not reachable|out of (the )?(coverage|reach|service area)|无法接通|不在服务区"),
    (14, r"all circuits (are )?busy|network (is )?(busy|congestion)|lines are busy|网络忙|线路忙"),
    (9, r"(subscriber|person|party|number|user|line)\b.* is (now )?busy|is (currently )?busy( now)?"),
    (9, r"正忙|用户忙"),
    (10, r"not a local number|must first dial|cannot (be )?completed? as dial|不是本地|加拨"),
    (11, r"incoming calls? (is |are )?barr|call barring|barring of incoming|呼入限制"),
    (12, r"leave (a|your) message|voice ?mail|call reminder|来电提醒|语音信箱|留言"),
    (13, r"forwarding (has )?failed|转移失败"),
    (15, r"no answer|is not answering|not answered|无人接听|无人应答"),
    (16, r"defaulting|in arrears|outstanding balance|insufficient (funds|credit)|欠费|余额不足"),
    (17, r"cannot be connected|can ?not take your call|is unavailable|is not available|无法接听"),
    (19, r"line fault|线路故障"),
    (20, r"(try|call|redial|dial) (your call )?(again )?later|稍后再拨"),
)
"""In order, the narrower words first: what one of them has matched is not looked at again."""

_COMPILED = [(category, re.compile(words, re.IGNORECASE)) for category, words in _MEANINGS]
LATER = 20


def meaning_of(text: str) -> int:
    """The category that words tell, 2 to 20; 0 where they tell none, or more than one. Many announcements
    end with a request to try again later, which is a category only where nothing else is said."""
    found = set()
    for category, words in _COMPILED:
        text, count = words.subn(" ", text)
        if count:
            found.add(category)
    if len(found) > 1:
        found.discard(LATER)
    return found.pop() if len(found) == 1 else 0
