"""What a tenant answered to the open questions: lines that a person can send back, without ids and secrets."""

from __future__ import annotations

import re
from collections.abc import Callable

PREFIX = "asked of a real tenant: "
"""How each line of the report begins."""

ID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class Report:
    """Notes answers. say: gets a line for each; None on the sandbox, whose answers are compared, not told."""

    def __init__(self, say: Callable[[str], None] | None) -> None:
        self._say = say

    @property
    def is_told(self) -> bool:
        """Whether a person reads the answers."""
        return self._say is not None

    def note(self, question: str, answer: object, expected: object, *others: object) -> None:
        """Note the answer to a question. expected: what is believed. others: what the sandbox may answer, too.

        On a real tenant nothing fails: an answer that nobody expected is what the question is for.
        """
        if self._say is None:
            assert answer in (expected, *others), f"{question}: {answer}, not {expected}"
            return
        surprise = "" if answer == expected else f" (expected: {expected})"
        self._say(f"{PREFIX}{ID.sub('[id]', f'{question}: {answer}')}{surprise}")
