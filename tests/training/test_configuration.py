"""Configuration files."""

from pathlib import Path

import pytest

from dandelion.text.grams import Features
from training import configuration
from training.configuration import Configuration, Sampling, Wide, wide_recipe
from training.data.datasets import FINER, SOURCES
from training.data.sources import MODELS
from training.errors import ConfigurationError
from training.losses.registry import LOSSES

from ..conftest import ROOT

CONFIGS = ROOT / "configs"


def write(directory: Path, text: str) -> None:
    (directory / "spam").mkdir(exist_ok=True)
    (directory / "spam" / "dice.toml").write_text(text)


def test_every_committed_file_fits_its_data_set() -> None:
    found = configuration.load_all(CONFIGS)
    assert [(one.model, one.variant) for one in found] == sorted(
        (one.model, one.variant) for one in found
    )
    for one in found:
        labels = MODELS.get(one.model) or SOURCES[one.model].label_names
        assert LOSSES[one.loss].task == ("binary" if len(labels) == 2 else "multiclass")
        assert not one.types_weight or one.model in FINER


@pytest.mark.parametrize("model", ["cyberbullying", "spam"])
@pytest.mark.parametrize("loss", ["dice", "mse", "weighted_bce"])
def test_the_papers_networks_are_shipped(model: str, loss: str) -> None:
    config = configuration.load(model, loss, CONFIGS)
    assert config.shipped
    assert config.loss == loss
    assert config.wide is None


def test_a_file_is_read(tmp_path: Path) -> None:
    write(tmp_path, 'loss = "dice"\nhidden = 7\nloss_options = {smoothing = 0.5}\n')
    config = configuration.load("spam", "dice", tmp_path)
    assert (config.model, config.variant, config.hidden) == ("spam", "dice", 7)
    assert config.loss_options == {"smoothing": 0.5}
    assert config.batch_size == 64
    assert config.wide is None
    assert config.sampling is Sampling.NONE


def test_a_wide_file_is_read(tmp_path: Path) -> None:
    write(
        tmp_path,
        """\
loss = "dice"
loss_options = {classes = "minority", squared = true}
sampling = "oversample"
schedule = "cosine"
averaging = 0.9
clip_norm = 1
[wide]
bits = 12
chars = [3, 4]
surface = false
""",
    )
    config = configuration.load("spam", "dice", tmp_path)
    assert config.loss_options == {"classes": "minority", "squared": True}
    assert config.sampling is Sampling.OVERSAMPLE
    assert (config.schedule, config.averaging, config.clip_norm) == ("cosine", 0.9, 1.0)
    assert config.wide is not None
    assert config.wide.features() == Features(
        bits=12, chars=(3, 4), words=2, signs=True, shapes=True, surface=False
    )


def test_a_configuration_survives_json() -> None:
    config = Configuration(
        model="spam",
        variant="wide",
        loss="bce",
        sampling=Sampling.EFFECTIVE_NUMBER,
        wide=Wide(chars=None, surface_dimensions=3),
    )
    again = configuration.parse(config.model_dump(mode="json"), "here")
    assert again == config
    assert again.sampling is Sampling.EFFECTIVE_NUMBER


def test_the_recipe_for_new_data() -> None:
    config = wide_recipe("mine", "wide", "dice_bce", {"classes": "both"})
    assert (config.model, config.variant) == ("mine", "wide")
    assert (config.loss, config.loss_options) == ("dice_bce", {"classes": "both"})
    assert config.wide is not None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            'loss = "dise"\nhiden = 3\nbatch_size = 0',
            r"loss: .*dise.*batch_size: .*hiden: unknown field",
        ),
        ("loss = dice", "not TOML"),
        (
            'loss = "dice"\nloss_options = {smoothin = 1}',
            r"loss_options of 'dice': no option 'smoothin'; available: smoothing, ",
        ),
        ('loss = "mse"\nloss_options = {smoothing = 1}', "no option 'smoothing'; available: none"),
        ("", "loss: Field required"),
        ('loss = "dice"\nsampling = "often"', "sampling: Input should be 'none', 'oversample',"),
        ('loss = "dice"\nschedule = "linear"', "schedule: Input should be 'constant' or 'cosine'"),
        ('loss = "dice"\nrestore = "first"', "restore: Input should be 'best' or 'last'"),
        ('loss = "dice"\naveraging = 1.0', "averaging: Input should be less than 1"),
        ('loss = "dice"\nclip_norm = 0', "clip_norm: Input should be greater than 0"),
        ('loss = "dice"\nlogit_penalty = -1', "logit_penalty: .* greater than or equal to 0"),
        ('loss = "dice"\ntypes_weight = -1', "types_weight: .* greater than or equal to 0"),
        ('loss = "dice"\nwarm_up_epochs = -1', "warm_up_epochs: .* greater than or equal to 0"),
        ('loss = "dice"\n[wide]\nbits = 99', "wide: .*bits is 99; expected 1 to 22"),
        ('loss = "dice"\n[wide]\nchars = [5, 2]', r"wide: .*chars is \[5, 2\]"),
        ('loss = "dice"\n[wide]\nrate = 2', "wide.rate: Input should be less than or equal to 1"),
        ('loss = "dice"\n[windows]\nwords = 30\nstride = 14', "windows: .* stride 14;"),
        ('loss = "dice"\n[windows]\nwords = 1001\nstride = 900', "windows: .* at most 1000"),
        (
            'loss = "dice"\ntypes_weight = 1\n[augmentation]\nkinds = ["leet"]',
            "augmentation and types_weight cannot be combined",
        ),
        ('loss = "dice"\n[static]\ndimensions = 385', "static.dimensions: .* less than or equal"),
        ('loss = "dice"\n[static]\nscal = 2', r"static.scal: unknown field; did you mean scale\?"),
        (
            'loss = "dice"\n[wide]\nbit = 9\nsurface_dimensions = -1',
            "wide.surf.*wide.bit: unknown",
        ),
    ],
)
def test_every_problem_is_named(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path, text)
    with pytest.raises(ConfigurationError, match=message):
        configuration.load("spam", "dice", tmp_path)


def test_missing_files_name_the_others(tmp_path: Path) -> None:
    write(tmp_path, 'loss = "dice"')
    with pytest.raises(ConfigurationError, match="Variants of 'spam' here: dice"):
        configuration.load("spam", "none", tmp_path)
    with pytest.raises(ConfigurationError, match="contains no configuration"):
        configuration.load_all(tmp_path / "empty")


def test_fields_are_overridden_also_those_of_tables() -> None:
    base = wide_recipe("mine", "wide", "bce")
    found = configuration.override(base, ["hidden=7", "wide.bits=9", "loss_options={}"])
    assert base.wide is not None
    expected = {"hidden": 7, "wide": base.wide.model_copy(update={"bits": 9})}
    assert found == base.model_copy(update=expected)
    assert configuration.override(base, []) == base


def test_a_recipe_refuses_an_unknown_loss() -> None:
    with pytest.raises(ConfigurationError, match="command line: loss: unknown loss 'dise'"):
        wide_recipe("mine", "wide", "dise")
