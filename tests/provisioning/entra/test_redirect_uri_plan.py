"""Redirect URIs are added, then switched to, then removed: single plans, and whole histories of moves and failures."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from provisioning.addresses import comparable
from provisioning.entra.redirect_uri_plan import plan_redirect_uris

OLD, NEW, THIRD = (f"https://{name}.example.com/admin/settings/mail/oauth2" for name in ("old", "new", "third"))
ODD = OLD.replace("https://old.example.com", "https://OLD.example.com:443")


def test_a_move_adds_first_and_the_run_after_the_switch_removes() -> None:
    first = plan_redirect_uris([NEW], [OLD], [OLD])
    assert (first.uris, first.leaving) == ((NEW, OLD), (OLD,))
    again = plan_redirect_uris([NEW], first.uris, [OLD])
    assert again == first
    after = plan_redirect_uris([NEW], first.uris, [NEW])
    assert (after.uris, after.leaving) == ((NEW,), ())


def test_what_nobody_uses_goes_at_once() -> None:
    assert plan_redirect_uris([OLD], [OLD, NEW], [OLD]).uris == (OLD,)
    assert plan_redirect_uris([NEW], [OLD], []).uris == (NEW,)


def test_a_new_application_is_not_given_what_the_former_one_had() -> None:
    assert plan_redirect_uris([NEW], [], [OLD]).uris == (NEW,)


def test_one_of_several_that_has_not_switched_keeps_its_own() -> None:
    assert plan_redirect_uris([NEW, THIRD], [OLD, THIRD, NEW], [NEW, THIRD]).leaving == ()
    assert plan_redirect_uris([NEW, THIRD], [OLD, THIRD], [OLD, THIRD]).uris == (NEW, THIRD, OLD)


def test_another_spelling_that_works_stays() -> None:
    assert plan_redirect_uris([OLD], [ODD], [ODD]).uris == (ODD,)
    # One that nobody was verified to use: besides what another NocoBase uses, and at an adoption.
    assert plan_redirect_uris([OLD, NEW], [ODD, NEW], [NEW]).uris == (ODD, NEW)
    assert plan_redirect_uris([OLD], [ODD], []).uris == (ODD, OLD)


def test_another_spelling_that_never_worked_goes() -> None:
    """An earlier version put it there, and its push failed."""
    assert plan_redirect_uris([OLD], [ODD], [OLD]).uris == (OLD,)


uris = st.sampled_from([OLD, NEW, THIRD])
names = st.sampled_from(["main", "sales"])
steps = st.lists(st.tuples(st.dictionaries(names, uris, min_size=1), st.sets(names)), min_size=1, max_size=8)


@given(steps)
def test_no_history_takes_away_what_a_served_nocobase_uses(history: list[tuple[dict[str, str], set[str]]]) -> None:
    """Each step declares an address for each installation; the pushes to `failing` fail."""
    registered: tuple[str, ...] = ()
    verified: dict[str, str] = {}
    for declared, failing in history:
        verified = {name: uri for name, uri in verified.items() if name in declared}
        wanted = list(dict.fromkeys(declared.values()))
        plan = plan_redirect_uris(wanted, registered, set(verified.values()))
        assert set(verified.values()) <= set(plan.uris)
        assert set(wanted) <= set(plan.uris)
        registered = plan.uris
        verified |= {name: uri for name, uri in declared.items() if name not in failing}
    # Two runs without failures settle it, and a third one changes nothing.
    for _ in range(2):
        plan = plan_redirect_uris(wanted, registered, set(declared.values()))
        registered = plan.uris
    assert set(registered) == set(wanted)
    assert plan_redirect_uris(wanted, registered, set(declared.values())).uris == registered


@given(
    st.lists(uris, min_size=1, unique=True),
    st.sets(st.sampled_from([OLD, ODD, NEW])),
    st.sets(st.sampled_from([OLD, ODD])),
)
def test_planned_twice_it_is_the_same(declared: list[str], registered: set[str], in_use: set[str]) -> None:
    plan = plan_redirect_uris(declared, registered, in_use)
    assert set(declared) <= set(map(comparable, plan.uris))
    assert in_use & registered <= set(plan.uris)
    assert set(plan_redirect_uris(declared, plan.uris, in_use).uris) == set(plan.uris)
