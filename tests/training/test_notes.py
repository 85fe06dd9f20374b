"""What is guessed, converted or left out while images are read is reported by the run."""

from pathlib import Path

from PIL import Image

from lstm2d.io.model_file import load_model
from lstm2d.predict import load
from lstm2d.training.events import Event
from lstm2d.training.loop import train
from tests.training.runs import Configure

TEXT = "transparent pixels are composited on white"


def make_transparent(path: Path) -> None:
    with Image.open(path) as image:
        clear = image.convert("RGBA")
    clear.putpixel((0, 0), (0, 0, 0, 128))
    clear.save(path)


def test_notes_are_events(tmp_path: Path, dataset: Path, configure: Configure) -> None:
    for number in range(3):
        make_transparent(dataset / "images" / f"i{number}.png")
    events: list[Event] = []
    train(configure("train.epochs=2"), dataset, tmp_path / "run", report=events.append)
    notes = [str(event.values["text"]) for event in events if event.kind == "note"]
    assert notes == [f"{dataset / 'images' / 'i0.png'}: {TEXT}", f"3 images: {TEXT}"]


def test_a_note_that_nobody_reads(tmp_path: Path, dataset: Path, configure: Configure) -> None:
    """It arises while an image is read, which must not fail."""
    make_transparent(dataset / "images" / "i0.png")

    def report(event: Event) -> None:
        if event.kind == "note":
            raise BrokenPipeError

    assert train(configure(), dataset, tmp_path / "run", report=report).epochs == 3


def test_the_configuration_says_how_images_are_read(
    tmp_path: Path, dataset: Path, configure: Configure
) -> None:
    """In training as in prediction with the model."""
    for path in (dataset / "images").iterdir():
        with Image.open(path) as image:
            Image.new("RGBA", image.size, (1, 2, 3, 0)).save(path)
    result = train(configure("data.background=[10, 20, 30]"), dataset, tmp_path / "run")
    assert load_model(result.model).mean == (10, 20, 30)
    assert load(result.model).reading.background == (10, 20, 30)
