"""What a worker and the daemon answer alike: /livez, /readyz, /metrics, and the names that others use."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

import msgspec

from .http import Request, Response, Route, Routes
from .metrics import Metrics

LIVE: Final = ("/livez", "/healthz", "/health")
READY: Final = ("/readyz", "/ready")
METRICS: Final = "/metrics"

type Reasons = Callable[[], list[str]]


def health_routes(failures: Reasons, obstacles: Reasons) -> Routes:
    """`failures` says why the process should be restarted, `obstacles` why it takes no work; both may be empty."""
    live, ready = verdict("live", failures), verdict("ready", obstacles)
    return dict.fromkeys(LIVE, live) | dict.fromkeys(READY, ready)


def verdict(word: str, reasons: Reasons) -> Route:
    """An answer that is 200 without reasons, else 503 with them."""

    async def answer(request: Request) -> Response:
        told = reasons()
        status = HTTPStatus.SERVICE_UNAVAILABLE if told else HTTPStatus.OK
        body = msgspec.json.encode({word: not told, "reasons": told}) + b"\n"
        return Response(status, "application/json", body)

    return answer


def metrics_route(metrics: Metrics, gather: Callable[[], Awaitable[None]]) -> Routes:
    """`gather` brings the metrics up to date before each scrape."""

    async def answer(request: Request) -> Response:
        await gather()
        content_type, body = metrics.text(request.headers.get("accept", ""))
        return Response(HTTPStatus.OK, content_type, body)

    return {METRICS: answer}
