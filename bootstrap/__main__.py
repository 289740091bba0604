"""The identities of pipelines: settings → deployer, preview → what a pipeline has to set (see README.md)."""

import pulumi

from deployer.application import declare
from deployer.prepare import prepare

for name, value in declare(prepare()).items():
    pulumi.export(name, value)
