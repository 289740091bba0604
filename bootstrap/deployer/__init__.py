"""What pipelines sign in as: `settings`, the tokens that may sign in (`federation`), and the `application` of each.

`prepare` decides what a run declares, `left_behind` what it takes over.

Sign-in and owners follow the rules of the main program, whose modules are one folder up.
"""

import sys
from pathlib import Path

# Pulumi looks for modules in the folder of this program alone.
sys.path.append(str(Path(__file__).parents[2]))

from provisioning.ending import end_quietly_when_told

__all__ = ["end_quietly_when_told"]
