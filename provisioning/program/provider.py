"""The azuread provider that a program asks the engine for: the pinned version, not that of its Python package.

Each generated resource and function names the version of its own package. The provider does the work in Entra ID, so
the one that was recorded (tests/recordings) is the one that runs, whichever package is installed.
"""

from __future__ import annotations

import pulumi

from provisioning import pins

VERSION = pins.version(pins.PLUGIN)
"""To be named by each function that is called."""

PACKAGE = "azuread:"


def with_pinned_provider(opts: pulumi.ResourceOptions | None) -> pulumi.ResourceOptions:
    """The options of a component, with which its azuread resources ask for the pinned provider."""
    pinned = pulumi.ResourceOptions(transformations=[_pin])
    return pulumi.ResourceOptions.merge(opts, pinned)


def _pin(resource: pulumi.ResourceTransformationArgs) -> pulumi.ResourceTransformationResult | None:
    if not resource.type_.startswith(PACKAGE):
        return None
    opts = pulumi.ResourceOptions.merge(resource.opts, pulumi.ResourceOptions(version=VERSION))
    return pulumi.ResourceTransformationResult(resource.props, opts)
