"""What `POST /_sandbox/faults` takes besides faults: how the tenant behaves until that is changed."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from sandbox.entra.models import Directory


class Behaviour(BaseModel):
    """How the tenant behaves from now on. Only what is given is changed; null switches off.

    hidden_reads: 404 for the first N reads and changes of each new object.
    secret_delay: seconds for which the token endpoint rejects a new secret.
    maximum_secret_lifetime_days: tenant policy for application passwords.
    secrets_forbidden: the same policy allows no new application passwords at all.
    """

    model_config = ConfigDict(extra="forbid")

    kind: Literal["behaviour"] = "behaviour"
    hidden_reads: int | None = Field(default=None, ge=0)
    secret_delay: float | None = Field(default=None, ge=0)
    maximum_secret_lifetime_days: float | None = Field(default=None, gt=0)
    secrets_forbidden: bool | None = None

    def apply(self, directory: Directory) -> None:
        """Change the tenant's policy."""
        policy, given = directory.policy, self.model_fields_set
        if "hidden_reads" in given:
            policy.hidden_reads = self.hidden_reads or 0
        if "secret_delay" in given:
            policy.secret_delay = timedelta(seconds=self.secret_delay or 0)
        if "secrets_forbidden" in given:
            policy.secrets_forbidden = bool(self.secrets_forbidden)
        if "maximum_secret_lifetime_days" in given:
            days = self.maximum_secret_lifetime_days
            policy.maximum_secret_lifetime = timedelta(days=days) if days else None
