"""What `POST /_sandbox/faults` takes besides faults: how the tenant behaves until that is changed."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from sandbox.entra.directory import Directory
from sandbox.entra.policies import DEFAULT_CONSENT
from sandbox.entra.settling import Settling


class Behaviour(BaseModel):
    """How the tenant behaves from now on. Only what is given is changed; null switches off.

    hidden_reads: 404 for the first N reads and changes of each new object.
    settling: seconds until all servers of the token endpoint know a new application, service principal or secret;
    each learns of it at a random moment before. settling_seed: other moments.
    maximum_secret_lifetime_days: tenant policy for application passwords.
    secrets_forbidden: the same policy allows no new application passwords at all.
    object_quota: how many objects a caller may make, deleted ones included.
    consent_policies: by which users may consent; null: those of a new tenant.
    """

    model_config = ConfigDict(extra="forbid")

    kind: Literal["behaviour"] = "behaviour"
    hidden_reads: int | None = Field(default=None, ge=0)
    settling: float | None = Field(default=None, ge=0)
    settling_seed: int | None = None
    maximum_secret_lifetime_days: float | None = Field(default=None, gt=0)
    secrets_forbidden: bool | None = None
    consent_policies: list[str] | None = None
    object_quota: int | None = Field(default=None, ge=0)

    def apply(self, directory: Directory) -> None:
        """Change the tenant's policy."""
        policy, given = directory.policy, self.model_fields_set
        if "hidden_reads" in given:
            policy.hidden_reads = self.hidden_reads or 0
        if "settling" in given:
            policy.settling = Settling(self.settling or 0, self.settling_seed or 0)
        if "secrets_forbidden" in given:
            policy.secrets_forbidden = bool(self.secrets_forbidden)
        if "object_quota" in given:
            policy.object_quota = self.object_quota
        if "consent_policies" in given:
            chosen = self.consent_policies
            policy.consent = DEFAULT_CONSENT if chosen is None else tuple(chosen)
        if "maximum_secret_lifetime_days" in given:
            days = self.maximum_secret_lifetime_days
            policy.maximum_secret_lifetime = timedelta(days=days) if days else None
