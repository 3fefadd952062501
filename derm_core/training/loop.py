"""The training loop: fit › train_one_epoch › step, with validation beside it. Writes the run folder as it goes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from torch import nn

from derm_core.data.dataset import ResumableBatches
from derm_core.data.sampling import draw_shares
from derm_core.data.table import Dataset
from derm_core.diagnoses import get_task
from derm_core.models import body_blocks, freeze_blocks
from derm_core.training.checkpoint import save_best
from derm_core.training.extra_pictures import side_members
from derm_core.training.fitting import Fitting
from derm_core.training.hardware import choose_hardware
from derm_core.training.losses import build_loss
from derm_core.training.observer import Observer
from derm_core.training.pictures import RunPictures, choose_pictures, open_source
from derm_core.training.records import RunLog, write_record
from derm_core.training.run_folder import CONFIG, begin_run, find_checkpoint, hold_run
from derm_core.training.schedule import frozen_blocks
from derm_core.training.sections import RunConfig
from derm_core.training.state import TrainingState, build_state
from derm_core.training.step import Step
from derm_core.training.teacher import OpenBundle, open_teacher
from derm_core.training.validation import diverged, validate

_STEPS_BETWEEN_LOGS = 20


def fit(
    config: RunConfig,
    dataset: Dataset,
    out: Path,
    *,
    resume: bool = False,
    weights_dir: Path | None = None,
    open_bundle: OpenBundle | None = None,
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
        open_bundle: opens a teacher that is a model bundle; None where only a run may be the teacher.
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
    pictures = choose_pictures(config, dataset)
    begun = resume and (out / CONFIG).exists()
    with ExitStack() as held:
        if begun:
            held.enter_context(hold_run(out))
        hardware = choose_hardware(config.training)
        # Building the teacher draws numbers; after the seed, a run that is continued would draw them again.
        teacher = open_teacher(config, hardware, open_bundle)
        taught_by = "" if teacher is None else teacher.fingerprint
        checkpoint = find_checkpoint(
            out, config, dataset, resume=resume, extra=pictures.beside, teacher=taught_by
        )
        torch.manual_seed(config.training.seed)
        batches = _build_batches(config, pictures)
        classes = len(get_task(config.data.task).classes)
        run = build_state(
            config, classes, len(batches), hardware, weights_dir=weights_dir, checkpoint=checkpoint
        )
        # Decoding can take minutes: only now, when the teacher and the first weights are known to be there.
        prepare = None if observer is None else observer.prepare
        config, source = open_source(config, pictures, run.model, hardware, prepare)
        begin_run(out, config, dataset, extra=pictures.beside, teacher=taught_by)
        if not begun:
            held.enter_context(hold_run(out))
        loss_function = _build_loss(config, pictures).to(hardware.device)
        step = Step(config, loss_function, hardware, teacher)
        fitting = Fitting(
            config,
            pictures,
            source,
            batches,
            loss_function,
            step,
            RunLog(out, after_step=run.step),
            out,
            observer,
            stop,
        )
        while not _is_finished(run, config):
            if not train_one_epoch(run, fitting):
                break
            end_epoch(run, fitting)
    return out


def train_one_epoch(run: TrainingState, fitting: Fitting) -> bool:
    """Runs the batches of an epoch that are still to be run, with a checkpoint from time to time.

    Returns whether all of them are done; False where `stop` said so, with all that was learnt in a checkpoint.
    """
    if fitting.is_to_stop():
        return False
    config, batches = fitting.config, fitting.batches
    if fitting.observer is not None:
        fitting.observer.begin_epoch(
            run.epoch + 1, config.training.epochs, len(batches), run.position, config.training.batch_size
        )
    _begin_epoch(run, fitting)
    network = fitting.source.network(run.model)
    saved = clock = time.monotonic()
    for batch, labels in fitting.source.loader(batches, run.epoch):
        steps = run.step
        inputs = fitting.source.inputs(batch, run.epoch)
        loss, errors = fitting.step(run, network, inputs, labels, len(batches))
        if not math.isfinite(loss):
            raise diverged(run, config, f"the loss is {loss}")
        now = time.monotonic()
        _count(run, loss, errors, len(labels), now - clock)
        clock = now
        ended = run.position == len(batches)
        _tell(run, fitting, stepped=run.step > steps, ended=ended)
        # Gradients that are still being gathered are not in a checkpoint.
        whole = run.position % config.training.accumulation == 0
        if not whole or ended:
            continue
        stopped = fitting.is_to_stop()
        if stopped or now - saved >= config.training.checkpoint_seconds:
            fitting.save(run)
            saved = clock = time.monotonic()
        if stopped:
            return False
    return True


def end_epoch(run: TrainingState, fitting: Fitting) -> None:
    """Validates, records the epoch, keeps its weights where they are the best so far, and writes a checkpoint."""
    logits = fitting.source.valid_logits(run.evaluated_model())
    record, metric = validate(
        run,
        fitting.config,
        logits,
        fitting.pictures.valid_labels,
        fitting.pictures.valid,
        fitting.loss_function,
    )
    write_record(fitting.out, record)
    is_best = not run.best or metric > run.best["metric"]
    run.epoch, run.position, run.metric = run.epoch + 1, 0, metric
    run.sums = dict.fromkeys(run.sums, 0.0)
    if is_best:
        run.best = {"epoch": run.epoch, "metric": metric}
        kept: dict[str, Any] = {"model": run.evaluated_model().state_dict(), "epoch": run.epoch}
        save_best(fitting.out, kept | {"best": run.best})
    fitting.save(run)
    if fitting.observer is not None:
        fitting.observer.end_epoch(record, is_best)


def _build_batches(config: RunConfig, pictures: RunPictures) -> ResumableBatches:
    labels = pictures.train_labels
    return ResumableBatches(
        len(labels),
        config.training.batch_size,
        seed=config.training.seed,
        shares=draw_shares(labels, config.training.sampler),
    )


def _build_loss(config: RunConfig, pictures: RunPictures) -> nn.Module:
    task = get_task(config.data.task)
    sides = None if pictures.extra is None else side_members(task)
    return build_loss(pictures.class_labels, len(task.classes), config.training, sides=sides)


def _begin_epoch(run: TrainingState, fitting: Fitting) -> None:
    """Puts the batches where the run stands, and the network's blocks in the modes of this epoch."""
    fitting.batches.epoch, fitting.batches.position = run.epoch, run.position
    architecture = fitting.config.model.architecture
    blocks = len(body_blocks(run.model, architecture))
    run.model.train()
    freeze_blocks(run.model, architecture, frozen_blocks(fitting.config, blocks, run.epoch))


def _count(run: TrainingState, loss: float, errors: int, pictures: int, seconds: float) -> None:
    run.sums["loss"] += loss * pictures
    run.sums["errors"] += errors
    run.sums["pictures"] += pictures
    run.sums["seconds"] += seconds
    run.position += 1


def _tell(run: TrainingState, fitting: Fitting, *, stepped: bool, ended: bool) -> None:
    """Writes a line of the log from time to time, and tells the observer of the batch."""
    mean_loss = run.sums["loss"] / run.sums["pictures"]
    if stepped and (ended or run.step % _STEPS_BETWEEN_LOGS == 0):
        fitting.log.append(step=run.step, epoch=run.epoch + 1, loss=mean_loss, lr=run.learning_rate)
    if fitting.observer is not None:
        fitting.observer.end_step(mean_loss, run.metric)


def _is_finished(run: TrainingState, config: RunConfig) -> bool:
    patience = config.training.patience
    waited = run.epoch - run.best["epoch"] if run.best else 0
    return run.epoch >= config.training.epochs or bool(patience and waited >= patience)
