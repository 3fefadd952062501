"""The training loop: fit › train_one_epoch › one step, with validation beside it. Writes the run folder as it goes."""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from derm_core.data.cache import open_pixels
from derm_core.data.dataset import ResumableBatches, TrainingPictures
from derm_core.data.sampling import limit_by_class
from derm_core.data.table import Dataset
from derm_core.diagnoses import get_task
from derm_core.training.checkpoint import save_best, save_last
from derm_core.training.config import RunConfig
from derm_core.training.hardware import Hardware, choose_hardware
from derm_core.training.losses import build_loss
from derm_core.training.observer import Observer
from derm_core.training.records import RunLog, write_record
from derm_core.training.run_folder import begin_run, find_checkpoint
from derm_core.training.schedule import picture_size
from derm_core.training.state import TrainingState, build_state
from derm_core.training.validation import diverged, validate

_STEPS_BETWEEN_LOGS = 20


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
    checkpoint = find_checkpoint(out, config, dataset, resume=resume)
    hardware = choose_hardware(config.training)
    (train_pixels, train_labels), (valid_pixels, valid_labels) = (
        (_open(subset, config, observer), subset.labels(task)) for subset in subsets
    )
    torch.manual_seed(config.training.seed)
    pictures = TrainingPictures(
        train_pixels, train_labels, config.training.augmentation, seed=config.training.seed
    )
    batches = ResumableBatches(len(pictures), config.training.batch_size, seed=config.training.seed)
    run = build_state(
        config, len(task.classes), len(batches), hardware, weights_dir=weights_dir, checkpoint=checkpoint
    )
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
        record, metric = validate(
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
        save_last(out, run.to_checkpoint(config, hardware))
        if observer is not None:
            observer.end_epoch(record, is_best)
    return out


def train_one_epoch(
    run: TrainingState,
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
            raise diverged(run, config, f"the loss is {loss}")
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
            save_last(out, run.to_checkpoint(config, hardware))
            saved = clock = time.monotonic()


def _train_one_step(
    run: TrainingState,
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


def _open(subset: Dataset, config: RunConfig, observer: Observer | None) -> np.ndarray:
    report = None if observer is None else observer.prepare(len(subset))
    return open_pixels(subset, config.preprocessing, on_progress=report)
