"""One application for NocoBase's email manager: settings → Entra ID → NocoBase → outputs (see README.md)."""

from functools import partial

import pulumi

from provisioning import stack
from provisioning.nocobase.resource import MailSettings, NocoBaseProvider, require_all

# This starts a process; it comes up while the imports below, which take as long, go on.
provider = NocoBaseProvider("nocobase")
with stack.errors_as_sentences():
    last = stack.last_state()

from provisioning import settings as stack_settings  # noqa: E402
from provisioning.entra.application import MailApplication  # noqa: E402
from provisioning.entra.namesake import refuse_namesakes  # noqa: E402
from provisioning.entra.planning import plan_run  # noqa: E402
from provisioning.entra.rotation import FORGOTTEN, rfc3339  # noqa: E402
from provisioning.nocobase.in_use import doubts  # noqa: E402
from provisioning.nocobase.preflight import check_installations  # noqa: E402

stack.sign_in_to_its_tenant()
with stack.errors_as_sentences():
    settings, _, logins = stack_settings.load(*stack.configuration())
    new = [one for one in settings.installations if one.resource_name not in last.pushed]
    patience = settings.nocobase_patience_seconds
    troubles = check_installations(new, logins, last.client_id, bool(last.pushed), patience)
    if last.object_id is None:
        refuse_namesakes(settings)
    preview = pulumi.runtime.is_dry_run()
    may_be_in_use = partial(doubts, settings.installations, logins, last.client_id, last.pushed, last.values)
    secrets, orphans = plan_run(
        last.object_id, last.secrets, stack.now(), settings, preview, stack.removed_for_replacement, may_be_in_use
    )
for reason in (*orphans, *secrets.reasons):
    pulumi.info(f"Client secrets: {reason}.")

for trouble in troubles:
    pulumi.warn(trouble)

application = MailApplication(stack.APPLICATION, settings, secrets)
several = len(settings.installations) > 1
pushes = [MailSettings(one, application, secrets, provider, several) for one in settings.installations]
require_all(pushes)

pulumi.export("clientId", application.client_id)
pulumi.export("objectId", application.object_id)
pulumi.export("tenantId", application.tenant_id)
pulumi.export("redirectUri", pushes[0].proved_redirect_uri)
pulumi.export("provedClientId", pushes[0].proved_client_id)
pulumi.export("clientSecretExpiry", application.client_secret_expiry)
pulumi.export("clientSecretIssued", rfc3339(secrets.slots[secrets.active].issued))
pulumi.export("nextRotation", rfc3339(secrets.next_rotation))
pulumi.export("oldSecretRetires", rfc3339(secrets.old_retires) if secrets.old_retires else None)
pulumi.export("adminConsentUrl", application.admin_consent_url)
pulumi.export("clientSecret", application.client_secret)
if secrets.gone:
    pulumi.export(FORGOTTEN, [secret.key_id for secret in secrets.gone.values()])
