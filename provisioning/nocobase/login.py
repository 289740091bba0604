"""How this program signs in to NocoBase.

The environment (`NOCOBASE_API_KEY`, or `NOCOBASE_ACCOUNT` and `NOCOBASE_PASSWORD`) wins over the stack's secret
configuration value `nocobaseApiKey`, which stays encrypted. There is no other source. An installation with a name has a
login of its own: NOCOBASE_API_KEY_<NAME> and so on, and `nocobaseApiKeys.<name>`. The headers for a gateway in front of
NocoBase are in the configuration, too, and go with the login.

Unlike the other settings, this module does not import pydantic: the process of the push reads the login, too, and every
`pulumi up` waits for that process.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from provisioning.errors import Problem, SettingsError
from provisioning.nocobase.installation import HEADERS, INSTALLATION_HEADERS, MAIN

API_KEY = "nocobaseApiKey"
"""The configuration key of the API key; its value must be secret."""

API_KEYS = "nocobaseApiKeys"
"""The configuration key of the API keys of further installations, by name; its values must be secret."""

STORED = (API_KEY, API_KEYS, HEADERS, INSTALLATION_HEADERS)
"""The configuration keys from which `stored_logins` reads."""

LOGIN_VARIABLES = ("NOCOBASE_API_KEY", "NOCOBASE_ACCOUNT", "NOCOBASE_PASSWORD")
"""The environment's login to the main NocoBase; for a further installation they are called so with `_<NAME>`."""

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
"""A header's value, or a client secret that NocoBase holds, with fewer characters is not taken for a secret."""


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


@dataclass(frozen=True)
class StoredLogins:
    """What the stack's configuration holds, by the installation's name, the main one's under "".

    keys: API keys. headers: for the gateway in front of an installation.
    """

    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    headers: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)

    def first(self, names: Iterable[str], environment: Mapping[str, str] = os.environ) -> NocoBaseLogin | None:
        """The first login that there is under one of `names`; None if there is none. See `Installation.logins`.

        Headers go to the server that they are for: an installation on the main one's server has the main one's name
        among its `names`, and so that gateway's headers besides its own.
        """
        names = tuple(names)
        logins = (load_login(self.keys.get(name), environment, name) for name in names)
        login = next((login for login in logins if login is not None), None)
        headers: dict[str, str] = {}
        for name in reversed(names):
            headers |= self.headers.get(name, {})
        return replace(login, headers=headers) if login and headers else login


def stored_logins(configuration: Mapping[str, str | None]) -> StoredLogins:
    """The API keys and headers in the stack's configuration, its values as the engine passes them.

    Raises SettingsError, which names every key whose value cannot be used, and repeats no value.
    """
    problems: list[Problem] = []
    keys: dict[str, str] = {}
    headers: dict[str, Mapping[str, str]] = {}
    try:
        keys = {str(name): str(key) for name, key in _object(configuration.get(API_KEYS)).items()}
    except ValueError:
        command = f"pulumi config set --path --secret {API_KEYS}.<name>"
        problems.append(Problem(API_KEYS, None, "It is not an object of keys by name.", command))
    for setting, read in ((HEADERS, _headers_of_main), (INSTALLATION_HEADERS, headers_by_installation)):
        try:
            headers |= read(_object(configuration.get(setting)))
        except ValueError as error:
            problems.append(Problem(setting, None, str(error), headers_remedy(setting)))
    if problems:
        raise SettingsError(problems)
    main = configuration.get(API_KEY)
    return StoredLogins({**keys, **({MAIN: main} if main else {})}, headers)


def headers_by_installation(found: object) -> dict[str, Mapping[str, str]]:
    """The headers of further installations, by their names. Raises ValueError like `checked_headers`."""
    if not isinstance(found, Mapping):
        raise ValueError("It is not an object of headers by the installation's name.")
    return {str(name): checked_headers(headers) for name, headers in found.items()}


def _headers_of_main(found: object) -> dict[str, Mapping[str, str]]:
    headers = checked_headers(found)
    return {MAIN: headers} if headers else {}


def checked_headers(found: object) -> dict[str, str]:
    """The headers for one gateway. Raises ValueError with the rule that is broken, never with a value."""
    if not isinstance(found, Mapping):
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


def headers_remedy(setting: str) -> str:
    """What to do about headers that are not allowed. setting: their configuration key."""
    path = f"{setting}.<name>" if setting == HEADERS else f"{setting}.<installation>.<name>"
    return f"Correct it: pulumi config set --secret --path '{path}' <value>, or pulumi config rm {setting}"


def _object(text: str | None) -> Mapping[str, object]:
    """A JSON object in the configuration, empty where it is not set. Raises ValueError for anything else."""
    try:
        found = json.loads(text or "{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ValueError("It is not an object of values by name.")
    return found


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
