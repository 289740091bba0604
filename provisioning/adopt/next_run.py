"""What the next `pulumi up` does to an application that is adopted, in words, before anybody agrees to it. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from provisioning.adopt.plan import IN_NOCOBASE, NOT_TOUCHED, SECRET_DESCRIPTION, Adoption
from provisioning.entra.registration import Found
from provisioning.foreign import listed

BESIDE = (IN_NOCOBASE, SECRET_DESCRIPTION)
"""Lines of the plan about something else than the application."""


def next_run(plan: Adoption, found: Found) -> list[str]:
    """Everything that the run after the adoption changes, and what it does not, a sentence each."""
    uses_it = any(line.property == IN_NOCOBASE for line in plan.lines)
    old = ", in place of the one that it has, which stays valid" if uses_it else ""
    return [
        *_changes(plan),
        *([] if found.principal is not None else ["It creates the service principal, which is missing."]),
        f"It issues a client secret of this stack's own and gives it to NocoBase{old}.",
        "It leaves everything else in the application as it is.",
    ]


def _changes(plan: Adoption) -> Iterator[str]:
    for line in plan.lines:
        if line.property in BESIDE or line.how == NOT_TOUCHED or line.after == line.there:
            continue
        there, after = (value if isinstance(value, list) else [] for value in (line.there, line.after))
        if line.after is None:
            yield f"It removes from {line.property}: {listed(there or [line.there])} ({line.how})."
        elif added := [item for item in after if item not in there]:
            yield f"It adds to {line.property}: {listed(added)}."
