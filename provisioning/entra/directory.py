"""Reads applications and policies in Entra ID, and removes applications and client secrets, where no resource can.

Each function asks Microsoft Graph (see `microsoft_graph`). Importing this module takes 0.4 s: import it where it is
needed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import replace
from typing import Any
from urllib.parse import quote
from uuid import UUID

from kiota_abstractions.api_error import APIError
from kiota_abstractions.base_request_configuration import RequestConfiguration
from kiota_abstractions.serialization import Parsable
from kiota_serialization_json.json_serialization_writer import JsonSerializationWriter
from msgraph import GraphServiceClient
from msgraph.generated.applications.applications_request_builder import ApplicationsRequestBuilder
from msgraph.generated.applications.item.remove_password.remove_password_post_request_body import (
    RemovePasswordPostRequestBody,
)
from msgraph.generated.models.application import Application
from msgraph.generated.models.password_credential import PasswordCredential

from provisioning.entra.app_policies import Restriction, SecretPolicy
from provisioning.entra.microsoft_graph import ask, every_page, or_none
from provisioning.entra.orphans import StoredSecret
from provisioning.entra.permissions import Permission
from provisioning.entra.registration import (
    OTHER_PLATFORMS,
    Candidate,
    Found,
    Grant,
    Owner,
    Principal,
    Registration,
    who_disabled,
)
from provisioning.entra.scopes import MICROSOFT_GRAPH
from provisioning.entra.weaknesses import certificates, weaknesses
from provisioning.errors import DirectoryFailure, DirectoryUnreadable

USER = "user"
"""The kind of an owner who is a person; see `Owner`."""

LARGEST_PAGE = 999
"""How many applications Graph returns on one page at most."""


def stored_secrets(application_object_id: str) -> list[StoredSecret] | None:
    """The client secrets of the application in Entra ID; None if it does not exist. Raises DirectoryUnreadable."""

    async def read(graph: GraphServiceClient) -> list[StoredSecret] | None:
        application = await or_none(graph.applications.by_application_id(application_object_id).get())
        return (
            None if application is None else [_stored_secret(item) for item in application.password_credentials or ()]
        )

    return ask(read)


def registration(application_object_id: str) -> Registration | None:
    """The application as Entra ID shows it; None if it does not exist. Raises DirectoryUnreadable."""

    async def read(graph: GraphServiceClient) -> Registration | None:
        asked = graph.applications.by_application_id(application_object_id)
        found = await or_none(asked.get())
        if found is None:
            return None
        try:
            return replace(_registration(found), owners=await _all_owners(asked.owners))
        except APIError:
            return _registration(found)

    return ask(read)


def principal(client_id: str) -> Principal | None:
    """The application's service principal in this tenant, None if there is none. Raises DirectoryUnreadable."""

    async def read(graph: GraphServiceClient) -> Principal | None:
        found = await or_none(graph.service_principals_with_app_id(client_id).get())
        if found is None:
            return None
        enabled, assigned_only = found.account_enabled is not False, found.app_role_assignment_required is True
        made = Principal(str(found.id), enabled, assigned_only)
        try:
            return replace(
                made, owners=await _all_owners(graph.service_principals.by_service_principal_id(made.object_id).owners)
            )
        except APIError:
            return made

    return ask(read)


def grants(principal_object_id: str) -> list[Grant]:
    """The consents given to the application behind a service principal. Raises DirectoryUnreadable."""

    async def read(graph: GraphServiceClient) -> list[Grant]:
        asked = graph.service_principals.by_service_principal_id(principal_object_id).oauth2_permission_grants
        return [
            Grant(
                str(item.resource_id),
                frozenset((item.scope or "").split()),
                item.consent_type == "AllPrincipals",
                str(item.id),
            )
            for item in await every_page(asked, await asked.get())
        ]

    return ask(read)


def federated_credentials(application_object_id: str) -> dict[str, str]:
    """The ids of the application's federated credentials, at most 20, by their names. Raises DirectoryUnreadable."""

    async def read(graph: GraphServiceClient) -> dict[str, str]:
        found = await _federated_credentials(graph, application_object_id)
        return {str(item.name): str(item.id) for item in found}

    return ask(read)


async def _federated_credentials(graph: GraphServiceClient, application_object_id: str) -> list[Any]:
    """The federated credentials of an application, none if it does not exist.

    Asked of beta, because v1.0 answers with broken JSON where one of them is flexible and has no subject.
    Source: github.com/Azure/azure-workload-identity/issues/373.
    """
    asked = graph.applications.by_application_id(application_object_id).federated_identity_credentials
    beta = f"{str(graph.request_adapter.base_url).removesuffix('/v1.0')}/beta"
    address = f"{beta}/applications/{quote(application_object_id)}/federatedIdentityCredentials"
    return await every_page(asked, await or_none(asked.with_url(address).get()))


def app_roles(principal_object_id: str) -> dict[tuple[str, str], str]:
    """The ids of the role assignments of a service principal, by the resource's object id and the role's id.

    Raises DirectoryUnreadable.
    """

    async def read(graph: GraphServiceClient) -> dict[tuple[str, str], str]:
        asked = graph.service_principals.by_service_principal_id(principal_object_id).app_role_assignments
        found = await every_page(asked, await or_none(asked.get()))
        return {(str(item.resource_id), str(item.app_role_id)): str(item.id) for item in found}

    return ask(read)


def tenant_consent(principal_object_id: str) -> Grant | None:
    """The consent for everybody to permissions of Microsoft Graph; None if there is none. Raises DirectoryUnreadable.

    principal_object_id: of the service principal of the application that was consented to; it may be gone.
    """
    try:
        given = [grant for grant in grants(principal_object_id) if grant.everybody]
    except DirectoryUnreadable as error:
        if error.failure is not DirectoryFailure.NOT_FOUND:
            raise
        return None
    graph = principal(MICROSOFT_GRAPH) if given else None
    return next((grant for grant in given if graph and grant.resource_id == graph.object_id), None)


def owners(application_object_id: str) -> frozenset[str]:
    """The object ids of the application's owners. Raises DirectoryUnreadable."""

    async def read(graph: GraphServiceClient) -> frozenset[str]:
        asked = graph.applications.by_application_id(application_object_id).owners
        return frozenset(str(item.id) for item in await every_page(asked, await asked.get()))

    return ask(read)


def application_owners(object_id: str) -> tuple[Owner, ...]:
    """Who owns the application. Raises DirectoryUnreadable."""
    return ask(lambda graph: _all_owners(graph.applications.by_application_id(object_id).owners))


def principal_owners(object_id: str) -> tuple[Owner, ...]:
    """Who owns the service principal. Raises DirectoryUnreadable."""
    return ask(lambda graph: _all_owners(graph.service_principals.by_service_principal_id(object_id).owners))


def people(object_ids: Collection[str]) -> frozenset[str]:
    """Those of these objects that are users. Raises DirectoryUnreadable."""

    async def read(graph: GraphServiceClient) -> frozenset[str]:
        asked = {one: graph.directory_objects.by_directory_object_id(one) for one in object_ids}
        found = {one: await or_none(request.get()) for one, request in asked.items()}
        return frozenset(one for one, item in found.items() if item is not None and _kind(item) == USER)

    return ask(read)


def gone(object_ids: Collection[str]) -> frozenset[str]:
    """Those of these objects that the tenant does not have. Raises DirectoryUnreadable."""

    async def read(graph: GraphServiceClient) -> frozenset[str]:
        asked = {one: graph.directory_objects.by_directory_object_id(one) for one in object_ids}
        return frozenset([one for one, request in asked.items() if await or_none(request.get()) is None])

    return ask(read)


async def _all_owners(asked: Any) -> tuple[Owner, ...]:
    """Every page of a list of owners; none if what they own does not exist."""
    found = await every_page(asked, await or_none(asked.get()))
    return tuple(Owner(str(item.id), getattr(item, "display_name", None) or "", _kind(item)) for item in found)


def _kind(item: Parsable) -> str:
    """`service principal` for `#microsoft.graph.servicePrincipal`, and so on."""
    name = str(getattr(item, "odata_type", None) or "").rpartition(".")[2]
    return re.sub("(?=[A-Z])", " ", name).lower()


def secret_policy(application_object_id: str | None) -> SecretPolicy:
    """What the tenant's policy says about client secrets: that of the application itself, else the tenant's default.

    application_object_id: None if the application does not exist yet. Raises DirectoryUnreadable.
    """

    async def read(graph: GraphServiceClient) -> SecretPolicy:
        created = None
        if application_object_id is not None:
            asked = graph.applications.by_application_id(application_object_id)
            application = await or_none(asked.get())
            created = application.created_date_time if application else None
            own = await or_none(asked.app_management_policies.get())
            for policy in (own.value if own else None) or []:
                return SecretPolicy(_restrictions(policy.is_enabled, policy.restrictions), created)
        default = await graph.policies.default_app_management_policy.get()
        found = _restrictions(default.is_enabled, default.application_restrictions) if default else ()
        return SecretPolicy(found, created)

    return ask(read)


def users_may_register() -> bool | None:
    """Whether the tenant lets users without a role register applications. Raises DirectoryUnreadable."""

    async def read(graph: GraphServiceClient) -> bool | None:
        policy = await graph.policies.authorization_policy.get()
        permissions = policy.default_user_role_permissions if policy else None
        return permissions.allowed_to_create_apps if permissions else None

    return ask(read)


def consent_policies() -> tuple[str, ...]:
    """The policies by which the tenant's users may consent to applications. Raises DirectoryUnreadable."""

    async def read(graph: GraphServiceClient) -> tuple[str, ...]:
        policy = await graph.policies.authorization_policy.get()
        permissions = policy.default_user_role_permissions if policy else None
        return tuple((permissions.permission_grant_policies_assigned if permissions else None) or ())

    return ask(read)


def look_up(client_id: str) -> Found | None:
    """What an adoption needs to know about an application; None if the tenant has none with this client ID.

    Raises DirectoryUnreadable.
    """

    async def read(graph: GraphServiceClient) -> Found | None:
        application = await or_none(graph.applications_with_app_id(client_id).get())
        if application is None:
            return None
        asked = graph.applications.by_application_id(str(application.id))
        owners = await _all_owners(asked.owners)
        federated = await _federated_credentials(graph, str(application.id))
        principal = await or_none(graph.service_principals_with_app_id(client_id).get())
        its_owners: tuple[Owner, ...] = ()
        if principal is not None:
            its_owners = await _all_owners(graph.service_principals.by_service_principal_id(str(principal.id)).owners)
        return Found(
            _as_sent(application),
            tuple(owner.object_id for owner in owners),
            None if principal is None else _as_sent(principal),
            tuple(owner.object_id for owner in its_owners),
            (*owners, *its_owners),
            tuple(_as_sent(item) for item in federated),
        )

    return ask(read)


def applications(name: str | None = None) -> list[Candidate]:
    """All applications of the tenant, or those called `name`. Raises DirectoryUnreadable."""

    async def read(graph: GraphServiceClient) -> list[Candidate]:
        found = await _filtered(
            graph,
            None if name is None else f"displayName eq {_quoted(name)}",
            ["id", "appId", "displayName", "web", "tags", "createdDateTime"],
            None if name is not None else LARGEST_PAGE,
        )
        return [
            Candidate(
                str(item.app_id),
                item.display_name or "",
                tuple((item.web.redirect_uris if item.web else None) or []),
                tuple(item.tags or []),
                object_id=str(item.id),
                created=item.created_date_time,
            )
            for item in found
        ]

    return ask(read)


def remove_secret(application_object_id: str, key_id: str) -> None:
    """Remove one client secret. Raises DirectoryUnreadable."""

    async def remove(graph: GraphServiceClient) -> None:
        body = RemovePasswordPostRequestBody(key_id=UUID(key_id))
        await graph.applications.by_application_id(application_object_id).remove_password.post(body)

    ask(remove, write=True)


def applications_tagged(tag: str) -> dict[str, str]:
    """Object id → display name of the applications that carry `tag`, whoever set it. Raises DirectoryUnreadable."""

    async def read(graph: GraphServiceClient) -> dict[str, str]:
        found = await _filtered(graph, f"tags/any(t:t eq {_quoted(tag)})", ["id", "displayName"], LARGEST_PAGE)
        return {str(item.id): str(item.display_name) for item in found}

    return ask(read)


def named_application(client_id: str) -> tuple[str, tuple[str, ...]] | None:
    """Display name and tags of the application with this client ID, None if there is none.

    Raises DirectoryUnreadable.
    """

    async def read(graph: GraphServiceClient) -> tuple[str, tuple[str, ...]] | None:
        found = await or_none(graph.applications_with_app_id(client_id).get())
        return None if found is None else (found.display_name or "", tuple(found.tags or ()))

    return ask(read)


def remove_application(object_id: str) -> None:
    """Delete an application; Entra ID keeps it among the deleted items for 30 days. Raises DirectoryUnreadable."""

    async def remove(graph: GraphServiceClient) -> None:
        await graph.applications.by_application_id(object_id).delete()

    ask(remove, write=True)


def _restrictions(enabled: bool | None, found: Any) -> tuple[Restriction, ...]:
    """The rules about client secrets in a policy's configuration, as far as they are in force."""
    listed = (found.password_credentials if found else None) or []
    return tuple(
        Restriction(rule.restriction_type.value, rule.max_lifetime, rule.restrict_for_apps_created_after_date_time)
        for rule in listed
        if enabled and rule.restriction_type and (rule.state is None or rule.state.value == "enabled")
    )


def _registration(found: Application) -> Registration:
    sent = _as_sent(found)
    return Registration(
        display_name=found.display_name or "",
        audience=found.sign_in_audience or "",
        redirect_uris=frozenset((found.web.redirect_uris if found.web else None) or []),
        permissions=frozenset(
            Permission(str(resource.resource_app_id), str(access.id), str(access.type))
            for resource in found.required_resource_access or []
            for access in resource.resource_access or []
        ),
        object_id=str(found.id),
        client_id=str(found.app_id),
        secrets=tuple(_stored_secret(item) for item in found.password_credentials or []),
        disabled=who_disabled(found.is_disabled, found.disabled_by_microsoft_status),
        of_other_platforms={
            uri: OTHER_PLATFORMS[name]
            for name, platform in (("spa", found.spa), ("publicClient", found.public_client))
            for uri in (platform.redirect_uris if platform else None) or []
        },
        weaknesses=tuple(weaknesses(sent)),
        certificates=tuple(certificates(sent)),
        tags=frozenset(found.tags or []),
    )


async def _filtered(graph: GraphServiceClient, where: str | None, properties: list[str], top: int | None) -> list[Any]:
    """The `properties` of all applications that OData's filter `where` selects. top: how many come on one page."""
    query = ApplicationsRequestBuilder.ApplicationsRequestBuilderGetQueryParameters(
        filter=where, select=properties, top=top
    )
    first = await graph.applications.get(request_configuration=RequestConfiguration(query_parameters=query))
    return await every_page(graph.applications, first)


def _quoted(text: str) -> str:
    """A text literal of OData."""
    return "'" + text.replace("'", "''") + "'"


def _as_sent(item: Parsable) -> dict[str, Any]:
    """An object as Graph sent it."""
    writer = JsonSerializationWriter()
    writer.write_object_value(None, item)
    sent: dict[str, Any] = json.loads(writer.get_serialized_content())
    return sent


def _stored_secret(item: PasswordCredential) -> StoredSecret:
    return StoredSecret(str(item.key_id), item.display_name or "", item.end_date_time, item.start_date_time)
