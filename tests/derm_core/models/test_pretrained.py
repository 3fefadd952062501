"""Pretrained weights: from a folder of files, and from a hub that a server on this machine stands in for."""

from __future__ import annotations

import functools
import hashlib
import io
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import load_file, save_file
from torch import nn

from derm_core.errors import ConfigError, WeightsNotFoundError
from derm_core.models import build_model, classifier_layer, load_weights
from derm_core.models.pretrained import WEIGHTS_DIR_VARIABLE, weights_file

SMALL = "shufflenet_v2_x0_5"


@pytest.fixture(autouse=True)
def no_folder_of_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(WEIGHTS_DIR_VARIABLE, raising=False)


def imagenet_network(architecture: str, seed: int = 7) -> nn.Module:
    """A network of 1000 classes with weights of its own, statistics included."""
    torch.manual_seed(seed)
    network = torchvision.models.get_model(architecture, weights=None)
    for name, buffer in network.named_buffers():
        if name.endswith(("running_mean", "running_var")):
            buffer.uniform_(0.5, 1.5)
    return network


def assert_body_is(network: nn.Module, state: dict[str, torch.Tensor]) -> None:
    """All but the last linear layer, which starts afresh, stands in `state`."""
    last = {id(parameter) for parameter in classifier_layer(network).parameters()}
    own = network.state_dict(keep_vars=True)
    kept = {name: tensor.detach() for name, tensor in own.items() if id(tensor) not in last}
    assert len(own) - len(kept) == 2
    for name, tensor in kept.items():
        wanted = state[name].float() if state[name].is_floating_point() else state[name]
        assert torch.equal(tensor, wanted), name


def save_weights(folder: Path, architecture: str, *, half: bool = False) -> dict[str, torch.Tensor]:
    state = {
        name: tensor.half() if half and tensor.is_floating_point() else tensor
        for name, tensor in imagenet_network(architecture).state_dict().items()
    }
    folder.mkdir(exist_ok=True)
    save_file(
        {name: tensor.contiguous() for name, tensor in state.items()}, weights_file(folder, architecture)
    )
    return state


@pytest.mark.parametrize("architecture", [SMALL, "mnasnet0_5", "mobilenet_v2"])
def test_weights_are_read_from_the_folder_given(tmp_path: Path, architecture: str) -> None:
    state = save_weights(tmp_path, architecture)
    assert (tmp_path / f"{architecture}_imagenet.safetensors").is_file()
    network = build_model(architecture, 5, pretrained=True, weights_dir=tmp_path)
    assert_body_is(network, state)
    assert classifier_layer(network).out_features == 5


def test_weights_in_half_precision_become_float32(tmp_path: Path) -> None:
    state = save_weights(tmp_path, SMALL, half=True)
    network = build_model(SMALL, 5, pretrained=True, weights_dir=tmp_path)
    assert all(parameter.dtype == torch.float32 for parameter in network.parameters())
    assert_body_is(network, state)


def test_the_folder_may_be_named_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = save_weights(tmp_path, SMALL)
    monkeypatch.setenv(WEIGHTS_DIR_VARIABLE, str(tmp_path))
    assert_body_is(build_model(SMALL, 5, pretrained=True), state)


def test_the_folder_given_comes_before_that_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = save_weights(tmp_path / "given", SMALL)
    monkeypatch.setenv(WEIGHTS_DIR_VARIABLE, str(tmp_path / "nowhere"))
    assert_body_is(build_model(SMALL, 5, pretrained=True, weights_dir=tmp_path / "given"), state)


def test_a_missing_file_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(WeightsNotFoundError) as raised:
        build_model("resnet18", 7, pretrained=True, weights_dir=tmp_path)
    message = str(raised.value)
    assert str(tmp_path / "resnet18_imagenet.safetensors") in message
    assert WEIGHTS_DIR_VARIABLE in message
    assert "--set model.pretrained=false" in message
    assert isinstance(raised.value, FileNotFoundError)


@pytest.mark.parametrize("content", [b"", b"no weights at all", "half of the file"])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes | str) -> None:
    save_weights(tmp_path, SMALL)
    path = weights_file(tmp_path, SMALL)
    path.write_bytes(path.read_bytes()[:500_000] if isinstance(content, str) else content)
    with pytest.raises(
        ConfigError, match=r"shufflenet_v2_x0_5_imagenet\.safetensors is not a whole safetensors"
    ):
        build_model(SMALL, 7, pretrained=True, weights_dir=tmp_path)


@pytest.mark.parametrize("other", ["shufflenet_v2_x1_0", "mobilenet_v3_small"])
def test_weights_of_another_architecture_are_refused(tmp_path: Path, other: str) -> None:
    save_weights(tmp_path, other)
    weights_file(tmp_path, other).rename(weights_file(tmp_path, SMALL))
    with pytest.raises(ConfigError, match=rf"do not fit torchvision's {SMALL} .*1000-class state dict"):
        build_model(SMALL, 7, pretrained=True, weights_dir=tmp_path)


def test_the_real_mobilenet_v2_weights_are_loaded_whole(test_data: Path) -> None:
    folder = test_data.parent / "weights"
    if not weights_file(folder, "mobilenet_v2").is_file():
        pytest.skip(f"{weights_file(folder, 'mobilenet_v2')} is not there")
    network = build_model("mobilenet_v2", 7, pretrained=True, weights_dir=folder)
    assert_body_is(network, load_file(weights_file(folder, "mobilenet_v2")))


def test_a_plain_state_dict_of_every_family_can_be_loaded() -> None:
    for architecture in ("mnasnet0_5", "mnasnet1_0", "mobilenet_v3_small", SMALL):
        network = build_model(architecture, 3)
        state = {name: torch.zeros_like(tensor) for name, tensor in network.state_dict().items()}
        load_weights(network, state)
        assert not any(tensor.any() for tensor in network.state_dict().values())


def test_weights_that_lack_a_tensor_are_not_loaded() -> None:
    network = build_model(SMALL, 3)
    state = dict(network.state_dict())
    del state["fc.bias"]
    with pytest.raises(RuntimeError, match=r"fc\.bias"):
        load_weights(network, state)


class Hub:
    """A folder served over HTTP, and the requests that it met."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.requests = folder, list[str]()
        folder.mkdir()
        hub = self

        class Handler(SimpleHTTPRequestHandler):
            def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
                hub.requests.append(self.path)

            def log_error(self, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def publish(self, state: dict[str, torch.Tensor], *, content: bytes | None = None) -> str:
        """Serves a state dict under a name with its hash, as PyTorch's hub does, and returns the address."""
        stream = io.BytesIO()
        torch.save(state, stream)
        name = f"network-{hashlib.sha256(stream.getvalue()).hexdigest()[:8]}.pth"
        (self.folder / name).write_bytes(stream.getvalue() if content is None else content)
        return f"http://127.0.0.1:{self.server.server_port}/{name}"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    served = Hub(tmp_path / "hub")
    yield served
    served.close()


@pytest.fixture
def downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where torch keeps what it downloads, empty; no proxy stands between it and this machine."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "torch" / "hub" / "checkpoints"


def point_at(monkeypatch: pytest.MonkeyPatch, architecture: str, url: str) -> None:
    weights = torchvision.models.get_model_weights(architecture).DEFAULT
    monkeypatch.setattr(weights.value, "url", url)
    assert weights.url == url


def dotted(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A DenseNet's tensors under the names that they have on PyTorch's hub: norm.1 for norm1, and so on."""
    for kind in ("norm", "conv"):
        for number in "12":
            state = {
                name.replace(f".{kind}{number}.", f".{kind}.{number}.")
                if "denselayer" in name
                else name: tensor
                for name, tensor in state.items()
            }
    return state


@pytest.mark.parametrize("architecture", [SMALL, "mnasnet0_5", "densenet121"])
def test_weights_are_downloaded_from_the_hub_once(
    architecture: str, hub: Hub, downloads: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = imagenet_network(architecture).state_dict()
    url = hub.publish(dotted(state) if architecture == "densenet121" else state)
    point_at(monkeypatch, architecture, url)
    assert_body_is(build_model(architecture, 5, pretrained=True), state)
    assert [path.name for path in downloads.iterdir()] == [url.rsplit("/", 1)[1]]
    assert_body_is(build_model(architecture, 5, pretrained=True), state)
    assert len(hub.requests) == 1


def test_a_download_with_another_hash_is_refused_and_not_kept(
    hub: Hub, downloads: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = imagenet_network(SMALL).state_dict()
    altered = io.BytesIO()
    torch.save({name: tensor + 1 for name, tensor in state.items()}, altered)
    point_at(monkeypatch, SMALL, hub.publish(state, content=altered.getvalue()))
    with pytest.raises(WeightsNotFoundError, match="invalid hash"):
        build_model(SMALL, 5, pretrained=True)
    assert len(hub.requests) == 1
    assert list(downloads.iterdir()) == []


def test_a_hub_that_has_not_got_the_file_says_so(
    hub: Hub, downloads: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_at(monkeypatch, SMALL, f"http://127.0.0.1:{hub.server.server_port}/gone-00000000.pth")
    with pytest.raises(WeightsNotFoundError, match="404"):
        build_model(SMALL, 5, pretrained=True)


def test_without_a_network_the_message_says_what_to_do(
    hub: Hub, downloads: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = hub.publish({})
    hub.close()
    point_at(monkeypatch, SMALL, url)
    with pytest.raises(WeightsNotFoundError) as raised:
        build_model(SMALL, 5, pretrained=True)
    message = str(raised.value)
    assert url in message
    assert f"{SMALL}_imagenet.safetensors" in message
    assert WEIGHTS_DIR_VARIABLE in message
    assert "--set model.pretrained=false" in message


@pytest.mark.parametrize("content", [b"", b"<html>Please log in to this network</html>", b"PK\3\4cut"])
def test_a_damaged_file_among_the_downloads_is_named(
    content: bytes, hub: Hub, downloads: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = hub.publish({})
    downloads.mkdir(parents=True)
    kept = downloads / url.rsplit("/", 1)[1]
    kept.write_bytes(content)
    point_at(monkeypatch, SMALL, url)
    with pytest.raises(WeightsNotFoundError) as raised:
        build_model(SMALL, 5, pretrained=True)
    assert str(raised.value) == f"{kept} is damaged. Remove it, and it is downloaded again."
    assert hub.requests == []


class Harmful:
    """What unpickling would run."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise SystemExit('code of a weights file was run')",)


def test_code_inside_a_weights_file_is_never_run(
    hub: Hub, downloads: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_at(monkeypatch, SMALL, hub.publish({"fc.bias": Harmful()}))  # type: ignore[dict-item]
    with pytest.raises(WeightsNotFoundError):
        build_model(SMALL, 5, pretrained=True)


def test_a_folder_of_weights_is_never_left_for_the_hub(
    hub: Hub, downloads: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_at(monkeypatch, SMALL, hub.publish(imagenet_network(SMALL).state_dict()))
    with pytest.raises(WeightsNotFoundError):
        build_model(SMALL, 5, pretrained=True, weights_dir=tmp_path)
    assert hub.requests == []


@pytest.mark.parametrize(
    ("architecture", "dropped"), [("googlenet", ("aux1.", "aux2.")), ("squeezenet1_1", ("classifier.",))]
)
def test_weights_of_parts_that_are_built_otherwise_here_are_left_out(
    tmp_path: Path, architecture: str, dropped: tuple[str, ...]
) -> None:
    torch.manual_seed(7)
    own = {"init_weights": False} if architecture == "googlenet" else {}
    state = torchvision.models.get_model(architecture, weights=None, **own).state_dict()
    assert any(name.startswith(dropped) for name in state)
    save_file(dict(state), weights_file(tmp_path, architecture))
    network = build_model(architecture, 3, pretrained=True, weights_dir=tmp_path)
    assert_body_is(network, state)
