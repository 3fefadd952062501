"""Views are the symmetries of the square, and their heatmaps are laid back where they came from."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from derm_core.models.names import VIEWS
from derm_core.models.views import MeanHead, ViewedBody, merge_heatmaps

SQUARE = torch.arange(9.0).view(1, 1, 3, 3)
SYMMETRIES = [torch.rot90(side, turn, (-2, -1)) for side in (SQUARE, SQUARE.mT) for turn in range(4)]


def views_of(images: torch.Tensor, count: int) -> torch.Tensor:
    """Float (count, N, ...)."""
    seen: torch.Tensor = ViewedBody(nn.Identity(), count)(images)
    return seen.unflatten(0, (count, -1))


@pytest.mark.parametrize("count", VIEWS)
def test_views_are_different_symmetries_of_the_square_and_the_first_is_the_picture(count: int) -> None:
    seen = views_of(SQUARE, count)
    assert torch.equal(seen[0], SQUARE)
    found = [[torch.equal(view, symmetry) for symmetry in SYMMETRIES].index(True) for view in seen]
    assert len(set(found)) == count


def test_two_views_are_the_picture_and_its_mirror_image() -> None:
    assert views_of(SQUARE, 2)[1].flatten().tolist() == [2, 1, 0, 5, 4, 3, 8, 7, 6]


@pytest.mark.parametrize("count", VIEWS)
def test_the_views_of_a_mirrored_picture_are_those_of_the_picture(count: int) -> None:
    def kinds(images: torch.Tensor) -> set[tuple[float, ...]]:
        return {tuple(view.flatten().tolist()) for view in views_of(images, count)}

    assert (kinds(SQUARE.flip(-1)) == kinds(SQUARE)) is (count > 1)
    assert (kinds(SQUARE.flip(-2)) == kinds(SQUARE)) is (count > 2)
    assert (kinds(SQUARE.mT) == kinds(SQUARE)) is (count > 4)


@pytest.mark.parametrize("count", VIEWS)
def test_heatmaps_of_views_come_back_to_where_they_belong(count: int) -> None:
    maps = torch.randn(2, 5, 3, 3)
    seen = ViewedBody(nn.Identity(), count)(maps)
    torch.testing.assert_close(merge_heatmaps(seen, count), maps)
    torch.testing.assert_close(merge_heatmaps(seen[:, 4], count), maps[:, 4])


def test_merged_heatmaps_are_the_mean_over_the_views() -> None:
    first, mirrored = torch.tensor([[[4.0, 0.0]], [[0.0, 2.0]]]).unbind()
    # The second is that of the mirror image: laid back it is (2, 0).
    assert merge_heatmaps(torch.stack([first, mirrored]), 2).tolist() == [[[3.0, 0.0]]]


def test_logits_are_the_mean_over_the_views_of_each_picture() -> None:
    body = ViewedBody(nn.Identity(), 2)
    linear = nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[1.0, 10.0]]))
    head = MeanHead(nn.Sequential(nn.Flatten(), linear), 2)
    pictures = torch.tensor([[[[1.0, 2.0]]], [[[3.0, 5.0]]]])
    # 1 + 20 and 2 + 10 of the first, 3 + 50 and 5 + 30 of the second.
    assert head(body(pictures)).flatten().tolist() == [16.5, 44.0]
