"""The tenant's clock. It can be set, so that years pass in a test; then it runs from there.

It gives new objects their dates and decides whether a secret has expired. Access tokens, delays and faults use the real
time, because the clients that wait for them do.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


class Clock:
    """Real time, shifted."""

    def __init__(self) -> None:
        self._shift = timedelta(0)

    def now(self) -> datetime:
        """The tenant's time in UTC."""
        return datetime.now(UTC) + self._shift

    def set(self, moment: datetime) -> None:
        """Let it be `moment` now. Not saved: a restarted sandbox has the real time."""
        self._shift = moment - datetime.now(UTC)

    def reset(self) -> None:
        """Back to the real time."""
        self._shift = timedelta(0)


class ClockOrder(BaseModel):
    """What POST /_sandbox/clock takes: {"now": "2027-05-01T00:00:00Z"}."""

    model_config = ConfigDict(extra="forbid")

    now: AwareDatetime = Field(ge=EARLIEST, le=LATEST)
