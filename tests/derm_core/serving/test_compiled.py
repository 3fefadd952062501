"""Networks that OpenVINO compiled come and go within a process that lives on."""

from __future__ import annotations

import subprocess
import sys

import pytest

DROPPED_ELSEWHERE = """
import gc, os, signal, threading
import numpy as np
from derm_core.serving.compiled import openvino_core
from openvino import Model, opset13

told = []
signal.signal(signal.SIGTERM, lambda number, frame: told.append(number))
given = opset13.parameter([1, 3], np.float32)
held = [openvino_core().compile_model(Model([opset13.relu(given)], [given]), "CPU")]
assert held[0]([np.float32([[-1, 0, 1]])])[0].tolist() == [[0, 0, 1]]
dropper = threading.Thread(target=held.clear)
dropper.start()
dropper.join()
gc.collect()
os.kill(os.getpid(), signal.SIGTERM)
print("told", told == [signal.SIGTERM])
"""


def test_a_network_dropped_in_another_thread_leaves_signals_working() -> None:
    pytest.importorskip("openvino")
    ended = subprocess.run(
        [sys.executable, "-c", DROPPED_ELSEWHERE], capture_output=True, text=True, check=False, timeout=60
    )
    assert (ended.returncode, ended.stdout) == (0, "told True\n"), ended.stderr


TOLD_NOBODY = """
import importlib.util
from derm_core.serving.compiled import openvino_package
package = openvino_package()
from openvino.tools.ovc import telemetry_utils
print(package.__name__, telemetry_utils.tm.__name__.rpartition(".")[2])
if importlib.util.find_spec("nncf"):
    from nncf.telemetry.wrapper import telemetry
    print(type(telemetry).__name__)
"""


def test_openvino_tells_nobody_that_it_is_used() -> None:
    pytest.importorskip("openvino")
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", TOLD_NOBODY],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    first, *others = ended.stdout.splitlines()
    assert first == "openvino telemetry_stub", ended.stderr
    assert others != ["NNCFTelemetry"]
