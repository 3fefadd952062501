"""The names of networks, and in how many views they may see a picture: what a bundle says of them. Needs no torch."""

from __future__ import annotations

from derm_core.errors import ConfigError, unknown_name

ALEXNET_AND_VGGS = (
    "alexnet",
    *(f"vgg{depth}{norm}" for depth in (11, 13, 16, 19) for norm in ("", "_bn")),
)
RESNETS = (
    *(f"resnet{depth}" for depth in (18, 34, 50, 101, 152)),
    "resnext50_32x4d",
    "resnext101_32x8d",
    "resnext101_64x4d",
    "wide_resnet50_2",
    "wide_resnet101_2",
)
MOBILENETS_V3 = ("mobilenet_v3_small", "mobilenet_v3_large")
EFFICIENTNETS = (
    *(f"efficientnet_b{size}" for size in range(8)),
    *(f"efficientnet_v2_{size}" for size in "sml"),
)
CONVNEXTS = tuple(f"convnext_{size}" for size in ("tiny", "small", "base", "large"))
DENSENETS = tuple(f"densenet{depth}" for depth in (121, 161, 169, 201))
REGNETS = (
    *(
        f"regnet_{kind}_{size}"
        for kind in "xy"
        for size in ("400mf", "800mf", "1_6gf", "3_2gf", "8gf", "16gf", "32gf")
    ),
    "regnet_y_128gf",
)
SHUFFLENETS = tuple(f"shufflenet_v2_x{width}" for width in ("0_5", "1_0", "1_5", "2_0"))
MNASNETS = tuple(f"mnasnet{width}" for width in ("0_5", "0_75", "1_0", "1_3"))
SWINS = tuple(f"swin{version}_{size}" for version in ("", "_v2") for size in "tsb")
VITS = (*(f"vit_{size}_{patch}" for size in "bl" for patch in (16, 32)), "vit_h_14")
SQUEEZENETS = ("squeezenet1_0", "squeezenet1_1")
INCEPTIONS = ("googlenet", "inception_v3")

ARCHITECTURES: tuple[str, ...] = tuple(
    sorted(
        (
            "maxvit_t",
            "mobilenet_v2",
            *ALEXNET_AND_VGGS,
            *RESNETS,
            *MOBILENETS_V3,
            *EFFICIENTNETS,
            *CONVNEXTS,
            *DENSENETS,
            *REGNETS,
            *SHUFFLENETS,
            *MNASNETS,
            *SWINS,
            *VITS,
            *SQUEEZENETS,
            *INCEPTIONS,
        )
    )
)
"""Names that build_model knows; each is the name of a function in torchvision.models."""

VIEWS = (1, 2, 4, 8)
"""How many views there may be: the picture, its mirror image, both mirrors and the half turn, and all these
transposed."""


def check_architecture(name: str) -> str:
    """Returns the name; raises ConfigError where no such architecture is known."""
    if name not in ARCHITECTURES:
        # Here, because it brings torchvision, which a name that is known does not need.
        from derm_core.models.tokens import is_timm

        if not is_timm(name):
            raise ConfigError(unknown_name("architecture", name, ARCHITECTURES))
    return name
