"""`python -m sandbox`."""

from provisioning.interpreter import sentence_if_unusable

if __name__ == "__main__":
    with sentence_if_unusable("make up"):
        from provisioning.plain_text import use_plain_marks
        from sandbox.cli import app

        use_plain_marks()
        app(prog_name="python -m sandbox")
