"""The sandbox's own certificate authority, and the bundle of all authorities that its programs trust."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from pathlib import Path

from sandbox.place import Place


@dataclass(frozen=True)
class Certificates:
    """Files in PEM: the server's certificate and key, and the bundle of all authorities to trust."""

    certificate: Path
    key: Path
    bundle: Path


def certificates(place: Place) -> Certificates:
    """The sandbox's certificates for localhost, made at the first call."""
    folder = place.certificates
    files = Certificates(folder / "server.pem", folder / "server-key.pem", folder / "bundle.pem")
    if not files.bundle.exists():
        _make(files)
    return files


def _make(files: Certificates) -> None:
    import trustme  # noqa: PLC0415 - its cryptography is needed once in a sandbox's life

    files.bundle.parent.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA(organization_name="NocoBase Outlook sandbox")
    server = authority.issue_cert("localhost", "127.0.0.1", "::1")
    files.key.touch(mode=0o600)
    server.private_key_pem.write_to_path(str(files.key))
    for number, blob in enumerate(server.cert_chain_pems):
        blob.write_to_path(str(files.certificate), append=number > 0)
    # The bundle comes last: its presence says that the others are complete.
    partial = files.bundle.with_suffix(".partial")
    partial.write_bytes(authority.cert_pem.bytes() + b"\n" + _trusted_before())
    partial.replace(files.bundle)


def _trusted_before() -> bytes:
    """The authorities that programs of this user trust now."""
    import certifi  # noqa: PLC0415 - as above

    candidates = (os.environ.get("SSL_CERT_FILE"), ssl.get_default_verify_paths().cafile, certifi.where())
    found = next((Path(path) for path in candidates if path and Path(path).is_file()), None)
    return found.read_bytes() if found else b""
