"""Starts the process of the push at once, and reads the stack's last state, before anything else is imported.

That process takes as long to come up as this program's other imports, so that the two go on side by side (about half a
second of every `pulumi up`). For that, `__main__` imports this module first; it is the only one that acts when it is
imported.
"""

from provisioning.nocobase.push_resource import NocoBaseProvider
from provisioning.program import stack

provider = NocoBaseProvider("nocobase")
"""The process in which every push runs."""

# Waiting for the engine's answer also has it told of the provider.
with stack.errors_as_sentences():
    last_state = stack.last_state()
