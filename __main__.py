"""One application for NocoBase's email manager: settings → Entra ID → NocoBase → outputs (see README.md)."""

from datetime import UTC, datetime

import pulumi

from provisioning import stack
from provisioning.entra.application import MailApplication
from provisioning.entra.rotation import plan_secrets
from provisioning.nocobase.preflight import check_nocobase
from provisioning.nocobase.resource import MailSettings, NocoBaseProvider

with stack.errors_as_sentences():
    settings, login, configured_api_key = stack.load_settings()
    last = stack.last_state()
    if not last.pushed:
        check_nocobase(settings, login, last.client_id)

secrets = plan_secrets(last.secrets, datetime.now(UTC), settings.secret_description, settings.secret_lifetime_days)
provider = NocoBaseProvider("nocobase", configured_api_key)
application = MailApplication(stack.APPLICATION, settings, secrets)
nocobase = MailSettings("nocobase", settings, application.client_id, application.client_secret, provider)

pulumi.export("clientId", application.client_id)
pulumi.export("objectId", application.object_id)
pulumi.export("tenantId", application.tenant_id)
pulumi.export("redirectUri", nocobase.proved_redirect_uri)
pulumi.export("provedClientId", nocobase.proved_client_id)
pulumi.export("clientSecretExpiry", application.client_secret_expiry)
pulumi.export("adminConsentUrl", application.admin_consent_url)
pulumi.export("clientSecret", application.client_secret)
