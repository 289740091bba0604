"""The former place of `push_resource`: a stack's state names the provider's class by it, for refresh and destroy.

The engine keeps a pickled reference to the class in `__provider` of every push. Stacks that an earlier version deployed
name this module until their next `pulumi up`, so that it has to stay as long as there may be any.
"""

from provisioning.nocobase.push_resource import MailSettingsProvider

__all__ = ["MailSettingsProvider"]
