"""The steps of every pipeline: `python -m pipelines.steps.<name> STACK`, run in the folder with Pulumi.yaml.

preview, deploy, drift, status: what they are called. deployed: which commit a stack was last deployed from. comment,
issue: a preview onto its pull request, drift into an issue. unlock: removes the locks of a stack. cli: installs the
Pulumi CLI. running, report, locks: what they share.
"""
