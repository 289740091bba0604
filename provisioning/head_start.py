"""Starts the process of the push, and reads the stack's last state, before anything else is imported.

That process needs as long to start as this program's other imports, so both run at the same time, which saves about
half a second of every `pulumi up`. `__main__` imports this module first; no other module acts when it is imported.
"""

from provisioning.nocobase.push_resource import NocoBaseProvider
from provisioning.program import stack
from provisioning.variables import forget_unresolved

forget_unresolved()
stack.end_quietly_when_told()

provider = NocoBaseProvider("nocobase")
"""The process in which every push runs."""

# While this waits for the engine's answer, the engine learns of the provider and starts its process.
with stack.errors_as_sentences():
    last_state = stack.last_state()
