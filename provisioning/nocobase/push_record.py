"""What the engine records of a push: properties that are declared, read and verified, with no secret in plain text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from provisioning.entra.rules import LONGEST_REDIRECT_URI
from provisioning.foreign import guid, one_line
from provisioning.nocobase.installation import MAIN
from provisioning.nocobase.layout import NocoBaseMapping
from provisioning.nocobase.provider_process import without_secrets
from provisioning.nocobase.push import Credentials
from provisioning.nocobase.sign_in_link import Accounts, SignIn

PLACE = ("nocobase_url", "nocobase_app", "mapping")
"""The declared properties that say where the credentials go."""

DECLARED = (*PLACE, "client_id", "client_secret", "redirect_uris", "slot", "since")
"""The properties that the program declares; a change of one of them is pushed."""

HOW = ("logins", "several", "protected")
"""The declared properties that refresh and destroy need; recorded again when they change."""

NOT_COMPARED = ("tenant_id", "take_over", "audience")
"""Declared, too, but without effect on what NocoBase holds."""

TRANSFORMED = "secret_transformed"
"""The property, only where it is true, that NocoBase shows the secret as something else; see `Layout`."""

Properties = dict[str, Any]
Place = tuple[str, str | None]
"""A NocoBase's URL, and the sub-application."""


def mapping_of(properties: Mapping[str, Any]) -> NocoBaseMapping:
    """Where the email manager keeps the credentials, if that is declared."""
    return NocoBaseMapping.of_record(properties.get("mapping"))


def place_of(properties: Mapping[str, Any]) -> Place:
    """The NocoBase that they are of."""
    return properties["nocobase_url"], properties.get("nocobase_app")


def installation_of(properties: Mapping[str, Any]) -> str:
    """The installation's name."""
    return str((properties.get("logins") or [MAIN])[0])


def was_transformed(olds: Mapping[str, Any], news: Mapping[str, Any]) -> bool:
    """Whether the last push into this place saw that NocoBase shows the secret as something else."""
    return bool(olds.get(TRANSFORMED)) and all(olds.get(key) == news.get(key) for key in PLACE)


def credentials_of(properties: Mapping[str, Any]) -> Credentials:
    """The client ID and the client secret."""
    return Credentials(properties["client_id"], properties["client_secret"])


def accounts_of(properties: Mapping[str, Any]) -> Accounts | None:
    """Who may sign in to the application; None if the program did not say."""
    audience = properties.get("audience")
    return Accounts(audience, properties.get("tenant_id")) if audience else None


def inputs_of(held: Properties) -> Properties:
    """What a refresh has found, as the program would declare it: the engine compares with that."""
    return {key: held.get(key) for key in (*DECLARED, *HOW, *NOT_COMPARED)}


def redacted(held: Properties, declared: Properties) -> Properties:
    """Redact secrets in the outputs that are stored in plain text: somebody may have put them into other fields.

    A client ID and a redirect URI that are `declared` are no secrets, and later runs compare them.
    """
    clear = ("client_id", "row_id", "updated_at", "proved_client_id", "proved_redirect_uri")
    own = (declared["client_id"], *(declared.get("redirect_uris") or ()))
    found = {key: held[key] for key in clear if isinstance(held.get(key), str) and held[key] not in own}
    return held | {key: without_secrets(value) for key, value in found.items()}


OWN_CLIENT_ID = "own_client_id"
"""Recorded by a refresh that has seen another application's: the one that the last run wrote."""


def own_client_id(properties: Mapping[str, Any]) -> str:
    """The client ID that the last run wrote, whatever a refresh has seen since."""
    return str(properties.get(OWN_CLIENT_ID) or properties["client_id"])


def with_client_id(found: str | None, properties: Properties) -> Properties:
    """The properties with a client ID that a refresh has found, and the own one beside another.

    `destroy` refreshes first, and is to empty only what this stack wrote.
    """
    own = own_client_id(properties)
    others = {key: value for key, value in properties.items() if key != OWN_CLIENT_ID}
    beside = {} if found == own else {OWN_CLIENT_ID: own}
    return {**others, "client_id": shown_client_id(found, own), **beside}


def shown_client_id(found: str | None, own: str) -> str | None:
    """A client ID of NocoBase as it may be stored and shown; what cannot be one may be a secret in the wrong field."""
    return found if not found or found == own else guid(found)


def proved(link: SignIn | None, declared: Properties) -> Properties:
    """What NocoBase's link says, for people and for the state."""
    if link is None:
        return {"proved_client_id": None, "proved_redirect_uri": None}
    uri = link.redirect_uri
    if uri and uri not in (declared.get("redirect_uris") or ()):
        uri = one_line(link.redacted(uri), LONGEST_REDIRECT_URI)
    return {"proved_client_id": shown_client_id(link.client_id, own_client_id(declared)), "proved_redirect_uri": uri}
