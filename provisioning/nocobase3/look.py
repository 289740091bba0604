"""What a NocoBase 3 holds and says, for the commands beside the program. Changes nothing."""

from __future__ import annotations

import re

from provisioning.foreign import GUID
from provisioning.nocobase.login import NocoBaseLogin
from provisioning.nocobase.sign_in_link import SignIn
from provisioning.nocobase3 import push
from provisioning.nocobase3.config_file import Found
from provisioning.nocobase3.places import LocalFile, place_of
from provisioning.nocobase3.server import MailServer


def held(config_file: str, provider: str) -> Found:
    """What its configuration has for the mail provider. Raises ConfigurationUnusable."""
    return push.read(place_of(config_file), provider).found


def secrets_of(found: Found) -> tuple[str, ...]:
    """What must not be shown of it: the client secret, and what stands in place of a client ID but is none."""
    pasted = found.client_id if not re.fullmatch(GUID, found.client_id) else ""
    return tuple(filter(None, (found.client_secret, pasted)))


def weaknesses(config_file: str) -> dict[str, str]:
    """What is wrong with where it is kept, as far as this machine knows; and how to mend it."""
    place = place_of(config_file)
    return place.weaknesses() if isinstance(place, LocalFile) else {}


def link(url: str, provider: str, login: NocoBaseLogin, secrets: tuple[str, ...] = ()) -> SignIn:
    """What its sign-in link says; nothing if it does not offer the mail provider. Raises NocoBaseError."""
    with MailServer(url, login, secrets=secrets) as server:
        return server.sign_in(provider) or SignIn(None, None)


def providers(url: str, login: NocoBaseLogin) -> frozenset[tuple[str, str]]:
    """Type and name of the mail providers that it offers. Raises NocoBaseError."""
    with MailServer(url, login) as server:
        return server.providers()
