"""Presets, TOML files, --set, and messages for errors in them."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm2d.config import (
    RunConfig,
    apply_overrides,
    dump_toml,
    from_dict,
    load_preset,
    load_toml,
    parse_duration,
    preset_names,
    resolve,
)
from lstm2d.config.crf import CRF_SETS, crf_settings
from lstm2d.config.schema import CRFSection
from lstm2d.errors import ConfigError


def message(*overrides: str, base: str = "lstm2d-5x5") -> str:
    with pytest.raises(ConfigError) as caught:
        resolve(base, [(item, "--set") for item in overrides])
    return str(caught.value)


@pytest.mark.parametrize("name", preset_names())
def test_dumped_and_loaded_is_the_same(name: str, tmp_path: Path) -> None:
    config = load_preset(name)
    (tmp_path / "c.toml").write_text(dump_toml(config))
    assert load_toml(tmp_path / "c.toml") == config
    assert from_dict(config.model_dump(), "model file") == config


def test_an_option_of_an_earlier_version(tmp_path: Path) -> None:
    path = tmp_path / "old.toml"
    path.write_text('preset = "lstm2d-3x3"\n[model]\nerror_clip = 0.0\n')
    assert load_toml(path).model == load_preset("lstm2d-3x3").model
    path.write_text('preset = "lstm2d-3x3"\n[model]\nerror_clip = 1.0\nunits = "many"\n')
    with pytest.raises(ConfigError) as error:
        load_toml(path)
    for words in (
        "2 values",
        f"error_clip = 1.0 ({path}, line 3)",
        "expected 0.0",
        "model.gate_clip",
        "many",
    ):
        assert words in str(error.value)


def test_a_file_is_laid_over_its_preset(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('preset = "lstm2d-3x3"\n[train]\nepochs = 7\n')
    config = load_toml(path)
    assert config.train.epochs == 7
    assert config.model == load_preset("lstm2d-3x3").model
    assert resolve(str(path), [("train.epochs=8", "--epochs")]).train.epochs == 8


def test_a_file_without_preset_needs_a_model(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[model]\nkind = "lstm2d"\nwindow = 2\nunits = [3]\nfeatures = []\n')
    assert load_toml(path).model["cell_scale"] == 1.0
    path.write_text("[train]\nepochs = 1\n")
    with pytest.raises(ConfigError, match=r"model\.kind is missing \(.*mine\.toml\): expected"):
        load_toml(path)


def test_values_of_set_are_toml_and_texts_need_no_quotes() -> None:
    config = apply_overrides(
        load_preset("lstm2d-5x5"),
        [
            "train.flip=false",
            "train.class_weights=[1, 2.5]",
            "train.schedule=linear",
            'data.val_split="x y"',
            "train.seed=3",
        ],
    )
    assert config.train.flip is False
    assert config.train.class_weights == [1, 2.5]
    assert config.train.schedule == "linear"
    assert config.data.val_split == "x y"
    assert config.train.seed == 3


def test_adadelta_and_steps() -> None:
    overrides = ["train.optimizer=adadelta", "train.learning_rate=1", "train.rho=0.9", "train.eps=1e-8"]
    config = apply_overrides(
        load_preset("lstm2d-5x5"), [*overrides, "train.schedule=step", "train.step_every=9"]
    )
    train = config.train
    assert (train.optimizer, train.rho, train.eps) == ("adadelta", 0.9, 1e-8)
    assert (train.schedule, train.step_factor, train.step_every, train.step_at) == ("step", 10.0, 9, [])
    again = apply_overrides(config, ["train.step_every=0", "train.step_at=[0.5, 0.75]"])
    assert again.train.step_at == [0.5, 0.75]


def test_what_an_earlier_choice_used_is_left_out_with_it() -> None:
    overrides = ["train.momentum=0.5", "train.schedule=step", "train.step_factor=3", "train.step_at=[0.5]"]
    config = apply_overrides(load_preset("lstm2d-5x5"), overrides)
    other = apply_overrides(config, ["train.optimizer=adadelta", "train.schedule=linear"])
    assert (other.train.momentum, other.train.step_factor, other.train.step_at) == (0.9, 10.0, [])


def test_what_is_not_used_is_an_error_where_the_user_sets_it(tmp_path: Path) -> None:
    expected = 'train.rho = 0.9 (--set): is used only with train.optimizer = "adadelta"'
    assert expected in message("train.rho=0.9")
    expected = 'train.momentum = 0.5 (--set): is used only with train.optimizer = "sgd"'
    assert expected in message("train.optimizer=adadelta", "train.momentum=0.5")
    path = tmp_path / "mine.toml"
    path.write_text('preset = "lstm2d-5x5"\n[train]\nstep_every = 9\nmomentum = 0.9\n')
    expected = f'train.step_every = 9 ({path}, line 3): is used only with train.schedule = "step"'
    with pytest.raises(ConfigError, match=re.escape(expected)):
        load_toml(path)
    assert "train.optimizer = 'adam'" in message("train.optimizer=adam", "train.rho=0.9")


def test_the_last_of_two_overrides_wins() -> None:
    assert apply_overrides(load_preset("lstm2d-5x5"), ["train.seed=3", "train.seed=4"]).train.seed == 4


def test_all_errors_at_once_each_with_key_place_range_and_nearest_key(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        'preset = "lstm2d-5x5"\n\n[train]  # how\nmomentum = 1.5\nlearnig_rate = 1\n\n'
        "[data]\nval = -1\n[tran]\nepochs = 3\n"
    )
    with pytest.raises(ConfigError) as caught:
        resolve(
            str(path), [("train.epochs=0", "--epochs"), ("model.window=a", "--set"), ("epochs=3", "--set")]
        )
    lines = str(caught.value).splitlines()
    assert lines[0] == "7 values of the configuration are wrong:"
    assert sorted(lines[1:]) == sorted(
        [
            f"  train.momentum = 1.5 ({path}, line 4): expected a number >= 0 and < 1",
            f"  train.learnig_rate: unknown key ({path}, line 5); did you mean train.learning_rate?",
            f"  data.val = -1 ({path}, line 8): expected a number >= 0 and < 1",
            f"  tran: unknown key ({path}, line 9); did you mean train?",
            "  train.epochs = 0 (--epochs): expected an integer >= 1",
            "  model.window = 'a' (--set): expected an integer >= 1 and <= 64",
            "  epochs: unknown key (--set); did you mean train.epochs?",
        ]
    )


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("train.flip=1", "train.flip = 1 (--set): expected true or false"),
        ("train.epochs=2.5", "train.epochs = 2.5 (--set): expected an integer >= 1"),
        ("train.learning_rate=nan", "train.learning_rate = nan (--set): expected a number > 0"),
        ("train.learning_rate=inf", "train.learning_rate = inf (--set): expected a number > 0"),
        ("train.learning_rate=0", "train.learning_rate = 0 (--set): expected a number > 0"),
        ("train.schedule=3", 'train.schedule = 3 (--set): expected "constant" or "linear" or "cosine"'),
        ("train.schedule=step", "expected fractions of the run, or a number of steps in step_every"),
        ("train.optimizer=adam", 'train.optimizer = \'adam\' (--set): expected "sgd" or "adadelta"'),
        ("train.max_time=90", 'train.max_time = 90 (--set): expected "" or a duration such as "90m"'),
        ("train.max_time=90 parsecs", "train.max_time = '90 parsecs' (--set): expected a duration such as"),
        ("train.class_weights=[1, -2]", "a list of values, each a number >= 0"),
        ("model.units=[1, 2, x]", "expected a list of 1 to 8 values, each an integer >= 1 and <= 4096"),
        ("model.units=[1, 2, 0]", "model.units[2] = 0 (--set): expected a list of 1 to 8 values"),
        (
            "model.features=[1]",
            "model.features = [1] (--set): expected 2 values: one after each of the 3 layers",
        ),
        ("train.batch=0", "train.batch = 0 (--set): expected an integer >= 1 and <= 1024"),
        (
            "train.crop=[3]",
            "train.crop = [3] (--set): expected no values (whole images) or 2: rows, columns",
        ),
        ("train.crop=[3, 0]", "train.crop[1] = 0 (--set): expected a list of values, each an integer >= 1"),
        (
            "data.mean=[1, 2]",
            "data.mean = [1, 2] (--set): expected no values (measured on the training images) or 3",
        ),
        ("data.std=[1, 0, 1]", "data.std[1] = 0 (--set): expected a list of values, each a number >= 0.0001"),
        ("data.contrast=global", 'data.contrast = \'global\' (--set): expected "none" or "local"'),
        ("model.kind=cnn", "model.kind = 'cnn' (--set): expected \"lstm2d\""),
        ("train=4", "train = 4 (--set): expected a table"),
        ("model=4", "model.kind"),
        ("preset=4", "preset = 4 (--set): expected the name of a preset"),
        ("train.epochs", '"train.epochs" (--set): expected key=value'),
        ("=3", '"=3" (--set): expected key=value'),
        ("train.epochs.x=3", "train.epochs.x (--set): train.epochs is a value, not a table"),
        (f"train.seed={2**63}", "train.seed = 9223372036854775808 (--set): expected an integer >= 0"),
    ],
)
def test_one_wrong_value(override: str, expected: str) -> None:
    assert expected in message(override)


def test_numbers_to_choose_from_stand_without_quotes() -> None:
    expected = message("model.conv7_kernel=2", base="fcn-largefov")
    assert "model.conv7_kernel = 2 (--set): expected 3 or 1" in expected


def test_no_such_preset() -> None:
    text = message(base="lstm2d-5x6")
    assert "no such preset: lstm2d-5x6" in text
    assert "lstm2d-1x1, lstm2d-3x3, lstm2d-3x3-paper, lstm2d-5x5, lstm2d-5x5-paper" in text
    assert "did you mean lstm2d-5x5?" in text


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="file not found"):
        load_toml(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("[train\nepochs = 1\n")
    with pytest.raises(ConfigError, match=r"not valid TOML .*line 1"):
        load_toml(tmp_path / "bad.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xff")
    with pytest.raises(ConfigError, match="not valid TOML"):
        load_toml(tmp_path / "bytes.toml")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("", float("inf")), ("90m", 5400), ("2h", 7200), ("1h30m", 5400), ("45s", 45), ("0.5h 1s", 1801)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["90", "m", "0s", "-3m", "3m2h", "1d", " "])
def test_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match="a duration such as"):
        parse_duration(text)


@given(
    st.floats(min_value=1e-30, max_value=1e30),
    st.integers(1, 10**9),
    st.text(max_size=20),
    st.lists(st.floats(0, 1e9), min_size=1, max_size=5),
)
def test_any_values_survive_dump_and_load(
    tmp_path_factory: pytest.TempPathFactory, rate: float, epochs: int, split: str, weights: list[float]
) -> None:
    table = load_preset("lstm2d-1x1").model_dump()
    table["train"] |= {"learning_rate": rate, "epochs": epochs, "class_weights": weights}
    table["data"]["train_split"] = split
    config = from_dict(table, "test")
    path = tmp_path_factory.mktemp("dump") / "c.toml"
    path.write_text(dump_toml(config), encoding="utf-8", newline="")
    assert load_toml(path) == config


def test_a_configuration_does_not_change() -> None:
    config: RunConfig = load_preset("lstm2d-5x5")
    with pytest.raises(ValueError, match="frozen"):
        config.train.epochs = 3  # type: ignore[misc]


def test_pydantic_is_loaded_only_with_the_configuration() -> None:
    code = "import sys, lstm2d, lstm2d.cli.train, lstm2d.random; print('pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_no_crf_unless_asked_for() -> None:
    config = load_preset("lstm2d-5x5")
    assert config.crf is None
    assert "crf" not in config.model_dump()
    assert "crf" not in dump_toml(config)


def test_h_renet_has_one() -> None:
    assert load_preset("h-renet").crf == crf_settings("krahenbuehl")


def test_a_crf_in_a_configuration(tmp_path: Path) -> None:
    config = apply_overrides(load_preset("lstm2d-5x5"), ["crf.theta_beta=9"])
    assert config.crf == crf_settings("krahenbuehl", ["crf.theta_beta=9"])
    (tmp_path / "c.toml").write_text(dump_toml(config))
    assert load_toml(tmp_path / "c.toml") == config
    assert from_dict(config.model_dump(), "model file") == config
    (tmp_path / "c.toml").write_text('preset = "lstm2d-5x5"\n[crf]\n')
    assert load_toml(tmp_path / "c.toml").crf == CRFSection()


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("iterations = 0", "crf.iterations = 0 (c.toml, line 3): expected an integer >= 1"),
        ("theta_alpha = 0.01", "crf.theta_alpha = 0.01 (c.toml, line 3): expected a number >= 0.1"),
        ("theta_alfa = 1", "did you mean crf.theta_alpha?"),
        ('normalisation = "before"', 'expected "symmetric" or "after"'),
        ("bilateral_weight = -1", "expected a number >= 0"),
    ],
)
def test_a_wrong_crf_in_a_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, part: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("c.toml").write_text(f'preset = "lstm2d-5x5"\n[crf]\n{text}\n')
    with pytest.raises(ConfigError) as caught:
        load_toml("c.toml")
    assert part in str(caught.value)


@pytest.mark.parametrize("name", CRF_SETS)
def test_named_sets_of_the_crf(name: str) -> None:
    assert crf_settings(name).model_dump() | CRF_SETS[name] == crf_settings(name).model_dump()
    tuned = {"iterations", "bilateral_weight", "theta_alpha", "theta_beta", "spatial_weight", "theta_gamma"}
    assert set(CRF_SETS[name]) == tuned


def test_the_set_of_h_renet() -> None:
    known = CRFSection(iterations=5, bilateral_weight=5.0, theta_beta=3.0)
    assert crf_settings("h-renet") == known
    assert (known.theta_alpha, known.spatial_weight, known.theta_gamma) == (80.0, 3.0, 3.0)


def test_the_default_set_is_the_default_of_each_key() -> None:
    assert crf_settings() == CRFSection() == crf_settings({})


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_files_of_other_encodings(tmp_path: Path, encoding: str) -> None:
    """Such files are written by editors on Windows."""
    path = tmp_path / "mine.toml"
    path.write_bytes('# größer\r\npreset = "lstm2d-3x3"\r\n[train]\r\nepochs = 7\r\n'.encode(encoding))
    assert load_toml(path).train.epochs == 7


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_bytes(b'preset = "lstm2d-3x3"  # gr\xf6\xdfer\n')
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_toml(tmp_path / "mine.toml")


def hierarchy(*sets: str) -> RunConfig:
    """Return a configuration with a section [hierarchy]."""
    pairs = [(f"hierarchy.{item}", "--set") for item in ("file=h.json", *sets)]
    return resolve("lstm2d-5x5", pairs)


def test_hierarchy_is_optional() -> None:
    assert load_preset("lstm2d-5x5").hierarchy is None
    found = hierarchy("strategy=hierarchical", "epochs=[12, 8]", "minutes=[1.5, 2]", "alpha=0.5").hierarchy
    assert found is not None
    assert (found.file, found.strategy, found.epochs, found.minutes) == (
        "h.json",
        "hierarchical",
        [12, 8],
        [1.5, 2],
    )
    assert (found.alpha, found.beta, found.train_on_filled) == (0.5, 0.00025, False)
    config = hierarchy("strategy=sequential")
    assert from_dict(tomllib.loads(dump_toml(config)), "config.toml") == config


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        ([], "hierarchy.strategy is missing"),
        (["strategy=both"], "hierarchy.strategy = 'both' (--set): expected"),
        (
            ["strategy=sequential", "epochs=[2, 8]"],
            'expected no values, or 4: one per stage of strategy = "seq',
        ),
        (["strategy=hierarchical", "minutes=[2, 8, 1, 1]"], "expected no values, or 2: one per stage"),
        (["strategy=hierarchical", "epochs=[2, 0]"], "expected a last stage of 1 epoch or more"),
        (["strategy=hierarchical", "minutes=[0, 1]"], "hierarchy.minutes[0] = 0"),
        (["strategy=sequential", "alpha=2"], 'is used only with hierarchy.strategy = "hierarchical"'),
        (["strategy=sequential", "epoch=[1]"], "did you mean hierarchy.epochs?"),
    ],
)
def test_wrong_hierarchy(sets: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        hierarchy(*sets)
    assert message in str(caught.value)


@pytest.mark.parametrize("text", ["", "[train]\nepochs = 3\n"])
def test_a_file_without_a_model_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "empty.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as error:
        load_toml(path)
    assert f'model.kind is missing ({path}): expected "lstm2d" or' in str(error.value)
