"""How new things reach the token endpoint's servers: one after the other, each at a moment of its own.

A request meets any of the servers, so the answers flip until the last one has what is new. That is what users of Entra
ID report (vault-plugin-secrets-azure#23); its number of servers and their delays are not public.
"""

from __future__ import annotations

import random

SERVERS = 4


class Settling:
    """The servers, and when each learns of what. seconds: the longest delay; 0: all know everything at once."""

    def __init__(self, seconds: float = 0, seed: int = 0) -> None:
        self.seconds = seconds
        self._random = random.Random(seed)
        self._delays: dict[str, list[float]] = {}

    def server(self) -> int:
        """The server that a request meets."""
        return self._random.randrange(SERVERS)

    def knows(self, server: int, identifier: str, age: float) -> bool:
        """Whether `server` knows the object, secret or principal that was made `age` seconds ago."""
        if age >= self.seconds:
            return True
        if identifier not in self._delays:
            self._delays[identifier] = [self._random.uniform(0, self.seconds) for _ in range(SERVERS)]
        return age >= self._delays[identifier][server]

    def mistakes_for_expired(self) -> bool:
        """Whether a server calls a secret that it does not know expired, as GraphRunner#28 saw it."""
        return self._random.random() < 0.25
