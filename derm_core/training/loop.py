"""The training loop: fit › train_one_epoch › step, with validation beside it. Writes the run folder as it goes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from derm_core.data.dataset import JoinedPixels, Pixels, ResumableBatches
from derm_core.data.sampling import draw_shares
from derm_core.data.table import Dataset
from derm_core.diagnoses import get_task
from derm_core.models import body_blocks, freeze_blocks
from derm_core.training.checkpoint import save_best, save_last
from derm_core.training.extra_pictures import open_extra, side_members
from derm_core.training.features import FeatureSource
from derm_core.training.hardware import choose_hardware
from derm_core.training.losses import build_loss
from derm_core.training.observer import Observer
from derm_core.training.records import RunLog, write_record
from derm_core.training.run_folder import CONFIG, begin_run, find_checkpoint, hold_run
from derm_core.training.schedule import frozen_blocks
from derm_core.training.sections import RunConfig
from derm_core.training.sources import (
    PictureSource,
    Source,
    channel_statistics,
    open_split_pixels,
    select_pictures,
)
from derm_core.training.state import TrainingState, build_state
from derm_core.training.step import Step
from derm_core.training.teacher import open_teacher
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
    stop: Callable[[], bool] | None = None,
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
        stop: asked after each step and before each epoch that is left; at the first True a checkpoint is written and
            training ends there, to be continued with `resume`. It is not asked once all is done.

    Returns:
        The run folder.

    Raises:
        ConfigError: settings that do not fit each other, the dataset, or the run that is resumed, or under which the
            loss has no bounds; or another process trains into the folder.
        CheckpointError: neither of the last two checkpoints is whole.
        DatasetError, WeightsNotFoundError: as their sources say.
    """
    task = get_task(config.data.task)
    train, valid = (
        select_pictures(dataset, config, split)
        for split in (config.data.train_split, config.data.valid_split)
    )
    extra = open_extra(config, dataset)
    beside = None if extra is None else extra.dataset
    begun = resume and (out / CONFIG).exists()
    with ExitStack() as held:
        if begun:
            held.enter_context(hold_run(out))
        checkpoint = find_checkpoint(out, config, dataset, resume=resume, extra=beside)
        hardware = choose_hardware(config.training)
        prepare = None if observer is None else observer.prepare
        class_labels, valid_labels = train.labels(task), valid.labels(task)
        train_labels = class_labels if extra is None else np.concatenate([class_labels, extra.labels])
        # Building the teacher draws numbers; after the seed, a run that is continued would draw them again.
        teacher = open_teacher(config, hardware)
        torch.manual_seed(config.training.seed)
        batches = ResumableBatches(
            len(train_labels),
            config.training.batch_size,
            seed=config.training.seed,
            shares=draw_shares(train_labels, config.training.sampler),
        )
        run = build_state(
            config, len(task.classes), len(batches), hardware, weights_dir=weights_dir, checkpoint=checkpoint
        )
        # Decoding can take minutes: only now, when the teacher and the first weights are known to be there.
        pixels = open_split_pixels(train, config, prepare), open_split_pixels(valid, config, prepare)
        if config.data.normalization == "featurewise" and not config.data.mean:
            mean, std = channel_statistics(pixels[0])
            config = replace(config, data=replace(config.data, mean=mean, std=std))
        train_pixels: Pixels = pixels[0]
        if extra is not None:
            train_pixels = JoinedPixels(train_pixels, open_split_pixels(extra.dataset, config, prepare))
        source: Source = PictureSource(config, (train_pixels, pixels[1]), train_labels, hardware)
        if config.trains_features:
            source = FeatureSource(config, run.model, (train, valid), pixels, train_labels, hardware, prepare)
        begin_run(out, config, dataset, extra=beside)
        if not begun:
            held.enter_context(hold_run(out))
        log = RunLog(out, after_step=run.step)
        loss_function = build_loss(
            class_labels, len(task.classes), config.training, sides=side_members(task) if extra else None
        ).to(hardware.device)
        step = Step(config, loss_function, hardware, teacher)
        while not _is_finished(run, config):
            if stop is not None and stop():
                break
            if observer is not None:
                observer.begin_epoch(
                    run.epoch + 1,
                    config.training.epochs,
                    len(batches),
                    run.position,
                    config.training.batch_size,
                )
            if not train_one_epoch(run, config, source, batches, step, out, log, observer, stop):
                break
            logits = source.valid_logits(run.evaluated_model())
            record, metric = validate(run, config, logits, valid_labels, valid, loss_function)
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
    source: Source,
    batches: ResumableBatches,
    step: Step,
    out: Path,
    log: RunLog,
    observer: Observer | None,
    stop: Callable[[], bool] | None = None,
) -> bool:
    """Runs the batches of an epoch that are still to be run, with a checkpoint from time to time.

    Returns whether all of them are done; False where `stop` said so, after a checkpoint.
    """
    batches.epoch, batches.position = run.epoch, run.position
    blocks = len(body_blocks(run.model, config.model.architecture))
    run.model.train()
    freeze_blocks(run.model, config.model.architecture, frozen_blocks(config, blocks, run.epoch))
    network = source.network(run.model)
    saved = clock = time.monotonic()
    for batch, labels in source.loader(batches, run.epoch):
        steps = run.step
        loss, errors = step(run, network, source.inputs(batch, run.epoch), labels, len(batches))
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
        ended = run.position == len(batches)
        if run.step > steps and (ended or run.step % _STEPS_BETWEEN_LOGS == 0):
            log.append(step=run.step, epoch=run.epoch + 1, loss=mean_loss, lr=run.learning_rate)
        if observer is not None:
            observer.end_step(mean_loss, run.metric)
        # Gradients that are still being gathered are not in a checkpoint.
        whole = run.position % config.training.accumulation == 0
        if not whole or ended:
            continue
        stopped = stop is not None and stop()
        if stopped or now - saved >= config.training.checkpoint_seconds:
            save_last(out, run.to_checkpoint(config, step.hardware))
            saved = clock = time.monotonic()
        if stopped:
            return False
    return True


def _is_finished(run: TrainingState, config: RunConfig) -> bool:
    patience = config.training.patience
    waited = run.epoch - run.best["epoch"] if run.best else 0
    return run.epoch >= config.training.epochs or bool(patience and waited >= patience)
