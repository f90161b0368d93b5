"""What Prometheus is told at `/metrics`. Each application counts for itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from .batching import Batcher
from .hosting import ModelHost

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# Label Studio waits 1 s for /health, 3 s for /setup and 100 s for /predict.
_SECONDS = (0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 100)
_IMAGES = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """Counts requests, batches, images and failures."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter("winnow_requests", "Requests.", ("method", "route", "status"), registry=registry)
        self._seconds = Histogram(
            "winnow_request_seconds",
            "Seconds to an answer.",
            ("route",),
            registry=registry,
            buckets=_SECONDS,
        )
        self._batches = Histogram(
            "winnow_batch_images", "Images that a core, or the GPU, takes at once.", registry=registry, buckets=_IMAGES
        )
        self._failures = Counter("winnow_image_failures", "Images without a prediction.", ("kind",), registry=registry)

    def watch(self, host: ModelHost, queue: Batcher, quality: Collector | None = None) -> None:
        """Tell the state of these from now on, as it is when Prometheus asks."""
        self._registry.register(_State(host, queue))
        if quality is not None:
            self._registry.register(quality)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request; `route` is one of the application's, never what a caller made up."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def batch(self, images: int) -> None:
        """Count a batch."""
        self._batches.observe(images)

    def failures(self, kinds: Sequence[str]) -> None:
        """Count images that could not be predicted."""
        for kind in kinds:
            self._failures.labels(kind).inc()

    def text(self) -> bytes:
        """Return everything in Prometheus's text format."""
        return generate_latest(self._registry)


class _State(Collector):
    """What is read off when it is asked for."""

    def __init__(self, host: ModelHost, queue: Batcher) -> None:
        self._host = host
        self._queue = queue

    def collect(self) -> Iterator[Metric]:
        """Yield queue and classifier as they are now."""
        yield GaugeMetricFamily("winnow_queue_images", "Images that wait for their result.", self._queue.waiting)
        yield GaugeMetricFamily("winnow_queue_capacity", "Images that may wait.", self._queue.capacity)
        yield GaugeMetricFamily("winnow_requests_in_hand", "Prediction requests in hand.", self._queue.jobs)
        model = GaugeMetricFamily("winnow_model_info", "1 for the version that is served.", labels=("version",))
        if self._host.version is not None:
            model.add_metric((self._host.version,), 1)
        yield model
        swaps = CounterMetricFamily("winnow_model_loads", "Classifiers that were loaded.", labels=("outcome",))
        for outcome, count in zip(("served", "failed"), self._host.attempts, strict=True):
            swaps.add_metric((outcome,), count)
        yield swaps
