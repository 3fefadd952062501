"""Answers and their reasons: the same bits by every way, for every thread, in bounded memory."""

from __future__ import annotations

import dataclasses
import io
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from captum.attr import LayerGradCam
from PIL import Image

from derm_core.errors import BundleError, ConfigError, InvalidImageError
from derm_core.images import load_image
from derm_core.models import grad_cam_layer
from derm_core.serving import predictor as predictor_module
from derm_core.serving import preparation
from derm_core.serving.bundle import BundleDescription, load_bundle, save_bundle
from derm_core.serving.eager import EagerRuntime
from derm_core.serving.loading import load_predictor
from derm_core.serving.prediction import Prediction
from derm_core.serving.predictor import Predictor
from derm_core.serving.preparation import DECODERS

from .conftest import draw_lesion

CODES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")


def same(one: Prediction, other: Prediction) -> bool:
    """Whether two answers are equal in every bit but the time they took."""
    return dataclasses.replace(one, seconds=0) == dataclasses.replace(other, seconds=0)


def logits_of(bundle_folder: Path, picture: Path) -> np.ndarray:
    bundle = load_bundle(bundle_folder)
    preprocessing = bundle.description.preprocessing
    image = load_image(picture, min_side=preprocessing.decoding_side)
    with torch.no_grad():
        return bundle.build_model()(preprocessing.tensor(preprocessing.pixels(image)))[0].double().numpy()


def test_an_answer_is_the_softmax_of_the_network_at_the_bundles_temperature(
    predictor: Predictor, bundle_folder: Path, pictures: list[Path]
) -> None:
    for picture in pictures:
        answer = predictor.predict(picture)
        scaled = np.exp(logits_of(bundle_folder, picture) / 0.75)
        assert tuple(answer.probabilities) == predictor.classes == CODES
        np.testing.assert_allclose(list(answer.probabilities.values()), scaled / scaled.sum(), atol=1e-6)
        assert sum(answer.probabilities.values()) == pytest.approx(1, abs=1e-12)
        assert answer.top == CODES[int(scaled.argmax())]
        risk = sum(answer.probabilities[code] for code in ("akiec", "bcc", "mel"))
        assert answer.malignant_probability == pytest.approx(risk, abs=1e-12)
        assert (answer.model_name, answer.model_version) == ("tiny", "1.2")
        assert answer.model_sha256 == predictor.description.weights_sha256
        assert answer.quality == ()
        assert answer.seconds > 0


def test_the_pictures_of_these_tests_are_answered_differently(
    predictor: Predictor, pictures: list[Path]
) -> None:
    risks = [predictor.predict(picture).malignant_probability for picture in pictures]
    assert np.ptp(risks) > 0.05


def test_the_advice_follows_the_operating_point(bundle_folder: Path, pictures: list[Path]) -> None:
    bundle = load_bundle(bundle_folder)
    risk = Predictor(bundle).predict(pictures[0]).malignant_probability

    def advice(threshold: float) -> str:
        point = dataclasses.replace(bundle.description.operating_point, threshold=threshold)
        changed = dataclasses.replace(bundle.description, operating_points=(point,))
        answer = Predictor(dataclasses.replace(bundle, description=changed)).predict(pictures[0])
        assert answer.operating_point == threshold
        return answer.advice

    assert advice(risk) == "refer"
    assert advice(float(np.nextafter(risk, 0))) == "refer"
    assert advice(float(np.nextafter(risk, 1))) == "routine"


def test_a_picture_of_bad_quality_is_unsure_and_keeps_its_figures(predictor: Predictor) -> None:
    answer = predictor.explain(Image.new("RGB", (50, 40), "black")).prediction
    assert answer.advice == "unsure"
    assert [flag.name for flag in answer.quality] == ["too-small", "too-dark"]
    assert answer.top in CODES
    assert sum(answer.probabilities.values()) == pytest.approx(1)


def test_the_limits_of_quality_are_those_of_the_bundle(bundle_folder: Path) -> None:
    bundle = load_bundle(bundle_folder)
    strict = dataclasses.replace(bundle.description.quality, min_side=500)
    changed = dataclasses.replace(bundle, description=dataclasses.replace(bundle.description, quality=strict))
    assert Predictor(changed).predict(draw_lesion((200, 150))).advice == "unsure"


def test_every_way_to_answer_a_file_gives_the_same_bits(predictor: Predictor, pictures: list[Path]) -> None:
    for picture, listed in zip(pictures, predictor.predict_many(pictures, batch_size=4), strict=True):
        answer = predictor.predict(picture)
        content = picture.read_bytes()
        assert same(answer, listed)
        assert same(answer, predictor.predict(str(picture)))
        assert same(answer, predictor.predict(content))
        with open(picture, "rb") as stream:
            stream.read(5)
            assert same(answer, predictor.predict(stream))
            assert not stream.closed
        assert same(answer, predictor.explain(content).prediction)
        assert same(answer, predictor.explain(picture, "df").prediction)
        assert same(answer, predictor.explain_all(picture).prediction)


def test_a_decoded_image_is_used_as_it_is(predictor: Predictor) -> None:
    image = draw_lesion((320, 240))
    stream = io.BytesIO()
    image.save(stream, "PNG")
    assert same(predictor.predict(image), predictor.predict(stream.getvalue()))
    assert same(predictor.predict(image.convert("RGBA")), predictor.predict(image))
    assert image.size == (320, 240)


def test_a_heatmap_equals_that_of_captum_laid_over_the_picture(
    predictor: Predictor, bundle_folder: Path, pictures: list[Path]
) -> None:
    bundle = load_bundle(bundle_folder)
    preprocessing, model = bundle.description.preprocessing, bundle.build_model()
    peer = LayerGradCam(model, grad_cam_layer(model, bundle.description.architecture))
    shown = 0
    for picture in pictures:
        image = load_image(picture, min_side=preprocessing.decoding_side)
        images = preprocessing.tensor(preprocessing.pixels(image)).requires_grad_()
        width, height = load_image(picture).size
        for index, code in enumerate(CODES):
            theirs = peer.attribute(images, index, relu_attributions=True)[0, 0].detach().numpy()
            ours = predictor.explain(picture, code)
            assert ours.code == code
            assert ours.heatmap.shape == (height, width)
            assert ours.heatmap.dtype == np.float32
            shares = theirs / theirs.max() if theirs.max() > 0 else theirs
            placed = preprocessing.place_heatmap(shares, width, height)
            np.testing.assert_allclose(ours.heatmap, placed, atol=1e-4)
            shown += ours.heatmap.max() > 0.5
    assert shown > len(pictures)


def test_without_a_code_the_top_class_is_explained(predictor: Predictor, pictures: list[Path]) -> None:
    for picture in pictures:
        explanation = predictor.explain(picture)
        assert explanation.code == explanation.prediction.top
        assert np.array_equal(explanation.heatmap, predictor.explain(picture, explanation.code).heatmap)


def test_the_heatmaps_of_all_classes_are_those_of_each_class(
    predictor: Predictor, pictures: list[Path]
) -> None:
    explanations = predictor.explain_all(pictures[1])
    assert tuple(explanations) == CODES
    for code, heatmap in explanations.items():
        assert 0 <= heatmap.min() <= heatmap.max() <= 1
        np.testing.assert_allclose(heatmap, predictor.explain(pictures[1], code).heatmap, atol=1e-6)


def test_a_heatmap_of_nothing_is_all_zeros(
    tmp_path: Path,
    description: BundleDescription,
    model_state: dict[str, torch.Tensor],
    pictures: list[Path],
) -> None:
    silent = {
        name: torch.zeros_like(tensor) if name.startswith("classifier") else tensor
        for name, tensor in model_state.items()
    }
    save_bundle(tmp_path / "silent", model_state=silent, description=description)
    heatmap = load_predictor(tmp_path / "silent").explain(pictures[0]).heatmap
    assert heatmap.shape == (150, 200)
    assert not heatmap.any()


def test_a_large_photograph_is_decoded_small_but_has_a_heatmap_of_its_full_size(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = []

    def spy(*arguments: object, **options: object) -> object:
        decoded.append(preparation_decode(*arguments, **options))  # type: ignore[arg-type]
        return decoded[-1]

    preparation_decode = preparation.decode
    monkeypatch.setattr(preparation, "decode", spy)
    image = draw_lesion((2000, 1501))
    for orientation, size in ((1, (2000, 1501)), (3, (2000, 1501)), (6, (1501, 2000)), (8, (1501, 2000))):
        exif = Image.Exif()
        exif[0x0112] = orientation
        stream = io.BytesIO()
        image.save(stream, "JPEG", exif=exif)
        explanation = predictor.explain(stream.getvalue())
        assert explanation.heatmap.shape == (size[1], size[0])
        assert decoded[-1].size == size
        assert 200 <= min(decoded[-1].image.size) < 400


def test_the_heatmap_of_a_large_picture_can_be_kept_small(predictor: Predictor) -> None:
    image = draw_lesion((1200, 900))
    full = predictor.explain(image).heatmap
    small = predictor.explain(image, max_side=400).heatmap
    assert small.shape == (300, 400)
    assert predictor.explain(image, max_side=1200).heatmap.shape == (900, 1200)
    assert predictor.explain_all(image, max_side=80)["mel"].shape == (60, 80)
    assert np.abs(full[1::3, 1::3] - small).max() < 0.02


def test_a_class_that_the_model_does_not_have_is_refused_before_anything_is_read(
    predictor: Predictor,
) -> None:
    with pytest.raises(ConfigError, match=r"Unknown class 'mell'. Known: akiec, .* Did you mean 'mel'\?"):
        predictor.explain("no such file", "mell")


def test_a_file_that_cannot_be_read_is_an_invalid_image(predictor: Predictor, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("hello")
    for method in (predictor.predict, predictor.explain, predictor.explain_all):
        for source in (tmp_path / "text.jpg", tmp_path / "none.jpg", b"", io.BytesIO(b"x")):
            with pytest.raises(InvalidImageError):
                method(source)


def test_many_threads_get_the_answers_of_one(predictor: Predictor, pictures: list[Path]) -> None:
    plain = [predictor.predict(picture) for picture in pictures]
    explained = [predictor.explain_all(picture) for picture in pictures]

    def ask(number: int) -> bool:
        index = number % len(pictures)
        match number % 4:
            case 0:
                return same(predictor.predict(pictures[index]), plain[index])
            case 1:
                answers = list(predictor.predict_many(pictures))
                return all(map(same, answers, plain))
            case 2:
                found = predictor.explain_all(pictures[index])
                wanted = explained[index]
                return same(found.prediction, wanted.prediction) and all(
                    np.array_equal(found[code], wanted[code]) for code in CODES
                )
            case _:
                code = CODES[number % len(CODES)]
                single = predictor.explain(pictures[index], code)
                return same(single.prediction, plain[index]) and single.code == code

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(64)))


def test_no_more_passes_run_at_once_than_the_predictor_allows(
    bundle_folder: Path, pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predictor_module, "passes_at_once", lambda: 2)
    limited = load_predictor(bundle_folder)
    inside, most, lock = 0, 0, threading.Lock()
    body = limited.passes.runtime._body

    class Watched(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            nonlocal inside, most
            with lock:
                inside += 1
                most = max(most, inside)
            try:
                return body(images)
            finally:
                with lock:
                    inside -= 1

    limited.passes.runtime._body = Watched()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(limited.predict, pictures * 4))
    assert 1 <= most <= 2


def test_a_predictor_leaves_no_threads_hooks_or_gradients(predictor: Predictor, pictures: list[Path]) -> None:
    before = threading.active_count()
    list(predictor.predict_many(pictures))
    answers = predictor.predict_many(pictures)
    next(answers)
    answers.close()  # type: ignore[attr-defined]
    predictor.explain_all(pictures[0])
    assert threading.active_count() == before
    for part in (predictor.passes.runtime._body, predictor.passes.runtime._head):
        assert not part.training
        assert all(parameter.grad is None and not parameter.requires_grad for parameter in part.parameters())
        assert not any(module._forward_hooks or module._backward_hooks for module in part.modules())


def test_many_pictures_are_answered_in_order_with_errors_in_their_place(
    predictor: Predictor, pictures: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "empty.jpg").touch()
    mixed = [tmp_path / "empty.jpg", *pictures[:3], tmp_path / "none.jpg", *pictures[3:], b"text"]
    answers = list(predictor.predict_many(mixed, on_error="return"))
    assert len(answers) == len(mixed)
    for source, answer in zip(mixed, answers, strict=True):
        if source in pictures:
            assert isinstance(answer, Prediction)
            assert same(answer, predictor.predict(source))
        else:
            assert isinstance(answer, InvalidImageError)
    assert "empty.jpg" in str(answers[0])


def test_many_pictures_end_at_the_first_error_unless_told_otherwise(
    predictor: Predictor, pictures: list[Path]
) -> None:
    answers = predictor.predict_many([pictures[0], pictures[1], b"text", pictures[2]])
    assert same(next(answers), predictor.predict(pictures[0]))
    assert same(next(answers), predictor.predict(pictures[1]))
    with pytest.raises(InvalidImageError):
        next(answers)
    assert list(answers) == []


def test_many_pictures_are_taken_lazily_and_not_all_at_once(
    predictor: Predictor, pictures: list[Path]
) -> None:
    taken = 0

    def endless() -> Iterator[Path]:
        nonlocal taken
        while True:
            taken += 1
            yield pictures[taken % len(pictures)]

    answers = predictor.predict_many(endless())
    assert taken == 0
    for given in range(1, 20):
        next(answers)
        assert taken <= given + DECODERS + 1
    answers.close()  # type: ignore[attr-defined]


def test_what_the_pictures_iterator_raises_comes_through(predictor: Predictor, pictures: list[Path]) -> None:
    def broken() -> Iterator[Path]:
        yield pictures[0]
        raise OSError("the card was pulled out")

    before = threading.active_count()
    with pytest.raises(OSError, match="pulled out"):
        list(predictor.predict_many(broken()))
    assert threading.active_count() == before


def test_no_pictures_have_no_answers(predictor: Predictor) -> None:
    assert list(predictor.predict_many([])) == []


def test_options_that_make_no_sense_are_refused_at_once(predictor: Predictor) -> None:
    with pytest.raises(ConfigError, match="batch_size is 0"):
        predictor.predict_many([], batch_size=0)
    with pytest.raises(ConfigError, match="on_error is 'skip'"):
        predictor.predict_many([], on_error="skip")  # type: ignore[call-overload]


def test_pictures_go_through_the_network_together_where_that_pays(
    bundle_folder: Path, pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPU is not needed for this: only the choice of the batch depends on the device."""
    monkeypatch.setattr(EagerRuntime, "batches", True)
    together = load_predictor(bundle_folder, device="cpu")
    sizes = []
    body = together.passes.runtime._body
    watched = together.passes.runtime._body = torch.nn.Sequential(body)
    watched.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    sources = [*pictures, b"text", *pictures]
    batched = list(together.predict_many(iter(sources), batch_size=4, on_error="return"))
    assert sizes == [4, 3, 4, 1]
    for source, answer in zip(sources, batched, strict=True):
        if isinstance(answer, Prediction):
            alone = together.predict(source)
            assert answer.top == alone.top
            assert answer.malignant_probability == pytest.approx(alone.malignant_probability, abs=1e-5)
        else:
            assert source == b"text"


def test_the_environment_names_the_model(
    bundle_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DERM_MODEL", str(bundle_folder))
    assert load_predictor().description.name == "tiny"
    monkeypatch.setenv("DERM_MODEL", str(tmp_path / "none"))
    with pytest.raises(BundleError, match="does not exist"):
        load_predictor()
    assert load_predictor(bundle_folder).description.name == "tiny"


def test_a_gpu_that_is_not_there_is_a_warning_and_an_answer_on_the_cpu(
    bundle_folder: Path, pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("DERM_DEVICE", "cuda")
    with pytest.warns(UserWarning, match="cuda was asked for but cannot be used"):
        predictor = load_predictor(bundle_folder)
    assert predictor.device == torch.device("cpu")
    assert predictor.predict(pictures[0]).top in CODES


def test_weights_stored_as_float16_answer_nearly_the_same(
    tmp_path: Path,
    description: BundleDescription,
    model_state: dict[str, torch.Tensor],
    predictor: Predictor,
    pictures: list[Path],
) -> None:
    save_bundle(tmp_path / "half", model_state=model_state, description=description, half=True)
    half = load_predictor(tmp_path / "half")
    for picture in pictures:
        one, other = half.predict(picture), predictor.predict(picture)
        assert one.malignant_probability == pytest.approx(other.malignant_probability, abs=0.02)
