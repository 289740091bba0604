"""One NocoBase that is served by the stack's application; a stack has one, or several."""

from __future__ import annotations

from dataclasses import dataclass

from provisioning.nocobase.layout import NocoBaseMapping

MAIN = ""
"""The name of the installation that `nocobaseUrl` names."""


@dataclass(frozen=True)
class Installation:
    """Where one NocoBase is, and its own settings.

    app: a sub-application, None for the main one. take_over: a client id that may be replaced there. redirect_uris: its
    own. logins: the names of the logins to try, in this order.
    """

    name: str
    url: str
    app: str | None
    take_over: str | None
    mapping: NocoBaseMapping
    redirect_uris: tuple[str, ...]
    logins: tuple[str, ...] = (MAIN,)

    @property
    def resource_name(self) -> str:
        """The name of its push among the stack's resources."""
        return f"nocobase-{self.name}" if self.name else "nocobase"
