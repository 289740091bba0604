"""How azure-identity opens its connections, by the rules of `connections` as all others of this program; and its log.

Left alone, it reads the environment by requests, which knows no ranges with IPv6 in NO_PROXY and other variables for
certificates, so that the sign-in would take another way than what follows it.
"""

from __future__ import annotations

import logging
from typing import Any

# azure-core's own HTTP library.
import requests
from azure.core.pipeline.transport import HttpTransport, RequestsTransport
from requests.adapters import HTTPAdapter

from provisioning.connections import proxy_for, trusted

NOWHERE = logging.NullHandler()
"""Takes log records and shows none."""


def quiet_azure() -> None:
    """Keep azure-identity's log off stderr: it repeats what is told as an error, in words from outside."""
    logging.getLogger("azure").addHandler(NOWHERE)


def transport() -> HttpTransport[Any, Any]:
    """The transport of one credential. Raises CertificatesUnusable."""
    session = requests.Session()
    session.trust_env = False
    adapter = _ByRules()
    for scheme in ("https://", "http://"):
        session.mount(scheme, adapter)
    made: HttpTransport[Any, Any] = RequestsTransport(session=session)
    return made


class _ByRules(HTTPAdapter):
    """Takes the proxy that `connections` names, and trusts whom it trusts."""

    def __init__(self) -> None:
        self._trusted = trusted()
        super().__init__(max_retries=0)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """Connect directly. The signature is that of requests."""
        super().init_poolmanager(*arguments, ssl_context=self._trusted, **options)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """Connect through `proxy`. The signature is that of requests."""
        contexts = {"ssl_context": self._trusted, "proxy_ssl_context": self._trusted}
        return super().proxy_manager_for(proxy, **contexts, **options)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Verify by the context alone. The signature is that of requests.

        requests names certifi's file here, and urllib3 loads it into the context, which all connections share.
        """
        conn.cert_reqs = "CERT_REQUIRED"

    def send(self, request: requests.PreparedRequest, *arguments: Any, **options: Any) -> requests.Response:
        """Send, by the rules. The signature is that of requests. Raises ProxyUnusable."""
        proxy = proxy_for(str(request.url))
        return super().send(request, *arguments, **{**options, "proxies": {"all": proxy} if proxy else {}})
