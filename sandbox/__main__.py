"""`python -m sandbox`."""

from provisioning.plain_text import use_plain_marks
from sandbox.cli import app

if __name__ == "__main__":
    use_plain_marks()
    app(prog_name="python -m sandbox")
