"""What the value of one setting may be, looked at alone: the types of the settings' fields."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

from provisioning.addresses import AddressRejected, normalized_address
from provisioning.entra import permissions, rules
from provisioning.entra.scopes import SCOPE_IDS
from provisioning.nocobase.login import checked_headers, headers_by_installation
from provisioning.program import input_errors
from provisioning.program.input_errors import invalid, matching, nearest, raise_if


def _as_text(value: object) -> object:
    """The text of a number or boolean: `pulumi config set --path` stores `123` and `true` as such, not as text."""
    return json.dumps(value) if isinstance(value, int) else value


def _address(url: str) -> str:
    try:
        return normalized_address(url)
    except AddressRejected as rejected:
        raise invalid(str(rejected)) from None


def _sub_application(app: str | None) -> str | None:
    if app and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", app):
        raise invalid("A sub-application's name may contain only letters, digits, '-' and '_'.")
    return app or None


def _configuration_place(text: str | None) -> str | None:
    from provisioning.nocobase3.places import place_of  # noqa: PLC0415 - ruamel.yaml, which only a NocoBase 3 needs

    try:
        if text:
            place_of(text)
    except ValueError as error:
        raise invalid(str(error)) from None
    return text or None


def _scalar(value: object) -> object:
    if not isinstance(value, str | int):
        raise invalid("It must be text, a whole number, true or false.")
    return value


def _known_scope(name: str) -> str:
    if name in SCOPE_IDS:
        return name
    close = nearest(name, SCOPE_IDS)
    hint = f"Nearest: {', '.join(close)}." if close else f"Known: {', '.join(SCOPE_IDS)}."
    reason = f"This is not a delegated mail permission of Microsoft Graph. {hint}"
    raise invalid(reason)


def _permission(text: str) -> str:
    permission = permissions.parse(text)
    if permission is None:
        raise invalid("It is not written as <client ID of the API>/<id of the permission>=Scope (or =Role).")
    return permissions.written(permission)


def _tag(tag: str) -> str:
    raise_if(rules.why_invalid_tag(tag))
    return tag


def _headers(value: object) -> Mapping[str, str]:
    try:
        return checked_headers(value)
    except ValueError as error:
        raise invalid(str(error)) from None


def _headers_by_installation(value: object) -> Mapping[str, Mapping[str, str]]:
    try:
        return headers_by_installation(value)
    except ValueError as error:
        raise invalid(str(error)) from None


Text = Annotated[str, BeforeValidator(_as_text)]
Address = Annotated[str, AfterValidator(_address)]
SubApplication = Annotated[str | None, BeforeValidator(_as_text), AfterValidator(_sub_application)]
InstallationName = Annotated[
    Text,
    matching(
        r"[a-z0-9]+(-[a-z0-9]+)*",
        "An installation's name may contain only lower-case letters and digits, with '-' between them.",
    ),
]
ConfigurationPlace = Annotated[str | None, AfterValidator(_configuration_place)]
MailProvider = Annotated[
    str,
    matching(
        r"[A-Za-z][A-Za-z0-9_-]*",
        "A mail provider's name begins with a letter, and has only letters, digits, '-' and '_'.",
    ),
]
Collection = Annotated[str, matching(r"\w+", "It may contain only letters, digits and '_'.")]
FieldName = Annotated[
    str,
    matching(
        r"\w+(\.\w+)*", "It may contain only letters, digits and '_', with '.' before the name of an inner field."
    ),
]
Scalar = Annotated[Any, AfterValidator(_scalar)]
Headers = Annotated[dict[str, str], BeforeValidator(_headers)]
HeadersByInstallation = Annotated[dict[str, dict[str, str]], BeforeValidator(_headers_by_installation)]
ObjectId = Annotated[input_errors.ObjectId, BeforeValidator(_as_text)]
Scope = Annotated[Text, AfterValidator(_known_scope)]
FurtherPermission = Annotated[Text, AfterValidator(_permission)]
Tag = Annotated[Text, AfterValidator(_tag)]
