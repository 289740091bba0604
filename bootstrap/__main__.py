"""The identity with which pipelines deploy: settings → deployer → what a pipeline has to set (see README.md)."""

import pulumi

from deployer.application import NAME, Deployer
from deployer.prepare import prepare

run = prepare(NAME)

deployer = Deployer(NAME, run)

pulumi.export("variables", deployer.variables)
pulumi.export("objectId", deployer.object_id)
pulumi.export("permissions", list(run.settings.permissions))
pulumi.export("trusts", [{"name": trust.name, "subject": trust.subject} for trust in run.settings.trusts])
