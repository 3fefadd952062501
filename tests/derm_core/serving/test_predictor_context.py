"""Answers that know of the patient: the same bits by every way, each picture with its own patient."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from derm_core.errors import InvalidImageError
from derm_core.serving.bundle import Bundle, BundleDescription, load_bundle, save_bundle
from derm_core.serving.context import ContextModel, PatientContext
from derm_core.serving.loading import load_predictor
from derm_core.serving.operating_point import OperatingPoint
from derm_core.serving.prediction import Prediction
from derm_core.serving.predictor import Predictor

CONTEXTS = (
    PatientContext(72, "male", "face"),
    PatientContext(),
    None,
    PatientContext(sex="female"),
    PatientContext(8, site="foot"),
    PatientContext(51.5),
)
POINTS = (OperatingPoint("sensitivity-0.95", 0.23), OperatingPoint("half", 0.31))


@pytest.fixture(scope="module")
def context_model() -> ContextModel:
    """Random numbers, large enough to change which class is the most probable."""
    random = np.random.default_rng(5)
    return ContextModel(
        knots=(10.0, 40.0, 80.0),
        sexes=("female", "male"),
        sites=("face", "foot"),
        coefficients=tuple(map(tuple, random.normal(0, 4, (7, 7)).tolist())),
        intercepts=tuple(random.normal(0, 1, 7).tolist()),
        log_prior=tuple(np.log(np.full(7, 1 / 7)).tolist()),
        weight=0.9,
        temperature=1.4,
    )


@pytest.fixture(scope="module")
def informed(bundle_folder: Path, context_model: ContextModel) -> Predictor:
    """The tiny model where it has learnt to use age, sex and site."""
    return Predictor(with_context(load_bundle(bundle_folder), context_model))


def with_context(bundle: Bundle, model: ContextModel) -> Bundle:
    changed = dataclasses.replace(bundle.description, context=model, context_operating_points=POINTS)
    return dataclasses.replace(bundle, description=changed)


def same(one: Prediction, other: Prediction) -> bool:
    """Whether two answers are equal in every bit but the time they took."""
    return dataclasses.replace(one, seconds=0) == dataclasses.replace(other, seconds=0)


def test_every_way_to_answer_gives_the_same_bits_for_the_same_patient(
    informed: Predictor, pictures: list[Path]
) -> None:
    listed = informed.predict_many(pictures, contexts=CONTEXTS)
    for picture, context, many in zip(pictures, CONTEXTS, listed, strict=True):
        answer = informed.predict(picture, context)
        assert same(answer, many)
        assert same(answer, informed.explain(picture, context=context).prediction)
        assert same(answer, informed.explain(picture, "df", context=context).prediction)
        assert same(answer, informed.explain_all(picture, context=context).prediction)
        assert answer.context == (context.known if context else ())


def test_the_answer_is_the_softmax_of_scaled_logits_and_weighted_evidence(
    informed: Predictor, predictor: Predictor, context_model: ContextModel, pictures: list[Path]
) -> None:
    for picture, context in zip(pictures, CONTEXTS, strict=True):
        if context is None or not context.known:
            assert same(informed.predict(picture, context), predictor.predict(picture))
            continue
        # The probabilities of the photograph alone give its logits back, but for a constant: its temperature is 0.75.
        logits = 0.75 * np.log(list(predictor.predict(picture).probabilities.values()))
        scores = np.exp(logits / 1.4 + 0.9 * context_model.evidence(context))
        answer = informed.predict(picture, context)
        np.testing.assert_allclose(list(answer.probabilities.values()), scores / scores.sum(), atol=1e-9)
        assert answer.operating_point == 0.23
        assert answer.advice == ("refer" if answer.malignant_probability >= 0.23 else "routine")


def test_a_model_that_has_not_learnt_to_use_it_answers_as_ever(
    predictor: Predictor, pictures: list[Path]
) -> None:
    context = CONTEXTS[0]
    alone = predictor.predict(pictures[0])
    assert same(alone, predictor.predict(pictures[0], context))
    assert alone.context == predictor.predict(pictures[0], context).context == ()
    assert same(alone, next(predictor.predict_many(pictures[:1], contexts=[context])))
    shown, wanted = predictor.explain(pictures[0], context=context), predictor.explain(pictures[0])
    assert same(shown.prediction, wanted.prediction)
    assert shown.code == wanted.code
    assert np.array_equal(shown.heatmap, wanted.heatmap)


def test_without_a_code_the_class_on_top_after_the_context_is_explained(
    informed: Predictor, pictures: list[Path]
) -> None:
    turned = 0
    for picture in pictures:
        for context in CONTEXTS:
            shown = informed.explain(picture, context=context, max_side=64)
            assert shown.code == shown.prediction.top == informed.predict(picture, context).top
            turned += shown.code != informed.predict(picture).top
    assert turned > 5


def test_a_heatmap_shows_the_photographs_part_alone(informed: Predictor, pictures: list[Path]) -> None:
    moved = informed.explain_all(pictures[0], context=CONTEXTS[0])
    alone = informed.explain_all(pictures[0])
    top = informed.explain(pictures[0], context=CONTEXTS[0])
    assert not same(moved.prediction, alone.prediction)
    for code, heatmap in moved.items():
        assert np.array_equal(heatmap, alone[code])
        asked = informed.explain(pictures[0], code, context=CONTEXTS[0])
        assert np.array_equal(asked.heatmap, informed.explain(pictures[0], code).heatmap)
    assert np.array_equal(top.heatmap, informed.explain(pictures[0], top.code).heatmap)


def test_pictures_beyond_the_last_patient_are_answered_alone(
    informed: Predictor, pictures: list[Path]
) -> None:
    answers = list(informed.predict_many(pictures, contexts=CONTEXTS[:1]))
    assert same(answers[0], informed.predict(pictures[0], CONTEXTS[0]))
    for picture, answer in zip(pictures[1:], answers[1:], strict=True):
        assert same(answer, informed.predict(picture))


def test_a_broken_picture_keeps_its_patient_to_itself(informed: Predictor, pictures: list[Path]) -> None:
    sources: list[Path | bytes] = [pictures[0], b"text", pictures[3], b"", pictures[5]]
    told = [CONTEXTS[0], CONTEXTS[3], CONTEXTS[4], CONTEXTS[0], CONTEXTS[5]]
    answers = list(informed.predict_many(sources, contexts=told, on_error="return"))
    assert [isinstance(answer, InvalidImageError) for answer in answers] == [False, True, False, True, False]
    for place in (0, 2, 4):
        answer = answers[place]
        assert isinstance(answer, Prediction)
        assert same(answer, informed.predict(sources[place], told[place]))


def test_pictures_that_go_through_the_network_together_keep_their_patients(
    informed: Predictor, pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU, for only the choice of the batch depends on the device."""
    sources: list[Path | bytes] = [*pictures[:2], b"text", *pictures[2:]]
    told = [*CONTEXTS[:2], CONTEXTS[0], *CONTEXTS[2:]]
    monkeypatch.setattr(type(informed.passes.runtime), "batches", True)
    answers = list(informed.predict_many(sources, batch_size=4, on_error="return", contexts=told))
    assert len(answers) == 7
    for source, context, answer in zip(sources, told, answers, strict=True):
        if isinstance(answer, Prediction):
            alone = informed.predict(source, context)
            assert (answer.top, answer.context) == (alone.top, alone.context)
            assert answer.malignant_probability == pytest.approx(alone.malignant_probability, abs=1e-5)
        else:
            assert source == b"text"


def test_patients_are_taken_one_by_one(informed: Predictor, pictures: list[Path]) -> None:
    taken = 0

    def endless() -> Iterator[PatientContext]:
        nonlocal taken
        while True:
            taken += 1
            yield PatientContext(age=taken % 120)

    answers = informed.predict_many(pictures, contexts=endless())
    assert taken == 0
    for number, (picture, answer) in enumerate(zip(pictures, answers, strict=True), start=1):
        assert taken == number
        assert same(answer, informed.predict(picture, PatientContext(age=number)))


def test_a_saved_bundle_answers_as_it_did_before(
    tmp_path: Path,
    description: BundleDescription,
    model_state: dict[str, torch.Tensor],
    context_model: ContextModel,
    informed: Predictor,
    pictures: list[Path],
) -> None:
    described = dataclasses.replace(description, context=context_model, context_operating_points=POINTS)
    save_bundle(tmp_path / "informed", model_state=model_state, description=described)
    loaded = load_predictor(tmp_path / "informed", device="cpu")
    assert loaded.description.context == context_model
    for context in CONTEXTS:
        assert same(loaded.predict(pictures[0], context), informed.predict(pictures[0], context))
