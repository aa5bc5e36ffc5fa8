"""Everything the pipeline needs on one machine, as child processes: started, watched, killed, stopped.

`child` is one process, `children` all of them in stages, `stack` what a sandbox of notifystream consists of.
"""

from sandbox.supervisor.child import ChildDied, ChildSpec, SupervisorError
from sandbox.supervisor.children import Children
from sandbox.supervisor.stack import BESIDE, SERVICES, Sandbox, SandboxOptions

__all__ = [
    "BESIDE",
    "SERVICES",
    "ChildDied",
    "ChildSpec",
    "Children",
    "Sandbox",
    "SandboxOptions",
    "SupervisorError",
]
