"""What the resources of a stack are called in its state: their types, and the application's name."""

from __future__ import annotations

PASSWORD_TYPE = "azuread:index/applicationPassword:ApplicationPassword"
APPLICATION_TYPE = "azuread:index/application:Application"
PRINCIPAL_TYPE = "azuread:index/servicePrincipal:ServicePrincipal"
GRANT_TYPE = "azuread:index/servicePrincipalDelegatedPermissionGrant:ServicePrincipalDelegatedPermissionGrant"
COMPONENT_TYPE = "nocobase-outlook:entra:MailApplication"
STACK_TYPE = "pulumi:pulumi:Stack"
PUSH_TYPE = "pulumi-python:dynamic/nocobase:MailSettings"

OWN_TAGS, OWN_OWNERS, OWN_PRINCIPAL_OWNERS = "ownTags", "ownOwners", "ownPrincipalOwners"
"""The outputs of the component that say which tags and owners the last run declared as the stack's own."""

AWAITED_AUDIENCE = "awaitedAudience"
"""The output, if there is one, that says which audience the application gets once NocoBase uses another page."""

LEFT_OWNERS = "leftOwners"
"""The output, if there are any, that says which named owners it left out because they had left the tenant."""

APPLICATION_NAME = "mail"
"""The resource name of the application, and the stem of its secrets' names."""


def taken_over(name: str) -> str:
    """The resource name of a tenant's consent that an administrator had given before the stack declared it.

    The import itself records it. name: the application's, which is also that of a consent of the stack's own.
    """
    return f"{name}-taken-over"


AZUREAD_PROVIDER_TYPE = "pulumi:providers:azuread"
"""The provider of everything in Entra ID. Its state has the stack's configuration of the sign-in in the last run."""

PUSH_PROVIDER_TYPE = "pulumi:providers:pulumi-python"
"""The process in which every push runs."""
