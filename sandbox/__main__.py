"""`python -m sandbox`."""

import sys

from provisioning.interpreter import why_unusable

if __name__ == "__main__":
    try:
        from provisioning.plain_text import use_plain_marks
        from sandbox.cli import app

        use_plain_marks()
        app(prog_name="python -m sandbox")
    except ImportError as missing:
        if (reason := why_unusable(missing, "make up")) is None:
            raise
        sys.exit(reason)
