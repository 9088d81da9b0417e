"""Two replicas under Ray Serve: the death of one is not the end of the answers."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from companion.classifier.checkpoint import save_classifier
from companion.classifier.configuration import Configuration
from companion.classifier.corpus import Splits
from companion.classifier.training import train
from companion.service.replicas import replicated


@pytest.mark.slow
def test_one_of_two_dies_and_the_answers_go_on(
    tmp_path: Path, splits: Splits, small: Configuration
) -> None:
    pytest.importorskip("ray", reason="Ray is not installed: pip install '.[ray]'")
    classifier = train(splits.train, splits.validation, small, device="cpu").classifier
    folder = save_classifier(classifier, tmp_path / "model")
    texts = splits.test["text"].tolist()
    right = classifier.predict_proba(texts)
    with replicated(folder) as replicas:
        both = replicas.process_ids()
        assert len(both) == 2
        os.kill(min(both), signal.SIGKILL)
        for _ in range(5):
            answers = replicas.predict_proba([[text] for text in texts])
            np.testing.assert_allclose(np.concatenate(answers), right, atol=1e-5)
        end = time.monotonic() + 60
        while len(now := replicas.process_ids()) < 2 and time.monotonic() < end:
            time.sleep(0.5)
        assert len(now) == 2, "the dead replica was replaced"
        assert min(both) not in now
