"""`python -m sandbox.nocobase3`."""

from provisioning.interpreter import sentence_if_unusable

if __name__ == "__main__":
    with sentence_if_unusable("make up"):
        from sandbox.nocobase3.server import main

        main()
