"""Find objects: a grid detector on drawn scenes, overlap, suppression and mean average precision.

Explained in :doc:`/applications/vision`.
"""

import contextlib
import io
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import torch
from skimage.draw import disk, polygon
from skimage.filters import threshold_otsu
from skimage.measure import label, regionprops
from torch import Tensor, nn
from torch.nn import functional

from companion.errors import DataError, MissingPackageError

__all__ = [
    "KINDS",
    "Detections",
    "GridDetector",
    "box_iou",
    "compare_detectors",
    "component_detections",
    "draw_scenes",
    "mean_average_precision",
    "non_maximum_suppression",
]

KINDS = ("disc", "square", "triangle")
SIZE = 64  # pixels a side of a scene
CELL = 8  # pixels a side of a cell of the grid


@dataclass(frozen=True)
class Detections:
    """The boxes of one scene: true ones, or found ones.

    Attributes:
        boxes: ``(count, 4)`` left, top, right and bottom, in pixels.
        kinds: ``(count,)`` int64, places in :data:`KINDS`.
        scores: ``(count,)``, how sure the detector is; ones where the boxes are true.
    """

    boxes: Tensor
    kinds: Tensor
    scores: Tensor

    def __getitem__(self, rows: Tensor) -> "Detections":
        """Choose some, by their rows or by a mask."""
        return Detections(self.boxes[rows], self.kinds[rows], self.scores[rows])


def box_iou(boxes: Tensor, others: Tensor) -> Tensor:
    """Divide the area that two boxes share by the area that they cover together.

    Explained in :doc:`/applications/vision`, "Overlap".

    Args:
        boxes: ``(n, 4)`` left, top, right and bottom.
        others: ``(m, 4)``.

    Returns:
        ``(n, m)`` from 0 to 1; 0 where both are empty.
    """
    corner = torch.maximum(boxes[:, None, :2], others[None, :, :2])
    end = torch.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared = (end - corner).clamp(min=0).prod(dim=2)  # (n, m)
    areas = [(each[:, 2:] - each[:, :2]).clamp(min=0).prod(dim=1) for each in (boxes, others)]
    together = areas[0][:, None] + areas[1][None, :] - shared
    return shared / together.clamp(min=torch.finfo(shared.dtype).tiny)


def non_maximum_suppression(boxes: Tensor, scores: Tensor, threshold: float = 0.5) -> Tensor:
    """Keep the surest box, drop all that overlap it too much, and go on with the rest.

    Explained in :doc:`/applications/vision`, "One object, many boxes".

    Args:
        boxes: ``(n, 4)`` left, top, right and bottom.
        scores: ``(n,)``.
        threshold: The overlap (IoU) above which a box is dropped.

    Returns:
        The rows that are kept, the surest first.
    """
    overlaps = box_iou(boxes, boxes)
    waiting = scores.argsort(descending=True, stable=True)
    kept = []
    while len(waiting):
        best, waiting = waiting[0], waiting[1:]
        kept.append(best)
        waiting = waiting[overlaps[best, waiting] <= threshold]
    return torch.stack(kept) if kept else torch.zeros(0, dtype=torch.int64)


def _draw(kind: int, x: float, y: float, side: float) -> tuple[Any, Any]:
    """Give the pixels of a shape whose box has its middle at x, y."""
    half = side / 2
    if kind == 0:
        rows, columns = disk((y, x), half + 0.5, shape=(SIZE, SIZE))
    elif kind == 1:
        edges = [y - half, y - half, y + half, y + half], [x - half, x + half, x + half, x - half]
        rows, columns = polygon(*edges, shape=(SIZE, SIZE))
    else:
        edges = [y - half, y + half, y + half], [x, x + half, x - half]
        rows, columns = polygon(*edges, shape=(SIZE, SIZE))
    return rows, columns


def draw_scenes(
    count: int, *, seed: int, most: int = 4, inverted: bool = False
) -> tuple[Tensor, list[Detections]]:
    """Draw scenes of shapes that may cover each other in part, on a noisy ground.

    Args:
        count: How many scenes.
        seed: Fixes what is drawn.
        most: The largest number of shapes in a scene; the smallest is one.
        inverted: Whether the shapes are dark on a light ground.

    Returns:
        ``(count, 64, 64)`` float32 from 0 to 1, and the true boxes.
    """
    generator = np.random.default_rng(seed)
    images = generator.normal(0.2, 0.05, (count, SIZE, SIZE))
    truth = []
    for image in images:
        boxes: list[list[float]] = []
        kinds = []
        for _ in range(generator.integers(1, most + 1)):
            kind = int(generator.integers(len(KINDS)))
            box = _place(generator, boxes)
            side = box[2] - box[0]
            pixels = _draw(kind, box[0] + side / 2 - 0.5, box[1] + side / 2 - 0.5, side - 1)
            image[pixels] = generator.uniform(0.5, 0.95) + generator.normal(0, 0.05, len(pixels[0]))
            boxes.append(box)
            kinds.append(kind)
        truth.append(Detections(torch.tensor(boxes), torch.tensor(kinds), torch.ones(len(boxes))))
    images = np.clip(1 - images if inverted else images, 0, 1)
    return torch.from_numpy(images.astype(np.float32)), truth


def _place(generator: np.random.Generator, taken: Sequence[Sequence[float]]) -> list[float]:
    """Choose a box that overlaps no earlier one by more than a fifth."""
    while True:
        side = int(generator.integers(11, 27))
        left, top = (int(generator.integers(0, SIZE - side + 1)) for _ in range(2))
        box = [float(left), float(top), float(left + side), float(top + side)]
        if not taken or bool((box_iou(torch.tensor([box]), torch.tensor(taken)) < 0.2).all()):
            return box


class GridDetector(nn.Module):
    """Look once: each cell of a grid says whether there is an object, where, and of which kind.

    Explained in :doc:`/applications/vision`, "A detector on a grid".

    Args:
        width: Channels of the first convolution.
    """

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        channels = [1, width, 2 * width, 4 * width]
        layers: list[nn.Module] = []
        for before, after in pairwise(channels):
            layers += [
                nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(),
            ]
        for _ in range(2):
            layers += [
                nn.Conv2d(4 * width, 4 * width, 3, padding=1, bias=False),
                nn.BatchNorm2d(4 * width),
                nn.ReLU(),
            ]
        self.body = nn.Sequential(*layers)
        self.head = nn.Conv2d(4 * width, 5 + len(KINDS), 1)
        centres = (torch.arange(SIZE // CELL) + 0.5) * CELL
        grid = torch.stack(torch.meshgrid(centres, centres, indexing="xy"), dim=-1)
        self.register_buffer("centres", grid.reshape(-1, 2))  # (cells, 2), x and y
        self.centres: Tensor

    def forward(self, images: Tensor) -> Tensor:
        """Give ``(batch, cells, 8)`` for ``(batch, 64, 64)``.

        The eight are the logit of an object, four numbers for the box, and a logit for each kind.
        """
        cells: Tensor = self.head(self.body((images[:, None] - 0.5) / 0.25))
        return cells.flatten(2).transpose(1, 2)

    def boxes(self, outputs: Tensor) -> Tensor:
        """Turn the four numbers of each cell into ``(..., cells, 4)`` boxes in pixels."""
        middle = self.centres + outputs[..., 1:3] * CELL
        half = outputs[..., 3:5].clamp(-4, 4).exp() * CELL / 2
        return torch.cat([middle - half, middle + half], dim=-1)

    def targets(self, truth: Detections) -> Tensor:
        """Say what each cell should answer.

        Args:
            truth: The true boxes of one scene.

        Returns:
            ``(cells,)`` int64, the row of the object that the cell answers for, or -1. It is the
            nearest of those whose middle lies in the cell or less than half a cell beside it. So
            several cells answer for one object.
        """
        middles = (truth.boxes[:, :2] + truth.boxes[:, 2:]) / 2
        distance = (self.centres[:, None] - middles[None]).abs().amax(dim=2)  # (cells, objects)
        nearest, owner = distance.min(dim=1)
        return torch.where(nearest <= CELL, owner, -1)

    def loss(self, images: Tensor, truth: Sequence[Detections]) -> Tensor:
        """Add the losses of the object, the box and the kind."""
        outputs = self(images)
        owners = torch.stack([self.targets(each) for each in truth])
        owned = owners >= 0
        exists = functional.binary_cross_entropy_with_logits(outputs[..., 0], owned.float())
        scene, cell = owned.nonzero(as_tuple=True)
        rows = owners[scene, cell].tolist()
        pairs = list(zip(scene.tolist(), rows, strict=True))
        target_boxes = torch.stack([truth[place].boxes[row] for place, row in pairs])
        target_kinds = torch.stack([truth[place].kinds[row] for place, row in pairs])
        found = self.boxes(outputs)[scene, cell]
        overlap = torch.diagonal(box_iou(found, target_boxes))
        distance = functional.smooth_l1_loss(found / CELL, target_boxes / CELL)
        kind = functional.cross_entropy(outputs[scene, cell, 5:], target_kinds)
        return 5 * exists + (1 - overlap).mean() + distance + kind

    @classmethod
    def train_on(
        cls, images: Tensor, truth: Sequence[Detections], *, epochs: int = 8, seed: int = 0
    ) -> "GridDetector":
        """Train by AdamW, with a learning rate that rises and falls once."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = cls()
            optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.01)
            steps = epochs * -(-len(images) // 32)
            schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, total_steps=steps)
            for _ in range(epochs):
                for rows in torch.split(torch.randperm(len(images)), 32):
                    optimizer.zero_grad()
                    loss: Any = model.loss(images[rows], [truth[row] for row in rows.tolist()])
                    loss.backward()
                    optimizer.step()
                    schedule.step()
        return model.eval()

    def detect(
        self, images: Tensor, *, least: float = 0.05, suppress: float | None = 0.5
    ) -> list[Detections]:
        """Find the objects of each scene.

        Args:
            images: ``(batch, 64, 64)``.
            least: The smallest score that is reported.
            suppress: The overlap above which the less sure of two boxes of one kind is dropped;
                None keeps all.
        """
        with torch.inference_mode():
            outputs = self(images)
            boxes = self.boxes(outputs).clamp(0, SIZE)
            chances, kinds = outputs[..., 5:].softmax(dim=2).max(dim=2)
            scores = outputs[..., 0].sigmoid() * chances
        found = []
        for each in map(Detections, boxes, kinds, scores):
            kept = each[each.scores >= least]
            if suppress is not None:
                # A shift by the kind keeps boxes of two kinds apart, so that one call is enough.
                apart = kept.boxes + 2.0 * SIZE * kept.kinds[:, None]
                kept = kept[non_maximum_suppression(apart, kept.scores, suppress)]
            found.append(kept)
        return found


def component_detections(images: Tensor, smallest: int = 30) -> list[Detections]:
    """Find objects without learning: bright pixels that hang together, told apart by their area.

    A square fills its box, a disc 79 % of it, a triangle half.

    Args:
        images: ``(batch, 64, 64)``.
        smallest: Pixels below which a component is noise.
    """
    found = []
    for image in images.numpy():
        regions = [
            region
            for region in regionprops(label(image > threshold_otsu(image)))
            if region.area >= smallest
        ]
        boxes = [[float(region.bbox[place]) for place in (1, 0, 3, 2)] for region in regions]
        fill = torch.tensor([float(region.extent) for region in regions])
        distance = (fill[:, None] - torch.tensor([np.pi / 4, 1.0, 0.5])).abs()
        found.append(
            Detections(
                torch.tensor(boxes).reshape(-1, 4),
                distance.argmin(dim=1) if regions else torch.zeros(0, dtype=torch.int64),
                1 - distance.amin(dim=1) if regions else torch.zeros(0),
            )
        )
    return found


def mean_average_precision(
    found: Sequence[Detections], truth: Sequence[Detections]
) -> "pd.Series[float]":
    """Measure detections as the COCO benchmark does, by its own program (pycocotools).

    Args:
        found: What was found in each scene.
        truth: What is there.

    Returns:
        ``map`` (the mean over the ten overlaps 0.50, 0.55 to 0.95), ``map_50`` and ``map_75``
        (asking for an overlap of 0.50 and of 0.75).

    Raises:
        DataError: If the two have not the same number of scenes.
        MissingPackageError: If pycocotools is not installed.
    """
    if len(found) != len(truth):
        raise DataError(f"{len(found)} scenes were searched, {len(truth)} have a truth; give equal")
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        raise MissingPackageError(
            "pycocotools is not installed: pip install pycocotools"
        ) from error
    rows = _coco_rows(found)
    if not rows:
        return pd.Series({"map": 0.0, "map_50": 0.0, "map_75": 0.0})
    with contextlib.redirect_stdout(io.StringIO()):
        book = COCO()
        book.dataset = {
            "images": [{"id": place} for place in range(len(truth))],
            "categories": [{"id": kind} for kind in range(len(KINDS))],
            "annotations": [
                row | {"id": number + 1, "iscrowd": 0}
                for number, row in enumerate(_coco_rows(truth))
            ],
        }
        book.createIndex()
        judge = COCOeval(book, book.loadRes(rows), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    return pd.Series(dict(zip(["map", "map_50", "map_75"], map(float, judge.stats), strict=False)))


def _coco_rows(scenes: Sequence[Detections]) -> list[dict[str, Any]]:
    """List boxes as COCO writes them: left, top, width, height."""
    return [
        {
            "image_id": place,
            "category_id": int(kind),
            "bbox": [left, top, right - left, bottom - top],
            "area": (right - left) * (bottom - top),
            "score": float(score),
        }
        for place, scene in enumerate(scenes)
        for (left, top, right, bottom), kind, score in zip(
            scene.boxes.tolist(), scene.kinds, scene.scores, strict=True
        )
    ]


def compare_detectors(
    *, seeds: Iterable[int] = range(3), scenes: int = 1200, tests: int = 300, epochs: int = 8
) -> tuple[pd.DataFrame, GridDetector]:
    """Train the grid detector, and measure it beside the components.

    Args:
        seeds: Scenes, a start and a test for each.
        scenes: How many to train on.
        tests: How many to test on.
        epochs: Of training.

    Returns:
        A row for each detector and seed: those of :func:`mean_average_precision`, and ``seconds``
        of processor time for training. ``grid, inverted`` is tested on dark shapes on a light
        ground. And the last detector.
    """
    rows = []
    for seed in seeds:
        images, truth = draw_scenes(scenes, seed=seed)
        start = time.process_time()
        model = GridDetector.train_on(images, truth, epochs=epochs, seed=seed)
        seconds = time.process_time() - start
        test, expected = draw_scenes(tests, seed=1000 + seed)
        dark, dark_expected = draw_scenes(tests, seed=1000 + seed, inverted=True)
        for name, found, wanted in [
            ("components", component_detections(test), expected),
            ("grid, all boxes", model.detect(test, suppress=None), expected),
            ("grid", model.detect(test), expected),
            ("grid, inverted", model.detect(dark), dark_expected),
        ]:
            measured = mean_average_precision(found, wanted)
            rows.append({"detector": name, "seed": seed, **measured, "seconds": seconds})
    return pd.DataFrame(rows), model
