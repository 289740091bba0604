"""The identity with which pipelines deploy: settings → deployer → what a pipeline has to set (see README.md)."""

import pulumi

from deployer import settings as deployer_settings
from deployer.application import Deployer

try:
    settings = deployer_settings.load(*deployer_settings.configuration())
except deployer_settings.SettingsError as error:
    raise pulumi.RunError(str(error)) from None

deployer = Deployer("deployer", settings)

pulumi.export("variables", deployer.variables)
pulumi.export("objectId", deployer.object_id)
pulumi.export("permissions", list(settings.permissions))
pulumi.export("trusts", [{"name": trust.name, "subject": trust.subject} for trust in settings.trusts])
