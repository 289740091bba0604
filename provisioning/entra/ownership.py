"""Which stack an application belongs to: the tag that a stack sets on its own application.

A tag does not show who set it, so nothing is removed because of a tag alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from provisioning.errors import DirectoryUnreadable, NameTaken

if TYPE_CHECKING:
    from provisioning.entra.registration import Candidate

STACK_TAG = "pulumi:"
"""How the tag of a stack's application begins; an application made by hand has none."""


def stack_tag(organization: str, project: str, stack: str) -> str:
    """The tag of a stack's application in Entra ID; a duplicate application has it, too."""
    return f"{STACK_TAG}{organization}/{project}/{stack}"


def stack_of(tags: Iterable[str]) -> str | None:
    """The stack that an application's tags name; None if it was made by hand."""
    return next((tag.removeprefix(STACK_TAG) for tag in tags if tag.startswith(STACK_TAG)), None)


def reject_namesakes(name: str) -> None:
    """Raise NameTaken if an application made by hand has the `name` of the one to be created (one request).

    Applications of other stacks do not count. A caller who may not list applications may still create one.
    """
    # 0.4 s of imports (msgraph) that only a first deployment needs.
    from provisioning.entra import directory  # noqa: PLC0415

    try:
        found = directory.applications(name)
    except DirectoryUnreadable:
        return
    if error := name_taken(name, found):
        raise error


def name_taken(name: str, found: list[Candidate]) -> NameTaken | None:
    """The error for a new application called `name`; None if no application made by hand has that name."""
    namesakes = [candidate for candidate in found if candidate.stack is None]
    if not namesakes:
        return None
    ids = ", ".join(candidate.client_id for candidate in namesakes)
    return NameTaken(
        f"This tenant already has an application called '{name}' that was made by hand (client id {ids}); nothing was "
        f"changed. To adopt it: python -m provisioning adopt {namesakes[0].client_id}. To create another one: pulumi "
        "config set applicationName <another name>, or pulumi config set sameName allow."
    )


def whose_application(client_id: str) -> str:
    """A clause for an error, like `, 'NocoBase mail' of the stack acme/nocobase-outlook/prod`; empty if unknown."""
    try:
        found = _named(client_id)
    except DirectoryUnreadable:
        return ""
    if found is None:
        return ", which is not among the applications that this account can see in this tenant"
    name, stack = found
    return f", '{name}'" + (f" of the stack {stack}" if stack else ", which was made by hand")


def is_another_stacks(client_id: str, own: str) -> bool:
    """Whether the application's tag names another stack than that of `own`, this stack's application."""
    try:
        found = _named(client_id)
        stack = found[1] if found else None
        return stack is not None and (_named(own) or ("", None))[1] != stack
    except DirectoryUnreadable:
        return False


def _named(client_id: str) -> tuple[str, str | None] | None:
    """The name of an application and its stack; None if this account cannot see it."""
    # 0.4 s of imports (msgraph) that only a foreign client id needs.
    from provisioning.entra import directory  # noqa: PLC0415

    found = directory.named_application(client_id)
    return None if found is None else (found[0], stack_of(found[1]))
