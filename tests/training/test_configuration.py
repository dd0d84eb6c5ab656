"""Configuration files."""

from pathlib import Path

import pytest

from training import configuration
from training.errors import ConfigurationError

CONFIGS = Path(__file__).parent.parent.parent / "configs"


def write(directory: Path, text: str) -> None:
    (directory / "spam").mkdir(exist_ok=True)
    (directory / "spam" / "dice.toml").write_text(text)


def test_every_committed_file_loads_and_is_a_loss_of_a_model() -> None:
    found = configuration.load_all(CONFIGS)
    assert [(one.model, one.variant) for one in found] == [
        (model, loss)
        for model in ("cyberbullying", "spam")
        for loss in ("dice", "mse", "weighted_bce")
    ]
    assert all(one.loss == one.variant for one in found)


def test_a_file_is_read(tmp_path: Path) -> None:
    write(tmp_path, 'loss = "dice"\nhidden = 7\nloss_options = {smoothing = 0.5}\n')
    config = configuration.load("spam", "dice", tmp_path)
    assert (config.model, config.variant, config.hidden) == ("spam", "dice", 7)
    assert config.loss_options == {"smoothing": 0.5}
    assert config.batch_size == 64


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('loss = "dise"\nhiden = 3\nbatch_size = 0', r"loss: .*dise.*batch_size: .*hiden: Extra"),
        ("loss = dice", "not TOML"),
        ('loss = "dice"\nloss_options = {smoothin = 1}', "has no smoothin; there are: smoothing"),
        ('loss = "mse"\nloss_options = {smoothing = 1}', "has no smoothing; there are: none"),
        ("", "loss: Field required"),
    ],
)
def test_every_mistake_is_named(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path, text)
    with pytest.raises(ConfigurationError, match=message):
        configuration.load("spam", "dice", tmp_path)


def test_missing_files_name_the_others(tmp_path: Path) -> None:
    write(tmp_path, 'loss = "dice"')
    with pytest.raises(ConfigurationError, match="Variants of 'spam' here: dice"):
        configuration.load("spam", "none", tmp_path)
    with pytest.raises(ConfigurationError, match="holds no configuration"):
        configuration.load_all(tmp_path / "empty")
