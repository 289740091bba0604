"""The identities of pipelines: settings → deployer, preview → what a pipeline has to set (see README.md)."""

from deployer import end_quietly_when_told

# Before the imports, which are half of a short run.
end_quietly_when_told()

import pulumi  # noqa: E402

from deployer.application import declare  # noqa: E402
from deployer.prepare import prepare  # noqa: E402

for name, value in declare(prepare()).items():
    pulumi.export(name, value)
