"""How this program signs in to NocoBase.

The environment (`NOCOBASE_API_KEY`, or `NOCOBASE_ACCOUNT` and `NOCOBASE_PASSWORD`) wins over the stack's secret
configuration value `nocobaseApiKey`, which stays encrypted. There is no other source. An installation with a name has a
login of its own: NOCOBASE_API_KEY_<NAME> and so on, and `nocobaseApiKeys.<name>`.

Unlike the other settings, this module does not import pydantic: the process of the push reads the login, too, and every
`pulumi up` waits for that process.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from provisioning.errors import Problem
from provisioning.nocobase.installation import MAIN

API_KEY = "nocobaseApiKey"
"""The configuration key of the API key; its value must be secret."""

API_KEYS = "nocobaseApiKeys"
"""The configuration key of the API keys of further installations, by name; its values must be secret."""

LOGIN_VARIABLES = ("NOCOBASE_API_KEY", "NOCOBASE_ACCOUNT", "NOCOBASE_PASSWORD")
"""The environment's login to the main NocoBase; for a further installation they are called so with `_<NAME>`."""

HEADERS = "nocobaseHeaders"
"""The configuration key of the headers that a gateway in front of the main NocoBase wants."""

NO_GATEWAYS = ("authorization", "connection", "content-length", "content-type", "host", "transfer-encoding", "x-app")
"""Headers that NocoBase or HTTP itself needs."""


@dataclass(frozen=True)
class NocoBaseLogin:
    """An API key, or an account with its password; the API key is used if both are given.

    headers: sent with every request, for a gateway in front of NocoBase.
    """

    api_key: str = field(default="", repr=False)
    account: str = ""
    password: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be shown. A short value of a header, like a number, is no secret and part of other texts."""
        return (self.api_key, self.password, *(value for value in self.headers.values() if len(value) >= SECRET_LENGTH))


SECRET_LENGTH = 8
"""A header's value with fewer characters is not taken for a secret."""


def load_login(
    configured_api_key: str | None, environment: Mapping[str, str] = os.environ, name: str = ""
) -> NocoBaseLogin | None:
    """The login; None if neither the environment nor the stack has a complete one.

    name: of the installation, if it is not the main one.
    """
    api_key, account, password = (environment.get(f"{each}{variable_suffix(name)}") or "" for each in LOGIN_VARIABLES)
    login = NocoBaseLogin(api_key, account, password)
    if login.api_key or (login.account and login.password):
        return login
    return NocoBaseLogin(api_key=configured_api_key) if configured_api_key else None


def first_login(
    names: Iterable[str],
    stored: Mapping[str, str],
    environment: Mapping[str, str] = os.environ,
    headers: Mapping[str, str] | None = None,
) -> NocoBaseLogin | None:
    """The first login that there is under one of `names`; None if there is none. stored: see `stored_keys`.

    headers: of the gateway in front of the main installation. They go to its server only: a further installation on the
    same server has the main one's name among its `names`.
    """
    names = tuple(names)
    logins = (load_login(stored.get(name), environment, name) for name in names)
    login = next((login for login in logins if login is not None), None)
    return replace(login, headers=headers) if login and headers and MAIN in names else login


def stored_headers(text: str | None) -> dict[str, str]:
    """The headers in the stack's configuration, as the engine passes them: a JSON object.

    Raises ValueError with the rule that is broken, never with a value.
    """
    try:
        found = json.loads(text or "{}")
    except ValueError:
        raise ValueError("It is not an object of values by name.") from None
    if not isinstance(found, dict):
        raise ValueError("It is not an object of values by name.")
    # `pulumi config set --path` makes numbers and truth values of text.
    headers = {str(name): value if isinstance(value, str) else json.dumps(value) for name, value in found.items()}
    for name, value in headers.items():
        if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):
            raise ValueError("The name of a header may contain only letters, digits and '-'.")
        if name.lower() in NO_GATEWAYS:
            raise ValueError(f"{name} is set by this program itself.")
        if not re.fullmatch(r"[!-~](?:[ -~]*[!-~])?", value):
            raise ValueError(f"The value of {name} is empty, or has a character that no header has.")
    return headers


def stored_keys(api_key: str | None, api_keys: str | None) -> dict[str, str]:
    """The API keys in the stack's configuration by the installation's name, the main one's under "".

    api_keys: a JSON object, as the engine passes it. Raises ValueError if it is not one.
    """
    named = json.loads(api_keys or "{}")
    if not isinstance(named, dict):
        raise ValueError("not an object")
    return {**{str(name): str(key) for name, key in named.items()}, **({"": api_key} if api_key else {})}


def variable_suffix(name: str) -> str:
    """What is at the end of the variables with the login to the installation `name`; empty for the main one."""
    return f"_{name.upper().replace('-', '_')}" if name else ""


def stored_key_options(name: str = "") -> str:
    """What follows `pulumi config set` to store the API key of the installation `name`."""
    return f"--path --secret {API_KEYS}.{name}" if name else f"--secret {API_KEY}"


def missing_login(name: str = "") -> Problem:
    """The problem to report if neither the environment nor the stack has a login to NocoBase."""
    key, account, password = (f"{each}{variable_suffix(name)}" for each in LOGIN_VARIABLES)
    of = f" {name}" if name else ""
    why = f"No login to NocoBase{of}: neither {key} nor {account} with {password} is set."
    remedy = f"export {key}=… (NocoBase: Settings → API keys), or pulumi config set {stored_key_options(name)}"
    return Problem(key, None, why, remedy)
