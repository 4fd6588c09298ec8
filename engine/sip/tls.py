"""TLS towards the trunk: what is accepted there, and what goes wrong in words (RFC 3261, 26.3; RFC 5922)."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from engine.sip.hop import Hop

_UNKNOWN_ISSUER = {2, 18, 19, 20, 21}
"""OpenSSL's verify codes for a chain that ends at nobody we know."""
_WRONG_NAME = {62, 64}
_NOT_TLS = (
    "WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL",
    "RECORD_LAYER_FAILURE", "PACKET_LENGTH",
)


class TlsError(Exception):
    """TLS can't be set up as configured; the text is one plain sentence."""


@dataclass(frozen=True, slots=True)
class TlsTerms:
    """`ca` is a PEM file with the only authorities trusted (empty: the system's), `server_name` the name
    that the certificate must be for (empty: the trunk's own)."""

    ca: str = ""
    verify: bool = True
    server_name: str = ""

    def context(self) -> ssl.SSLContext:
        """TLS 1.2 or later. Raises TlsError."""
        try:
            context = ssl.create_default_context(cafile=str(Path(self.ca).expanduser()) if self.ca else None)
        except OSError as error:  # ssl.SSLError is one
            why = "it holds no certificate in PEM form" if isinstance(error, ssl.SSLError) else error.strerror
            raise TlsError(f"{self.ca} can't be used as the file of trusted authorities ({why})") from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # set by Python 3.13: it refuses what private authorities issue without an Authority Key Identifier
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def explain(error: BaseException, hop: Hop, name: str) -> str:
    """Why no connection came about, in one sentence that says how to mend it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate(error, hop, name)
    if isinstance(error, ssl.SSLError):
        reason = str(error.reason or error).upper()
        if any(sign in reason for sign in _NOT_TLS):
            return f"{hop} does not speak TLS: check the port (5061 is usual) and trunk.transport"
        return f"no TLS with {hop}: {str(error.reason or error).lower().replace('_', ' ')}"
    if isinstance(error, TimeoutError):
        return f"no connection with {hop} came about in time: check the address, the port and firewalls"
    if isinstance(error, ConnectionRefusedError):
        return f"{hop} refuses connections: check the port and trunk.transport"
    if hop.transport == "tls" and isinstance(error, ConnectionError):
        return f"{hop} closed the connection before TLS was agreed: check the port and trunk.transport"
    return f"no connection with {hop}: {getattr(error, 'strerror', None) or error}"


def _certificate(error: ssl.SSLCertVerificationError, hop: Hop, name: str) -> str:
    code = error.verify_code
    if code in _WRONG_NAME:
        return f"the certificate of {hop} is not for {name}: check trunk.server, or set trunk.tls_server_name"
    if code in _UNKNOWN_ISSUER:
        return (
            f"the certificate of {hop} was issued by nobody who is trusted here: "
            "name the file with the issuer's certificate in trunk.tls_ca"
        )
    if code == 10:
        return f"the certificate of {hop} has expired: the trunk must renew it (or our clock is wrong)"
    if code == 9:
        return f"the certificate of {hop} is not valid yet: check this machine's clock"
    return f"the certificate of {hop} can't be accepted: {error.verify_message}"
