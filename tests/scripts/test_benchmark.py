"""benchmark.py: the ratios it reports are those of the times it took. No time is asserted."""

from __future__ import annotations

import csv
import json
import pickle
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import _benchmark_folder as folder
import _benchmark_naive
import _benchmark_networks as networks
import _benchmark_peak
import _benchmark_processes as processes
import _benchmark_training
import benchmark
import pytest
from _benchmark_naive import NaivePeer, answer_plainly, peer_cases
from _benchmark_networks import drawn_photograph, open_networks
from _benchmark_turns import Competitor, Epoch
from PIL import Image

from derm_core.errors import ConfigError
from derm_core.serving.predictor import Predictor
from tests.derm_core.data.coloured import coloured_dataset


def no_process(command: Sequence[str], *, told: str = "") -> processes.Spent:
    """Answers as a process of the benchmark would, at once: the plain one is told its pictures."""
    printed = json.dumps({"pictures": told.count("\n"), "seconds": 2.0}) if told else ""
    return processes.Spent(4.0 if told else 1.0, 2_000_000 if told else 1_000_000, printed)


def test_a_small_run_reports_every_comparison_the_machine_and_a_plot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in (processes, folder):
        monkeypatch.setattr(module, "spend", no_process)
    monkeypatch.setattr(_benchmark_peak, "_SIDE", {"cpu": 64})
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(4):
        (pictures / f"{number}.jpg").write_bytes(b"a process would read it")
    places = {name: tmp_path / f"figures.{name}" for name in ("json", "md", "png")}
    options = ["--model", "", "--architecture", "mobilenet_v3_small", "--rounds", "2", "--seconds", "0.01"]
    options += [
        "--runtimes",
        "eager",
        "openvino-int8",
        "--folder",
        str(pictures),
        "--plain-pictures",
        "2",
        "--threads",
        "1",
    ]
    options += ["--json", str(places["json"]), "--markdown", str(places["md"]), "--plot", str(places["png"])]
    monkeypatch.setattr(sys, "argv", ["benchmark.py", *options])
    benchmark.main()
    report = json.loads(places["json"].read_text("utf-8"))
    assert {"processor", "cores", "threads", "torch", "captum", "openvino"} <= set(report["machine"])
    (network,) = report["networks"]
    assert network["network"] == "mobilenet_v3_small, random (224 px)"
    assert network["operations_a_picture"] > 1e7
    (row,) = network["runtimes"]
    assert (row["runtime"], row["start_by_plain"], row["memory_by_plain"]) == ("eager", 0.25, 0.5)
    for what in ("answer", "answer with heatmap"):
        found = row["by_plain"][what]
        assert 0 < found["min"] <= found["median"] <= found["max"]
    assert "Captum" in row["times_as_fast_as"]
    (many,) = report["folder"]
    assert (many["pictures"], many["plain_pictures"], many["times_as_many"]) == (4, 2, 4.0)
    text = places["md"].read_text("utf-8")
    assert text in capsys.readouterr().out
    assert "![Time of an answer with its heatmap, by that of a plain forward pass](figures.png)" in text
    assert text.count("mobilenet_v3_small, random (224 px) |") == 4
    assert "| mobilenet_v3_small, random (224 px) | OpenVINO, int8 | cannot answer |" in text
    assert "openvino-int8 needs mobilenet_v3_small, random in int8, which nobody made or measured yet" in text
    with Image.open(places["png"]) as drawn:
        assert drawn.format == "PNG"
        assert min(drawn.size) > 200


def test_a_folder_is_measured_at_each_size_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.effect_noise((90, 60), 40).save(tmp_path / "skin.png")
    seen: list[tuple[int, int]] = []

    def look(command: Sequence[str], *, told: str = "") -> processes.Spent:
        for file in told.splitlines():
            with Image.open(file) as opened:
                seen.append(opened.size)
        return no_process(command, told=told)

    monkeypatch.setattr(folder, "spend", look)
    monkeypatch.setattr(folder, "open_runtime", lambda *_, **__: None)
    rows = folder.measure_folder(
        open_networks("bundled", [], tmp_path),
        ["onnxruntime"],
        tmp_path,
        pictures=0,
        plain_pictures=1,
        sizes=[(60, 40), (300, 200)],
    )
    assert [row["size"] for row in rows] == ["60 x 40", "300 x 200"]
    assert seen == [(60, 40), (300, 200)]
    assert [path.name for path in tmp_path.iterdir()] == ["skin.png"]


def test_the_main_architectures_have_one_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(networks, "MAIN_ARCHITECTURES", ("mobilenet_v3_small", "shufflenet_v2_x0_5"))
    found = open_networks("", ["main", "mobilenet_v3_small"], tmp_path)
    assert [network.bundle.description.architecture for network in found] == [
        "mobilenet_v3_small",
        "shufflenet_v2_x0_5",
    ]


def test_the_peers_of_a_transformer_are_those_that_have_maps_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (network,) = open_networks("", ["vit_b_32"], tmp_path)
    peer = NaivePeer(network.bundle)
    assert not peer.captum_has_maps
    assert "Captum" not in peer_cases(peer)
    monkeypatch.setattr(_benchmark_naive, "grad_cam_installed", lambda: True)
    folder.check_plain_loop(network)
    monkeypatch.setattr(_benchmark_naive, "grad_cam_installed", lambda: False)
    assert list(peer_cases(peer)) == ["plain forward pass"]
    with pytest.raises(ConfigError, match="the plain loop over --folder needs pytorch-grad-cam"):
        folder.check_plain_loop(network)


def test_the_plain_script_answers_with_the_biases_of_the_calibration(tmp_path: Path) -> None:
    (network,) = open_networks("bundled", [], tmp_path)
    peer = NaivePeer(network.bundle)
    description = network.bundle.description
    photograph = tmp_path / "photograph.jpg"
    photograph.write_bytes(drawn_photograph())
    with Image.open(photograph) as image:
        pixels = description.preprocessing.pixels(image.convert("RGB"))
    wanted = Predictor(network.bundle).predict(photograph)
    probabilities, heatmap = peer.with_captum(description.preprocessing.tensor(pixels), 600, 450)
    assert dict(zip(description.classes, probabilities.tolist(), strict=True)) == pytest.approx(
        dict(wanted.probabilities), abs=1e-4
    )
    assert heatmap.shape == (450, 600)
    # The loop resizes in its own way, so that its answer is a near one.
    assert answer_plainly("bundled", [photograph], tmp_path) > 0
    rows = list(csv.DictReader((tmp_path / "answers.csv").read_text("utf-8").splitlines()))
    assert [float(rows[0][code]) for code in description.classes] == pytest.approx(
        list(wanted.probabilities.values()), abs=0.3
    )
    with Image.open(tmp_path / "0.png") as drawn:
        assert drawn.size == (600, 450)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--model", "", "--architecture"], "nothing to measure"),
        (["--plot", "figures.gif"], "must end in .png or .svg"),
        (["--markdown", "nowhere/figures.md"], "in a folder that exists"),
    ],
)
def test_what_cannot_be_measured_or_written_is_one_clear_sentence(
    monkeypatch: pytest.MonkeyPatch, options: list[str], sentence: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmark.py", *options])
    with pytest.raises(ConfigError, match=sentence):
        benchmark.main()


class OneAfterTheOther:
    """A turn that never waits; a second an epoch."""

    def __init__(self) -> None:
        self.epochs: list[Epoch] = []

    def begin(self) -> None:
        self.epochs.clear()

    def end_epoch(self, **figures: float) -> None:
        self.epochs.append(Epoch(1.0, 2.0, figures))


def run_here(
    competitors: Mapping[str, Competitor], on_epoch: Callable[[str, Epoch], object]
) -> dict[str, list[Epoch]]:
    """take_turns without its processes, each of which would import PyTorch."""
    epochs = {}
    for name, competitor in competitors.items():
        turn = OneAfterTheOther()
        pickle.loads(pickle.dumps(competitor))(turn)
        epochs[name] = turn.epochs
        for epoch in turn.epochs:
            on_epoch(name, epoch)
    return epochs


def test_a_small_training_reports_both_sides_and_their_comparison(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_benchmark_peak, "_SIDE", {"cpu": 64})
    monkeypatch.setattr(_benchmark_training, "take_turns", run_here)
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    dataset = coloured_dataset(tmp_path / "set", train=33, valid=3)
    out = tmp_path / "figures.json"
    options = [
        *["--training", str(dataset.folder), "--contests", "frozen", "--peers", "plain", "--epochs", "2"],
        *["--frozen-architecture", "mobilenet_v3_small", "--image-size", "32", "--workers", "0"],
        *["--threads", "1", "--target", "0", "--json", str(out), "--markdown", str(tmp_path / "page.md")],
    ]
    monkeypatch.setattr(sys, "argv", ["benchmark.py", *options])
    benchmark.main()
    page = (tmp_path / "page.md").read_text("utf-8")
    assert (
        "`scripts/benchmark.py --training set --contests frozen --peers plain --epochs 2 --image-size 32 --workers 0 "
        "--threads 1 --target 0.0 --frozen-architecture mobilenet_v3_small`"
    ) in page
    assert "| Dermatrace | 1.00 | 1.00 | 1.00 |  |  | " in page
    assert str(tmp_path) not in page
    report = json.loads(out.read_text("utf-8"))
    (contest,) = report["contests"]
    assert (contest["training_pictures"], contest["validation_pictures"]) == (33, 3)
    assert {name: result["epoch_seconds"] for name, result in contest["results"].items()} == {
        "ours": [1.0, 1.0],
        "plain": [1.0, 1.0],
    }
    assert {result["target_epoch"] for result in contest["results"].values()} == {1}
    assert contest["comparisons"] == [
        {
            "what": "ours",
            "against": "plain",
            "times_as_fast": 1.0,
            "times_as_fast_to_target": 1.0,
            "times_the_processor": 1.0,
        }
    ]
    assert "ours against plain" in capsys.readouterr().out
    assert sorted(path.name for path in dataset.folder.iterdir()) == ["images", "metadata.csv"]
