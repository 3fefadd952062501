"""Switches off what Gradio would send or look up elsewhere. Imports no Gradio: it has to come before it."""

from __future__ import annotations

import os
from collections.abc import MutableMapping

SILENT = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
}
_THIS_MACHINE = ("127.0.0.1", "localhost")


def go_offline(environment: MutableMapping[str, str] = os.environ) -> None:
    """Prepares the environment of a process in which Gradio has not been imported yet.

    Every GRADIO_ variable that was there is dropped: some open the app to the network, or folders to its visitors.
    A proxy is never asked for this machine's own addresses.
    """
    for name in [name for name in environment if name.startswith("GRADIO_")]:
        del environment[name]
    environment.update(SILENT)
    for name in ("NO_PROXY", "no_proxy"):
        hosts = [host for host in environment.get(name, "").split(",") if host]
        environment[name] = ",".join([*hosts, *(host for host in _THIS_MACHINE if host not in hosts)])
