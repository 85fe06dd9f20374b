"""`lstm2d train` on the command line."""

import json
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from PIL import Image

from lstm2d.cli.program import program
from lstm2d.cli.train import Narrator
from lstm2d.config import load_toml
from lstm2d.hierarchy.file import save_hierarchy
from lstm2d.hierarchy.hierarchy import Hierarchy, Subclass
from lstm2d.io.model_file import load_model
from lstm2d.training.checkpoint import newest_file, unpack
from lstm2d.training.events import Event
from tests.runner import runner

SMALL = [
    "--set",
    "model.units=[2,3,2]",
    "--set",
    "model.features=[2,2]",
    "--set",
    "train.checkpoint_minutes=0",
]


@pytest.fixture
def data(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Return a folder of six noisy images of two classes."""
    root = tmp_path / "data"
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    for number in range(6):
        labels = (np.arange(12)[:, None] + rng.integers(0, 6, (1, 10)) > 8).astype(np.uint8)
        image = np.clip(labels[..., None] * 90 + rng.normal(80, 20, (12, 10, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(image).save(root / "images" / f"i{number}.png")
        Image.fromarray(labels).save(root / "masks" / f"i{number}.png")
    (root / "dataset.toml").write_text(
        'name = "two"\nignore = 255\n[[classes]]\nname = "a"\ncolor = [0, 0, 0]\n'
        '[[classes]]\nname = "b"\ncolor = [1, 1, 1]\n'
    )
    return root


def run(*args: object) -> Result:
    return runner().invoke(program, ["train", *map(str, args)])


def test_json(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = run("lstm2d-3x3", "--data", data, "-o", out, "--epochs", 2, "--json", *SMALL)
    assert result.exit_code == 0, result.stderr
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line.get("event") for line in lines] == ["start", "epoch", "epoch", "stop", None]
    last = lines[-1]
    assert sorted(last) == ["best", "epochs", "model", "run", "seconds", "steps"]
    assert (last["epochs"], last["steps"]) == (2, 10)  # one of six images is held out
    assert last["best"]["pixel_accuracy"] == max(line["pixel_accuracy"] for line in lines[1:3])
    assert Path(last["model"]) == out / "model.safetensors"
    assert load_model(out / "model.safetensors").preset == "lstm2d-3x3"
    assert "epoch 2/2" in result.stderr
    assert "5 images, validated on 1 held out" in result.stderr
    plots = sorted(path.name for path in (out / "plots").iterdir())
    assert plots[:2] == ["confusion.png", "curves.png"]


def test_a_label_hierarchy(data: Path, tmp_path: Path) -> None:
    """Its stages are announced; a run that ends before a stage saves a model says that there is none."""
    clusters = (Subclass("a 1", 0, 5, (1.0, 0.0)), Subclass("a 2", 0, 5, (0.6, 0.8)), Subclass("b", 1, 5))
    file = tmp_path / "h.json"
    save_hierarchy(file, Hierarchy("lc", "two", ("a", "b"), (0,), clusters, window=5))
    words = ["lstm2d-3x3", "--data", data, *SMALL, "--set", f"hierarchy.file={file}", "--json"]
    sets = ["--set", "hierarchy.strategy=sequential", "--set", "hierarchy.epochs=[1,1,1,1]"]
    result = run(*words, *sets, "-o", tmp_path / "run")
    assert result.exit_code == 0, result.stderr
    assert "stage 1 of 4, last layer, subclasses" in result.stderr
    assert "stage 2, all layers, subclasses: " in result.stderr
    assert "stage 4, all layers, classes: " in result.stderr
    last = json.loads(result.stdout.splitlines()[-1])
    assert (last["epochs"], last["steps"], last["model"]) == (
        4,
        20,
        str(tmp_path / "run" / "model.safetensors"),
    )

    result = run(*words, *sets, "-o", tmp_path / "short", "--max-time", "0.001s")
    assert result.exit_code == 0, result.stderr
    last = json.loads(result.stdout.splitlines()[-1])
    assert (last["steps"], last["model"], set(last["best"].values())) == (0, None, {None})
    assert "no model yet, a later stage saves it" in result.stderr

    result = run(*words, "-o", tmp_path / "wrong")
    assert result.exit_code == 2
    assert "hierarchy.strategy is missing" in result.stderr
    file.write_text("{}")
    result = run(*words, *sets, "-o", tmp_path / "damaged")
    assert result.exit_code == 3
    assert "not a label hierarchy" in result.stderr


def test_a_picture_that_cannot_be_written_does_not_fail_the_training(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "a run"
    words = ["lstm2d-3x3", "--data", data, "-o", out, "--epochs", 2, *SMALL, "--device", "cpu"]

    def block(event: Event) -> None:
        if event.kind == "stop":
            (out / "plots" / "confusion.png").mkdir(parents=True)

    with pytest.MonkeyPatch.context() as patch:
        narrate = Narrator.__call__
        patch.setattr(Narrator, "__call__", lambda self, event: (block(event), narrate(self, event))[1])
        result = run(*words, "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout.splitlines()[-1])["model"] == str(out / "model.safetensors")
    missing = f"not all pictures are drawn (confusion, best, worst in {out / 'plots'})"
    assert f"Warning: the model is saved, but {missing}: " in result.stderr
    assert f"{out / 'plots' / 'confusion.png'}\n  draw them with: " in result.stderr
    again = f"lstm2d train lstm2d-3x3 --data {data} -o '{out}' --resume --device cpu"
    assert f"  draw them with: {again}\n" in result.stderr
    (out / "plots" / "confusion.png").rmdir()
    assert run(*shlex.split(again)[2:]).exit_code == 0
    assert (out / "plots" / "confusion.png").is_file()


def test_an_error_in_the_drawing_does_not_fail_the_training(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise IndexError("a bug")

    monkeypatch.setattr("lstm2d.report.plots.plot_curves", fail)
    result = run("lstm2d-3x3", "--data", data, "-o", tmp_path / "run", "--epochs", 1, *SMALL)
    assert result.exit_code == 0, result.stderr
    assert "not all pictures are drawn (curves, confusion, best, worst in" in result.stderr
    assert 'raise IndexError("a bug")' in result.stderr


def test_epochs_are_counted_to_the_one_that_the_run_ends_in(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    result = run("lstm2d-3x3", "--data", data, "-o", out, "--set", "train.steps=7", *SMALL)
    assert result.exit_code == 0, result.stderr
    assert "7 steps, 5 images" in result.stderr
    assert "epoch 1/2 " in result.stderr
    assert "epoch 2/2 " in result.stderr


def test_quiet(data: Path, tmp_path: Path) -> None:
    result = run("lstm2d-3x3", "--data", data, "-o", tmp_path / "run", "--epochs", 1, "--quiet", *SMALL)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")


def test_options_are_in_the_configuration(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    (data / "splits").mkdir()
    (data / "splits" / "2024-01-01.txt").write_text("i0\ni1\ni2\n")
    options = [
        "--seed",
        4,
        "--val",
        0.4,
        "--max-time",
        "1h",
        "--val-split",
        "val",
        "--train-split",
        "2024-01-01",
        "--epochs",
        1,
    ]
    result = run("lstm2d-5x5", "--data", data, "-o", out, *options, *SMALL, "--threads", 1, "--device", "cpu")
    assert result.exit_code == 0, result.stderr
    config = load_toml(out / "config.toml")
    assert (config.train.seed, config.train.epochs, config.train.max_time) == (4, 1, "1h")
    assert (config.data.val, config.data.val_split, config.data.train_split) == (0.4, "val", "2024-01-01")
    assert config.model["units"] == [2, 3, 2]


def test_all_config_errors_before_any_image_is_read(tmp_path: Path) -> None:
    result = run(
        "lstm2d-3x3",
        "--data",
        tmp_path / "none",
        "-o",
        tmp_path / "run",
        "--set",
        "train.epoch=3",
        "--seed",
        "x",
    )
    assert result.exit_code == 2
    assert "train.epoch: unknown key (--set); did you mean train.epochs?" in result.stderr
    assert "train.seed = 'x' (--seed): expected an integer >= 0" in result.stderr
    assert "none" not in result.stderr
    assert not (tmp_path / "run").exists()


def test_errors_and_their_codes(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    missing = run("lstm2d-3x3", "--data", tmp_path / "none", "-o", out)
    assert (missing.exit_code, "folder not found" in missing.stderr) == (3, True)
    preset = run("lstm2d-3x4", "--data", data, "-o", out)
    assert (preset.exit_code, "did you mean lstm2d-3x3?" in preset.stderr) == (2, True)
    (data / "masks" / "i3.png").write_bytes((data / "masks" / "i4.png").read_bytes()[:40])
    broken = run("lstm2d-3x3", "--data", data, "-o", out, *SMALL)
    assert (broken.exit_code, "i3.png" in broken.stderr) == (3, True)
    Image.fromarray(np.full((12, 10), 7, np.uint8)).save(data / "masks" / "i3.png")
    value = run("lstm2d-3x3", "--data", data, "-o", out, *SMALL)
    assert (value.exit_code, "mask value 7 at row 0, column 0" in value.stderr) == (3, True)
    Image.fromarray(np.zeros((10, 12), np.uint8)).save(data / "masks" / "i3.png")
    size = run("lstm2d-3x3", "--data", data, "-o", out, *SMALL)
    assert (size.exit_code, "the mask is 12x10 pixels, its image 10x12" in size.stderr) == (3, True)
    assert not out.exists()


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("tpu", "unknown device"),
        ("cuda:", "unknown device"),
        ("cuda:x", "unknown device"),
    ],
)
def test_device(data: Path, tmp_path: Path, device: str, message: str) -> None:
    result = run("lstm2d-3x3", "--data", data, "-o", tmp_path / "run", "--device", device)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") <= 3


def test_a_used_folder(data: Path, tmp_path: Path) -> None:
    args = ["lstm2d-3x3", "--data", data, "-o", tmp_path / "run", "--epochs", 1, *SMALL]
    assert run(*args).exit_code == 0
    again = run(*args)
    assert again.exit_code == 2
    assert "add --resume to go on" in again.stderr
    resumed = run(*args, "--resume")
    assert resumed.exit_code == 0
    assert "all epochs done" in resumed.stderr


def finished(data: Path, out: Path, *more: object) -> list[object]:
    """Train for four epochs; return the arguments."""
    args: list[object] = ["lstm2d-3x3", "--data", data, "-o", out, *SMALL, *more]
    result = run(*args, "--epochs", 4)
    assert result.exit_code == 0, result.stderr
    return args


def test_fewer_epochs_than_are_done(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    args = finished(data, out)
    before = (out / "config.toml").read_bytes()
    fewer = run(*args, "--resume", "--epochs", 1)
    assert fewer.exit_code == 0, fewer.stderr
    assert "nothing is left to train: 4 epochs are done already, train.epochs is 1" in fewer.stderr
    assert "\n20\n" not in fewer.stderr  # the note's step is for programs
    assert "changed" not in fewer.stderr
    assert (out / "config.toml").read_bytes() == before  # it has had four
    more = run(*args, "--resume", "--epochs", 5)
    assert more.exit_code == 0, more.stderr
    assert "nothing is left" not in more.stderr
    assert "epoch 5/5" in more.stderr


@pytest.mark.parametrize("text", [None, b"", b"damaged"])
def test_a_finished_run_without_its_model(data: Path, tmp_path: Path, text: bytes | None) -> None:
    out = tmp_path / "run"
    args = finished(data, out)
    model = out / "model.safetensors"
    before = model.read_bytes()
    model.unlink() if text is None else model.write_bytes(text)
    result = run(*args, "--resume")
    assert result.exit_code == 0, result.stderr
    assert f"Warning: {model}: " in result.stderr
    assert "written again" in result.stderr
    assert model.read_bytes() == before


def repaint(path: Path) -> None:
    with Image.open(path) as image:
        pixels = np.array(image)
    pixels[0, 0] = 1 - pixels[0, 0] if pixels.ndim == 2 else 7
    Image.fromarray(pixels).save(path)


CHANGES: list[tuple[str, Callable[[Path, Path], object]]] = [
    ("i3.png", lambda data, out: repaint(data / "masks" / "i3.png")),
    ("i3.png", lambda data, out: repaint(data / "images" / "i3.png")),
    ("dataset.toml", lambda data, out: edit(data / "dataset.toml", "ignore = 255", MAP)),
    ("classes", lambda data, out: edit(data / "dataset.toml", '"b"', '"c"')),
    ("train.seed", lambda data, out: edit(out / "config.toml", "seed = 0", "seed = 4")),
    ("train.momentum", lambda data, out: edit(out / "config.toml", "momentum = 0.9", "momentum = 0.8")),
    ("train.flip", lambda data, out: edit(out / "config.toml", "flip = true", "flip = false")),
    ("another run", lambda data, out: (out / "run.json").write_text('{"run": "another"}')),
]
MAP = 'ignore = 255\n[map]\n0 = "b"\n1 = "a"\n'


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(("named", "change"), CHANGES)
def test_resumed_with_something_else(
    data: Path, tmp_path: Path, named: str, change: Callable[[Path, Path], object]
) -> None:
    out = tmp_path / "run"
    args = finished(data, out)
    change(data, out)
    result = run(*args, "--resume", "--epochs", 6)
    assert result.exit_code == 2, result.stderr
    assert named in result.stderr
    assert newest_step(out) == 20


def test_resumed_with_other_values_on_purpose(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    args = finished(data, out)
    more = ["--resume", "--epochs", 6, "--set", "train.momentum=0.8"]
    result = run(*args, *more)
    assert result.exit_code == 0, result.stderr
    assert (
        "changed from step 20 on: train.momentum is 0.8, was 0.9; train.epochs is 6, was 4" in result.stderr
    )
    seed = run(*args, "--resume", "--seed", 3)
    assert (seed.exit_code, "cannot change train.seed" in seed.stderr) == (2, True)


def test_validation_without_a_label(data: Path, tmp_path: Path) -> None:
    (data / "splits").mkdir()
    (data / "splits" / "train.txt").write_text("i0\ni1\ni2\ni3\n")
    (data / "splits" / "val.txt").write_text("i4\ni5\n")
    for stem in ("i4", "i5"):
        Image.fromarray(np.full((12, 10), 255, np.uint8)).save(data / "masks" / f"{stem}.png")
    result = run("lstm2d-3x3", "--data", data, "-o", tmp_path / "run", "--epochs", 2, *SMALL)
    assert result.exit_code == 0, result.stderr
    assert "no pixel of the 2 validation images is labelled: the last weights are kept" in result.stderr
    assert "best model" not in result.stderr
    assert "model of the last step, nothing was validated" in result.stderr


def test_unwritable_output(data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run("lstm2d-3x3", "--data", data, "-o", tmp_path / "file" / "run", "--epochs", 1, *SMALL)
    assert result.exit_code == 5
    assert "cannot write" in result.stderr


def test_diverged(data: Path, tmp_path: Path) -> None:
    sets = ["--set", "train.learning_rate=1e38", "--set", "train.clip_norm=0", "--json"]
    result = run("lstm2d-3x3", "--data", data, "-o", tmp_path / "run", "--epochs", 1, *SMALL, *sets)
    assert result.exit_code == 6
    last = json.loads(result.stdout.splitlines()[-1])
    assert last["error"]["kind"] == "DivergedError"
    assert "step-00000000.safetensors" in last["error"]["hint"]


def command(data: Path, out: Path, *more: str) -> list[str]:
    return [
        sys.executable,
        "-m",
        "lstm2d.cli",
        "train",
        "lstm2d-3x3",
        "--data",
        str(data),
        "-o",
        str(out),
        *SMALL,
        *more,
    ]


def start(data: Path, out: Path, more: list[str]) -> subprocess.Popen[str]:
    """Start a run, or resume it if it has begun."""
    resume = ["--resume"] if (out / "config.toml").exists() else []
    return subprocess.Popen(command(data, out, *more, *resume), stderr=subprocess.PIPE, text=True)


def newest_step(out: Path) -> int:
    """Return the step in the name of the newest checkpoint; -1 before the first."""
    return max((int(path.stem[5:]) for path in (out / "checkpoints").glob("step-*.safetensors")), default=-1)


def wait_until(happened: Callable[[], bool]) -> None:
    """Wait until a condition holds that another process causes."""
    for _ in range(30000):
        if happened():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_process_says_how_to_go_on(data: Path, tmp_path: Path, number: int) -> None:
    out = tmp_path / "a run"
    process = subprocess.Popen(
        command(data, out, "--epochs", "100000"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_until(lambda: newest_step(out) >= 15)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in stderr
    assert f"continue with: lstm2d train lstm2d-3x3 --data {data} -o '{out}' --resume" in stderr
    newest = newest_file(out / "checkpoints")
    assert newest is not None
    step = unpack(newest.read_bytes()).state["progress"]["step"]
    assert f"stopped after step {step} of" in stderr
    limit = str(step // 5 + 3)
    resumed = run("lstm2d-3x3", "--data", data, "-o", out, "--resume", "--epochs", limit)
    assert resumed.exit_code == 0, resumed.stderr


@pytest.mark.slow
def test_a_reader_that_goes_away_does_not_stop_a_run(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = subprocess.Popen(
        command(data, out, "--epochs", "40", "--json", "--quiet"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert json.loads(process.stdout.readline())["event"] == "start"
    process.stdout.close()
    stderr = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=60) == 5
    assert stderr == ""
    assert len((out / "results.csv").read_text().splitlines()) == 41
    assert load_model(out / "model.safetensors").classes[1].name == "b"


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["lstm2d-3x3", "lstm2d-5x5"])
def test_the_papers_own_hyper_parameters(data: Path, tmp_path: Path, preset: str) -> None:
    sets = [
        "train.learning_rate=1e-6",
        "train.clip_norm=0",
        "train.schedule=constant",
        "train.warmup_steps=0",
    ]
    sets += ["train.flip=false", "train.scale_jitter=0", "train.brightness_jitter=0", "model.leaky=false"]
    out = tmp_path / "run"
    result = run(
        preset, "--data", data, "-o", out, "--epochs", 1, "--json", *(a for s in sets for a in ("--set", s))
    )
    assert result.exit_code == 0, result.stderr
    config = load_toml(out / "config.toml").train
    assert (config.learning_rate, config.momentum, config.clip_norm) == (1e-6, 0.9, 0)
    epoch = json.loads(result.stdout.splitlines()[1])
    assert epoch["learning_rate"] == 1e-6
    assert epoch["clipped"] == 0
    assert 0 < epoch["loss"] < 1.2  # ln 2 = 0.69 by chance
