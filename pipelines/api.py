"""The connection to a system's API, by the same rules for proxies and certificates as all others."""

from __future__ import annotations

from collections.abc import Mapping

import httpx

from provisioning.connections import proxy_for, trusted

ANSWER_SECONDS = 30


def api_client(url: str, headers: Mapping[str, str]) -> httpx.Client:
    """A client for the API at `url`. Raises ProxyUnusable and CertificatesUnusable."""
    return httpx.Client(
        base_url=url,
        headers=headers,
        timeout=ANSWER_SECONDS,
        verify=trusted(),
        proxy=proxy_for(url),
        trust_env=False,
    )
