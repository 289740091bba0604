"""What `init` says at its end: who has to consent, which stack is selected, and the commands that come next."""

from __future__ import annotations

import os
import shlex
from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import partial

from provisioning.cli.common import words
from provisioning.doctor.runner import Outcome, Question, ask_all
from provisioning.entra.sign_in_settings import sign_in_settings, use_tenant
from provisioning.errors import EngineFailed
from provisioning.foreign import quoted
from provisioning.pulumi_cli import Pulumi, settings_file

CONSENT_SECONDS = 20.0
"""How long the tenant's policy on consent is waited for."""


def tell_consent(config: Mapping[str, str], check: bool) -> None:
    """Say who has to consent to the scopes, as the tenant's policy says it to whoever is signed in.

    check: whether the tenant is asked.
    """
    from provisioning.doctor.consent import ask_rule, check_unread_rule  # noqa: PLC0415 - not for `--help`
    from provisioning.program.validation import validate  # noqa: PLC0415 - as above

    settings, _ = validate({key: value for key, value in config.items() if key != "tenantId"})
    if settings is None or settings.tenant_consent:
        return
    ask = partial(ask_rule, settings, deployed=False) if check else check_unread_rule
    use_tenant(config.get("tenantId"))
    for found in ask_all([Question("consent", ask, limit=CONSENT_SECONDS)]):
        mark, style = ("✓", None) if found.outcome is Outcome.OK else ("!", "yellow")
        words.print(f"{mark} Consent: {found.said}.", style=style)
        for line in (found.remedy or "").splitlines():
            words.print(f"  {line}")


def tell_next(stack: str, written: Collection[str], config: Mapping[str, str], engine: Pulumi, exists: bool) -> None:
    """Say what was written, which stack is selected, and the commands that come next. written: the settings."""
    file = settings_file(stack)
    words.print(f"Wrote {', '.join(written)} to {file}." if written else f"{file} is as it was.")
    selected = selected_stack(engine) if exists else stack
    if selected in (stack, stack.rpartition("/")[2]):
        words.print(
            f"The stack {stack} is selected{'' if exists else ' from now on'}: commands without --stack use it."
        )
    else:
        words.print(f"The stack {quoted(selected)} is still selected." if selected else "No stack is selected.")
    lines = []
    if backend := engine.environment.get("PULUMI_BACKEND_URL"):
        lines.append(f"export PULUMI_BACKEND_URL={shlex.quote(backend)}")
    if not sign_in_settings().is_named("clientId", "clientIdFilePath", "useMsi"):
        lines.append(f"az login --tenant {config.get('tenantId', '<tenant>')}")
    if not os.environ.get("NOCOBASE_API_KEY"):
        lines.append("read -rs NOCOBASE_API_KEY && export NOCOBASE_API_KEY")
    if selected not in (stack, stack.rpartition("/")[2]):
        lines.append(f"pulumi stack select {stack}")
    lines += [f"python -m provisioning doctor --stack {stack}", f"pulumi up --stack {stack}"]
    words.print("Next:\n" + "\n".join(f"    {line}" for line in lines))


def selected_stack(engine: Pulumi) -> str:
    """The stack that is selected; empty if none is."""
    try:
        return replace(engine, stack=None).name()
    except EngineFailed:
        return ""
