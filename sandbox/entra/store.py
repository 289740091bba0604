"""The state file: one JSON document, replaced as a whole before a change is answered."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any


class Store:
    """DIR/state.json. A killed process leaves the last complete document, never a torn one."""

    def __init__(self, home: Path) -> None:
        self.path = home / "state.json"

    def load(self) -> dict[str, Any] | None:
        """The last saved document, or None on a first start. Raises ValueError if the file is not JSON."""
        if not self.path.exists():
            return None
        document: dict[str, Any] = json.loads(self.path.read_text(encoding="utf-8"))
        return document

    def save(self, document: dict[str, Any]) -> None:
        """Write beside the file, then rename over it. Readable by the owner only."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=".state-", suffix=".json")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(document, file, indent=1)
            os.replace(name, self.path)
        except BaseException:
            os.unlink(name)
            raise
