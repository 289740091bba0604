"""Variables of the environment that nobody has set, although they are there.

Azure DevOps leaves a reference to an undefined variable as it is: NOCOBASE_API_KEY is `$(NOCOBASE_API_KEY)` then.
Taken for a key, that would win over the stack's own.
"""

from __future__ import annotations

import os
import re
from collections.abc import MutableMapping

UNRESOLVED = re.compile(r"\$\([A-Za-z_][A-Za-z0-9_.-]*\)")
"""The whole value of such a variable; the name may be another one than the variable's own."""


def forget_unresolved(environment: MutableMapping[str, str] = os.environ) -> list[str]:
    """Remove every such variable, so that it counts as not set here and in all that this process starts; their names.

    Every process of the product calls this before it reads a variable.
    """
    names = sorted(name for name, value in environment.items() if UNRESOLVED.fullmatch(value))
    for name in names:
        del environment[name]
    return names
