"""Dates as people read them: in UTC, and how many days away."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from provisioning.program.last_state import Deployed


def day(moment: datetime) -> str:
    """The date, in UTC."""
    return moment.astimezone(UTC).date().isoformat()


def dated(moment: datetime | None, now: datetime) -> str | None:
    """The date and how far away it is; None if there is none."""
    return f"{day(moment)} ({in_days(moment, now)})" if moment else None


def end_of_old_secret(state: Deployed, now: datetime) -> str | None:
    """When the old client secret is removed, or what it waits for; None if there is none."""
    if len(state.secrets) > 1 and any(push.restart_due for push in state.pushes):
        return "once NocoBase is restarted"
    return dated(state.old_retires, now)


def in_days(moment: datetime, now: datetime) -> str:
    """How far away `moment` is, in whole days."""
    days = int((moment - now) / timedelta(days=1))
    count = f"{abs(days)} day{'s' * (abs(days) != 1)}"
    return f"in {count}" if days > 0 else f"{count} ago" if days < 0 else "today"
