"""Overlap, suppression and average precision, held against pycocotools and small cases."""

import numpy as np
import pytest
import torch
from pycocotools import mask

from companion.applications.object_detection import (
    CELL,
    KINDS,
    Detections,
    GridDetector,
    box_iou,
    component_detections,
    draw_scenes,
    mean_average_precision,
    non_maximum_suppression,
)
from companion.errors import DataError


def random_boxes(count: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator, dtype=torch.float64) * 40
    size = torch.rand(count, 2, generator=generator, dtype=torch.float64) * 30 + 1
    return torch.cat([corner, corner + size], dim=1)


def coco_iou(boxes: torch.Tensor, others: torch.Tensor) -> np.ndarray:
    """The independent implementation: it takes left, top, width and height."""
    first, second = (
        torch.cat([each[:, :2], each[:, 2:] - each[:, :2]], dim=1).numpy()
        for each in (boxes, others)
    )
    return np.asarray(mask.iou(first, second, [0] * len(second)))


def test_overlap_is_that_of_pycocotools() -> None:
    boxes, others = random_boxes(50, 0), random_boxes(60, 1)
    ours = box_iou(boxes, others).numpy()
    np.testing.assert_allclose(ours, coco_iou(boxes, others), rtol=1e-10, atol=1e-12)
    assert (ours > 0).mean() > 0.3


def test_overlap_of_small_cases() -> None:
    box = torch.tensor([[0.0, 0, 2, 2]])
    others = torch.tensor([[0.0, 0, 2, 2], [1, 1, 3, 3], [2, 0, 4, 2], [5, 5, 6, 6], [1, 1, 1, 1]])
    expected = torch.tensor([[1, 1 / 7, 0, 0, 0]])
    torch.testing.assert_close(box_iou(box, others), expected)
    empty = torch.zeros(1, 4)
    assert box_iou(empty, empty).item() == 0


def slow_suppression(boxes: torch.Tensor, scores: torch.Tensor, threshold: float) -> list[int]:
    """Each box in the order of its score stays unless a kept one overlaps it, by pycocotools."""
    overlaps = coco_iou(boxes, boxes)
    kept: list[int] = []
    for row in np.argsort(-scores.numpy(), kind="stable"):
        if all(overlaps[row, other] <= threshold for other in kept):
            kept.append(int(row))
    return kept


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.5, 0.7])
def test_suppression_is_the_rule_written_another_way(threshold: float) -> None:
    boxes = random_boxes(80, 2)
    scores = torch.rand(80, generator=torch.Generator().manual_seed(3))
    kept = non_maximum_suppression(boxes, scores, threshold).tolist()
    assert kept == slow_suppression(boxes, scores, threshold)
    assert len(kept) < 80


def test_suppression_of_nothing_is_nothing() -> None:
    assert non_maximum_suppression(torch.zeros(0, 4), torch.zeros(0)).tolist() == []


def scene(boxes: list[list[float]], kinds: list[int], scores: list[float]) -> Detections:
    return Detections(
        torch.tensor(boxes).reshape(-1, 4),
        torch.tensor(kinds, dtype=torch.int64),
        torch.tensor(scores),
    )


TRUTH = [scene([[0, 0, 10, 10], [20, 20, 40, 40]], [0, 1], [1, 1])]


def test_the_truth_has_a_precision_of_one() -> None:
    assert mean_average_precision(TRUTH, TRUTH).tolist() == pytest.approx([1, 1, 1])


def test_precision_of_a_case_counted_by_hand() -> None:
    """Kind 0: a false box is surer than the true one, so precision is 1/2. Kind 1: IoU of 0.8."""
    found = [
        scene([[50, 50, 60, 60], [0, 0, 10, 10], [20, 20, 40, 36]], [0, 0, 1], [0.9, 0.8, 0.7])
    ]
    measured = mean_average_precision(found, TRUTH)
    assert measured["map_50"] == pytest.approx((0.5 + 1) / 2)
    assert measured["map_75"] == pytest.approx((0.5 + 1) / 2)
    # At 0.50, 0.55 ... 0.80 the box of kind 1 counts: seven of ten thresholds.
    assert measured["map"] == pytest.approx((0.5 + 0.7) / 2, abs=0.051)


def test_the_wrong_kind_and_no_box_find_nothing() -> None:
    wrong = [Detections(TRUTH[0].boxes, 1 - TRUTH[0].kinds, TRUTH[0].scores)]
    assert mean_average_precision(wrong, TRUTH)["map"] == 0
    assert mean_average_precision([scene([], [], [])], TRUTH)["map"] == 0
    with pytest.raises(DataError, match="0 scenes were searched, 1"):
        mean_average_precision([], TRUTH)


def test_scenes_repeat_and_their_boxes_hold_the_shapes() -> None:
    images, truth = draw_scenes(20, seed=5, most=1)
    again, _ = draw_scenes(20, seed=5, most=1)
    assert images.equal(again)
    for image, each in zip(images, truth, strict=True):
        bright = (image > 0.42).nonzero()  # rows and columns; the ground is 0.2 with noise of 0.05
        left, top, right, bottom = each.boxes[0].tolist()
        slack = 1 if each.kinds[0] == KINDS.index("triangle") else 0  # its tip is thin
        assert bright.amin(dim=0).tolist() == pytest.approx([top, left], abs=slack)
        assert bright.amax(dim=0).tolist() == pytest.approx([bottom - 1, right - 1], abs=slack)


def test_components_find_single_shapes() -> None:
    images, truth = draw_scenes(60, seed=6, most=1)
    assert mean_average_precision(component_detections(images), truth)["map_50"] > 0.9


def test_the_middle_cell_answers_for_an_object() -> None:
    model = GridDetector()
    owners = model.targets(scene([[8, 16, 24, 32]], [0], [1])).reshape(8, 8)
    # The middle is at 16, 24, where four cells meet.
    assert (owners >= 0).nonzero().tolist() == [[2, 1], [2, 2], [3, 1], [3, 2]]


def test_the_numbers_of_a_cell_are_a_box() -> None:
    model = GridDetector()
    outputs = torch.zeros(64, 8)
    outputs[9, 1:5] = torch.tensor([0.5, -0.5, np.log(2), 0.0])
    middle = torch.tensor([1.5 * CELL + 4, 1.5 * CELL - 4])
    expected = torch.cat([middle - torch.tensor([8, 4]), middle + torch.tensor([8, 4])])
    torch.testing.assert_close(model.boxes(outputs)[9], expected)


def test_the_detector_learns_and_suppression_helps() -> None:
    images, truth = draw_scenes(200, seed=0, most=2)
    model = GridDetector.train_on(images, truth, epochs=12, seed=0)
    all_boxes = mean_average_precision(model.detect(images, suppress=None), truth)
    kept = mean_average_precision(model.detect(images), truth)
    assert kept["map_50"] > 0.6
    assert kept["map_50"] > all_boxes["map_50"]
