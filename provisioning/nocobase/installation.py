"""One NocoBase that is served by the stack's application; a stack has one, or several."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from provisioning.errors import NocoBaseError
from provisioning.nocobase.layout import NocoBaseMapping

MAIN = ""
"""The name of the installation that `nocobaseUrl` names."""

NOT_READ = "This run assumes that it still holds what the last run wrote."
"""What a refresh says of a NocoBase that it could not read."""


@dataclass(frozen=True)
class Configuration:
    """Where a NocoBase 3 takes its mail credentials from.

    place: as the setting names it; see `nocobase3.places`. provider: the name of its entry there. restart: the command
    that restarts NocoBase, empty if somebody else does. scopes: what NocoBase asks for, as it asks.
    """

    place: str
    provider: str
    restart: tuple[str, ...]
    scopes: tuple[str, ...]


@dataclass(frozen=True)
class Installation:
    """Where one NocoBase is, and its own settings.

    app: a sub-application, None for the main one. take_over: a client ID that may be replaced there. redirect_uris: its
    own. logins: the names of the logins to try, in this order. configuration: of a NocoBase 3, None for a NocoBase 2.
    """

    name: str
    url: str
    app: str | None
    take_over: str | None
    mapping: NocoBaseMapping
    redirect_uris: tuple[str, ...]
    logins: tuple[str, ...] = (MAIN,)
    configuration: Configuration | None = None

    @property
    def resource_name(self) -> str:
        """The name of its push among the stack's resources."""
        return f"nocobase-{self.name}" if self.name else "nocobase"


HEADERS = "nocobaseHeaders"
"""The configuration key of the headers that a gateway in front of the main NocoBase wants."""

INSTALLATION_HEADERS = "nocobaseInstallationHeaders"
"""The same for further installations, by their names."""

SETTING = re.compile(
    r"(?P<command>pulumi config set (?:--path )?)?nocobase"
    r"(?P<key>Url|App|TakeOver|Mapping|ConfigFile|MailProvider|Restart)(?P<rest>(?:\.[\w<>]+)*)"
)
LOGIN = re.compile(r"\bNOCOBASE_(?:API_KEY|ACCOUNT|PASSWORD)\b")
STORED_KEY = re.compile(r"--secret nocobaseApiKey\b")

SET_API_KEY = "set NOCOBASE_API_KEY. Where the stack holds the key encrypted: pulumi config set --secret nocobaseApiKey"
"""The end of a remedy: how a new API key is given to the program."""


@contextmanager
def remedies_for(logins: Sequence[str]) -> Iterator[None]:
    """Have the remedy of a NocoBaseError name the settings of its own installation, not the main one's.

    logins: the names of the logins to that installation, its own first.
    """
    try:
        yield
    except NocoBaseError as error:
        if not logins or logins[0] == MAIN:
            raise
        remedy = own_remedy(error.remedy, logins[0], MAIN not in logins)
        raise type(error)(error.what, error.why, remedy, error.status) from None


def own_remedy(remedy: str, name: str, elsewhere: bool) -> str:
    """`remedy` for the further installation `name`. elsewhere: whether it is on another server than the main one."""

    def setting(found: re.Match[str]) -> str:
        key = found["key"][0].lower() + found["key"][1:] + found["rest"]
        if found["command"]:
            return f"pulumi config set --path 'nocobaseInstallations[<number of {name}>].{key}'"
        return f"{key} of {name} in nocobaseInstallations"

    remedy = SETTING.sub(setting, remedy)
    if elsewhere:
        remedy = remedy.replace(f"{HEADERS}.", f"{INSTALLATION_HEADERS}.{name}.")
        remedy = STORED_KEY.sub(f"--path --secret nocobaseApiKeys.{name}", remedy)
    return LOGIN.sub(lambda found: f"{found[0]}_{name.upper().replace('-', '_')}", remedy) if elsewhere else remedy
