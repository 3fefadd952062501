"""Compiled runtimes answer as the reference does, are chosen by measurement, and need no PyTorch the next time."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from derm_core.errors import BundleError, ConfigError
from derm_core.serving import loading, runtime_choice
from derm_core.serving.agreement import LEAST_CORRELATION, MOST_DIFFERENCE
from derm_core.serving.bundle import BundleDescription, load_bundle, save_bundle
from derm_core.serving.compiled import FORMS, Form
from derm_core.serving.compiling import FormCompiler
from derm_core.serving.loading import load_predictor, usual_runtime
from derm_core.serving.predictor import Predictor
from derm_core.serving.runtime_candidate import Candidate, left_out
from derm_core.serving.torch_compiled import TorchCompiledRuntime

from .test_predictor import same

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module", params=["onnxruntime", "openvino"])
def compiled(
    request: pytest.FixtureRequest, bundle_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Predictor:
    """The model of these tests in each compiled runtime, made at the first call and kept beside the bundle."""
    pytest.importorskip(request.param)
    folder = tmp_path_factory.mktemp("compiled") / "tiny"
    shutil.copytree(bundle_folder, folder)
    return load_predictor(folder, runtime=request.param)


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def test_a_compiled_runtime_answers_as_the_reference(
    compiled: Predictor, predictor: Predictor, pictures: list[Path]
) -> None:
    for picture in pictures:
        found, wanted = compiled.explain_all(picture), predictor.explain_all(picture)
        assert found.prediction.top == wanted.prediction.top
        # Which precision is the fastest that agrees depends on the machine.
        assert found.prediction.probabilities == pytest.approx(
            dict(wanted.prediction.probabilities), abs=MOST_DIFFERENCE
        )
        assert correlation(compiled.features(picture), predictor.features(picture)) >= LEAST_CORRELATION
        top = wanted.prediction.top
        assert correlation(found[top], wanted[top]) >= LEAST_CORRELATION


def test_every_way_to_answer_gives_the_same_bits(compiled: Predictor, pictures: list[Path]) -> None:
    for picture, listed in zip(pictures, compiled.predict_many(pictures, batch_size=4), strict=True):
        answer = compiled.predict(picture)
        assert same(answer, listed)
        explanation = compiled.explain(picture)
        assert same(answer, explanation.prediction)
        assert explanation.code == answer.top
        everything = compiled.explain_all(picture)
        assert same(answer, everything.prediction)
        assert np.array_equal(explanation.heatmap, everything[answer.top])
        assert np.array_equal(compiled.explain(picture, "df").heatmap, everything["df"])


def test_threads_share_a_compiled_runtime(compiled: Predictor, pictures: list[Path]) -> None:
    alone = [compiled.explain(picture) for picture in pictures]

    def ask(number: int) -> bool:
        index = number % len(pictures)
        found = compiled.explain(pictures[index])
        return same(found.prediction, alone[index].prediction) and np.array_equal(
            found.heatmap, alone[index].heatmap
        )

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(ask, range(36)))


def test_what_was_compiled_is_read_again_without_pytorch(compiled: Predictor, pictures: list[Path]) -> None:
    program = (
        "import sys\n"
        "from derm_core import load_predictor\n"
        "folder, runtime, picture = sys.argv[1:]\n"
        "predictor = load_predictor(folder, runtime=runtime)\n"
        "explanation = predictor.explain(picture)\n"
        "print(explanation.prediction.malignant_probability, predictor.runtime.name, 'torch' in sys.modules)\n"
    )
    asked = next(name for name in ("onnxruntime", "openvino") if compiled.runtime.name.startswith(name))
    told = subprocess.run(
        [sys.executable, "-c", program, str(compiled.folder), asked, str(pictures[0])],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    ).stdout.split()
    risk = compiled.predict(pictures[0]).malignant_probability
    assert told == [str(risk), compiled.runtime.name, "False"]


@pytest.fixture
def copied(bundle_folder: Path, tmp_path: Path) -> Path:
    shutil.copytree(bundle_folder, tmp_path / "tiny")
    return tmp_path / "tiny"


@pytest.fixture
def only_onnx(monkeypatch: pytest.MonkeyPatch, compiled_onnx: bytes) -> list[Form]:
    """One form on this machine, compiled once for all tests; the list grows by each time it is asked for."""
    asked: list[Form] = []

    def compile_once(self: FormCompiler, form: Form) -> bytes:
        asked.append(form)
        return compiled_onnx

    monkeypatch.setattr(FormCompiler, "compile", compile_once)
    monkeypatch.setattr(runtime_choice, "_forms", lambda _: [FORMS["onnxruntime"]])
    return asked


@pytest.fixture(scope="module")
def compiled_onnx(bundle_folder: Path) -> bytes:
    pytest.importorskip("onnxruntime")
    return FormCompiler(load_bundle(bundle_folder), threads=1, passes=1).compile(FORMS["onnxruntime"])


def measured(monkeypatch: pytest.MonkeyPatch, *seconds: float) -> None:
    monkeypatch.setattr(runtime_choice, "_measure", lambda *_: list(seconds))


@pytest.mark.parametrize(("seconds", "name"), [((0.1, 0.2), "onnxruntime"), ((0.2, 0.1), "eager")])
def test_auto_takes_the_fastest_and_says_so_and_remembers_it(
    copied: Path,
    only_onnx: list[Form],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    seconds: tuple[float, float],
    name: str,
) -> None:
    measured(monkeypatch, *seconds)
    with caplog.at_level(logging.INFO):
        first = load_predictor(copied, runtime="auto")
    assert first.runtime.name == name
    assert "onnxruntime" in first.runtime.reason
    assert "eager" in first.runtime.reason
    assert f"tiny answers with {name}: {first.runtime.reason}" in caplog.text
    again = load_predictor(copied, runtime="auto")
    assert again.runtime == first.runtime
    assert len(only_onnx) == 1
    (kept,) = (copied / "compiled").iterdir()
    figures = json.loads((kept / "choice.json").read_text("utf-8"))["figures"]
    assert [figures[runtime]["seconds"] for runtime in ("onnxruntime", "eager")] == list(seconds)
    assert figures["onnxruntime"]["agreement"]["pictures"] == runtime_choice.PICTURES


def test_what_does_not_agree_is_left_out_however_fast(
    copied: Path,
    only_onnx: list[Form],
    monkeypatch: pytest.MonkeyPatch,
    description: BundleDescription,
    model_state: dict[str, torch.Tensor],
) -> None:
    measured(monkeypatch, 0.1)
    changed = {
        name: tensor * 1.1 if name == "classifier.3.weight" else tensor
        for name, tensor in model_state.items()
    }
    save_bundle(copied, model_state=changed, description=description, overwrite=True)
    found = load_predictor(copied, runtime="auto").runtime
    assert found.name == "eager"
    assert "onnxruntime is left out: over" in found.reason
    with pytest.raises(ConfigError, match=r"The runtime onnxruntime cannot answer for tiny: .*eager runtime"):
        load_predictor(copied, runtime="onnxruntime")


def test_a_network_that_cannot_be_compiled_is_answered_by_the_reference(
    copied: Path, only_onnx: list[Form], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: FormCompiler, form: Form) -> bytes:
        raise RuntimeError("Failed:\nno such operator")

    measured(monkeypatch, 0.1)
    monkeypatch.setattr(FormCompiler, "compile", fail)
    found = load_predictor(copied, runtime="auto").runtime
    assert found.name == "eager"
    assert "onnxruntime is left out: no such operator" in found.reason


def test_forms_that_are_left_out_for_the_same_reason_are_told_of_together() -> None:
    candidates = [
        Candidate(name, None, failure=reason) for name, reason in (("a", "slow"), ("b", "odd"), ("c", "slow"))
    ]
    assert left_out(candidates) == "a, c are left out: slow; b is left out: odd"


@pytest.mark.parametrize("with_hash", [False, True])
def test_a_compiled_form_that_was_damaged_is_made_again(
    copied: Path,
    only_onnx: list[Form],
    monkeypatch: pytest.MonkeyPatch,
    pictures: list[Path],
    with_hash: bool,
) -> None:
    measured(monkeypatch, 0.1, 0.2)
    wanted = load_predictor(copied, runtime="auto").predict(pictures[0])
    (kept,) = (copied / "compiled").iterdir()
    (kept / "network.onnx").write_bytes(b"damaged")
    if with_hash:
        values = json.loads((kept / "choice.json").read_text("utf-8"))
        values["sha256"] = hashlib.sha256(b"damaged").hexdigest()
        (kept / "choice.json").write_text(json.dumps(values))
    assert same(load_predictor(copied, runtime="auto").predict(pictures[0]), wanted)
    assert len(only_onnx) == 2


def test_altered_weights_are_refused_though_the_compiled_form_is_whole(
    copied: Path, only_onnx: list[Form], monkeypatch: pytest.MonkeyPatch
) -> None:
    measured(monkeypatch, 0.1, 0.2)
    load_predictor(copied, runtime="auto")
    (copied / "model.safetensors").write_bytes(b"altered")
    with pytest.raises(BundleError, match="altered or cut short"):
        load_predictor(copied, runtime="auto")


def test_a_runtime_that_is_not_installed_says_what_to_install(
    bundle_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Form, "version", None)
    for name, extra in (("onnxruntime", "onnx"), ("openvino", "openvino")):
        with pytest.raises(ConfigError, match=rf"needs {name}, which is not installed.*derm_core\[{extra}\]"):
            load_predictor(bundle_folder, runtime=name)


def test_an_unknown_runtime_is_refused(bundle_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"Unknown runtime 'openvion'.*Did you mean 'openvino'\?"):
        load_predictor(bundle_folder, runtime="openvion")
    monkeypatch.setenv("DERM_RUNTIME", "fast")
    with pytest.raises(ConfigError, match="Unknown runtime 'fast'"):
        load_predictor(bundle_folder)
    assert load_predictor(bundle_folder, runtime="eager").runtime.name == "eager"


def test_compiled_forms_are_for_the_cpu(bundle_folder: Path) -> None:
    with pytest.raises(ConfigError, match="The runtime openvino answers on the CPU"):
        load_predictor(bundle_folder, runtime="openvino", device="cuda")


def test_torch_compile_answers_as_the_reference(
    bundle_folder: Path, predictor: Predictor, pictures: list[Path]
) -> None:
    """The graph that torch.compile gets, without its compiler, which not every machine has."""
    bundle = load_bundle(bundle_folder)
    runtime = TorchCompiledRuntime(bundle, device=torch.device("cpu"), backend="eager")
    found = Predictor(bundle, runtime=runtime).explain(pictures[0])
    wanted = predictor.explain(pictures[0])
    assert found.code == wanted.code
    risk = wanted.prediction.malignant_probability
    assert found.prediction.malignant_probability == pytest.approx(risk, abs=1e-4)
    np.testing.assert_allclose(found.heatmap, wanted.heatmap, atol=1e-3)
    everything = Predictor(bundle, runtime=runtime).explain_all(pictures[0])
    assert np.array_equal(everything[found.code], found.heatmap)


def test_the_model_that_ships_answers_real_photographs_alike_in_every_runtime(
    test_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limits of DERM_RUNTIME=auto, on photographs instead of drawn pictures."""
    pytest.importorskip("openvino")
    monkeypatch.setenv("DERM_HOME", str(tmp_path))
    reference, compiled = load_predictor("bundled"), load_predictor("bundled", runtime="openvino")
    photographs = sorted((test_data / "fullres").glob("*.jpg"))[:20]
    assert photographs
    for photograph in photographs:
        found = compiled.explain_all(photograph, max_side=64)
        wanted = reference.explain_all(photograph, max_side=64)
        assert found.prediction.top == wanted.prediction.top
        differences = [
            abs(found.prediction.probabilities[code] - wanted.prediction.probabilities[code])
            for code in compiled.classes
        ]
        assert max(differences) <= 0.01
        top = wanted.prediction.top
        assert np.corrcoef(found[top].ravel(), wanted[top].ravel())[0, 1] >= 0.999


def test_the_usual_runtime_is_the_fastest_one_where_it_is_known_or_soon_pays(
    copied: Path, only_onnx: list[Form], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "may_have_gpu", lambda: False)
    assert usual_runtime(copied, pictures=1, threads=1) == "eager"
    assert usual_runtime(copied, pictures=loading.COMPILING_PAYS, threads=1) == "auto"
    assert usual_runtime(copied, pictures=loading.COMPILING_PAYS, device="cuda", threads=1) == "eager"
    measured(monkeypatch, 0.1, 0.2)
    load_predictor(copied, runtime="auto", threads=1)
    assert usual_runtime(copied, pictures=1, threads=1) == "auto"
    assert usual_runtime(copied, pictures=1, device="cpu", threads=1) == "auto"
    assert usual_runtime(copied, pictures=1, threads=3) == "eager"
    monkeypatch.setenv("DERM_RUNTIME", "openvino")
    assert usual_runtime(copied, pictures=1, threads=1) == "openvino"
    monkeypatch.delenv("DERM_RUNTIME")
    monkeypatch.setattr(loading, "may_have_gpu", lambda: True)
    assert usual_runtime(copied, pictures=1, threads=1) == "eager"
