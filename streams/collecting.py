"""Metrics whose values change on an event loop, for prometheus_client, which asks in threads of its own.

Guarantees: values are collected on the loop, where they change; a loop that is held up fails the scrape
instead of hiding it.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

COLLECT_TIMEOUT_S = 5.0


class LoopCollector(ABC):
    """A collector to be registered; it shows nothing before `on_loop`."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    def on_loop(self) -> None:
        """From now on values change on the running loop; before, nothing does."""
        self._loop = asyncio.get_running_loop()

    def describe(self) -> list[Metric]:
        """Nothing: to be registered before there is anything to collect."""
        return []

    def collect(self) -> list[Metric]:
        """Raises TimeoutError when the loop does not answer."""
        if self._loop is None or self._loop.is_closed():
            return []
        collected: Future[list[Metric]] = Future()

        def collect() -> None:
            try:
                collected.set_result(list(self.families()))
            except Exception as failed:
                collected.set_exception(failed)

        self._loop.call_soon_threadsafe(collect)
        return collected.result(COLLECT_TIMEOUT_S)

    @abstractmethod
    def families(self) -> Iterator[Metric]:
        """Every metric with its values now. Called on the loop."""


def gauge(name: str, told: str, labels: tuple[str, ...], values: Mapping[Any, float]) -> Metric:
    """`values` by their labels; `told` is its help."""
    family = GaugeMetricFamily(name, told, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family


def counter(name: str, told: str, labels: tuple[str, ...], values: Mapping[Any, int]) -> Metric:
    """The same for what only grows."""
    family = CounterMetricFamily(name, told, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family
