"""Validation: what the network answers to the validation pictures, and the record of an epoch. Changes no weight."""

from __future__ import annotations

import copy
import math
from contextlib import closing
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from derm_core.data.table import Dataset
from derm_core.diagnoses import get_diagnosis, get_task
from derm_core.errors import ConfigError
from derm_core.evaluation.metrics import evaluate_probabilities
from derm_core.models import classifier_layer
from derm_core.models.views import MeanHead, ViewedBody
from derm_core.training.hardware import Hardware
from derm_core.training.passes import pass_batch, run_passes
from derm_core.training.sections import RunConfig
from derm_core.training.state import TrainingState


def validate(
    run: TrainingState,
    config: RunConfig,
    logits: np.ndarray,
    labels: np.ndarray,
    subset: Dataset,
    loss_function: nn.Module,
) -> tuple[dict[str, Any], float]:
    """Measures what the network answers to the validation pictures: logits float32 (N, C), class indices int64 (N,).

    Returns:
        `(record, metric)`: the epoch's record, and the figure that chooses the best epoch.

    Raises:
        ConfigError: the network's answers are not finite.
    """
    if not np.isfinite(logits).all():
        raise diverged(run, config, "the validation pictures get no finite answer")
    probabilities = torch.from_numpy(logits).double().softmax(dim=1).numpy()
    classes = get_task(config.data.task).classes
    figures = evaluate_probabilities(
        labels,
        probabilities,
        classes=classes,
        malignant=[get_diagnosis(code).malignant for code in classes],
        lesions=subset.lesions,
        operating_threshold=None,
        bootstrap=1,
    )
    with torch.no_grad():
        valid_loss = (
            copy.deepcopy(loss_function).cpu()(torch.from_numpy(logits), torch.from_numpy(labels)).item()
        )
    head = classifier_layer(run.evaluated_model())
    bias = torch.zeros(len(head.weight)) if head.bias is None else head.bias
    sums = run.sums
    record = {
        "name": config.name,
        "epoch": run.epoch + 1,
        "lr": run.learning_rate,
        "classifier.weight": head.weight.detach().cpu().tolist(),
        "classifier.bias": bias.detach().cpu().tolist(),
        "confusion_matrix": figures["confusion_matrix"],
        "train_errs": sums["errors"] / sums["pictures"],
        "valid_errs": 1.0 - figures["accuracy"],
        "used_data_augmentation": config.training.augmentation.active,
        "train_loss": sums["loss"] / sums["pictures"],
        "valid_loss": valid_loss,
        **{
            key: figures[key]
            for key in ("accuracy", "balanced_accuracy", "macro_f1", "macro_auc", "malignant_auc")
        },
        "seconds": sums["seconds"],
        "images_per_second": sums["pictures"] / max(sums["seconds"], 1e-9),
    }
    metric = figures[config.evaluation.metric]
    # A validation set of one class has no ranking; any epoch that has one is better.
    return record, -math.inf if metric is None else float(metric)


def predict_logits(model: nn.Module, pixels: np.ndarray, config: RunConfig, hardware: Hardware) -> np.ndarray:
    """Returns float32 logits (N, C) of uint8 pixels (N, S, S, 3), in eval mode and in the run's number format."""
    count, size = config.evaluation.views, pass_batch(hardware.device)
    network = nn.Sequential(ViewedBody(nn.Identity(), count), MeanHead(model, count)) if count > 1 else model

    def answer(pictures: Tensor) -> Tensor:
        inputs = config.preprocessing.tensor(pictures.to(hardware.device))
        logits: Tensor = network(hardware.place(inputs))
        return logits.float().cpu()

    batches = (
        torch.from_numpy(np.array(pixels[start : start + size])) for start in range(0, len(pixels), size)
    )
    was_training = model.training
    model.eval()
    try:
        with closing(run_passes(answer, batches, hardware)) as passes:
            parts = list(passes)
    finally:
        model.train(was_training)
    return torch.cat(parts).numpy()


def diverged(run: TrainingState, config: RunConfig, sign: str) -> ConfigError:
    """Returns the error of a run whose numbers have left all bounds."""
    return ConfigError(
        f"Training diverged in epoch {run.epoch + 1}, step {run.step}: {sign}. Lower training.learning_rate "
        f"(now {config.training.learning_rate:g}), lengthen training.warmup_epochs or set training.clip_norm."
    )
