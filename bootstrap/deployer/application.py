"""The deployer as one component: application, service principal, its permissions, and the tokens that may sign in."""

from __future__ import annotations

import pulumi
import pulumi_azuread as azuread

from deployer.settings import Settings

MICROSOFT_GRAPH = "00000003-0000-0000-c000-000000000000"
TYPE_TOKEN = "nocobase-outlook-bootstrap:deployer:Deployer"


class Deployer(pulumi.ComponentResource):
    """An application that pipelines sign in as with their own tokens; it has no secret.

    object_id: of its service principal, which owns what it creates. variables: what a pipeline sets to sign in.
    """

    object_id: pulumi.Output[str]
    variables: pulumi.Output[dict[str, str]]

    def __init__(self, name: str, settings: Settings, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(TYPE_TOKEN, name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        invoke = pulumi.InvokeOutputOptions(parent=self)
        caller = azuread.get_client_config_output(invoke)
        owners = caller.object_id.apply(lambda object_id: sorted({object_id, *settings.owners}))
        graph = azuread.get_service_principal_output(client_id=MICROSOFT_GRAPH, opts=invoke)
        roles = {role: graph.app_role_ids[role] for role in settings.permissions}

        application = azuread.Application(
            name,
            display_name=settings.application_name,
            sign_in_audience="AzureADMyOrg",
            api=azuread.ApplicationApiArgs(requested_access_token_version=2),
            owners=owners,
            required_resource_accesses=[
                azuread.ApplicationRequiredResourceAccessArgs(
                    resource_app_id=MICROSOFT_GRAPH,
                    resource_accesses=[
                        azuread.ApplicationRequiredResourceAccessResourceAccessArgs(id=role, type="Role")
                        for role in roles.values()
                    ],
                )
            ],
            opts=child,
        )
        principal = azuread.ServicePrincipal(name, client_id=application.client_id, owners=owners, opts=child)
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
        self.variables = pulumi.Output.all(caller.tenant_id, application.client_id).apply(
            lambda ids: {"ARM_USE_OIDC": "true", "ARM_TENANT_ID": ids[0], "ARM_CLIENT_ID": ids[1]}
        )
        self.register_outputs({"objectId": self.object_id, "variables": self.variables})
