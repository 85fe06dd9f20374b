"""Which images are found, and the names of their results."""

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm2d.errors import ConfigError, DataError
from lstm2d.predict.inputs import Task, plan, shard


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def names(tasks: list[Task], root: Path) -> dict[str, str]:
    """Return image -> label image, both relative."""
    return {task.source.relative_to(root).as_posix(): task.labels.as_posix() for task in tasks}


def test_a_folder_keeps_its_sub_folders(tmp_path: Path) -> None:
    touch(
        tmp_path, "in/b.JPG", "in/a.png", "in/x/y/c.tif", "in/notes.txt", "in/.hidden.png", "in/.cache/d.png"
    )
    found = names(plan([tmp_path / "in"], tmp_path / "out"), tmp_path)
    assert found == {"in/a.png": "a.png", "in/b.JPG": "b.png", "in/x/y/c.tif": "x/y/c.png"}
    assert list(found) == ["in/a.png", "in/b.JPG", "in/x/y/c.tif"]


def test_several_folders_become_sub_folders(tmp_path: Path) -> None:
    touch(tmp_path, "one/a.png", "two/deep/a.png", "b.png")
    found = names(
        plan([tmp_path / "one", f"{tmp_path}/two/", tmp_path / "b.png"], tmp_path / "out"), tmp_path
    )
    assert found == {"one/a.png": "one/a.png", "two/deep/a.png": "two/deep/a.png", "b.png": "b.png"}


def test_the_current_folder_has_a_name_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "here/a.png", "there/a.png")
    monkeypatch.chdir(tmp_path / "here")
    assert [t.labels.as_posix() for t in plan([".", "../there"], "../out")] == ["here/a.png", "there/a.png"]


def test_a_file_needs_no_ending(tmp_path: Path) -> None:
    touch(tmp_path, "photo", "b.c.png")
    found = names(plan([tmp_path / "photo", tmp_path / "b.c.png"], tmp_path / "out"), tmp_path)
    assert found == {"photo": "photo.png", "b.c.png": "b.c.png"}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("in/*.png", {"in/a.png": "a.png"}),
        ("in/**/*.png", {"in/a.png": "a.png", "in/x/b.png": "x/b.png", "in/x/y/c.png": "x/y/c.png"}),
        ("in/?", {"in/x/b.png": "x/b.png", "in/x/y/c.png": "x/y/c.png"}),
        ("*/[x]/b*", {"in/x/b.png": "in/x/b.png"}),
    ],
)
def test_patterns(tmp_path: Path, pattern: str, expected: dict[str, str]) -> None:
    touch(tmp_path, "in/a.png", "in/x/b.png", "in/x/b.txt", "in/x/y/c.png")
    assert names(plan([f"{tmp_path}/{pattern}"], tmp_path / "out"), tmp_path) == expected


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tmp_path: Path) -> None:
    touch(tmp_path, "a[1].png", "a1.png")
    assert names(plan([tmp_path / "a[1].png"], tmp_path / "out"), tmp_path) == {"a[1].png": "a[1].png"}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("p [1]/*.png", {"p [1]/a.png": "a.png"}),
        ("p [1]/x/[ab]?.png", {"p [1]/x/a1.png": "a1.png", "p [1]/x/b1.png": "b1.png"}),
        ("p [1]/x/c[1]*.png", {"p [1]/x/c[1]d.png": "c[1]d.png"}),
        ("p [1]/**/?1.png", {"p [1]/x/a1.png": "x/a1.png", "p [1]/x/b1.png": "x/b1.png"}),
        ("q*[/*.png", {"q*[/a.png": "q*[/a.png"}),
        (
            "p [1]",
            {"p [1]/a.png": "a.png", **{f"p [1]/x/{n}.png": f"x/{n}.png" for n in ("a1", "b1", "c[1]d")}},
        ),
        ("q*[/what?.png", {"q*[/what?.png": "what?.png"}),
        ("r[1]/*.png", {"r1/a.png": "r[1]/a.png"}),
    ],
)
def test_brackets_are_literal_where_nothing_matches(
    tmp_path: Path, pattern: str, expected: dict[str, str]
) -> None:
    touch(tmp_path, "p [1]/a.png", "p [1]/x/a1.png", "p [1]/x/b1.png", "p [1]/x/c[1]d.png", "q*[/what?.png")
    touch(tmp_path, "r1/a.png", "r[1]/b.png")
    if pattern.endswith("q*[/*.png"):
        touch(tmp_path, "q*[/a.png")
        (tmp_path / "q*[/what?.png").unlink()
    if pattern.startswith("r"):  # a pattern that matches comes before a literal name
        expected = {"r1/a.png": "r1/a.png"}
    if pattern.startswith("q*[/*"):
        expected = {"q*[/a.png": "q*[/a.png"}
    found = plan([f"{tmp_path}/{pattern}"], tmp_path / "out")
    assert names(found, tmp_path) == expected


@pytest.mark.parametrize("pattern", ["s[1]/*.png", "*[", "p [1]/*.tif"])
def test_patterns_that_match_nothing_however_they_are_read(tmp_path: Path, pattern: str) -> None:
    touch(tmp_path, "p [1]/a.png")
    with pytest.raises(DataError, match="no file matches the pattern"):
        plan([f"{tmp_path}/{pattern}"], tmp_path / "out")


def test_each_file_once(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "in/a.png")
    inputs = [tmp_path / "in", tmp_path / "in/a.png", f"{tmp_path}/in/*", tmp_path / "link.png"]
    assert names(plan(inputs, tmp_path / "out"), tmp_path) == {"in/a.png": "a.png"}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["a.jpg", "a.png"], {"a.jpg": "a.jpg.png", "a.png": "a.png.png"}),
        (["A.jpg", "a.jpg"], {"A.jpg": "A.jpg.png", "a.jpg": "a.jpg-2.png"}),
        (["a.jpg", "a.jpg.png"], {"a.jpg": "a.png", "a.jpg.png": "a.jpg.png"}),
        (
            ["a.bmp", "a.jpg", "a.jpg.png"],
            {"a.bmp": "a.bmp.png", "a.jpg": "a.jpg.png", "a.jpg.png": "a.jpg.png.png"},
        ),
        (["a.jpg", "a_overlay.jpg"], {"a.jpg": "a.png", "a_overlay.jpg": "a_overlay.jpg.png"}),
        (["legend.jpg"], {"legend.jpg": "legend.jpg.png"}),
        (["LEGEND.tif"], {"LEGEND.tif": "LEGEND.tif.png"}),
        (["sub/legend.jpg"], {"sub/legend.jpg": "sub/legend.png"}),
        (
            ["legend.jpg", "legend.jpg.gif"],
            {"legend.jpg": "legend.jpg.png", "legend.jpg.gif": "legend.jpg.gif.png"},
        ),
    ],
)
def test_no_two_results_share_a_name(tmp_path: Path, files: list[str], expected: dict[str, str]) -> None:
    touch(tmp_path, *(f"in/{name}" for name in files))
    if len(list((tmp_path / "in").iterdir())) < len(files):
        pytest.skip("this file system ignores case")
    assert names(plan([tmp_path / "in"], tmp_path / "out"), tmp_path / "in") == expected


def test_names_of_tiffs(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.jpg", "in/b.tif", "in/b.png", "in/legend.jpg")
    tasks = plan([tmp_path / "in"], tmp_path / "out", format="tiff")
    found = {"a.jpg": "a.tif", "b.png": "b.png.tif", "b.tif": "b.tif.tif", "legend.jpg": "legend.tif"}
    assert names(tasks, tmp_path / "in") == found
    others = (str(tasks[0].overlay), str(tasks[0].probabilities))
    assert others == ("a_overlay.png", "a.npz")


def test_no_such_format(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.jpg")
    with pytest.raises(ConfigError, match="label format"):
        plan([tmp_path / "in"], tmp_path / "out", format="jpeg")


def test_names_that_differ_in_their_normal_form(tmp_path: Path) -> None:
    """On macOS both are the same file name."""
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    touch(tmp_path, f"one/{composed}.png", f"two/{decomposed}.png")
    tasks = plan([tmp_path / f"one/{composed}.png", tmp_path / f"two/{decomposed}.png"], tmp_path / "out")
    assert [task.labels.name for task in tasks] == [f"{composed}.png.png", f"{decomposed}.png-2.png"]
    alone = plan([tmp_path / "two"], tmp_path / "out")
    assert [task.labels.name for task in alone] == [f"{decomposed}.png"]


def test_files_of_one_name_from_two_folders(tmp_path: Path) -> None:
    touch(tmp_path, "one/a.png", "two/a.png")
    found = names(plan([tmp_path / "one/a.png", tmp_path / "two/a.png"], tmp_path / "out"), tmp_path)
    assert found == {"one/a.png": "a.png.png", "two/a.png": "a.png-2.png"}


@given(
    st.lists(
        st.from_regex(
            "([aA\u00e5\u00c5]|a\u030a|[lL]egend){1,2}(_overlay)?(\\.jpg)?(-2)?\\.(png|jpg|JPG)",
            fullmatch=True,
        ),
        min_size=1,
        unique=True,
    ),
    st.sampled_from([".png", ".tif"]),
)
def test_results_never_clash(files: list[str], suffix: str) -> None:
    from lstm2d.predict.inputs import _name

    tasks = _name(((Path(name), Path(name)) for name in files), suffix)
    results = [
        unicodedata.normalize("NFD", str(p).casefold())
        for t in tasks
        for p in (t.labels, t.overlay, t.probabilities)
    ]
    assert len(set(results)) == 3 * len(files)
    assert not set(results) & {"legend.png", "classes.json", "predictions.csv"}
    assert [str(t.source) for t in tasks] == files


def test_links_do_not_go_in_circles(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.png", "in/x/b.png", "elsewhere/c.png")
    (tmp_path / "in/x/up").symlink_to("..")
    (tmp_path / "in/self").symlink_to("self")
    (tmp_path / "in/again").symlink_to("x")
    (tmp_path / "in/root").symlink_to(tmp_path.parent)
    (tmp_path / "in/outside").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in/twice").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/back").symlink_to(tmp_path / "in")
    (tmp_path / "elsewhere/round").symlink_to(tmp_path / "elsewhere")
    found = names(plan([tmp_path / "in"], tmp_path / "out"), tmp_path / "in")
    assert found == {"a.png": "a.png", "outside/c.png": "outside/c.png", "x/b.png": "x/b.png"}


def test_what_is_no_regular_file_is_left_to_the_reader(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    os.mkfifo(tmp_path / "in/pipe.png")
    (tmp_path / "in/broken.png").symlink_to("nowhere")
    (tmp_path / "in/folder.png").mkdir()
    touch(tmp_path, "in/folder.png/a.png")
    found = names(plan([tmp_path / "in"], tmp_path / "out"), tmp_path / "in")
    assert list(found) == ["broken.png", "pipe.png", "folder.png/a.png"]


def test_the_output_folder_is_not_searched(tmp_path: Path) -> None:
    touch(tmp_path, "in/a.png", "in/out/b.png", "in/out/deep/c.png")
    assert names(plan([tmp_path / "in"], tmp_path / "in/out"), tmp_path / "in") == {"a.png": "a.png"}


@pytest.mark.parametrize(
    ("inputs", "out"),
    [
        (["in"], "in"),
        (["in"], "link"),
        (["in/a.jpg"], "in"),
        (["in/x", "in/y"], "in"),
        (["in/*.jpg"], "in/./x/.."),
    ],
)
def test_results_never_lie_among_the_images(tmp_path: Path, inputs: list[str], out: str) -> None:
    touch(tmp_path, "in/a.jpg", "in/x/b.png", "in/y/b.png")
    (tmp_path / "link").symlink_to("in")
    with pytest.raises(ConfigError, match="among the images"):
        plan([tmp_path / name for name in inputs], tmp_path / out)


@pytest.mark.parametrize("text", ["nowhere", "nowhere.png", "empty", "empty/*.png", "empty/**"])
def test_nothing_found(tmp_path: Path, text: str) -> None:
    (tmp_path / "empty").mkdir()
    touch(tmp_path, "empty/notes.txt", "a.png")
    with pytest.raises(DataError, match=text.partition("*")[0]):
        plan(
            [tmp_path / "a.png", tmp_path / text] if "nowhere" in text else [tmp_path / text],
            tmp_path / "out",
        )


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    touch(tmp_path, f"in/{name}")
    assert [t.labels.name for t in plan([tmp_path / "in"], tmp_path / "out")] == [name]


@given(st.integers(1, 12), st.integers(0, 40))
def test_shards_hold_every_task_exactly_once(count: int, total: int) -> None:
    tasks = [Task(Path(f"{k}.jpg"), Path(f"{k}.png")) for k in range(total)]
    parts = [shard(tasks, index, count) for index in range(1, count + 1)]
    assert sorted((t for part in parts for t in part), key=lambda t: int(t.source.stem)) == tasks
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(("index", "count"), [(0, 3), (4, 3), (1, 0)])
def test_no_such_shard(index: int, count: int) -> None:
    with pytest.raises(ConfigError, match="no part"):
        shard([], index, count)
