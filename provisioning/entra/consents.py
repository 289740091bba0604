"""Which consent for the whole tenant exists already: Entra ID rejects a second one for the same resource. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from provisioning.entra.registration import Grant
from provisioning.errors import ConsentExists


def existing_consent(grants: Iterable[Grant], graph: str | None, scopes: Collection[str]) -> Grant | None:
    """The consent that a stack with `consent: tenant` takes over instead of giving a second one; None if there is none.

    An interrupted run may have left it, or an administrator given it. graph: the object id of Microsoft Graph's service
    principal. scopes: what the stack consents to. Raises ConsentExists if the consent has more, which would be
    withdrawn.
    """
    given = next((grant for grant in grants if grant.everybody and grant.resource_id == graph), None)
    if given is not None and (more := sorted(given.scopes - set(scopes))):
        raise ConsentExists(
            f"The tenant has consented to more than this stack's scopes ({', '.join(more)}), and consent is tenant, "
            "which would withdraw that. Nothing was changed. To leave the consent as it is: pulumi config set consent "
            "user"
        )
    return given
