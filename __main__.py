"""One application for NocoBase's email manager: settings → Entra ID → NocoBase → outputs (see README.md)."""

import pulumi

from provisioning import stack
from provisioning.nocobase.resource import MailSettings, NocoBaseProvider

# This starts a process; it comes up while the imports below, which take as long, go on.
provider = NocoBaseProvider("nocobase")
with stack.errors_as_sentences():
    last = stack.last_state()

from provisioning import settings as stack_settings  # noqa: E402
from provisioning.entra.application import MailApplication  # noqa: E402
from provisioning.entra.make_room import make_room  # noqa: E402
from provisioning.entra.rotation import plan_secrets, rfc3339  # noqa: E402
from provisioning.nocobase.preflight import check_nocobase  # noqa: E402

with stack.errors_as_sentences():
    settings, login = stack_settings.load(*stack.configuration())
    if not last.pushed:
        check_nocobase(settings, login, last.client_id)
    secrets = plan_secrets(last.secrets, stack.now(), settings.rotation_policy)
    preview = pulumi.runtime.is_dry_run()
    orphans = make_room(last.object_id, last.secrets, secrets, settings, preview)
for reason in (*orphans, *secrets.reasons):
    pulumi.info(f"Client secrets: {reason}.")

application = MailApplication(stack.APPLICATION, settings, secrets)
nocobase = MailSettings("nocobase", settings, application, secrets, provider)

pulumi.export("clientId", application.client_id)
pulumi.export("objectId", application.object_id)
pulumi.export("tenantId", application.tenant_id)
pulumi.export("redirectUri", nocobase.proved_redirect_uri)
pulumi.export("provedClientId", nocobase.proved_client_id)
pulumi.export("clientSecretExpiry", application.client_secret_expiry)
pulumi.export("clientSecretIssued", rfc3339(secrets.slots[secrets.active].issued))
pulumi.export("nextRotation", rfc3339(secrets.next_rotation))
pulumi.export("oldSecretRetires", rfc3339(secrets.old_retires) if secrets.old_retires else None)
pulumi.export("adminConsentUrl", application.admin_consent_url)
pulumi.export("clientSecret", application.client_secret)
