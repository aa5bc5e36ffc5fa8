"""Which sender, and so which provider, a step goes out by; or why none can deliver it.

Pure: the policy file's routes and senders and the question in, a Choice or a Refused out, the same for every
replay. Leaves to others: consent and hours (`streams.recipients`), and keeping to rates (`sinks.outbound`).
"""

from streams.routes.choice import Choice, choose
from streams.routes.obstacles import obstacle
from streams.routes.question import Question, Refused
from streams.routes.sticky import preferred

__all__ = ["Choice", "Question", "Refused", "choose", "obstacle", "preferred"]
