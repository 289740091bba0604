"""`python -m sandbox`."""

from provisioning.interpreter import sentence_if_unusable

if __name__ == "__main__":
    with sentence_if_unusable("make up"):
        from provisioning.command_line import run
        from provisioning.plain_text import use_plain_marks
        from sandbox.cli import app

        use_plain_marks()
        run(app, "python -m sandbox")
