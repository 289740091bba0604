"""The steps of every pipeline: `python -m pipelines.steps.<name> STACK`, run in the folder with Pulumi.yaml.

preview, deploy, drift, status, unlock: what they are called. comment: a preview onto its pull request on GitHub.
newest: whether a commit still is its branch's. cli: installs the Pulumi CLI. running, report, locks: what they share.
"""
