"""Which redirect URIs an application declares in a run: add, then switch, then remove. Pure.

A redirect URI that a NocoBase was verified to use stays until a later run, after the push was verified with another one
there; a sign-in that comes back to an address without a redirect URI fails (AADSTS50011).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from provisioning.addresses import comparable


@dataclass(frozen=True)
class RedirectUriPlan:
    """What the application declares.

    spellings: how each redirect URI of the settings is spelled there: mostly once, as in the settings. leaving: those
    that the settings do not name any more and that stay in this run, because they are in use.
    """

    spellings: Mapping[str, tuple[str, ...]]
    leaving: tuple[str, ...]

    @property
    def uris(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.of(self.spellings), *self.leaving)

    def of(self, declared: Collection[str]) -> tuple[str, ...]:
        """Some redirect URIs of the settings, as the application spells them."""
        return tuple(spelling for uri in declared for spelling in self.spellings[uri])


def plan_redirect_uris(
    declared: Sequence[str], registered: Collection[str], in_use: Collection[str]
) -> RedirectUriPlan:
    """The redirect URIs of this run.

    declared: by the settings, normalized. registered: in the last state. in_use: those that the NocoBases which are
    still served were verified to use last. What was registered in another spelling of the same URI keeps it: Entra ID
    and NocoBase had agreed on it.
    """
    there, used = _by_uri(registered), _by_uri(in_use)
    spellings = {uri: _spelled(uri, there.get(uri, ()), used.get(uri, ()), bool(in_use)) for uri in declared}
    leaving = [one for uri, ones in there.items() if uri not in spellings for one in ones if one in in_use]
    return RedirectUriPlan(spellings, tuple(sorted(leaving)))


def _by_uri(spellings: Collection[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in sorted(spellings):
        found.setdefault(comparable(one), []).append(one)
    return found


def _spelled(uri: str, there: Collection[str], used: Collection[str], served: bool) -> tuple[str, ...]:
    """How `uri` is spelled, of which `there` are registered and `used` in use. served: whether any NocoBase is."""
    if used:
        # A spelling that no NocoBase uses came with a run that failed.
        return tuple(one for one in there if one in used) or (uri,)
    return tuple(there) if there and served else tuple(dict.fromkeys([*there, uri]))
