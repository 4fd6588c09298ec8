"""Digest credentials as a server checks them, written from RFC 7616 without the engine's own code."""

from __future__ import annotations

import hashlib
import re


def parameters(value: str) -> dict[str, str]:
    assert value.startswith("Digest ")
    return {k: v.strip('"') for k, v in re.findall(r'(\w+)=("[^"]*"|[^,\s]+)', value)}


def server_side(value: str, method: str, password: str, content: bytes = b"") -> str:
    """The response that a server computes of what the client sent (RFC 7616, 3.4.1 to 3.4.3)."""
    p = parameters(value)
    algorithm = p.get("algorithm", "MD5").lower()
    name = algorithm.removesuffix("-sess").replace("-", "").replace("sha512256", "sha512_256")

    def kd(*words: str) -> str:
        return hashlib.new(name, ":".join(words).encode()).hexdigest()

    a1 = kd(p["username"], p["realm"], password)
    if algorithm.endswith("-sess"):
        a1 = kd(a1, p["nonce"], p["cnonce"])
    entity = [hashlib.new(name, content).hexdigest()] if p.get("qop") == "auth-int" else []
    a2 = kd(method, p["uri"], *entity)
    if "qop" in p:
        return kd(a1, p["nonce"], p["nc"], p["cnonce"], p["qop"], a2)
    return kd(a1, p["nonce"], a2)
