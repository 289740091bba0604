"""What the program declares of NocoBase: the push into each, and the process in which every push runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import pulumi
from pulumi.dynamic import Resource

from provisioning.ending import end_with
from provisioning.entra.client_secret_plan import SecretPlan, rfc3339
from provisioning.foreign import harmless
from provisioning.nocobase.layout import NocoBaseMapping
from provisioning.nocobase.login import STORED
from provisioning.nocobase.push_resource import MailSettingsProvider
from provisioning.nocobase.retry import SETTING as PATIENCE

if TYPE_CHECKING:
    from provisioning.nocobase.installation import Installation

TYPE_NAME = "MailSettings"

NOTHING = (None, "", "{}")
"""How an object that is not set may be configured."""


class NocoBaseProvider(pulumi.ProviderResource):
    """The process in which MailSettings runs.

    It inherits the environment. From the stack's configuration it gets the API keys and headers, which stay secret, and
    how long to wait for NocoBase.
    """

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        config, project = pulumi.Config(), pulumi.get_project()
        given = {key: config.get_secret(key) for key in STORED if config.get(key) not in NOTHING}
        properties = {
            f"{project}:{key}": value for key, value in {**given, PATIENCE: config.get(PATIENCE)}.items() if value
        }
        super().__init__("pulumi-python", name, properties, opts)


class DeployedApplication(Protocol):
    """What the push takes from the application in Entra ID; see `program.application.MailApplication`.

    The push comes after all `parts`, so `destroy` begins with it.
    """

    tenant_id: pulumi.Output[str]
    client_id: pulumi.Output[str]
    client_secret: pulumi.Output[str]
    audience: str
    protected: bool
    parts: Sequence[pulumi.Resource]


class MailSettings(Resource, module="nocobase", name=TYPE_NAME):
    """NocoBase's email settings: they hold the client ID and the client secret, verified by NocoBase's sign-in link.

    proved_client_id, proved_redirect_uri: what that link says. problem: why the push failed, if the stack has several;
    see `require_all`.
    """

    proved_client_id: pulumi.Output[str]
    proved_redirect_uri: pulumi.Output[str]
    problem: pulumi.Output[str | None]
    restart_due: pulumi.Output[str | None] | None = None
    """Of a NocoBase 3 only: what to say as long as it has not been restarted; see `nocobase3.push_resource`."""

    def __init__(
        self,
        installation: Installation,
        application: DeployedApplication,
        secrets: SecretPlan,
        provider: NocoBaseProvider,
        several: bool = False,
        opts: pulumi.ResourceOptions | None = None,
        runs_in: MailSettingsProvider | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        """runs_in: the provider of another target than NocoBase 2, with `more` properties."""
        properties = {
            "nocobase_url": installation.url,
            "nocobase_app": installation.app,
            "mapping": installation.mapping.recorded() if installation.mapping != NocoBaseMapping() else None,
            "tenant_id": application.tenant_id,
            "client_id": application.client_id,
            "client_secret": application.client_secret,
            "slot": secrets.active.value,
            "since": rfc3339(secrets.since),
            "redirect_uris": list(installation.redirect_uris),
            "take_over": installation.take_over,
            "audience": application.audience,
            "logins": list(installation.logins),
            "several": several,
            "protected": application.protected or None,
            "row_id": None,
            "updated_at": None,
            "proved_client_id": None,
            "proved_redirect_uri": None,
            "problem": None,
            **(more or {}),
        }
        opts = pulumi.ResourceOptions.merge(
            opts, pulumi.ResourceOptions(provider=provider, depends_on=list(application.parts))
        )
        super().__init__(runs_in or MailSettingsProvider(), installation.resource_name, properties, opts)


def require_all(pushes: Sequence[MailSettings], removes: bool = False) -> None:
    """Fail the run if a push recorded that it failed; the engine then removes nothing that is old.

    removes: whether this run would remove a client secret. Then it fails, too, where a NocoBase has to be restarted.
    """
    dues = [push.restart_due for push in pushes if push.restart_due is not None]

    def require(said: Sequence[str | None]) -> None:
        failed = [problem for problem in said[: len(pushes)] if problem]
        due = [text for text in said[len(pushes) :] if text]
        if failed:
            served = f"{len(pushes) - len(failed)} of {len(pushes)} NocoBase installations are served."
            end_with("\n".join([*failed, *due, f"{served} Run `pulumi up` again."]))
        if due and removes:
            end_with("\n".join([*due, "No client secret was removed."]))
        for text in due:
            pulumi.warn(harmless(text))

    if (len(pushes) > 1 or dues) and not pulumi.runtime.is_dry_run():
        pulumi.Output.all(*(push.problem for push in pushes), *dues).apply(require)
