"""A scheduling priority for the media thread: as much as this user may have.

What makes a 20 ms tick late on a busy machine is the kernel's scheduler: a thread that wakes waits out the
time slice of whoever runs, up to 4 ms. Threads started by the media thread do not inherit what it gets.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct

REALTIME_PRIORITY = 10
NICE = -11
SLICE_NS = 100_000

_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}
_RESET_ON_FORK_FLAG = 1


def raise_priority(*, ask: bool = True) -> str:
    """Raise the calling thread's priority; the word for what was granted.

    `real-time` (SCHED_RR; as root, or within RLIMIT_RTPRIO, which distributions give to their audio groups),
    else `nice` (within RLIMIT_NICE), else `short slice` (Linux 6.12 and later: served sooner for less time
    at once), else `normal`. Without `ask` nothing is tried that needs a privilege.
    """
    if not ask:
        return "short slice" if _short_slice() else "normal"
    try:
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(REALTIME_PRIORITY))
        return "real-time"
    except OSError:
        pass
    try:
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
        os.sched_setscheduler(0, os.SCHED_OTHER | os.SCHED_RESET_ON_FORK, os.sched_param(0))
        return "nice"
    except OSError:
        pass
    return "short slice" if _short_slice() else "normal"


def _short_slice() -> bool:
    number = _SCHED_SETATTR.get(platform.machine())
    if number is None:
        return False
    # struct sched_attr: size, policy, flags, nice, priority, runtime, deadline, period
    attributes = struct.pack("=IIQiIQQQ", 48, os.SCHED_OTHER, _RESET_ON_FORK_FLAG, 0, 0, SLICE_NS, 0, 0)
    return bool(ctypes.CDLL(None).syscall(number, 0, attributes, 0) == 0)
