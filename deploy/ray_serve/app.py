"""A model server on Ray Serve: replicas of one model behind HTTP, on one machine or a cluster.

On this machine, until Ctrl+C:

    python -m deploy.ray_serve.app --model bundled --replicas 2

On a cluster that runs already:

    serve run deploy.ray_serve.app:build model=bundled replicas=8

What a request may say, and what goes back, stands in derm_core/serving/wire.py.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
from collections.abc import Mapping

# Before Ray is imported. It would report its use to its makers.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
# On a busy machine the proxy needs longer to start than the 5 s after which Serve would start another one.
os.environ.setdefault("RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S", "60")
# Ray takes its work for one that can wait, and lowers its priority; what people wait for cannot.
os.environ.setdefault("RAY_worker_niceness", "0")
if __name__ == "__main__":
    # One machine is no cluster, on Linux neither: Ray's own processes then listen on the loopback alone.
    os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")

import ray
from ray import serve
from starlette.requests import Request
from starlette.responses import Response

from derm_core import NOTICE, load_predictor
from derm_core.serving.wire import MAX_BYTES, Reply, reply_to

NAME = "dermatrace"
_MAX_BODY = MAX_BYTES * 3 // 2
"""A picture grows by a third in base64."""


@serve.deployment(max_ongoing_requests=16, health_check_period_s=10)
class Answers:
    """One replica: a model in memory, and threads that ask it."""

    def __init__(
        self, model: str | None = None, device: str | None = None, threads: int | None = None
    ) -> None:
        self._predictor = load_predictor(model, device=device, threads=threads)

    async def __call__(self, request: Request) -> Response:
        reply = await self._reply(request)
        return Response(reply.to_json(), reply.status, media_type="application/json")

    async def _reply(self, request: Request) -> Reply:
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > _MAX_BODY:
                return Reply(413, {"error": f"The request is longer than {_MAX_BODY / 1e6:.0f} MB."})
        try:
            return await asyncio.to_thread(
                reply_to,
                self._predictor,
                method=request.method,
                body=bytes(body),
                content_type=request.headers.get("content-type", ""),
                query=dict(request.query_params),
            )
        except Exception:
            logging.getLogger("ray.serve").exception("The request could not be answered.")
            return Reply(500, {"error": "The request could not be answered. The replica's log says why."})


def build(arguments: Mapping[str, str]) -> serve.Application:
    """Returns the application, for `serve run` and `serve deploy`.

    Args:
        arguments: of `model` (as load_predictor takes it, and there for every machine of the cluster), `device`,
            `threads` for one pass (default: 1) and `replicas` (default: 1), those that are wanted.
    """
    unknown = sorted(set(arguments) - {"model", "device", "threads", "replicas"})
    if unknown:
        raise ValueError(f"Unknown: {', '.join(unknown)}. Known: device, model, replicas, threads.")
    threads, device = int(arguments.get("threads", 1)), arguments.get("device")
    resources = {"num_cpus": threads, "num_gpus": int((device or "").startswith("cuda"))}
    deployment = Answers.options(num_replicas=int(arguments.get("replicas", 1)), ray_actor_options=resources)
    return deployment.bind(arguments.get("model"), device, threads)


def main() -> None:
    """Starts Ray on this machine alone, and serves until it is interrupted or told to end."""
    parser = argparse.ArgumentParser(description="Serves one model over HTTP with Ray.", epilog=NOTICE)
    parser.add_argument(
        "--model", default="bundled", help="'bundled', a registered name, or a bundle's folder"
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    parser.add_argument("--threads", default="1", help="cores for one pass of a replica (default: 1)")
    parser.add_argument("--replicas", default="1", help="copies of the model, each in a process (default: 1)")
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (default: this machine only)")
    parser.add_argument("--port", type=int, default=8000)
    arguments = parser.parse_args()
    ray.init(include_dashboard=False)
    # A container is told to end with SIGTERM, and the replicas must end with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        serve.start(http_options={"host": arguments.host, "port": arguments.port})
        named = {name: getattr(arguments, name) for name in ("model", "device", "threads", "replicas")}
        serve.run(build(named), name=NAME, route_prefix="/", blocking=False)
        print(f"{NAME} answers on http://{arguments.host}:{arguments.port}", flush=True)
        signal.pause()
    except KeyboardInterrupt:
        pass
    finally:
        serve.shutdown()
        ray.shutdown()


if __name__ == "__main__":
    main()
