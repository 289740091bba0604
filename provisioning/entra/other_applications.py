"""Asks Entra ID about applications that are not the stack's: of the same name, or the one that NocoBase has."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from provisioning.entra.ownership import name_taken
from provisioning.entra.tags import stack_of
from provisioning.errors import DirectoryUnreadable
from provisioning.foreign import MOST_LISTED, quoted


def reject_namesakes(name: str) -> None:
    """Raise NameTaken if an application made by hand has the `name` of the one to be created.

    That is one request, and one more for the owners of each such application.

    Applications of other stacks do not count. A caller who may not list applications may still create one.
    """
    # 0.4 s of imports (msgraph) that only a first deployment needs.
    from provisioning.entra import directory  # noqa: PLC0415

    try:
        found = directory.applications(name)
    except DirectoryUnreadable:
        return
    namesakes = [one for one in found if one.stack is None]
    with suppress(DirectoryUnreadable):
        shown = [replace(one, owners=directory.application_owners(one.object_id)) for one in namesakes[:MOST_LISTED]]
        namesakes[:MOST_LISTED] = shown
    if error := name_taken(name, namesakes):
        raise error


def whose_application(client_id: str) -> str:
    """A clause for an error, like `, mail with the tag of the stack acme/nocobase-outlook/prod`; empty if unknown."""
    try:
        found = _named(client_id)
    except DirectoryUnreadable:
        return ""
    if found is None:
        return ", which is not among the applications that this account can see in this tenant"
    name, stack = found
    return f", {quoted(name)}" + (
        f" with the tag of the stack {quoted(stack)}" if stack else ", which has no stack's tag"
    )


def is_another_stacks(client_id: str, own: str) -> bool:
    """Whether the application's tag names another stack than that of `own`, this stack's application.

    A tag that somebody else set may only stop a run so; without it, NocoBase gets this stack's credentials back.
    """
    try:
        found = _named(client_id)
        stack = found[1] if found else None
        return stack is not None and (_named(own) or ("", None))[1] != stack
    except DirectoryUnreadable:
        return False


def _named(client_id: str) -> tuple[str, str | None] | None:
    """The name of an application and its stack; None if this account cannot see it."""
    # 0.4 s of imports (msgraph) that only a foreign client ID needs.
    from provisioning.entra import directory  # noqa: PLC0415

    found = directory.named_application(client_id)
    return None if found is None else (found[0], stack_of(found[1]))
