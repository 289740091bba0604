"""The outputs of a deployed stack; pipelines and the commands rely on their names."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi

from provisioning.entra.client_secret_plan import rfc3339
from provisioning.nocobase.mail_settings import MailSettings
from provisioning.program.application import MailApplication
from provisioning.program.run import Run


def export_outputs(run: Run, application: MailApplication, pushes: Sequence[MailSettings]) -> None:
    """Export the outputs. pushes: the main installation's first."""
    secrets = run.secrets
    pulumi.export("clientId", application.client_id)
    pulumi.export("objectId", application.object_id)
    pulumi.export("tenantId", application.tenant_id)
    pulumi.export("redirectUri", pushes[0].proved_redirect_uri)
    pulumi.export("provedClientId", pushes[0].proved_client_id)
    pulumi.export("clientSecretExpiry", application.client_secret_expiry)
    pulumi.export("clientSecretIssued", rfc3339(secrets.slots[secrets.active].issued))
    pulumi.export("nextRotation", rfc3339(secrets.next_rotation))
    retires = rfc3339(secrets.old_retires) if secrets.old_retires else None
    dues = [push.restart_due for push in pushes if push.restart_due is not None]
    if dues:
        old_secret = pulumi.Output.all(*dues).apply(lambda said: end_of_old_secret(retires, said))
        pulumi.export("oldSecretRetires", old_secret.apply(lambda end: end[0]))
        pulumi.export("oldSecretWaitsFor", old_secret.apply(lambda end: end[1]))
    else:
        pulumi.export("oldSecretRetires", retires)
    pulumi.export("adminConsentUrl", application.admin_consent_url)
    pulumi.export("clientSecret", application.client_secret)


def end_of_old_secret(retires: str | None, dues: Sequence[str | None]) -> tuple[str | None, str | None]:
    """When the old secret is removed, or else what it waits for; neither if there is none.

    retires: by the plan, which counts from now on as long as a restart is due. dues: see `MailSettings.restart_due`.
    """
    due = " ".join(filter(None, dues))
    return (None, due) if retires and due else (retires, None)
