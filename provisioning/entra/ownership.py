"""Whose an application is: the tag by which a stack marks its own, and who made one that is there already.

A tag proves nothing about who set it, so that nothing is removed because of one alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from provisioning.errors import DirectoryUnreadable, NameTaken

if TYPE_CHECKING:
    from provisioning.entra.registration import Candidate

STACK_TAG = "pulumi:"
"""How the tag begins that the application of a stack carries, by which it is told from those made by hand."""


def stack_tag(organization: str, project: str, stack: str) -> str:
    """The tag that the application of a stack carries in Entra ID, by which a twin of it is recognised."""
    return f"{STACK_TAG}{organization}/{project}/{stack}"


def stack_of(tags: Iterable[str]) -> str | None:
    """The stack that the tags of an application name, None if it was made by hand."""
    return next((tag.removeprefix(STACK_TAG) for tag in tags if tag.startswith(STACK_TAG)), None)


def reject_namesakes(name: str) -> None:
    """Raise NameTaken if an application that no stack made is called `name`, like the one to be created (one request).

    Those of other stacks are no doubt: their tags name them. Whoever may not look is not kept from creating.
    """
    # Half a second of imports that only a first deployment should pay for.
    from provisioning.entra import directory  # noqa: PLC0415

    try:
        found = directory.applications(name)
    except DirectoryUnreadable:
        return
    if error := name_taken(name, found):
        raise error


def name_taken(name: str, found: list[Candidate]) -> NameTaken | None:
    """The objection to a new application called `name`, None if no application made by hand has the name."""
    namesakes = [candidate for candidate in found if candidate.stack is None]
    if not namesakes:
        return None
    ids = ", ".join(candidate.client_id for candidate in namesakes)
    return NameTaken(
        f"This tenant already has an application called '{name}' that no stack made (client id {ids}); nothing was "
        f"changed. To take it under this stack: python -m provisioning adopt {namesakes[0].client_id}. For one beside "
        "it: pulumi config set applicationName <another name>, or pulumi config set sameName allow."
    )


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
    return None if found is None else (found[0], stack_of(found[1]))
