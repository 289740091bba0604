"""The application registration as one component: application, service principal, client secrets, optional consent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pulumi
import pulumi_azuread as azuread

from provisioning.entra.client_secret_plan import ISSUED, rfc3339, secret_name
from provisioning.entra.permissions import by_resource
from provisioning.entra.scopes import MICROSOFT_GRAPH
from provisioning.program.provider import VERSION, with_pinned_provider
from provisioning.program.undeclared import OF_APPLICATION, OF_PRINCIPAL, TOKEN_VERSION
from provisioning.resource_types import (
    AWAITED_AUDIENCE,
    COMPONENT_TYPE,
    LEFT_OWNERS,
    OWN_OWNERS,
    OWN_PRINCIPAL_OWNERS,
    OWN_TAGS,
    taken_over,
)

if TYPE_CHECKING:
    from provisioning.entra.ownership import Owners
    from provisioning.program.run import Run, TakenOver


class MailApplication(pulumi.ComponentResource):
    """An Entra ID application with delegated mail permissions, its service principal and its client secrets.

    client_id, object_id, tenant_id: of the application. client_secret: the value of the active secret, a Pulumi secret.
    client_secret_expiry: when that ends (RFC 3339). admin_consent_url: for an administrator of the tenant.
    audience: whose accounts may sign in, by the settings, as NocoBase is told. protected: whether it is not to be
    destroyed. parts: what a sign-in needs in Entra ID besides the application.
    """

    client_id: pulumi.Output[str]
    object_id: pulumi.Output[str]
    tenant_id: pulumi.Output[str]
    client_secret: pulumi.Output[str]
    client_secret_expiry: pulumi.Output[str]
    admin_consent_url: pulumi.Output[str]
    audience: str
    protected: bool
    parts: Sequence[pulumi.Resource]

    def __init__(
        self,
        name: str,
        run: Run,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(COMPONENT_TYPE, name, None, with_pinned_provider(opts))
        settings, secrets, plan = run.settings, run.secrets, run.application
        # None, not False: an option that is given is recorded.
        lasting = pulumi.ResourceOptions(parent=self, protect=settings.protect_application or None)

        left = [one for one in OF_APPLICATION if one not in plan.other_platforms]
        left += ["tags"] if plan.tags.as_they_are else []
        left += [TOKEN_VERSION] if plan.other_token_version else []
        application = azuread.Application(
            name,
            display_name=settings.application_name,
            sign_in_audience=plan.audience.value,
            tags=list(plan.tags.names),
            owners=list(plan.owners.object_ids),
            # Entra ID requires version 2 if personal accounts may sign in. Mail does without: it is of tokens for an
            # API of the application's own, whose programs may rely on the one that was adopted.
            api=azuread.ApplicationApiArgs(requested_access_token_version=2),
            web=azuread.ApplicationWebArgs(redirect_uris=list(plan.redirect_uris)),
            # Only what gives one of the stack's back to Web is declared, and only in the run that moves it.
            single_page_application=azuread.ApplicationSinglePageApplicationArgs(redirect_uris=list(of_spa))
            if (of_spa := plan.other_platforms.get("singlePageApplication"))
            else None,
            public_client=azuread.ApplicationPublicClientArgs(redirect_uris=list(of_programs))
            if (of_programs := plan.other_platforms.get("publicClient"))
            else None,
            required_resource_accesses=[
                azuread.ApplicationRequiredResourceAccessArgs(
                    resource_app_id=resource,
                    resource_accesses=[
                        azuread.ApplicationRequiredResourceAccessResourceAccessArgs(id=access.id, type=access.kind)
                        for access in accesses
                    ],
                )
                for resource, accesses in by_resource(settings.permissions).items()
            ],
            opts=leaving(lasting, left, plan.owners),
        )
        # Without it, the tenant issues no tokens (AADSTS7000229).
        principal = service_principal(name, application, plan.principal_owners, lasting)
        passwords = {
            slot: azuread.ApplicationPassword(
                secret_name(name, slot),
                application_id=application.id,
                display_name=issued.display_name,
                end_date=rfc3339(issued.end),
                # The plan's own record; it changes only when a new secret is issued.
                rotate_when_changed={ISSUED: rfc3339(issued.issued)} if issued.recorded else None,
                opts=pulumi.ResourceOptions(
                    parent=self,
                    # Entra ID allows two secrets, so what this slot held has to be removed before a new one is issued
                    # into it. A secret that stays may be in use: where somebody has it replaced (`--replace`, `taint`),
                    # its successor is pushed first.
                    delete_before_replace=issued.key_id is None,
                    # Deleting the application deletes its secrets, also those that somebody has removed already.
                    deleted_with=application,
                ),
            )
            for slot, issued in secrets.slots.items()
        }
        consents = []
        with_principal = pulumi.ResourceOptions(parent=self, deleted_with=principal)
        if settings.tenant_consent:
            graph = azuread.get_service_principal_output(
                client_id=MICROSOFT_GRAPH, opts=pulumi.InvokeOutputOptions(parent=self, version=VERSION)
            )
            consent = azuread.ServicePrincipalDelegatedPermissionGrant(
                taken_over(name) if plan.consent else name,
                service_principal_object_id=principal.object_id,
                resource_service_principal_object_id=graph.object_id,
                claim_values=list(settings.scopes),
                # Entra ID deletes it with the service principal, also one that somebody has withdrawn already.
                opts=_taking_over(with_principal, name, plan.consent),
            )
            consents.append(consent)

        self.audience = settings.audience.value
        self.protected = settings.protect_application
        self.parts = (principal, *passwords.values(), *consents)
        self.client_id = application.client_id
        self.object_id = application.object_id
        self.tenant_id = pulumi.Output.from_input(run.caller.tenant_id)
        self.client_secret = passwords[secrets.active].value
        self.client_secret_expiry = passwords[secrets.active].end_date
        self.admin_consent_url = pulumi.Output.all(self.tenant_id, self.client_id).apply(
            lambda ids: admin_consent_url(*ids)
        )
        self.register_outputs(
            {
                "clientId": self.client_id,
                "objectId": self.object_id,
                "tenantId": self.tenant_id,
                "clientSecret": self.client_secret,
                "clientSecretExpiry": self.client_secret_expiry,
                "adminConsentUrl": self.admin_consent_url,
                # Beside them the application has those of others, whose removal is no drift (`status`).
                OWN_TAGS: list(plan.own.tags),
                OWN_OWNERS: sorted(plan.own.owners & set(plan.owners.object_ids)),
                OWN_PRINCIPAL_OWNERS: sorted(plan.own.owners & set(plan.principal_owners.object_ids)),
                **({LEFT_OWNERS: sorted(plan.own.left)} if plan.own.left else {}),
                **({AWAITED_AUDIENCE: self.audience} if plan.audience is not settings.audience else {}),
            }
        )


def service_principal(
    name: str, application: azuread.Application, owners: Owners, opts: pulumi.ResourceOptions
) -> azuread.ServicePrincipal:
    """The enabled service principal of `application`, its undeclared properties left as they are."""
    # Entra ID deletes it with the application, also one that somebody has removed already.
    with_application = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(deleted_with=application))
    return azuread.ServicePrincipal(
        name,
        client_id=application.client_id,
        # The provider's own default, but only what is declared is put right after a refresh.
        account_enabled=True,
        # One that a run made without learning of it is taken, not refused by every further run. It matters for the
        # creation only.
        use_existing=True,
        owners=list(owners.object_ids),
        opts=leaving(with_application, [*OF_PRINCIPAL, "useExisting"], owners),
    )


def leaving(opts: pulumi.ResourceOptions, properties: Sequence[str], owners: Owners) -> pulumi.ResourceOptions:
    """`opts`, with `properties` left as the refresh of this run finds them; `owners`, too, if they are to stay so."""
    left = [*properties, *(["owners"] if owners.as_they_are else [])]
    return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(ignore_changes=left))


def _taking_over(opts: pulumi.ResourceOptions, name: str, consent: TakenOver | None) -> pulumi.ResourceOptions:
    """`opts`, with an administrator's consent imported, and left in place when the stack no longer declares it.

    name: of the application, under which a stack may have recorded it.
    """
    if consent is None:
        return opts
    how = {"import_": consent.id} if consent.new else {"aliases": [pulumi.Alias(name=name)]}
    kept = pulumi.ResourceOptions(**how, retain_on_delete=True)
    return pulumi.ResourceOptions.merge(opts, kept)


def admin_consent_url(tenant_id: str, client_id: str) -> str:
    """Where an administrator of `tenant_id` consents for everybody there."""
    return f"https://login.microsoftonline.com/{tenant_id}/adminconsent?client_id={client_id}"
