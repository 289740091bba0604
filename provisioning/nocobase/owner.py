"""Whose application a client id that was found in NocoBase belongs to, as far as Entra ID tells."""

from __future__ import annotations

from provisioning.entra.rules import STACK_TAG
from provisioning.errors import DirectoryUnreadable


def whose_application(client_id: str) -> str:
    """A clause for an error, like `, 'NocoBase mail' of the stack acme/nocobase-outlook/prod`; empty where unknown."""
    try:
        found = _named(client_id)
    except DirectoryUnreadable:
        return ""
    if found is None:
        return ", which is none of this tenant's applications that this account can see"
    name, stack = found
    return f", '{name}'" + (f" of the stack {stack}" if stack else ", which no stack of this program made")


def is_another_stacks(client_id: str, own: str) -> bool:
    """Whether an application is known to be of another stack than the application `own`."""
    try:
        found = _named(client_id)
        stack = found[1] if found else None
        return stack is not None and (_named(own) or ("", None))[1] != stack
    except DirectoryUnreadable:
        return False


def _named(client_id: str) -> tuple[str, str | None] | None:
    """The name of an application, and the stack that made it; None if it cannot be seen."""
    # Half a second of imports that only a client id of somebody else should cost.
    from provisioning.entra import directory  # noqa: PLC0415

    found = directory.named_application(client_id)
    if found is None:
        return None
    name, tags = found
    return name, next((tag.removeprefix(STACK_TAG) for tag in tags if tag.startswith(STACK_TAG)), None)
