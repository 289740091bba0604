"""How this program signs in to NocoBase.

The environment (`NOCOBASE_API_KEY`, or `NOCOBASE_ACCOUNT` and `NOCOBASE_PASSWORD`) wins over the stack's secret
configuration value `nocobaseApiKey`, which stays encrypted. There is no other source.

The process of the push reads the login, too, and every `pulumi up` waits for that process: so this module, unlike the
other settings, does without the import of pydantic, which takes as long as the push itself.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from provisioning.errors import Problem

API_KEY = "nocobaseApiKey"
"""The configuration key of the API key; its value must be secret."""


@dataclass(frozen=True)
class NocoBaseLogin:
    """An API key, or an account with its password; the API key is used where both are given."""

    api_key: str = field(default="", repr=False)
    account: str = ""
    password: str = field(default="", repr=False)


def load_login(configured_api_key: str | None, environment: Mapping[str, str] = os.environ) -> NocoBaseLogin | None:
    """The login, or None where neither the environment nor the stack has a complete one."""
    login = NocoBaseLogin(
        api_key=environment.get("NOCOBASE_API_KEY") or "",
        account=environment.get("NOCOBASE_ACCOUNT") or "",
        password=environment.get("NOCOBASE_PASSWORD") or "",
    )
    if login.api_key or (login.account and login.password):
        return login
    return NocoBaseLogin(api_key=configured_api_key) if configured_api_key else None


def missing_login() -> Problem:
    """What to say when neither the environment nor the stack has a login to NocoBase."""
    why = "No login to NocoBase: neither NOCOBASE_API_KEY nor NOCOBASE_ACCOUNT with NOCOBASE_PASSWORD is set."
    remedy = f"export NOCOBASE_API_KEY=… (NocoBase: Settings → API keys), or pulumi config set --secret {API_KEY}"
    return Problem("NOCOBASE_API_KEY", None, why, remedy)
