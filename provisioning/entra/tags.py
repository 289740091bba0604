"""The tag by which an application names its stack, and the tags that a run adds. Pure.

A tag does not show who set it: whoever may register applications may set it. So a tag may stop a run or name an
application, but nothing is removed or taken over because of a tag alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

STACK_TAG = "pulumi:"
"""How the tag of a stack's application begins; an application made by hand has none."""


def stack_tag(organization: str, project: str, stack: str) -> str:
    """The tag of a stack's application in Entra ID; a duplicate application has it, too."""
    return f"{STACK_TAG}{organization}/{project}/{stack}"


def stack_of(tags: Iterable[str]) -> str | None:
    """The stack that an application's tags name; None if it was made by hand."""
    return next((tag.removeprefix(STACK_TAG) for tag in tags if tag.startswith(STACK_TAG)), None)


@dataclass(frozen=True)
class Tags:
    """The tags of an application after a run. as_they_are: nothing is to change."""

    names: tuple[str, ...]
    as_they_are: bool = False


def plan_tags(own: Collection[str], held: Collection[str] | None, read: Callable[[], Iterable[str]]) -> Tags:
    """The stack's `own` tags, and whatever others there are: like owners, tags are added, never dropped.

    held: those that the state has; None if the application is yet to be created. read: those that Entra ID has now.
    """
    if held is None:
        return Tags(tuple(own))
    if set(own) <= set(held):
        return Tags(tuple(held), as_they_are=True)
    return Tags(tuple(dict.fromkeys([*own, *read()])))
