"""A fleet of 50 stacks for the page: some need a person, one cannot be read, one has a hostile name."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from provisioning.entra.orphans import StoredSecret
from provisioning.entra.registration import Registration
from provisioning.program.last_state import Deployed
from provisioning.status.compare import Overview, overview
from provisioning.status.page import Shown
from provisioning.status.read import Extra, Unread
from tests.provisioning.checkpoints import CLIENT_ID
from tests.provisioning.status.test_compare import ONE, OTHER_ID, TWO, held, registration

NOW = datetime(2027, 4, 5, 12, tzinfo=UTC)

HOSTILE = "</title><script>document.title = 'run'</script><img src=x onerror=\"document.title = 'run'\">\u202egnp"


def moved(state: Deployed, days: int, stack: str) -> Deployed:
    """The same stack under another name, with all its dates that many days later."""
    later = timedelta(days=days)
    return replace(
        state,
        stack=stack,
        secrets=tuple(replace(one, issued=one.issued + later, ends=one.ends + later) for one in state.secrets),
        pushes=tuple(replace(one, since=one.since + later if one.since else None) for one in state.pushes),
        next_rotation=state.next_rotation + later if state.next_rotation else None,
        old_retires=state.old_retires + later if state.old_retires else None,
    )


def seen(state: Deployed, client_id: str = CLIENT_ID, unread: str = "", name: str = "NocoBase mail") -> Overview:
    """What is shown of a stack. client_id: what NocoBase holds. unread: why Entra ID was not read, if it was not."""
    secrets = tuple(StoredSecret(one.key_id, one.name) for one in state.secrets)
    found: Registration | Unread = Unread(unread) if unread else registration(secrets=secrets, display_name=name)
    return overview(state, found, [held(client_id=client_id)], NOW, 14, Extra(orphaned=(StoredSecret("lost", "x"),)))


def shown(view: Overview) -> Shown:
    """A stack that was read."""
    return Shown(view.deployed.stack, view, view.alarms)


def few() -> list[Shown]:
    """One stack of each kind."""
    return [
        shown(seen(moved(TWO, 0, "prod-eu"))),
        shown(seen(moved(ONE, 30, "prod-us"))),
        shown(seen(moved(ONE, -78, "prod-old"))),
        shown(seen(moved(ONE, 20, "test-eu"), OTHER_ID)),
        shown(seen(moved(ONE, 10, "test-us"), unread="403 Authorization_RequestDenied")),
        shown(seen(moved(ONE, 40, "test-hand"), name=HOSTILE)),
        Shown("lost", None, ("error: no stack named 'lost' found\nRun `pulumi stack ls`",)),
        Shown(HOSTILE, None, (f"its state is not understood ({HOSTILE})",)),
    ]


def fifty() -> list[Shown]:
    """The same among stacks that need nobody."""
    others = 50 - len(few())
    quiet = [moved(TWO, -number % 3, f"eu-{number}") if number % 4 == 0 else moved(ONE, 2 * number, f"us-{number}")
             for number in range(others)]  # fmt: skip
    return [*(shown(seen(state)) for state in quiet), *few()]
