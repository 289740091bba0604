"""The outputs of a deployed stack; pipelines and the commands rely on their names."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi

from provisioning.entra.client_secret_plan import rfc3339
from provisioning.nocobase.push_resource import MailSettings
from provisioning.program.application import MailApplication
from provisioning.program.prepare import Run


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
    pulumi.export("oldSecretRetires", rfc3339(secrets.old_retires) if secrets.old_retires else None)
    pulumi.export("adminConsentUrl", application.admin_consent_url)
    pulumi.export("clientSecret", application.client_secret)
