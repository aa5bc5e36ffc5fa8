"""What each report must say, reckoned from what the simulator did and what the demo asked for.

Guarantees: pure; nothing of the pipeline's topics, tables or code is asked, so that one mistake is not made
twice. `evidence` is what is known, `tries` and `fates` what became of each attempt and notification, `waits`
how long things took, the sheets what follows for each report, `check` the comparison. Leaves to
`sandbox.demo.run` that the evidence is complete, to `sandbox.demo.warehouse` the asking.
"""

from sandbox.demo.reckoning.check import Checked, check
from sandbox.demo.reckoning.evidence import Bill, Evidence
from sandbox.demo.reckoning.sheet import Difference

__all__ = ["Bill", "Checked", "Difference", "Evidence", "check"]
