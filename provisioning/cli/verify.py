"""`verify`: proves now that users can sign in, link by link of the chain between Entra ID and NocoBase."""

from __future__ import annotations

import typer

from provisioning.cli.common import Format, Output, Stack, errors_as_sentences, show_checks
from provisioning.entra.sign_in_settings import TENANT, use_tenant
from provisioning.errors import ProvisioningError
from provisioning.pulumi_cli import Pulumi


def verify(stack: Stack = None, output: Output = Format.TABLE) -> None:
    """Prove that sign-ins work now: secret, permissions, NocoBase's sign-in link and consent. Nothing is changed.

    The token endpoint is asked with the very secret that NocoBase was given; Entra ID and NocoBase are read and held
    against the settings. The exit code is 1 if a link is broken or cannot be proved, not for warnings.
    """
    with errors_as_sentences():
        from provisioning.doctor.runner import ask_all  # noqa: PLC0415 - not for --help
        from provisioning.doctor.verify import questions  # noqa: PLC0415 - as above
        from provisioning.program import settings  # noqa: PLC0415 - as above
        from provisioning.status import read  # noqa: PLC0415 - as above

        engine = Pulumi(stack)
        state = read.read_state(engine.name(), engine.export(show_secrets=True))
        use_tenant(state.tenant_id or engine.config_of(TENANT))
        if state.application is None or not state.pushes:
            raise ProvisioningError("This stack has not been deployed to its end yet. Run `pulumi up` first.")
        declared, _, logins = settings.load(*engine.configuration())
        asked = questions(state, state.application, declared, logins)
        raise typer.Exit(show_checks(ask_all(asked), output, max(len(question.name) for question in asked)))
