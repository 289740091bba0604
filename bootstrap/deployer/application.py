"""The deployer as one component: application, service principal, its permissions, and the tokens that may sign in."""

from __future__ import annotations

import pulumi
import pulumi_azuread as azuread

from deployer.left_behind import LeftBehind, resource_name
from deployer.prepare import Run
from provisioning.entra.scopes import MICROSOFT_GRAPH
from provisioning.program.application import keeping
from provisioning.program.provider import VERSION, with_pinned_provider

NAME = "deployer"
"""Of the component, and of its application and service principal."""

TYPE_TOKEN = "nocobase-outlook-bootstrap:deployer:Deployer"


class Deployer(pulumi.ComponentResource):
    """An application that pipelines sign in as with their own tokens; it has no secret.

    object_id: of its service principal, which owns what it creates. variables: what a pipeline sets to sign in.
    """

    object_id: pulumi.Output[str]
    variables: pulumi.Output[dict[str, str]]

    def __init__(self, name: str, run: Run, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(TYPE_TOKEN, name, None, with_pinned_provider(opts))
        settings = run.settings
        child = pulumi.ResourceOptions(parent=self)
        invoke = pulumi.InvokeOutputOptions(parent=self, version=VERSION)
        graph = azuread.get_service_principal_output(client_id=MICROSOFT_GRAPH, opts=invoke)
        roles = {role: graph.app_role_ids[role] for role in settings.permissions}

        application = azuread.Application(
            name,
            display_name=settings.application_name,
            sign_in_audience="AzureADMyOrg",
            api=azuread.ApplicationApiArgs(requested_access_token_version=2),
            owners=list(run.owners.object_ids),
            required_resource_accesses=[
                azuread.ApplicationRequiredResourceAccessArgs(
                    resource_app_id=MICROSOFT_GRAPH,
                    resource_accesses=[
                        azuread.ApplicationRequiredResourceAccessResourceAccessArgs(id=role, type="Role")
                        for role in roles.values()
                    ],
                )
            ],
            opts=keeping(child, [], run.owners),
        )
        # What Entra ID deletes with another object needs no request of its own, which would fail for what somebody has
        # removed by hand, and wait 20 s for each federated credential.
        of_application = pulumi.ResourceOptions(parent=self, deleted_with=application)
        principal = azuread.ServicePrincipal(
            name,
            client_id=application.client_id,
            # The provider's own default, but only what is declared is put right after a refresh.
            account_enabled=True,
            # One that a run made without learning of it is taken, not refused by every further run. It matters for the
            # creation only.
            use_existing=True,
            owners=list(run.principal_owners.object_ids),
            opts=keeping(of_application, ["useExisting"], run.principal_owners),
        )
        of_principal = pulumi.ResourceOptions(parent=self, deleted_with=principal)
        for role, role_id in roles.items():
            # What the portal calls "grant admin consent".
            assignment = resource_name(name, role)
            azuread.AppRoleAssignment(
                assignment,
                app_role_id=role_id,
                principal_object_id=principal.object_id,
                resource_object_id=graph.object_id,
                opts=_taken_over(assignment, run.left_behind, of_principal),
            )
        # Entra ID takes an issuer and subject once only.
        replaced = pulumi.ResourceOptions(parent=self, deleted_with=application, delete_before_replace=True)
        for trust in settings.trusts:
            credential = resource_name(name, trust.name)
            azuread.ApplicationFederatedIdentityCredential(
                credential,
                application_id=application.id,
                display_name=trust.name,
                issuer=trust.issuer,
                subject=trust.subject,
                audiences=[trust.audience],
                opts=_taken_over(credential, run.left_behind, replaced),
            )
        for object_id in settings.mail_applications:
            ownership = resource_name(name, object_id)
            azuread.ApplicationOwner(
                ownership,
                application_id=f"/applications/{object_id}",
                owner_object_id=principal.object_id,
                opts=_taken_over(ownership, run.left_behind, of_principal),
            )

        self.object_id = principal.object_id
        self.variables = application.client_id.apply(
            lambda client_id: {
                "ARM_USE_OIDC": "true",
                "ARM_TENANT_ID": run.caller.tenant_id,
                "ARM_CLIENT_ID": client_id,
            }
        )
        self.register_outputs({"objectId": self.object_id, "variables": self.variables})


def _taken_over(name: str, left: LeftBehind, opts: pulumi.ResourceOptions) -> pulumi.ResourceOptions:
    """`opts`, with what the resource `name` takes over."""
    known = [pulumi.Alias(name=left.renamed[name])] if name in left.renamed else None
    return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(import_=left.ids.get(name), aliases=known))
