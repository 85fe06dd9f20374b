"""A run is resumed only with its own data, settings and checkpoints, compared by contents."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lstm2d.config import dump_toml, load_toml
from lstm2d.errors import ConfigError, DataError, InterruptedRun
from lstm2d.training import contents
from lstm2d.training.checkpoint import Checkpoint, files, newest_file, pack, unpack
from lstm2d.training.loop import train
from lstm2d.training.progress import TrainResult
from lstm2d.training.runfolder import RunFolder, changes
from tests.training.runs import Configure, Stopper, digest, make_old, model_digest

Edit = Callable[[Path], object]
NOT_SAME = "the dataset has changed since the run began"


def resume(run: Path, dataset: Path, *sets: str, stopper: Stopper | None = None) -> TrainResult:
    """Resume a run as the command does."""
    config = RunFolder(run).reopen("", [(item, "--set") for item in sets])
    asked = [item.partition("=")[0] for item in sets]
    return train(config, dataset, run, resume=True, changes=asked, report=stopper or Stopper())


def stopped(dataset: Path, run: Path, configure: Configure, *overrides: str) -> Path:
    """Begin a run and stop it after seven steps of 15."""
    with pytest.raises(InterruptedRun):
        train(configure(*overrides), dataset, run, report=Stopper(7))
    return run


def everything(run: Path) -> dict[str, bytes]:
    return {str(path.relative_to(run)): path.read_bytes() for path in run.rglob("*") if path.is_file()}


def repaint(path: Path, value: int = 1) -> None:
    """Change one pixel."""
    with Image.open(path) as image:
        pixels = np.array(image)
    pixels[1, 1] = value if pixels.ndim == 2 else pixels[1, 1] ^ value
    Image.fromarray(pixels).save(path)


def replace_text(name: str, old: str, new: str) -> Edit:
    return lambda root: (root / name).write_text((root / name).read_text().replace(old, new))


def rename(root: Path) -> None:
    """Exchange the images of two stems, with their masks."""
    for kind in ("images", "masks"):
        one, two, spare = (root / kind / name for name in ("i0.png", "i1.png", "spare"))
        one.rename(spare)
        two.rename(one)
        spare.rename(two)


MAP = '[map]\n0 = "dark"\n1 = "{one}"\n2 = "red"\n'

DATA_EDITS: list[tuple[Edit, str]] = [
    (lambda root: repaint(root / "images" / "i3.png"), "other contents of i3.png"),
    (lambda root: repaint(root / "images" / "i6.png"), "other contents of i6.png"),
    (lambda root: repaint(root / "masks" / "i2.png", 2), "other labels in i2.png"),
    (lambda root: repaint(root / "masks" / "i5.png", 2), "other labels in i5.png"),
    (rename, "other contents of i0.png, i1.png; other labels in i0.png, i1.png"),
    (lambda root: (root / "splits/train.txt").write_text("i0\ni1\ni2\ni3\n"), r"training images \(i4 gone\)"),
    (
        lambda root: (root / "splits/train.txt").write_text("i1\ni0\ni2\ni3\ni4\n"),
        "training images in another order",
    ),
    (
        lambda root: (root / "splits/val.txt").write_text("i5\n"),
        r"other validation images \(i6 gone\)",
    ),
    (replace_text("dataset.toml", 'name = "red"', 'name = "blue"'), "other classes, dark, bright, blue"),
    (
        replace_text("dataset.toml", "ignore = 255", "ignore = 254\n" + MAP.format(one="bright") + "255 = 0"),
        "other labels in i0.png, i1.png, i2.png, i3.png and 3 more, dataset.toml has another ignore, map",
    ),
    (
        replace_text("dataset.toml", "ignore = 255", "ignore = 255\n" + MAP.format(one="red")),
        "dataset.toml has another map",
    ),
    (
        replace_text("dataset.toml", "ignore = 255", 'ignore = 255\n[map]\n0 = "dark"\n1 = "bright"\n'),
        r"dataset.toml has another map \(mask value 2",
    ),
    (replace_text("dataset.toml", "ignore = 255", 'ignore = 255\nscale = "native"'), "another scale"),
    (
        replace_text("dataset.toml", 'name = "dark"', 'name = "dark"\nvalue = 7'),
        "dataset.toml has another values",
    ),
]


@pytest.mark.parametrize(
    ("edit", "named"), DATA_EDITS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_changed_data_is_named_and_nothing_is_touched(
    dataset: Path, tmp_path: Path, configure: Configure, edit: Edit, named: str
) -> None:
    run = stopped(dataset, tmp_path / "run", configure)
    before = everything(run)
    edit(dataset)
    with pytest.raises(ConfigError, match=f"{NOT_SAME}: .*{named}") as caught:
        resume(run, dataset)
    assert caught.value.exit_code == 2
    assert everything(run) == before


def touch(root: Path) -> Path:
    for path in root.rglob("*"):
        os.utime(path, (1, 1))
    return root


def copied(root: Path) -> Path:
    return Path(shutil.copytree(root, root.with_name("copy")))


def compressed_anew(root: Path) -> Path:
    for path in (root / "masks").iterdir():
        with Image.open(path) as image:
            image.save(path, compress_level=1)
    return root


def recoloured(root: Path) -> Path:
    """Change settings that do not affect masks of numbers: colours, and map entries of absent values."""
    replace_text("dataset.toml", "color = [2, 0, 0]", "color = [9, 9, 9]")(root)
    replace_text("dataset.toml", "ignore = 255", "ignore = 255\n" + MAP.format(one="bright") + "9 = 0")(root)
    return root


@pytest.mark.parametrize("change", [touch, copied, compressed_anew, recoloured])
def test_data_with_the_same_contents_is_the_same(
    dataset: Path, tmp_path: Path, configure: Configure, change: Callable[[Path], Path]
) -> None:
    train(configure(), dataset, tmp_path / "straight")
    run = stopped(dataset, tmp_path / "run", configure)
    stopper = Stopper()
    resume(run, change(dataset), stopper=stopper)
    assert "warning" not in stopper.kinds()
    assert model_digest(run) == model_digest(tmp_path / "straight")


def test_files_that_nobody_wrote_to_are_not_read_for_a_digest(
    dataset: Path, tmp_path: Path, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "FRESH", -(10**18))  # as if the files were old
    run = stopped(dataset, tmp_path / "run", configure)
    read: list[str] = []
    real = contents._file_digest

    def looking(path: Path) -> bytes:
        read.append(path.name)
        return real(path)

    monkeypatch.setattr(contents, "_file_digest", looking)
    os.utime(dataset / "images" / "i3.png", (5, 5))
    stopper = Stopper(9)
    with pytest.raises(InterruptedRun):
        resume(run, dataset, stopper=stopper)
    assert read == ["i3.png"]
    resume(run, dataset)
    assert read == ["i3.png"]  # its new time is in the checkpoint of step 9


def test_a_file_changed_without_its_times(
    dataset: Path, tmp_path: Path, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither its size nor its modification time has changed."""
    monkeypatch.setattr(contents, "FRESH", -(10**18))  # as if the files were old
    path = dataset / "images" / "i0.bmp"
    with Image.open(path.with_suffix(".png")) as image:
        image.save(path)
    path.with_suffix(".png").unlink()
    before = path.stat()
    run = stopped(dataset, tmp_path / "run", configure)
    repaint(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    with pytest.raises(ConfigError, match=r"other contents of i0\.bmp"):
        resume(run, dataset)


def test_a_file_that_was_just_written_is_read_again(
    dataset: Path, tmp_path: Path, configure: Configure
) -> None:
    """Its modification time may not change with the next write."""
    run = stopped(dataset, tmp_path / "run", configure)
    newest = newest_file(run / "checkpoints")
    assert newest is not None
    assert not unpack(newest.read_bytes()).tensors["data.identity"].any()


def test_digests_of_many_images_are_small() -> None:
    many = contents.Contents()
    stems = [f"2008_{number:06d}" for number in range(100_000)]
    entry = contents.Entry(bytes(16), b"x" * 16, bytes(8))
    many.entries = dict.fromkeys(stems, entry)
    tensors = many.to_tensors(stems[:90_000], stems[90_000:])
    assert sum(array.nbytes for array in tensors.values()) < 60 * len(stems)
    again = contents.Contents.from_tensors(tensors)
    assert again is not None
    assert again.entries == many.entries
    assert contents.stems_in(tensors, "validation") == stems[90_000:]


STEMS = st.binary(min_size=1, max_size=20).filter(lambda name: b"\0" not in name).map(os.fsdecode)
ENTRIES = st.builds(
    contents.Entry,
    st.binary(min_size=16, max_size=16),
    st.binary(min_size=16, max_size=16),
    st.binary(min_size=8, max_size=8),
)


@given(st.dictionaries(STEMS, ENTRIES, max_size=9), st.integers(0, 9))
def test_digests_come_back_from_a_checkpoint(entries: dict[str, contents.Entry], cut: int) -> None:
    """For any bytes in the names."""
    before = contents.Contents()
    before.entries = entries
    stems = list(entries)
    tensors = before.to_tensors(stems[:cut], stems[cut:])
    again = unpack(pack(Checkpoint(dict(tensors), {}))).tensors
    found = contents.Contents.from_tensors(again)
    assert found is not None
    assert list(found.entries.items()) == list(entries.items())
    assert contents.stems_in(again, "training") == stems[:cut]


SETTING_EDITS = [
    ("train.seed=9", "start a new run"),
    ("train.average=0.5", "start a new run"),
    ("model.units=[2, 4]", "start a new run"),
    ("data.val=0.3", "start a new run"),
    ("train.class_weights=inverse", "start a new run"),
    ("train.momentum=0.5", "`overrides=train.momentum=VALUE`"),
    ("train.flip=false", "`overrides=train.flip=VALUE`"),
    ("train.learning_rate=0.5", "`overrides=train.learning_rate=VALUE`"),
    ("train.schedule=linear", "`overrides=train.schedule=VALUE`"),
    ("train.crop=[4, 4]", "`overrides=train.crop=VALUE`"),
    ("train.select=mean_iou", "`overrides=train.select=VALUE`"),
    ("train.groups.lstm.rate=2", "`overrides=train.groups=VALUE`"),
]


@pytest.mark.parametrize(("override", "hint"), SETTING_EDITS)
def test_settings_edited_in_the_folder_are_named(
    dataset: Path, tmp_path: Path, configure: Configure, override: str, hint: str
) -> None:
    run = stopped(dataset, tmp_path / "run", configure)
    (run / "config.toml").write_text(dump_toml(configure(override)))
    before = everything(run)
    key = next(iter(changes(configure(), configure(override))))
    with pytest.raises(ConfigError, match=f"not those of the run: {key} is .*, was ") as caught:
        resume(run, dataset)
    assert hint in str(caught.value)
    assert everything(run) == before


@pytest.mark.parametrize(
    "override",
    [o for o, hint in SETTING_EDITS if "overrides" in hint] + ["train.epochs=4", "train.patience=9"],
)
def test_what_the_command_line_asks_for_is_taken_and_reported(
    dataset: Path, tmp_path: Path, configure: Configure, override: str
) -> None:
    run = stopped(dataset, tmp_path / "run", configure)
    stopper = Stopper(8)
    with pytest.raises(InterruptedRun):
        resume(run, dataset, override, stopper=stopper)
    key = next(iter(changes(configure(), configure(override))))
    (note,) = [event.values["text"] for event in stopper.events if event.kind == "note"]
    assert f"changed from step 7 on: {key} is " in note
    assert load_toml(run / "config.toml") == configure(override)
    stopper = Stopper()
    resume(run, dataset, stopper=stopper)  # it belongs to the run from then on
    assert "note" not in stopper.kinds()


def test_stopped_at_once_after_a_change(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    """The change is in the checkpoint and in config.toml before the first step."""
    run = stopped(dataset, tmp_path / "run", configure)
    with pytest.raises(InterruptedRun, match="after step 7"):
        resume(run, dataset, "train.momentum=0.5", stopper=Stopper(7, kind="resume"))
    resume(run, dataset)
    other = stopped(dataset, tmp_path / "other", configure)
    resume(other, dataset, "train.momentum=0.5")
    assert digest(run) == digest(other)


@pytest.mark.parametrize(
    "key", ["train.epochs=4", "train.max_time='9h'", "data.cache_gib=0", "train.patience=8"]
)
def test_how_long_a_run_goes_may_be_edited_too(
    dataset: Path, tmp_path: Path, configure: Configure, key: str
) -> None:
    run = stopped(dataset, tmp_path / "run", configure)
    (run / "config.toml").write_text(dump_toml(configure(key)))
    stopper = Stopper()
    resume(run, dataset, stopper=stopper)
    (note,) = [event.values["text"] for event in stopper.events if event.kind == "note"]
    assert f"changed from step 7 on: {key.partition('=')[0]} is " in note


def test_a_checkpoint_of_another_run(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    run = stopped(dataset, tmp_path / "run", configure)
    train(configure(), dataset, tmp_path / "straight")
    train(configure(), dataset, tmp_path / "other")
    foreign = shutil.copy(newest_file(tmp_path / "other" / "checkpoints") or "", run / "checkpoints")
    before = everything(run)
    with pytest.raises(ConfigError, match="the newest checkpoint is one of another run") as caught:
        resume(run, dataset)
    assert str(foreign) in str(caught.value)
    assert everything(run) == before
    Path(foreign).unlink()
    resume(run, dataset)
    assert digest(run) == digest(tmp_path / "straight")


def test_each_run_has_its_name_and_a_copy_of_it_the_same(
    dataset: Path, tmp_path: Path, configure: Configure
) -> None:
    names = []
    for folder in ("a", "b"):
        run = stopped(dataset, tmp_path / folder, configure)
        names.append(json.loads((run / "run.json").read_text())["run"])
        found = {unpack(path.read_bytes()).state["run"] for path in files(run / "checkpoints")}
        assert found == {names[-1]}
    assert names[0] != names[1]
    copy = Path(shutil.copytree(tmp_path / "a", tmp_path / "copy"))
    resume(copy, dataset)


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"run": 3}', "\0\xff"])
def test_without_the_name_it_cannot_be_checked(
    dataset: Path, tmp_path: Path, configure: Configure, text: str | None
) -> None:
    run = stopped(dataset, tmp_path / "run", configure)
    name = json.loads((run / "run.json").read_text())["run"]
    (run / "run.json").unlink() if text is None else (run / "run.json").write_text(text)
    stopper = Stopper(8)
    with pytest.raises(InterruptedRun):
        resume(run, dataset, stopper=stopper)
    (note,) = [event.values["text"] for event in stopper.events if event.kind == "note"]
    assert "cannot check that the checkpoint belongs to this run" in note
    assert json.loads((run / "run.json").read_text())["run"] == name
    stopper = Stopper()
    resume(run, dataset, stopper=stopper)
    assert "note" not in stopper.kinds()


def test_a_name_that_cannot_be_read(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    run = stopped(dataset, tmp_path / "run", configure)
    (run / "run.json").unlink()
    (run / "run.json").mkdir()
    with pytest.raises(DataError, match="this is a folder"):
        resume(run, dataset)


def test_a_run_of_the_version_before(dataset: Path, tmp_path: Path, configure: Configure) -> None:
    train(configure(), dataset, tmp_path / "straight")
    run = stopped(dataset, tmp_path / "run", configure)
    make_old(run)
    stopper = Stopper(7, kind="resume")
    with pytest.raises(InterruptedRun):
        resume(run, dataset, stopper=stopper)
    (note,) = [event.values["text"] for event in stopper.events if event.kind == "note"]
    assert "earlier version" in note
    assert "the run, settings, images and masks" in note
    repaint(dataset / "masks" / "i2.png", 2)  # from now on it is checked
    with pytest.raises(ConfigError, match=NOT_SAME):
        resume(run, dataset)
    repaint(dataset / "masks" / "i2.png", 0)
    stopper = Stopper()
    resume(run, dataset, stopper=stopper)
    assert "note" not in stopper.kinds()
    assert digest(run) == digest(tmp_path / "straight")
    assert model_digest(run) == model_digest(tmp_path / "straight")


def test_the_lists_of_images_of_a_run_of_the_version_before(
    dataset: Path, tmp_path: Path, configure: Configure
) -> None:
    run = stopped(dataset, tmp_path / "run", configure)
    make_old(run)
    (dataset / "splits" / "train.txt").write_text("i0\ni1\ni2\ni3\n")
    with pytest.raises(ConfigError, match=f"{NOT_SAME}: other training images"):
        resume(run, dataset)
