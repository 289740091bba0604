"""Whose application a client id that was found in NocoBase belongs to, as far as Entra ID tells."""

from __future__ import annotations

from provisioning.entra.rules import STACK_TAG
from provisioning.errors import DirectoryUnreadable


def whose_application(client_id: str) -> str:
    """A clause for an error, like `, 'NocoBase mail' of the stack acme/nocobase-outlook/prod`; empty where unknown."""
    # Seconds of imports that only a refusal should pay for.
    from provisioning.entra import directory  # noqa: PLC0415

    try:
        found = directory.named_application(client_id)
    except DirectoryUnreadable:
        return ""
    if found is None:
        return ", which is none of this tenant's applications that this account can see"
    name, tags = found
    stacks = [tag.removeprefix(STACK_TAG) for tag in tags if tag.startswith(STACK_TAG)]
    return f", '{name}'" + (f" of the stack {stacks[0]}" if stacks else ", which no stack of this program made")
