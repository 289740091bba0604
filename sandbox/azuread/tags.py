"""The tags of applications and service principals, and the blocks of features that stand for some of them."""

from __future__ import annotations

from sandbox.azuread import state
from sandbox.azuread.values import Properties

FEATURES = {
    "customSingleSignOn": "WindowsAzureActiveDirectoryCustomSingleSignOnApplication",
    "enterprise": "WindowsAzureActiveDirectoryIntegratedApp",
    "gallery": "WindowsAzureActiveDirectoryGalleryApplicationNonPrimaryV1",
    "hide": "HideApp",
}
"""Feature tags and the Graph tags behind them."""


def feature_tags(tags: list[str]) -> Properties:
    """The featureTags block for Graph tags."""
    return {name: tag in tags for name, tag in FEATURES.items()}


def wanted_tags(values: Properties) -> list[str]:
    """Graph tags from `tags`, or from a featureTags or features block where the program gives one."""
    for block in values.get("featureTags") or []:
        return [FEATURES[name] for name, on in block.items() if on]
    for block in values.get("features") or []:
        asked = {
            "customSingleSignOn": block.get("customSingleSignOnApp"),
            "enterprise": block.get("enterpriseApplication"),
            "gallery": block.get("galleryApplication"),
            "hide": block.get("visibleToUsers") is False,
        }
        return [FEATURES[name] for name, on in asked.items() if on]
    return state.text_order(values.get("tags") or [])
