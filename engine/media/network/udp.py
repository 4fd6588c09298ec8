"""UDP in the media thread: calls that never block and never let go of the interpreter lock.

`socket.sendto` releases the lock around the system call. With a busy thread beside it, each of a
tick's sends would then wait a whole switch interval to get it back: thirty legs, thirty waits. A
non-blocking datagram call takes microseconds, so these go through ctypes' PyDLL and keep the lock.
"""

from __future__ import annotations

import ctypes
import ipaddress
import socket
import struct
import time
from typing import Literal

from engine.media.network.rtp import HEADER, MAX_PACKET

_libc = ctypes.PyDLL(None)
_sendto = _libc.sendto
_sendto.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_char_p,
                    ctypes.c_uint]
_sendto.restype = ctypes.c_ssize_t
_send_from = _libc["sendto"]  # the same, from an address
_send_from.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_char_p,
                       ctypes.c_uint]
_send_from.restype = ctypes.c_ssize_t
_recvfrom = _libc.recvfrom
_recvfrom.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_void_p,
                      ctypes.c_void_p]
_recvfrom.restype = ctypes.c_ssize_t
_ioctl = _libc.ioctl
_ioctl.argtypes = [ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p]

_SIOCGSTAMPNS = 0x8907
_SOCKADDR_4 = 16
_RECV_FLAGS = socket.MSG_DONTWAIT | socket.MSG_TRUNC
_SEND_FLAGS = socket.MSG_DONTWAIT


def sockaddr(host: str, port: int, family: int = socket.AF_UNSPEC) -> bytes | None:
    """A literal unicast address as a struct sockaddr; None for anything we must not send to.

    `family` is the socket's: one of IPv6 sends to an IPv4 address as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2), one
    of IPv4 can't send to an IPv6 address.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    if not 0 < port < 65536 or address.is_multicast or address.is_unspecified:
        return None
    if address.version == 4:
        if address.packed == b"\xff\xff\xff\xff":
            return None
        if family == socket.AF_INET6:
            mapped = bytes(10) + b"\xff\xff" + address.packed
            return struct.pack("=H", socket.AF_INET6) + struct.pack("!HI", port, 0) + mapped + bytes(4)
        return struct.pack("=H", socket.AF_INET) + struct.pack("!H", port) + address.packed + bytes(8)
    if family == socket.AF_INET:
        return None
    return struct.pack("=H", socket.AF_INET6) + struct.pack("!HI", port, 0) + address.packed + bytes(4)


def host_port(address: bytes) -> tuple[str, int]:
    """The literal host and the port of a struct sockaddr."""
    port = int.from_bytes(address[2:4], "big")
    if int.from_bytes(address[:2], "little" if struct.pack("=H", 1)[0] else "big") == socket.AF_INET:
        return str(ipaddress.IPv4Address(address[4:8])), port
    six = ipaddress.IPv6Address(address[8:24])
    return str(six.ipv4_mapped or six), port


def same_host(a: bytes, b: bytes) -> bool:
    """Whether two struct sockaddrs of one family name the same host, whatever their ports."""
    if len(a) == _SOCKADDR_4:
        return a[4:8] == b[4:8] and len(b) == _SOCKADDR_4
    return a[8:24] == b[8:24] and len(a) == len(b)


def scope(address: bytes) -> Literal["loopback", "private", "global"]:
    """How far a struct sockaddr's host can be reached from; private is also what carriers' NAT uses."""
    host = ipaddress.ip_address(host_port(address)[0])
    if host.is_loopback:
        return "loopback"
    return "global" if host.is_global else "private"


def next_port(address: bytes) -> bytes | None:
    """The same host's next port; None where there is none."""
    port = int.from_bytes(address[2:4], "big") + 1
    return address[:2] + port.to_bytes(2, "big") + address[4:] if port < 65536 else None


def send(fd: int, data: bytes, address: bytes) -> bool:
    """Send one datagram; False where the kernel did not take it."""
    return bool(_sendto(fd, data, len(data), _SEND_FLAGS, address, len(address)) >= 0)


class Inbox:
    """Receives into one buffer for all sockets; for one thread only.

    `take` a datagram, then look at it where it lies: `header`, `source`, `data`. The next one overwrites it.
    """

    def __init__(self) -> None:
        self._buffer = ctypes.create_string_buffer(MAX_PACKET)
        self._view = memoryview(self._buffer).cast("B")
        self._address = ctypes.create_string_buffer(28)
        self._address_view = memoryview(self._address).cast("B")
        self._length = ctypes.c_uint(28)
        self._at = ctypes.addressof(self._buffer)
        self._stamp = (ctypes.c_long * 2)()
        self._stamp_at = ctypes.addressof(self._stamp)
        self._args = (ctypes.addressof(self._address), ctypes.addressof(self._length))

    def take(self, fd: int) -> int:
        """The next datagram's size in octets, more than `MAX_PACKET` for one cut off; -1 for none."""
        self._length.value = 28
        size: int = _recvfrom(fd, self._at, MAX_PACKET, _RECV_FLAGS, *self._args)
        return size

    def arrived(self, fd: int) -> float:
        """When the datagram taken last from a socket reached this machine, in monotonic seconds: it may have
        waited there. The kernel notes it from the first time on that it is asked.
        """
        now = time.monotonic()
        if _ioctl(fd, _SIOCGSTAMPNS, self._stamp_at) < 0:
            return now
        seconds, ns = self._stamp
        waited = time.time() - seconds - ns / 1e9
        return now - waited if 0 < waited < 1 else now

    def header(self) -> tuple[int, int, int, int, int]:
        """The first twelve octets, as `rtp.HEADER` has them; earlier ones where the datagram is shorter."""
        found: tuple[int, int, int, int, int] = HEADER.unpack_from(self._view)
        return found

    def source(self) -> bytes:
        """The sender's struct sockaddr."""
        return self._address_view[: self._length.value].tobytes()

    def data(self, size: int) -> bytes:
        """The datagram of the size that `take` gave; empty for one cut off."""
        return self._view[:size].tobytes() if size <= MAX_PACKET else b""

    def payload(self, size: int) -> memoryview:
        """What follows a header of twelve octets, where it lies."""
        return self._view[12:size]

    def send_on(
        self, fd: int, size: int, address: bytes, header: tuple[int, int, int, int, int]
    ) -> bool:
        """Send the datagram on with another header, uncopied; False where the kernel did not take it."""
        HEADER.pack_into(self._view, 0, *header)
        return bool(_send_from(fd, self._at, size, _SEND_FLAGS, address, len(address)) >= 0)
