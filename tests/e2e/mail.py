"""Mail servers on this machine, in the place of Microsoft's."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from sandbox.certificates import certificates
from sandbox.place import Place
from tests import mail_servers


@contextmanager
def mail(place: Place) -> Iterator[list[str]]:
    """Options that lead doctor to an IMAP and an SMTP server on this machine."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    files = certificates(place)
    tls.load_cert_chain(files.certificate, files.key)
    with mail_servers.imap(tls) as imap, mail_servers.smtp(tls) as smtp:
        yield ["--endpoint", f"imap={imap}", "--endpoint", f"smtp={smtp}", "--endpoint", f"smtp-outlook={smtp}"]
