"""The loops that training is measured against: torchvision's references, timm's and fastai's, each as its own script
puts it together.

All get the same pictures, network, first weights, loss, batch size, learning rate, workers and threads as our side, and
the same random changes to pictures wherever the loop lets its user say so. They decode each picture whenever they see
it, run a frozen body in each epoch, and compute in float32 in PyTorch's own memory layout: their defaults.
"""

from __future__ import annotations

import time

import torch
from _benchmark_loop import Loop, balanced_accuracy, random_changes
from _benchmark_sides import Assignment, Waiting
from _benchmark_turns import Turn
from torch.utils.data import DataLoader, RandomSampler
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from derm_core.data.transforms import IMAGENET_MEAN, IMAGENET_STD
from derm_core.models import freeze_blocks
from derm_core.training.schedule import WarmupCosine


def train_plainly(assignment: Assignment, turn: Turn) -> None:
    """As torchvision's references/classification/train.py does it: ImageFolder, PIL transforms, AdamW."""
    loop = Loop(assignment, turn)
    config, training = loop.config, loop.config.training
    turn.begin()
    size = (config.data.image_size, config.data.image_size)
    to_input = [
        v2.PILToTensor(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize(IMAGENET_MEAN, IMAGENET_STD),
    ]
    changes = random_changes(training.augmentation)
    train, valid = (
        ImageFolder(
            str(assignment.folder / split),
            v2.Compose([v2.Resize(size), *steps, *to_input]),
            # Few pictures may leave a class without any.
            allow_empty=True,
        )
        for split, steps in (("train", changes), ("val", []))
    )
    pinned = loop.device.type == "cuda"
    train_batches = DataLoader(
        train,
        batch_size=training.batch_size,
        sampler=RandomSampler(train),
        num_workers=training.workers,
        pin_memory=pinned,
        # As on our side, whose batches are all whole.
        drop_last=True,
    )
    valid_batches = DataLoader(
        valid, batch_size=training.batch_size, num_workers=training.workers, pin_memory=pinned
    )
    model = loop.build_model()
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay
    )
    steps = len(train_batches)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, WarmupCosine(round(training.warmup_epochs * steps), training.epochs * steps)
    )
    loop.run(model, train_batches, valid_batches, train.targets, optimizer, lambda updates: schedule.step())


def train_with_timm(assignment: Assignment, turn: Turn, *, reduced: bool = False) -> None:
    """As timm's train.py does it: its dataset, loader with prefetcher, optimizer and scheduler.

    `reduced` is the same with `--amp --amp-dtype bfloat16 --channels-last`.
    """
    from timm.data import create_dataset, create_loader
    from timm.optim import create_optimizer_v2
    from timm.scheduler import create_scheduler_v2

    loop = Loop(assignment, turn, reduced=reduced)
    config, training = loop.config, loop.config.training
    turn.begin()
    size = config.data.image_size
    batches, sets = [], []
    for split, steps in (("train", random_changes(training.augmentation)), ("val", [])):
        names = sorted(path.name for path in (assignment.folder / "train").iterdir())
        pictures = create_dataset(
            "",
            root=str(assignment.folder),
            split=split,
            class_map={name: index for index, name in enumerate(names)},
        )
        loader = create_loader(
            pictures,
            input_size=(3, size, size),
            batch_size=training.batch_size,
            is_training=split == "train",
            mean=IMAGENET_MEAN,
            std=IMAGENET_STD,
            num_workers=training.workers,
            pin_memory=loop.device.type == "cuda",
            device=loop.device,
        )
        # The loader gives its dataset timm's own changes to pictures; here they are those of all.
        pictures.transform = v2.Compose([v2.Resize((size, size)), *steps, v2.PILToTensor()])
        batches.append(loader)
        sets.append(pictures)
    model = loop.build_model()
    optimizer = create_optimizer_v2(
        model, opt="adamw", lr=training.learning_rate, weight_decay=training.weight_decay
    )
    schedule, _ = create_scheduler_v2(
        optimizer,
        sched="cosine",
        num_epochs=training.epochs,
        warmup_epochs=round(training.warmup_epochs),
        step_on_epochs=False,
        updates_per_epoch=len(batches[0]),
    )
    train, valid = batches
    labels = [label for _, label in sets[0].reader.samples]
    loop.run(model, train, valid, labels, optimizer, schedule.step_update)


def train_with_fastai(assignment: Assignment, turn: Turn) -> None:
    """As fastai's tutorials do it: ImageDataLoaders, batch transforms and `fit_one_cycle`."""
    from fastai.vision.all import (
        Callback,
        ImageDataLoaders,
        Learner,
        Normalize,
        Resize,
        ResizeMethod,
        aug_transforms,
        skm_to_fastai,
    )

    loop, waiting = Loop(assignment, turn), Waiting()
    config, training, changes = loop.config, loop.config.training, loop.config.training.augmentation
    turn.begin()
    altered = aug_transforms(
        flip_vert=True,
        max_rotate=changes.rotation,
        max_zoom=1 + changes.zoom,
        max_lighting=changes.brightness,
        max_warp=0.0,
    )
    loaders = ImageDataLoaders.from_folder(
        assignment.folder,
        train="train",
        valid="val",
        vocab=sorted(path.name for path in (assignment.folder / "train").iterdir()),
        item_tfms=Resize(config.data.image_size, method=ResizeMethod.Squish),
        batch_tfms=[
            *(altered if changes.active else []),
            Normalize.from_stats(IMAGENET_MEAN, IMAGENET_STD),
        ],
        bs=training.batch_size,
        num_workers=training.workers,
        device=loop.device,
    )

    class HandIn(Callback):
        """Tells of each epoch, after fastai's own records of it."""

        order = 100

        def before_train(self) -> None:
            freeze_blocks(self.model, config.model.architecture, config.model.frozen)
            self.started, self.pictures = time.perf_counter(), 0
            waiting.begin()

        def after_batch(self) -> None:
            if self.training:
                self.pictures += len(self.yb[0])
                waiting.begin()

        def after_train(self) -> None:
            self.seconds = time.perf_counter() - self.started

        def after_epoch(self) -> None:
            found = float(self.learn.recorder.values[-1][-1])
            turn.end_epoch(
                balanced_accuracy=found,
                pictures=self.pictures,
                training_seconds=self.seconds,
                waiting_seconds=waiting.take(),
            )

    labels = [loaders.vocab.o2i[path.parent.name] for path in loaders.train_ds.items]
    learner = Learner(
        loaders,
        loop.build_model(),
        loss_func=loop.build_loss(labels),
        metrics=skm_to_fastai(balanced_accuracy),
        wd=training.weight_decay,
        cbs=HandIn(),
    )
    with waiting, learner.no_bar(), learner.no_logging():
        learner.fit_one_cycle(training.epochs, training.learning_rate)
