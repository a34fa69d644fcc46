"""TLS on DICOM's ports, in both directions, and why a connection does not come about.

Source:
    DICOM PS3.15: the profile of BCP 195 (RFC 8996 and 9325).
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress

from edge_app.errors import SettingsError
from edge_app.node_settings import TlsFiles

# Of TLS 1.2; those of 1.3 are all as they should be. Source: RFC 9325, section 4.2.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
# Of X509_verify_cert in OpenSSL: not yet valid and expired; another host, another address.
_OUT_OF_DATE, _OTHER_NAME = (9, 10), (62, 64)
_ASKING_S = 5.0
_LISTENING_S = 2.0  # for a refusal of this node's certificate, which TLS 1.3 sends after its handshake


def receiving_context(files: TlsFiles) -> ssl.SSLContext:
    """Return how the port speaks TLS; with an authority, only to those who show its certificate.

    Raises:
        SettingsError: a file cannot be used.
    """
    context = _context(ssl.PROTOCOL_TLS_SERVER, files)
    if files.authority_path is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def calling_context(files: TlsFiles) -> ssl.SSLContext:
    """Return how an archive is called: its certificate must be the authority's, and for its host.

    Raises:
        SettingsError: a file cannot be used.
    """
    return _context(ssl.PROTOCOL_TLS_CLIENT, files)


def caller_fault(error: OSError) -> str:
    """Say what is wrong with one who called this node's port.

    Args:
        error: What its handshake ended with.

    Returns:
        A sentence.
    """
    reason = getattr(error, "reason", None) or ""
    if reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        return "It shows no certificate: give it one of the authority of --dicom-authority."
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"Its certificate is not trusted here: {error.verify_message}."
    if "ALERT" in reason:
        return "It does not trust this computer's certificate: add its authority there."
    return "It speaks no TLS 1.2 or newer, which this port asks for: switch that on there."


def archive_fault(host: str, port: int, context: ssl.SSLContext | None) -> str:
    """Find out why an archive cannot be called, by shaking hands with it once more.

    Args:
        host: Its name or address.
        port: Its port.
        context: How it is called; None: without TLS.

    Returns:
        A word for the reason; empty where TLS has no part in it.
    """
    with suppress(OSError), socket.create_connection((host, port), _ASKING_S) as connection:
        if context is None:
            return "tls_wanted" if _answers_in_tls(connection) else ""
        return _handshake_fault(connection, host, context)
    return ""


def web_fault(error: BaseException) -> str:
    """Find out why an archive could not be called by https.

    Args:
        error: What was raised about TLS; the reason stands in what led to it.

    Returns:
        A word for the reason.
    """
    rejected = next(
        (each for each in _causes(error) if isinstance(each, ssl.SSLCertVerificationError)), None
    )
    return _certificate_fault(rejected.verify_code) if rejected else "no_tls"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _context(protocol: ssl._SSLMethod, files: TlsFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    # So that a certificate that an archive signed itself can be trusted for what it is.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        if files.certificate_path is not None:
            # An empty passphrase: a locked key is refused, and nobody is asked at a terminal.
            context.load_cert_chain(files.certificate_path, files.key_path, password="")  # nosec B106 # above
        if files.authority_path is not None:
            context.load_verify_locations(files.authority_path)
    except (OSError, ValueError) as error:  # ssl's errors are OSErrors
        paths = ", ".join(str(path) for path in files if path is not None)
        raise SettingsError(
            f"DICOM's TLS cannot use {paths}: {error}. Expected files in PEM form: a certificate, its own "
            "key without a passphrase, and the authority's certificate."
        ) from error
    return context


def _answers_in_tls(connection: socket.socket) -> bool:
    """Tell whether the other side understands TLS, whatever it then says."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # nothing is sent to it
    try:
        with context.wrap_socket(connection):
            return True
    except OSError as error:
        return _is_alert(error)


def _handshake_fault(connection: socket.socket, host: str, context: ssl.SSLContext) -> str:
    try:
        with context.wrap_socket(connection, server_hostname=host) as secured:
            secured.settimeout(_LISTENING_S)
            with suppress(TimeoutError):
                secured.recv(1)
            return ""
    except ssl.SSLCertVerificationError as error:
        return _certificate_fault(error.verify_code)
    except OSError as error:
        return "own_certificate" if _is_alert(error) else "no_tls"


def _certificate_fault(code: int) -> str:
    if code in _OUT_OF_DATE:
        return "certificate_date"
    return "certificate_name" if code in _OTHER_NAME else "certificate"


def _is_alert(error: OSError) -> bool:
    """Tell whether the other side speaks TLS, new enough, and refused."""
    reason = getattr(error, "reason", None) or ""
    return "ALERT" in reason and "PROTOCOL_VERSION" not in reason
