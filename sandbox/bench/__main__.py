"""`python -m sandbox.bench`."""

from provisioning.interpreter import sentence_if_unusable

if __name__ == "__main__":
    with sentence_if_unusable("make up"):
        from sandbox.bench.measure import main

        main()
