"""Whether the tenant and the NocoBase that `init` was told of are there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import typer

from provisioning.cli.common import words
from provisioning.errors import ProvisioningError

if TYPE_CHECKING:
    from provisioning.doctor.runner import Finding


class Lookups:
    """Looks for them, and says what it finds. ask: whether a person can insist on what was not found."""

    def __init__(self, ask: bool) -> None:
        self.ask = ask
        self._insisted: set[str] = set()
        """The addresses that a person insists on."""

    def tenant(self, named: str) -> str | None:
        """The ID of the tenant, which may be named by a domain; None if a person insists. Raises ProvisioningError."""
        from provisioning.doctor.tenant import ask_tenant  # noqa: PLC0415 - not for `--help`

        finding = self._found("Tenant", lambda: ask_tenant(named))
        return None if finding is None else str(finding.value)

    def nocobase(self, config: Mapping[str, str], email_manager: bool) -> None:
        """Look for the server, or the sub-application, and for its email manager. Raises ProvisioningError."""
        from provisioning.doctor.nocobase import ask_plugins, ask_server  # noqa: PLC0415 - as above
        from provisioning.program.validation import validate  # noqa: PLC0415 - as above

        # What else is wrong is told of its own.
        keys = ("nocobaseUrl", "nocobaseApp", "nocobaseConfigFile", "nocobaseHeaders")
        place = {key: config[key] for key in keys if key in config}
        settings, _ = validate(place)
        if settings is None or settings.nocobase_url in self._insisted:
            return
        known = self.ask and email_manager and settings.nocobase_app is None
        if not known and self._found("NocoBase", lambda: ask_server(settings)) is None:
            self._insisted.add(settings.nocobase_url)
        elif email_manager:
            self._found("Email manager", lambda: ask_plugins(settings))

    def _found(self, name: str, ask: Callable[[], Finding]) -> Finding | None:
        """Ask, and tell; None if the answer is bad and a person goes on all the same."""
        try:
            finding = ask()
        except ProvisioningError as error:
            said, remedy = str(error), None
        else:
            if finding.usable:
                words.print(f"✓ {name}: {finding.said}")
                return finding
            said, remedy = finding.said, finding.remedy
        words.print(f"✗ {name}: {said}{f' → {remedy}' if remedy else ''}", style="yellow")
        if self.ask and typer.confirm("Go on all the same?", err=True):
            return None
        raise ProvisioningError("Nothing was written. If it is to be set up later: the same command with --no-checks.")
