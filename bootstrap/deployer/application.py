"""The deployer as one component: application, service principal, its permissions, and the tokens that may sign in."""

from __future__ import annotations

import pulumi
import pulumi_azuread as azuread

from deployer.prepare import Run
from provisioning.entra.scopes import MICROSOFT_GRAPH
from provisioning.program.application import keeping

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
        super().__init__(TYPE_TOKEN, name, None, opts)
        settings = run.settings
        child = pulumi.ResourceOptions(parent=self)
        invoke = pulumi.InvokeOutputOptions(parent=self)
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
        principal = azuread.ServicePrincipal(
            name,
            client_id=application.client_id,
            owners=list(run.principal_owners.object_ids),
            opts=keeping(child, [], run.principal_owners),
        )
        for role, role_id in roles.items():
            # What the portal calls "grant admin consent".
            azuread.AppRoleAssignment(
                f"{name}-{role}",
                app_role_id=role_id,
                principal_object_id=principal.object_id,
                resource_object_id=graph.object_id,
                opts=child,
            )
        for trust in settings.trusts:
            azuread.ApplicationFederatedIdentityCredential(
                f"{name}-{trust.name}",
                application_id=application.id,
                display_name=trust.name,
                issuer=trust.issuer,
                subject=trust.subject,
                audiences=[trust.audience],
                opts=child,
            )
        for object_id in settings.mail_applications:
            azuread.ApplicationOwner(
                f"{name}-{object_id}",
                application_id=f"/applications/{object_id}",
                owner_object_id=principal.object_id,
                opts=child,
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
