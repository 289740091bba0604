"""The same three Entra ID resources as the product's, and nothing else; what `make bench` compares with."""

import pulumi
import pulumi_azuread as azuread

SCOPES = (
    "64a6cdd6-aab1-4aaf-94b8-3cc8405e90d0",
    "7427e0e9-2fba-42fe-b0c0-848c9e6a8182",
    "652390e4-393a-48de-9484-05f9b1212954",
    "258f6531-6087-4cc4-bb90-092c5fb3ed3f",
    "e1fe6dd8-ba31-4d61-89e7-88639da4683d",
)

caller = azuread.get_client_config()
application = azuread.Application(
    "mail",
    display_name="bare",
    sign_in_audience="AzureADandPersonalMicrosoftAccount",
    owners=[caller.object_id],
    api=azuread.ApplicationApiArgs(requested_access_token_version=2),
    web=azuread.ApplicationWebArgs(redirect_uris=["http://localhost:13000/admin/settings/mail/oauth2"]),
    required_resource_accesses=[
        azuread.ApplicationRequiredResourceAccessArgs(
            resource_app_id="00000003-0000-0000-c000-000000000000",
            resource_accesses=[
                azuread.ApplicationRequiredResourceAccessResourceAccessArgs(id=scope, type="Scope") for scope in SCOPES
            ],
        )
    ],
)
azuread.ServicePrincipal("mail", client_id=application.client_id, owners=[caller.object_id])
secret = azuread.ApplicationPassword(
    "mail-secret", application_id=application.id, display_name="bare", end_date="2027-05-20T00:00:00Z"
)
pulumi.export("clientId", application.client_id)
pulumi.export("clientSecret", secret.value)
