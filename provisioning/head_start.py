"""Starts the process of the push, and reads the stack's last state, before anything else is imported.

That process needs as long to start as this program's other imports, so both run at the same time, which saves about
half a second of every `pulumi up`. `__main__` imports this module first; no other module acts when it is imported.
"""

from provisioning.ending import end_quietly_when_told

# Before the imports, which are half of a short run.
end_quietly_when_told()

from provisioning.nocobase.mail_settings import NocoBaseProvider  # noqa: E402
from provisioning.program import stack  # noqa: E402
from provisioning.variables import forget_unresolved  # noqa: E402

forget_unresolved()

provider = NocoBaseProvider("nocobase")
"""The process in which every push runs."""

# While this waits for the engine's answer, the engine learns of the provider and starts its process.
with stack.errors_as_sentences():
    last_state = stack.last_state()
