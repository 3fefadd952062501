"""The training loop: fit › train_one_epoch › one step, with validation beside it. Writes the run folder as it goes."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader

from derm_core.data.cache import open_pixels
from derm_core.data.dataset import ResumableBatches, TrainingPictures
from derm_core.data.sampling import limit_by_class
from derm_core.data.table import Dataset
from derm_core.diagnoses import get_diagnosis, get_task
from derm_core.errors import ConfigError
from derm_core.evaluation.metrics import evaluate_probabilities
from derm_core.models import classifier_layer
from derm_core.training.checkpoint import save_best, save_last
from derm_core.training.config import RunConfig
from derm_core.training.hardware import Hardware, choose_hardware
from derm_core.training.losses import build_loss
from derm_core.training.records import RunLog, write_record
from derm_core.training.run_folder import begin_run, find_checkpoint
from derm_core.training.start import build_first_model

_VALIDATION_BATCH = 64
_STEPS_BETWEEN_LOGS = 20


class Observer(Protocol):
    """What a person or a program is shown while a run goes on."""

    def prepare(self, pictures: int) -> Callable[[int], object]:
        """Pixels are about to be decoded; returns what to call with each number of decoded pictures."""

    def begin_epoch(self, epoch: int, epochs: int, batches: int, position: int, batch_size: int) -> None:
        """Epoch `epoch` of `epochs` begins at batch `position` of `batches`."""

    def end_step(self, loss: float, metric: float | None) -> None:
        """A batch is done; the epoch's mean loss so far, and the last epoch's validation metric."""

    def end_epoch(self, record: dict[str, Any], best: bool) -> None:
        """An epoch is recorded."""


@dataclass
class _Run:
    """What training changes as it goes; all that a checkpoint holds."""

    model: nn.Module
    ema: AveragedModel | None
    optimizer: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.LRScheduler
    epoch: int = 0
    step: int = 0
    position: int = 0
    sums: dict[str, float] = field(
        default_factory=lambda: dict.fromkeys(("loss", "errors", "pictures", "seconds"), 0.0)
    )
    best: dict[str, float] = field(default_factory=dict)
    metric: float | None = None

    def state(self, config: RunConfig, hardware: Hardware) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(),
            "ema": None if self.ema is None else self.ema.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "epoch": self.epoch,
            "step": self.step,
            "rng": {
                "torch": torch.get_rng_state(),
                "cuda": torch.cuda.get_rng_state_all() if hardware.device.type == "cuda" else [],
            },
            "sampler": {"position": self.position, "sums": self.sums, "metric": self.metric},
            "best": self.best,
            "config": config.to_dict(),
        }

    def restore(self, state: dict[str, Any], hardware: Hardware) -> None:
        self.model.load_state_dict(state["model"])
        if self.ema is not None:
            self.ema.load_state_dict(state["ema"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        self.epoch, self.step, self.best = state["epoch"], state["step"], state["best"]
        self.position, self.sums = state["sampler"]["position"], state["sampler"]["sums"]
        self.metric = state["sampler"]["metric"]
        torch.set_rng_state(state["rng"]["torch"])
        if hardware.device.type == "cuda" and state["rng"]["cuda"]:
            torch.cuda.set_rng_state_all(state["rng"]["cuda"])

    @property
    def learning_rate(self) -> float:
        return float(self.scheduler.get_last_lr()[0])

    def evaluated_model(self) -> nn.Module:
        return self.model if self.ema is None else self.ema.module


def fit(
    config: RunConfig,
    dataset: Dataset,
    out: Path,
    *,
    resume: bool = False,
    weights_dir: Path | None = None,
    observer: Observer | None = None,
) -> Path:
    """Trains a network and leaves its run folder.

    Killed at any instant and called again with `resume`, it ends with the weights that it would have ended with, bit
    for bit on the CPU with the same settings, number of threads and library versions.

    Args:
        config: the settings.
        dataset: a whole dataset folder; the splits that the settings name are used.
        out: the run folder; must not exist unless `resume`.
        resume: continue from the last checkpoint, or begin where none was written yet.
        weights_dir: where pretrained weights are looked for first.
        observer: told of each step and epoch.

    Returns:
        The run folder.

    Raises:
        ConfigError: settings that do not fit each other, the dataset, or the run that is resumed, or under which the
            loss has no bounds.
        CheckpointError: neither of the last two checkpoints is whole.
        DatasetError, WeightsNotFoundError: as their sources say.
    """
    task = get_task(config.data.task)
    subsets = [
        limit_by_class(dataset.for_task(task).subset(split), config.data.limit)
        for split in (config.data.train_split, config.data.valid_split)
    ]
    state = find_checkpoint(out, config, dataset, resume=resume)
    hardware = choose_hardware(config.training)
    (train_pixels, train_labels), (valid_pixels, valid_labels) = (
        (_open(subset, config, observer), subset.labels(task)) for subset in subsets
    )
    torch.manual_seed(config.training.seed)
    pictures = TrainingPictures(
        train_pixels, train_labels, config.training.augmentation, seed=config.training.seed
    )
    batches = ResumableBatches(len(pictures), config.training.batch_size, seed=config.training.seed)
    run = _build_run(config, len(task.classes), len(batches), hardware, weights_dir)
    if state is not None:
        run.restore(state, hardware)
    begin_run(out, config, dataset)
    log = RunLog(out, after_step=run.step)
    loss_function = build_loss(
        train_labels,
        len(task.classes),
        weights=config.training.class_weights,
        label_smoothing=config.training.label_smoothing,
    ).to(hardware.device)
    while run.epoch < config.training.epochs:
        if observer is not None:
            observer.begin_epoch(
                run.epoch + 1, config.training.epochs, len(batches), run.position, config.training.batch_size
            )
        train_one_epoch(run, config, pictures, batches, loss_function, hardware, out, log, observer)
        record, metric = _close_epoch(
            run, config, valid_pixels, valid_labels, subsets[1], loss_function, hardware
        )
        write_record(out, record)
        is_best = not run.best or metric > run.best["metric"]
        run.epoch, run.position, run.metric = run.epoch + 1, 0, metric
        run.sums = dict.fromkeys(run.sums, 0.0)
        if is_best:
            run.best = {"epoch": run.epoch, "metric": metric}
            save_best(
                out, {"model": run.evaluated_model().state_dict(), "epoch": run.epoch, "best": run.best}
            )
        save_last(out, run.state(config, hardware))
        if observer is not None:
            observer.end_epoch(record, is_best)
    return out


def train_one_epoch(
    run: _Run,
    config: RunConfig,
    pictures: TrainingPictures,
    batches: ResumableBatches,
    loss_function: nn.Module,
    hardware: Hardware,
    out: Path,
    log: RunLog,
    observer: Observer | None,
) -> None:
    """Runs the batches of an epoch that are still to be run, with a checkpoint from time to time."""
    pictures.epoch = batches.epoch = run.epoch
    batches.position = run.position
    # A loader that has no generator of its own draws from torch's, once more in an epoch that was resumed.
    loader = DataLoader(
        pictures, batch_sampler=batches, num_workers=config.training.workers, generator=torch.Generator()
    )
    preprocessing = config.preprocessing
    run.model.train()
    size = picture_size(config, run.epoch)
    saved = clock = time.monotonic()
    for images, labels in loader:
        inputs = hardware.place(preprocessing.tensor(images.to(hardware.device).permute(0, 2, 3, 1)))
        if size < preprocessing.image_size:
            inputs = nn.functional.interpolate(inputs, size=(size, size), mode="bilinear", antialias=True)
        targets = labels.to(hardware.device)
        loss, errors = _train_one_step(run, config, inputs, targets, loss_function, hardware)
        if not math.isfinite(loss):
            raise _diverged(run, config, f"the loss is {loss}")
        now = time.monotonic()
        run.sums["loss"] += loss * len(labels)
        run.sums["errors"] += errors
        run.sums["pictures"] += len(labels)
        run.sums["seconds"] += now - clock
        clock = now
        run.position += 1
        mean_loss = run.sums["loss"] / run.sums["pictures"]
        if run.step % _STEPS_BETWEEN_LOGS == 0:
            log.append(step=run.step, epoch=run.epoch + 1, loss=mean_loss, lr=run.learning_rate)
        if observer is not None:
            observer.end_step(mean_loss, run.metric)
        if now - saved >= config.training.checkpoint_seconds and run.position < len(batches):
            save_last(out, run.state(config, hardware))
            saved = clock = time.monotonic()


def _train_one_step(
    run: _Run,
    config: RunConfig,
    inputs: torch.Tensor,
    targets: torch.Tensor,
    loss_function: nn.Module,
    hardware: Hardware,
) -> tuple[float, int]:
    with torch.autocast(hardware.device.type, hardware.dtype, enabled=hardware.autocasts):
        logits = run.model(inputs)
    loss = loss_function(logits.float(), targets)
    run.optimizer.zero_grad()
    loss.backward()
    if config.training.clip_norm:
        nn.utils.clip_grad_norm_(run.model.parameters(), config.training.clip_norm)
    run.optimizer.step()
    run.scheduler.step()
    run.step += 1
    if run.ema is not None:
        run.ema.update_parameters(run.model)
    return loss.item(), int((logits.detach().argmax(dim=1) != targets).sum())


def predict_logits(
    model: nn.Module, pixels: np.ndarray, config: RunConfig, device: torch.device | None = None
) -> np.ndarray:
    """Returns float32 logits (N, C) of uint8 pixels (N, S, S, 3), in eval mode and full precision, as serving does."""
    device = device or torch.device("cpu")
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            parts = [
                model(
                    config.preprocessing.tensor(np.array(pixels[start : start + _VALIDATION_BATCH])).to(
                        device, memory_format=torch.channels_last
                    )
                )
                for start in range(0, len(pixels), _VALIDATION_BATCH)
            ]
    finally:
        model.train(was_training)
    return torch.cat(parts).float().cpu().numpy()


def _open(subset: Dataset, config: RunConfig, observer: Observer | None) -> np.ndarray:
    report = None if observer is None else observer.prepare(len(subset))
    return open_pixels(subset, config.preprocessing, on_progress=report)


def _build_run(
    config: RunConfig, num_classes: int, batches: int, hardware: Hardware, weights_dir: Path | None
) -> _Run:
    settings = config.training
    model = build_first_model(config.model, num_classes, weights_dir=weights_dir)
    model = model.to(hardware.device).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(_parameter_groups(model, settings.weight_decay), lr=settings.learning_rate)
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, WarmupCosine(round(settings.warmup_epochs * batches), settings.epochs * batches)
    )
    ema = None
    if settings.ema_decay:
        ema = AveragedModel(model, avg_fn=MovingAverage(settings.ema_decay), use_buffers=True)
    return _Run(model, ema, optimizer, scheduler)


def _parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    # Biases and normalisation weights have nothing to shrink towards (Goyal et al. 2017, arXiv 1706.02677).
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def picture_size(config: RunConfig, epoch: int) -> int:
    """Returns the side in pixels of training pictures in an epoch (from 0): a multiple of 32, or the full size."""
    full, first = config.data.image_size, config.training.first_image_size or config.data.image_size
    grown = min(1.0, epoch / max(1.0, 0.75 * config.training.epochs))
    size = first + (full - first) * grown
    return full if first >= full or grown == 1.0 else min(full, max(32, 32 * round(size / 32)))


@dataclass(frozen=True)
class MovingAverage:
    """Exponential moving average whose memory grows with the number of updates, so that it forgets the random start."""

    decay: float

    def __call__(
        self, average: torch.Tensor, value: torch.Tensor, updates: torch.Tensor | int
    ) -> torch.Tensor:
        decay = min(self.decay, (1 + int(updates)) / (10 + int(updates)))
        return average.lerp(value, 1 - decay) if average.is_floating_point() else value


@dataclass(frozen=True)
class WarmupCosine:
    """Share of the learning rate at a step: a linear rise over `warmup` steps, then half a cosine to 0 at `total`."""

    warmup: int
    total: int

    def __call__(self, step: int) -> float:
        if step < self.warmup:
            return (step + 1) / self.warmup
        return 0.5 * (
            1 + math.cos(math.pi * min(1.0, (step - self.warmup) / max(1, self.total - self.warmup)))
        )


def _diverged(run: _Run, config: RunConfig, sign: str) -> ConfigError:
    return ConfigError(
        f"Training diverged in epoch {run.epoch + 1}, step {run.step}: {sign}. Lower training.learning_rate "
        f"(now {config.training.learning_rate:g}), lengthen training.warmup_epochs or set training.clip_norm."
    )


def _close_epoch(
    run: _Run,
    config: RunConfig,
    pixels: np.ndarray,
    labels: np.ndarray,
    subset: Dataset,
    loss_function: nn.Module,
    hardware: Hardware,
) -> tuple[dict[str, Any], float]:
    model = run.evaluated_model()
    logits = predict_logits(model, pixels, config, hardware.device)
    if not np.isfinite(logits).all():
        raise _diverged(run, config, "the validation pictures get no finite answer")
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
    head = classifier_layer(model)
    sums = run.sums
    record = {
        "name": config.name,
        "epoch": run.epoch + 1,
        "lr": run.learning_rate,
        "classifier.weight": head.weight.detach().cpu().tolist(),
        "classifier.bias": head.bias.detach().cpu().tolist(),
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
