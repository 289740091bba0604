"""The steps of every pipeline: `python -m pipelines.steps.<name> STACK`, run in the folder with Pulumi.yaml.

preview, deploy, drift, status: what they are called. comment: a preview onto its pull request on GitHub. cli: installs
the Pulumi CLI. running, report, locks: what the steps share.
"""
