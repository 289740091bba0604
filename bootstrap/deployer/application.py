"""An identity as one component: application, service principal, its permissions, and the tokens that may sign in."""

from __future__ import annotations

import pulumi
import pulumi_azuread as azuread

from deployer.federation import Trust
from deployer.left_behind import LeftBehind, resource_name
from deployer.prepare import Planned, Run
from deployer.settings import DEPLOYER, PREVIEW
from provisioning.entra.scopes import MICROSOFT_GRAPH
from provisioning.program.application import leaving, service_principal
from provisioning.program.provider import VERSION, with_pinned_provider
from provisioning.program.undeclared import OF_APPLICATION

UNDECLARED = (*(name for name in OF_APPLICATION if not name.startswith("web.")), "web")
"""What this program does not declare of its applications: nobody signs in to them in a browser."""

TYPE_TOKENS = {
    DEPLOYER: "nocobase-outlook-bootstrap:deployer:Deployer",
    PREVIEW: "nocobase-outlook-bootstrap:deployer:Preview",
}
"""Of the components, by the names of the identities."""


class PipelineIdentity(pulumi.ComponentResource):
    """An application that pipelines sign in as with their own tokens; it has no secret.

    client_id: of the application. object_id: of its service principal, which owns what it creates.
    """

    client_id: pulumi.Output[str]
    object_id: pulumi.Output[str]

    def __init__(self, planned: Planned, opts: pulumi.ResourceOptions | None = None) -> None:
        identity, name = planned.identity, planned.identity.name
        super().__init__(TYPE_TOKENS[name], name, None, with_pinned_provider(opts))
        child = pulumi.ResourceOptions(parent=self)
        invoke = pulumi.InvokeOutputOptions(parent=self, version=VERSION)
        graph = azuread.get_service_principal_output(client_id=MICROSOFT_GRAPH, opts=invoke)
        roles = {role: graph.app_role_ids[role] for role in identity.permissions}

        application = azuread.Application(
            name,
            display_name=identity.application_name,
            sign_in_audience="AzureADMyOrg",
            api=azuread.ApplicationApiArgs(requested_access_token_version=2),
            owners=list(planned.owners.object_ids),
            required_resource_accesses=[
                azuread.ApplicationRequiredResourceAccessArgs(
                    resource_app_id=MICROSOFT_GRAPH,
                    resource_accesses=[
                        azuread.ApplicationRequiredResourceAccessResourceAccessArgs(id=role, type="Role")
                        for role in roles.values()
                    ],
                )
            ],
            opts=leaving(child, UNDECLARED, planned.owners),
        )
        principal = service_principal(name, application, planned.principal_owners, child)
        # What Entra ID deletes with another object needs no request of its own, which would fail for what somebody has
        # removed by hand, and wait 20 s for each federated credential.
        of_principal = pulumi.ResourceOptions(parent=self, deleted_with=principal)
        for role, role_id in roles.items():
            # What the portal calls "grant admin consent".
            assignment = resource_name(name, role)
            azuread.AppRoleAssignment(
                assignment,
                app_role_id=role_id,
                principal_object_id=principal.object_id,
                resource_object_id=graph.object_id,
                opts=_taken_over(assignment, planned.left_behind, of_principal),
            )
        # Entra ID takes an issuer and subject once only.
        replaced = pulumi.ResourceOptions(parent=self, deleted_with=application, delete_before_replace=True)
        for trust in identity.trusts:
            credential = resource_name(name, trust.name)
            _credential(credential, application.id, trust, _taken_over(credential, planned.left_behind, replaced))
        for object_id in identity.mail_applications:
            ownership = resource_name(name, object_id)
            azuread.ApplicationOwner(
                ownership,
                application_id=f"/applications/{object_id}",
                owner_object_id=principal.object_id,
                opts=_taken_over(ownership, planned.left_behind, of_principal),
            )

        self.client_id = application.client_id
        self.object_id = principal.object_id
        self.register_outputs({"clientId": self.client_id, "objectId": self.object_id})


def declare(run: Run) -> dict[str, object]:
    """Declare both identities; what the stack exports.

    variables: what a pipeline sets to deploy. previewClientId: the client ID for everything else.
    """
    deployer = PipelineIdentity(run.deployer)
    variables = {
        "ARM_USE_OIDC": "true",
        "ARM_TENANT_ID": run.caller.tenant_id,
        "ARM_CLIENT_ID": deployer.client_id,
    }
    outputs: dict[str, object] = {"variables": variables, "objectId": deployer.object_id, **_shown(run.deployer)}
    if run.preview is not None:
        preview = PipelineIdentity(run.preview)
        shown = _shown(run.preview)
        outputs |= {
            "previewClientId": preview.client_id,
            "previewPermissions": shown["permissions"],
            "previewTrusts": shown["trusts"],
        }
    return outputs


def _shown(planned: Planned) -> dict[str, object]:
    identity = planned.identity
    trusts = [{"name": trust.name, "subject": trust.shown} for trust in identity.trusts]
    return {"permissions": list(identity.permissions), "trusts": trusts}


def _credential(
    name: str, application_id: pulumi.Input[str], trust: Trust, opts: pulumi.ResourceOptions
) -> pulumi.CustomResource:
    """One federated credential; a flexible one is a resource type of its own."""
    if trust.expression:
        return azuread.ApplicationFlexibleFederatedIdentityCredential(
            name,
            application_id=application_id,
            display_name=trust.name,
            issuer=trust.issuer,
            claims_matching_expression=trust.expression,
            audience=trust.audience,
            opts=opts,
        )
    return azuread.ApplicationFederatedIdentityCredential(
        name,
        application_id=application_id,
        display_name=trust.name,
        issuer=trust.issuer,
        subject=trust.subject,
        audiences=[trust.audience],
        opts=opts,
    )


def _taken_over(name: str, left: LeftBehind, opts: pulumi.ResourceOptions) -> pulumi.ResourceOptions:
    """`opts`, with what the resource `name` takes over."""
    known = [pulumi.Alias(name=left.renamed[name])] if name in left.renamed else None
    return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(import_=left.ids.get(name), aliases=known))
