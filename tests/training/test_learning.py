"""What a fit learns from."""

from pathlib import Path

import numpy as np

from training.configuration import Augmentation, Configuration
from training.data.datasets import Dataset
from training.learning import encode


def test_copies_are_learnt_and_judge_nothing(tmp_path: Path) -> None:
    glove = tmp_path / "glove.2d.txt"
    glove.write_text("the 1 2\nnice 2 1\n", encoding="utf-8")
    texts = tuple(f"the nice garden {n}" for n in range(20))
    dataset = Dataset("abuse", texts, np.arange(20) % 2, ("harmless", "abuse"), "0" * 64)
    plain = Configuration(model="abuse", variant="x", loss="bce", dimensions=2, extra_words=0)
    copied = plain.model_copy(update={"augmentation": Augmentation(kinds=("leet",), share=0.5)})
    train, validation = np.arange(16), np.arange(16, 20)

    before, after = (
        encode(config, dataset, train, validation, glove=glove) for config in (plain, copied)
    )

    assert [len(one.train.labels) for one in (before, after)] == [16, 24]
    np.testing.assert_array_equal(after.train.labels[:16], before.train.labels)
    np.testing.assert_array_equal(after.validation.labels, before.validation.labels)
    assert set(before.vocabulary.tokens) < set(after.vocabulary.tokens)
