"""One application for NocoBase's email manager (see README.md):

settings → entra.MailApplication → nocobase.MailSettings → outputs
"""

from provisioning import head_start
from provisioning.nocobase.mail_settings import require_all
from provisioning.nocobase3.push_resource import push_into
from provisioning.program.application import MailApplication
from provisioning.program.outputs import export_outputs
from provisioning.program.prepare import prepare
from provisioning.resource_types import APPLICATION_NAME

run = prepare(head_start.last_state)

application = MailApplication(APPLICATION_NAME, run)

installations = run.installations
several = len(installations) > 1
pushes = [push_into(one, application, run.secrets, head_start.provider, several) for one in installations]
require_all(pushes, run.removes)

export_outputs(run, application, pushes)
