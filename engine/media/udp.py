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

from engine.media.rtp import MAX_PACKET

_libc = ctypes.PyDLL(None)
_sendto = _libc.sendto
_sendto.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_char_p,
                    ctypes.c_uint]
_sendto.restype = ctypes.c_ssize_t
_recvfrom = _libc.recvfrom
_recvfrom.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_void_p,
                      ctypes.c_void_p]
_recvfrom.restype = ctypes.c_ssize_t

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
    """Whether two struct sockaddrs name the same host, whatever their ports."""
    return host_port(a)[0] == host_port(b)[0]


def send(fd: int, data: bytes, address: bytes) -> bool:
    """Send one datagram; False where the kernel did not take it."""
    return bool(_sendto(fd, data, len(data), _SEND_FLAGS, address, len(address)) >= 0)


class Receiver:
    """Receives into one buffer for all sockets; for one thread only."""

    def __init__(self) -> None:
        self._buffer = ctypes.create_string_buffer(MAX_PACKET)
        self._view = memoryview(self._buffer)
        self._address = ctypes.create_string_buffer(28)
        self._address_view = memoryview(self._address)
        self._length = ctypes.c_uint(28)
        self._args = (ctypes.addressof(self._buffer), ctypes.addressof(self._address),
                      ctypes.addressof(self._length))

    def receive(self, fd: int) -> tuple[bytes, bytes] | None:
        """One datagram and its sender's struct sockaddr; None when there is none.

        One longer than `MAX_PACKET` comes back as empty bytes.
        """
        data, address, length = self._args
        self._length.value = 28
        size = _recvfrom(fd, data, MAX_PACKET, _RECV_FLAGS, address, length)
        if size < 0:
            return None
        source = self._address_view[: self._length.value].tobytes()
        return (self._view[:size].tobytes() if size <= MAX_PACKET else b""), source
