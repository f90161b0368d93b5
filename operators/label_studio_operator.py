"""What the operators share that talk to Label Studio: its address and token, which are FiftyOne's secrets.

They are declared in fiftyone.yml, resolved by FiftyOne in the process that runs the job, and go from there into the
client alone: neither params nor runs, logs or results ever hold them.
"""

from __future__ import annotations

from typing import Any

from fiftyone.core.collections import SampleCollection

from ..plugin.labeling.connecting import NEEDED, OPTIONAL, connected_client, missing_settings
from ..plugin.progress import Progress
from .forms import Form
from .workflow_operator import Workflow, WorkflowOperator

# No secret; FiftyOne resolves it from the environment as it does these.
DOCUMENT_ROOT = "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT"


class LabelStudioOperator(WorkflowOperator):
    """Base of the operators whose workflow is `workflow(view, params, client, progress)`."""

    def call(self, ctx: Any, workflow: Workflow, view: SampleCollection, params: Any, progress: Progress) -> Any:
        with connected_client(label_studio_secrets(ctx)) as client:
            return workflow(view, params, client, progress)

    def label_studio(self, form: Form) -> bool:
        """Say where Label Studio is, or that this is not known; return whether it is."""
        secrets = label_studio_secrets(form.ctx)
        if missing := missing_settings(secrets):
            form.problem(
                "label_studio",
                f"{' and '.join(missing)} not set",
                "Set LABEL_STUDIO_URL to Label Studio's address and LABEL_STUDIO_API_KEY to a personal access token in "
                "the environment that the App starts in, and start it again.",
            )
            return False
        form.note("label_studio", f"Label Studio at {secrets['LABEL_STUDIO_URL']}")
        return True


def label_studio_secrets(ctx: Any) -> dict[str, str]:
    """Return the address and the token, "" where one is not set, and what else is needed to connect."""
    # `ctx.secrets[name]` may give an object in place of the value (FiftyOne 1.22).
    return {name: ctx.secret(name) or "" for name in (*NEEDED, *OPTIONAL)}
