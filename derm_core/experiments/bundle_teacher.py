"""A model bundle as the teacher of a distillation. Trains nothing."""

from __future__ import annotations

from dataclasses import replace

from derm_core.diagnoses import get_task
from derm_core.errors import BundleError, ConfigError
from derm_core.experiments.bundle_settings import settings_of
from derm_core.serving.bundle import find_bundle, load_bundle
from derm_core.training.teacher import TeacherNetwork


def open_bundle_teacher(name: str) -> TeacherNetwork:
    """Opens a bundle that the settings of a run name as its teacher.

    Args:
        name: "bundled", a bundle's folder, or a registered `name` or `name@version`.

    Returns:
        The bundle's network, and the settings that its description tells, with the size at which it sees pictures.

    Raises:
        ConfigError: there is no such bundle, its files are incomplete or altered, or its classes are not its task's.
    """
    try:
        bundle = load_bundle(find_bundle(name))
        model = bundle.build_model()
    except BundleError as err:
        raise ConfigError(
            f"training.distillation.teacher is {name!r}, which is no run folder and cannot be opened as a model "
            f"bundle: {err}"
        ) from err
    description = bundle.description
    config = settings_of(description)
    wanted = get_task(config.data.task).classes
    if description.classes != wanted:
        raise ConfigError(
            f"training.distillation.teacher is {name!r}, whose classes are {', '.join(description.classes)}; those of "
            f"{config.data.task} are {', '.join(wanted)}. Name a teacher of the same kind."
        )
    data = replace(config.data, image_size=description.preprocessing.image_size)
    return TeacherNetwork(replace(config, data=data), model)
