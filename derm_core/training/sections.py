"""The sections of a recipe as frozen values: what each setting means, and its default. Reads nothing."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from derm_core.data.augmentation import Augmentation
from derm_core.data.transforms import IMAGENET_MEAN, IMAGENET_STD, Preprocessing

NORMALIZATIONS = ("imagenet", "rescale", "samplewise", "featurewise")
CLASS_WEIGHTS = ("none", "sqrt", "balanced", "effective")
SAMPLERS = ("shuffled", "sqrt", "balanced")
LOSSES = ("cross_entropy", "focal")
OPTIMIZERS = ("adamw", "sgd")
SCHEDULES = ("cosine", "constant")
PRECISIONS = ("auto", "float32", "bfloat16")
METRICS = ("macro_f1", "balanced_accuracy", "accuracy", "macro_auc")


@dataclass(frozen=True)
class DataConfig:
    """Which pictures, and how the network sees them.

    `train_split` and `valid_split` each name a split, or several, such as `fold-1+fold-2`; none may be in both. `limit`
    keeps about that many photographs of each of the two, and of `extra`, in the shares of the diagnoses and at least
    one of each; 0 keeps all. `per_class` keeps at most that many of each class in training, for a balanced subset; 0
    keeps all. `normalization`: `imagenet` by that set's mean and standard deviation, `rescale` to [0, 1] alone,
    `samplewise` also takes each picture's own mean away, `featurewise` the mean and standard deviation of each channel
    over the training pictures; these are found when training begins, and stand as `mean` and `std` in the run's
    settings, where no other normalization has use for them. `extra` is the
    folder of a second dataset whose training split is learnt from, too, also where it tells no more than benign or
    malignant; it is neither validated nor tested on.
    """

    task: str = "ham7"
    image_size: int = 192
    working_side: int = 200
    working_quality: int = 75
    normalization: str = "imagenet"
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    limit: int = 0
    per_class: int = 0
    train_split: str = "train"
    valid_split: str = "val"
    extra: str = ""


@dataclass(frozen=True)
class ModelConfig:
    """The network and what it starts from.

    `head_units` above 0 puts a hidden layer of that many units with a ReLU before the classifier. `dropout` is that of
    the classifier's dropout layers, and of one before its last layer where it has none or gets a hidden one; below 0
    keeps the architecture's own. `start` names the weights that training starts from in place of ImageNet's, for a
    second stage or for new data: a run folder (its best epoch), the last.pt in one, or a bundle's model.safetensors.
    `frozen` leading blocks of the body keep their weights and normalisation statistics, and cost no backward pass; -1
    freezes the whole body, which is then run once (see `training.feature_views`).
    """

    architecture: str = "mobilenet_v2"
    pretrained: bool = True
    dropout: float = -1.0
    head_units: int = 0
    start: str = ""
    frozen: int = 0


@dataclass(frozen=True)
class DistillationConfig:
    """A teacher whose answers are learnt beside the labels (Hinton, Vinyals and Dean 2015, arXiv 1503.02531).

    `teacher` is the folder of a run of the same task, whose best epoch answers; or a model bundle (`bundled`, the
    folder of one, or a registered name), whose network answers one view of a picture, before any calibration; empty
    for none. The loss is `alpha` T² KL(teacher / T, network / T) + (1 - `alpha`) times that of the labels, T the
    `temperature`.
    """

    teacher: str = ""
    alpha: float = 0.5
    temperature: float = 4.0


@dataclass(frozen=True)
class TrainingConfig:
    """How a network is fitted.

    Steps: `epochs` of batches of `batch_size` pictures; `accumulation` batches make a step of the `optimizer` (AdamW,
    or SGD with a momentum of 0.9). The learning rate rises over `warmup_epochs`, which may be a fraction, and follows
    half a cosine to 0 or stays `constant`; that of each block of the network is `layer_decay` times that of the block
    behind it. `clip_norm` 0 clips no gradient. With `unfreeze_epochs`, the body is frozen at first, and its blocks join
    one after the other, the last first, until all but `model.frozen` learn after that many epochs (Howard and Ruder
    2018, arXiv 1801.06146). `patience` above 0 ends training after that many epochs without a better one.

    Pictures: `sampler` `shuffled` shows each once an epoch; `balanced` draws as many of each class, with replacement,
    and `sqrt` in proportion to the square roots of their numbers. `first_image_size` above 0 begins with smaller
    pictures that grow to `data.image_size` over the first three quarters of the epochs (Tan and Le 2021, arXiv
    2104.00298). With a frozen body its answers to `feature_views` augmented views of each picture are computed once.

    Loss: `cross_entropy`, or `focal` with `focal_gamma` (Lin et al. 2017, arXiv 1708.02002). `class_weights`:
    `balanced` is 1 / frequency, `sqrt` its square root, `effective` that of Cui et al. 2019 (arXiv 1901.05555) with a
    beta of 0.999; all are scaled to a mean of 1 over the pictures. `ema_decay` 0 keeps no moving average.

    Machine: `threads` 0 leaves torch's choice; `workers` processes make RandAugment's changes beside the training
    process, and all others are made to whole batches on its device. A checkpoint is written at least every
    `checkpoint_seconds`.
    """

    epochs: int = 20
    batch_size: int = 32
    accumulation: int = 1
    optimizer: str = "adamw"
    learning_rate: float = 1e-3
    layer_decay: float = 1.0
    weight_decay: float = 0.05
    schedule: str = "cosine"
    warmup_epochs: float = 1.0
    unfreeze_epochs: float = 0.0
    patience: int = 0
    loss: str = "cross_entropy"
    focal_gamma: float = 2.0
    class_weights: str = "sqrt"
    sampler: str = "shuffled"
    label_smoothing: float = 0.0
    ema_decay: float = 0.0
    clip_norm: float = 0.0
    first_image_size: int = 0
    feature_views: int = 1
    precision: str = "auto"
    device: str = "auto"
    threads: int = 0
    workers: int = 0
    checkpoint_seconds: float = 60.0
    seed: int = 0
    augmentation: Augmentation = field(default_factory=Augmentation)
    distillation: DistillationConfig = field(default_factory=DistillationConfig)


@dataclass(frozen=True)
class EvaluationConfig:
    """`metric` on the validation split chooses the best epoch; higher is better.

    `views` of each picture are answered and their logits averaged, here and by the bundle: 1, 2 (mirrored), 4 (both
    mirrors) or 8 (the symmetries of the square). Each costs a pass.
    """

    metric: str = "macro_f1"
    views: int = 1


@dataclass(frozen=True)
class RunConfig:
    """Everything that a run is made from, apart from its data."""

    name: str
    data: DataConfig
    model: ModelConfig
    training: TrainingConfig
    evaluation: EvaluationConfig

    @property
    def preprocessing(self) -> Preprocessing:
        """How this run's network sees a picture; featurewise, `data.mean` and `data.std` must have been found."""
        data = self.data
        mean: tuple[float, ...] = (0.0, 0.0, 0.0)
        std: tuple[float, ...] = (1.0, 1.0, 1.0)
        if data.normalization == "imagenet":
            mean, std = IMAGENET_MEAN, IMAGENET_STD
        elif data.normalization == "featurewise" and data.mean:
            mean, std = data.mean, data.std
        return Preprocessing(
            image_size=data.image_size,
            working_side=data.working_side,
            working_quality=data.working_quality,
            mean=(mean[0], mean[1], mean[2]),
            std=(std[0], std[1], std[2]),
            samplewise=data.normalization == "samplewise",
        )

    @property
    def trains_features(self) -> bool:
        """Whether the body is run once, and the head trained on its answers."""
        return self.model.frozen == -1

    def to_dict(self) -> dict[str, Any]:
        """Returns nested plain values, as a recipe holds them."""
        return asdict(self)
