"""The delivery processor's decisions: one row per notification, one truth, one next step.

Pure. Facts are joined into the row in any order (`facts`), steps follow from them (`steps`), deadlines come
as events (`deadlines`), and the public answer is a view of the row (`view`).
"""

from streams.delivery.decide import Decision, Event, decide
from streams.delivery.policy import DeliveryPolicy

__all__ = ["Decision", "DeliveryPolicy", "Event", "decide"]
