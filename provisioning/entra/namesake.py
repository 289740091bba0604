"""Before the first deployment: looks whether somebody has made the application by hand already."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provisioning.errors import DirectoryUnreadable, NameTaken

if TYPE_CHECKING:
    from provisioning.entra.adoption import Candidate
    from provisioning.settings import Settings


def refuse_namesakes(settings: Settings) -> None:
    """Raise NameTaken if an application that no stack made has the name of the one to be created (one request).

    Those of other stacks are no doubt: their tags name them. Whoever may not look is not kept from creating.
    """
    if settings.same_name == "allow":
        return
    # Half a second of imports that only a first deployment should pay for.
    from provisioning.entra import directory  # noqa: PLC0415

    try:
        found = directory.applications(settings.application_name)
    except DirectoryUnreadable:
        return
    if error := judge(settings.application_name, found):
        raise error


def judge(name: str, found: list[Candidate]) -> NameTaken | None:
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
