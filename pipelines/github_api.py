"""The connection to GitHub's API, by the same rules for proxies and certificates as all others."""

from __future__ import annotations

import os
from collections.abc import Mapping

import httpx

from provisioning.connections import proxy_for, trusted

ANSWER_SECONDS = 30


def github_client(headers: Mapping[str, str]) -> httpx.Client:
    """A client for the API of the run's GitHub. Raises ProxyUnusable and CertificatesUnusable."""
    url = os.environ["GITHUB_API_URL"]
    return httpx.Client(
        base_url=url,
        headers=headers,
        timeout=ANSWER_SECONDS,
        verify=trusted(),
        proxy=proxy_for(url),
        trust_env=False,
    )
