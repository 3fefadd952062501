"""Settings: recipes, overrides, and errors that name the key, the value and what is allowed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from derm_core.data.augmentation import Augmentation
from derm_core.data.transforms import Preprocessing
from derm_core.errors import ConfigError
from derm_core.training.config import (
    RunConfig,
    changed_settings,
    flat_settings,
    load_recipe,
    parse_config,
    recipe_names,
)


def config(*overrides: str) -> RunConfig:
    return load_recipe("ham7-mobilenet_v2", overrides)


def refusal(*overrides: str) -> str:
    with pytest.raises(ConfigError) as raised:
        config(*overrides)
    return str(raised.value)


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_of_the_package_is_valid(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    values = recipe.to_dict()
    assert parse_config(values, values.pop("name")) == recipe


def test_the_first_bundled_model_has_its_recipe() -> None:
    assert "ham7-mobilenet_v2" in recipe_names()
    recipe = config()
    assert (recipe.data.task, recipe.model.architecture) == ("ham7", "mobilenet_v2")
    assert recipe.preprocessing == Preprocessing(
        image_size=recipe.data.image_size, working_side=recipe.data.working_side
    )


def test_an_empty_recipe_has_every_setting_at_its_default() -> None:
    empty = parse_config({}, "empty")
    assert empty.training.epochs == 20
    assert empty.training.augmentation == Augmentation()
    assert not empty.training.augmentation.active


@pytest.mark.parametrize(
    ("override", "section", "key", "value"),
    [
        ("training.epochs=3", "training", "epochs", 3),
        ("training.epochs = 3", "training", "epochs", 3),
        ("training.learning_rate=5e-4", "training", "learning_rate", 5e-4),
        ("training.learning_rate=1", "training", "learning_rate", 1.0),
        ("model.pretrained=false", "model", "pretrained", False),
        ("model.architecture=resnet18", "model", "architecture", "resnet18"),
        ('model.architecture="resnet18"', "model", "architecture", "resnet18"),
        ("model.architecture='resnet18'", "model", "architecture", "resnet18"),
        ("data.train_split=fold-0", "data", "train_split", "fold-0"),
        ("data.limit=0", "data", "limit", 0),
    ],
)
def test_overrides_are_written_as_in_toml_or_as_plain_words(
    override: str, section: str, key: str, value: object
) -> None:
    found = getattr(getattr(config(override), section), key)
    assert found == value
    assert type(found) is type(value)


def test_a_nested_setting_can_be_overridden_and_the_last_word_holds() -> None:
    changed = config("training.augmentation.rotation=10", "training.augmentation.rotation=20")
    assert changed.training.augmentation.rotation == 20.0
    assert changed.training.augmentation.flips


@pytest.mark.parametrize("override", ["epochs=3", "training.epochs", "=3", "training.epochs:3", ""])
def test_an_override_of_another_form_is_refused(override: str) -> None:
    assert refusal(override) == (
        f"--set {override} is not of the form section.key=value, such as training.epochs=3."
    )


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.mean=[0.5, 'red', 0.5]", "data.mean is [0.5, 'red', 0.5]; it must be a list of numbers."),
        ("data.std=0.5", "data.std is 0.5; it must be a list of numbers."),
        (
            "training.augmentation.randaugment=31",
            "training.augmentation.randaugment is 31; it must be from 0 to 30.",
        ),
        ("model.frozen=-2", "model.frozen is -2; it must be from -1 to 1000."),
        ("training.epochs=0", "training.epochs is 0; it must be from 1 to 100000."),
        ("training.epochs=three", "training.epochs is 'three'; it must be a whole number."),
        ("training.epochs=2.5", "training.epochs is 2.5; it must be a whole number."),
        ("training.epochs=true", "training.epochs is True; it must be a whole number."),
        ("training.epochs=", "training.epochs is ''; it must be a whole number."),
        ("training.batch_size=1", "training.batch_size is 1; it must be from 2 to 65536."),
        ("training.learning_rate=fast", "training.learning_rate is 'fast'; it must be a number."),
        ("training.learning_rate=nan", "training.learning_rate is nan; it must be from 1e-09 to 10."),
        ("training.checkpoint_seconds=-1", "training.checkpoint_seconds is -1.0; it must be at least 0."),
        ("training.ema_decay=1", "training.ema_decay is 1.0; it must be from 0 to 0.999999."),
        ("model.pretrained=1", "model.pretrained is 1; it must be true or false."),
        ("data.task=7", "data.task is 7; it must be a text."),
        ("data.image_size=16", "data.image_size is 16; it must be from 32 to 1024."),
        (
            "training.augmentation.hue=0.6",
            "training.augmentation.hue is 0.6; it must be from 0 to 0.5.",
        ),
    ],
)
def test_a_value_that_is_not_allowed_is_named_with_what_is(override: str, message: str) -> None:
    assert refusal(override) == message


@pytest.mark.parametrize(
    ("override", "key", "nearest"),
    [
        ("model.architecture=resnet5", "model.architecture 'resnet5'", "resnet50"),
        ("data.task=ham8", "data.task 'ham8'", "ham7"),
        ("training.class_weights=balance", "training.class_weights 'balance'", "balanced"),
        ("training.loss=focus", "training.loss 'focus'", "focal"),
        ("training.sampler=balance", "training.sampler 'balance'", "balanced"),
        ("training.optimizer=adam", "training.optimizer 'adam'", "adamw"),
        ("training.schedule=cosin", "training.schedule 'cosin'", "cosine"),
        ("data.normalization=samplewize", "data.normalization 'samplewize'", "samplewise"),
        ("training.precision=bf16", "training.precision 'bf16'", None),
        ("training.device=gpu", "training.device 'gpu'", None),
        ("evaluation.metric=macro_f2", "evaluation.metric 'macro_f2'", "macro_f1"),
        ("training.epoch=3", "setting 'training.epoch'", "training.epochs"),
        (
            "training.augmentation.flip=true",
            "setting 'training.augmentation.flip'",
            "training.augmentation.flips",
        ),
        ("trainig.epochs=3", "section of the recipe 'trainig'", "training"),
    ],
)
def test_an_unknown_name_is_answered_with_all_that_are_known_and_the_nearest(
    override: str, key: str, nearest: str | None
) -> None:
    message = refusal(override)
    assert message.startswith(f"Unknown {key}. Known: ")
    assert nearest is None or message.endswith(f"Did you mean {nearest!r}?")


FEATURES = ("model.frozen=-1",)
FEATUREWISE = ("data.normalization=featurewise",)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ("model.architecture=vit_b_16", "data.image_size=192"),
            "data.image_size is 192; vit_b_16 sees pictures of 224 pixels and no other size.",
        ),
        (
            ("model.architecture=vit_b_16", "data.image_size=224", "training.first_image_size=128"),
            "training.first_image_size is 128; vit_b_16 sees one size: set it to 0.",
        ),
        (
            ("data.mean=[0.5, 0.5, 0.5]", "data.std=[0.2, 0.2, 0.2]"),
            "data.mean is [0.5, 0.5, 0.5]; it is three numbers, and only with data.normalization=featurewise.",
        ),
        (
            (*FEATUREWISE, "data.mean=[0.5, 0.5, 0.5]", "data.std=[0.2]"),
            "data.std is [0.2]; it is three numbers, and only with data.normalization=featurewise.",
        ),
        (
            (*FEATUREWISE, "data.mean=[0.5, 0.5, 0.5]"),
            "data.mean is [0.5, 0.5, 0.5] and data.std []; give both or none, of finite numbers, and each of data.std "
            "above 0.",
        ),
        (
            (*FEATUREWISE, "data.mean=[0.5, 0.5, 0.5]", "data.std=[0.2, 0.2, 0]"),
            "data.mean is [0.5, 0.5, 0.5] and data.std [0.2, 0.2, 0.0]; give both or none, of finite numbers, and each "
            "of data.std above 0.",
        ),
        (
            (*FEATUREWISE, "data.mean=[nan, 0.5, 0.5]", "data.std=[0.2, 0.2, 0.2]"),
            "data.mean is [nan, 0.5, 0.5] and data.std [0.2, 0.2, 0.2]; give both or none, of finite numbers, and each "
            "of data.std above 0.",
        ),
        (("evaluation.views=3",), "evaluation.views is 3; it must be 1, 2, 4 or 8."),
        (
            ("training.feature_views=2",),
            "training.feature_views is 2; more than 1 needs model.frozen=-1 and an augmentation.",
        ),
        (
            (*FEATURES, "training.first_image_size=64"),
            "training.first_image_size is 64; a frozen body is run once, at one size: set it to 0.",
        ),
        *(
            (
                (*FEATURES, f"training.augmentation.{mixer}=0.2"),
                "training.augmentation.mixup and cutmix mix pictures, and a frozen body is run once: set them to 0, or "
                "model.frozen to 0 or more blocks.",
            )
            for mixer in ("mixup", "cutmix")
        ),
        (
            (*FEATURES, "training.unfreeze_epochs=1.5"),
            "training.unfreeze_epochs is 1.5 and model.frozen is -1; name the blocks that stay frozen at the end, such "
            "as 0.",
        ),
        (
            ("data.train_split=fold-1+fold-2", "data.valid_split=fold-2"),
            "data.train_split is 'fold-1+fold-2' and data.valid_split 'fold-2'; what is learnt from proves nothing, so "
            "they must not share fold-2.",
        ),
        (
            (*FEATURES, "training.distillation.teacher=runs/large"),
            "training.distillation.teacher needs a body that learns: set model.frozen to 0 or more blocks.",
        ),
    ],
)
def test_settings_that_make_no_sense_together_are_refused_in_one_sentence(
    overrides: tuple[str, ...], message: str
) -> None:
    assert refusal("training.first_image_size=0", *overrides) == message


def test_views_of_features_need_an_augmentation() -> None:
    with pytest.raises(ConfigError, match=r"more than 1 needs model\.frozen=-1 and an augmentation"):
        parse_config({"model": {"frozen": -1}, "training": {"feature_views": 2}}, "plain")


@pytest.mark.parametrize(
    "overrides",
    [
        ("model.architecture=vit_b_16", "data.image_size=224"),
        (*FEATURES, "training.feature_views=3"),
        ("model.frozen=2", "training.unfreeze_epochs=1.5", "training.distillation.teacher=runs/large"),
        (*FEATUREWISE, "data.mean=[0.5, 0.5, 0.5]", "data.std=[0.2, 0.2, 0.2]"),
        *((f"evaluation.views={views}",) for views in (1, 2, 4, 8)),
    ],
)
def test_settings_that_make_sense_together_are_taken(overrides: tuple[str, ...]) -> None:
    assert config("training.first_image_size=0", *overrides).name == "ham7-mobilenet_v2"


def test_each_normalisation_is_that_of_the_networks_input() -> None:
    def preprocessing(*overrides: str) -> Preprocessing:
        return config(*overrides).preprocessing

    nothing: tuple[float, float, float] = (0.0, 0.0, 0.0)
    one: tuple[float, float, float] = (1.0, 1.0, 1.0)
    assert preprocessing() == replace(Preprocessing(), image_size=config().data.image_size)
    assert preprocessing("data.normalization=rescale") == replace(preprocessing(), mean=nothing, std=one)
    assert preprocessing("data.normalization=samplewise") == replace(
        preprocessing(), mean=nothing, std=one, samplewise=True
    )
    given = ("data.mean=[0.1, 0.2, 0.3]", "data.std=[1, 2, 3]")
    assert preprocessing(*FEATUREWISE, *given) == replace(
        preprocessing(), mean=(0.1, 0.2, 0.3), std=(1.0, 2.0, 3.0)
    )


def test_what_training_finds_by_itself_is_not_asked_for() -> None:
    found = config(*FEATUREWISE, "data.mean=[0.1, 0.2, 0.3]", "data.std=[1, 2, 3]")
    assert changed_settings(found) == ["--set", "data.normalization=featurewise"]


def test_a_value_has_no_further_keys_and_a_section_is_no_value() -> None:
    assert refusal("training.epochs.many=3") == (
        "--set training.epochs.many=3: epochs is a value and holds no further keys."
    )
    assert refusal("training.augmentation=3") == "training.augmentation is 3; it must be a section with keys."
    with pytest.raises(ConfigError, match="data is 3; it must be a section with keys"):
        parse_config({"data": 3}, "wrong")


def test_a_recipe_may_be_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[data]\ntask = "malignancy"\n\n[training.augmentation]\nflips = true\n')
    mine = load_recipe(str(path), ["training.epochs=2"])
    assert (mine.name, mine.data.task, mine.training.epochs) == ("mine", "malignancy", 2)
    assert mine.training.augmentation.flips


def test_an_unknown_recipe_is_answered_with_all_and_the_nearest() -> None:
    with pytest.raises(ConfigError) as raised:
        load_recipe("ham7-mobilenetv2")
    message = str(raised.value)
    assert message.startswith("Unknown recipe 'ham7-mobilenetv2'. Known: ")
    assert "Did you mean 'ham7-mobilenet_v2'?" in message
    assert message.endswith("A path to a .toml file will do, too.")


@pytest.mark.parametrize("content", [b"[data\n", b"\xff\xfe[\x00d\x00", b"[data]\ntask = ham7\n"])
def test_a_file_that_is_not_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"broken\.toml is not valid TOML"):
        load_recipe(str(path))


def test_changed_settings_are_the_words_that_make_the_run_again() -> None:
    changed = config("training.epochs=3", "model.pretrained=false", "training.augmentation.hue=0.1")
    words = changed_settings(changed)
    assert words == [
        *("--set", "model.pretrained=false"),
        *("--set", "training.epochs=3"),
        *("--set", "training.augmentation.hue=0.1"),
    ]
    assert load_recipe(changed.name, words[1::2]) == changed
    assert changed_settings(config()) == []


def test_changed_settings_of_a_recipe_of_ones_own_are_those_that_differ_from_the_defaults() -> None:
    assert changed_settings(parse_config({"training": {"epochs": 3}}, "mine")) == [
        "--set",
        "training.epochs=3",
    ]


def test_flat_settings_have_dotted_keys() -> None:
    assert flat_settings({"a": {"b": 1, "c": {"d": 2}}, "e": 3}) == {"a.b": 1, "a.c.d": 2, "e": 3}
    assert flat_settings(config().to_dict())["training.augmentation.flips"] is True
