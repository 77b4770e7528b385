"""Where a row's video lies, what is missing, and what may not be reached."""

import pytest

from videre.data.nextqa import read_folders
from videre.data.videos import checked_name, present, resolve
from videre.errors import NO_INPUT, REFUSED, DataError
from videre.types import Question, Sample


def sample(name: str) -> Sample:
    return Sample(name, name, Question("what?"))


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "videos_here"
    for name in ("a.mp4", "b.webm", "v_tube.mkv", "1018/3294811247.mp4", "videos/c.avi", "x.y/d.mov", "gif.gif"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"video")
    (root / "frames").mkdir()
    return root


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("a.mp4", "a.mp4"),
        ("a", "a.mp4"),
        ("b", "b.webm"),
        ("tube", "v_tube.mkv"),
        ("1018/3294811247", "1018/3294811247.mp4"),
        ("c", "videos/c.avi"),
        ("x.y/d", "x.y/d.mov"),
        ("gif", "gif.gif"),
    ],
)
def test_a_name_is_found_with_or_without_its_extension(root, name, found):
    assert resolve(root, name) == root / found


def test_the_folder_map_of_nextqa_is_the_layout(root, tmp_path):
    path = tmp_path / "map.json"
    path.write_text('{"3294811247": "1018/3294811247"}')
    folders = read_folders(path)
    assert resolve(root, folders["3294811247"]).name == "3294811247.mp4"
    path.write_text('{"1": "../1"}')
    with pytest.raises(DataError, match="climbs out") as caught:
        read_folders(path)
    assert caught.value.exit_code == REFUSED


@pytest.mark.parametrize("name", ["nothing", "frames", "a.mkv", "x" * 300])
def test_a_missing_video_says_what_was_tried(root, name):
    with pytest.raises(DataError, match=r"\.mp4, \.mkv, \.webm, \.avi") as caught:
        resolve(root, name)
    assert (caught.value.code, caught.value.exit_code) == ("missing_video", NO_INPUT)


@pytest.mark.parametrize(
    "name",
    [
        "../a.mp4",
        "x/../../a",
        "/etc/passwd",
        "C:\\a.mp4",
        "\\\\host\\a",
        "..\\a",
        "http://host/a.mp4",
        "a\x00b",
        "a\nb",
        "",
        "  ",
        ".",
        "./",
    ],
)
def test_a_name_that_leads_out_is_refused(root, name):
    for refuse in (lambda: resolve(root, name), lambda: checked_name(name), lambda: present([sample(name)], root)):
        with pytest.raises(DataError) as caught:
            refuse()
        assert (caught.value.code, caught.value.exit_code) == ("escapes_root", REFUSED)
        assert "relative to the video root" in str(caught.value)


def test_names_with_dots_and_spaces_are_names():
    for name in ("..a.mp4", "a..b/c.mp4", "café 1.mp4", "-rf", "10:30"):
        assert checked_name(name) == name


def test_a_link_out_of_the_root_is_refused_and_one_inside_is_not(root, tmp_path):
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(b"x")
    (root / "out.mp4").symlink_to(secret)
    (root / "inside.mp4").symlink_to(root / "a.mp4")
    (root / "door").symlink_to(tmp_path)
    assert resolve(root, "inside") == root / "inside.mp4"
    for name in ("out", "door/secret"):
        with pytest.raises(DataError, match="leads out of the video root") as caught:
            resolve(root, name)
        assert caught.value.exit_code == REFUSED


def test_a_root_that_is_a_link_itself_is_fine(root, tmp_path):
    (tmp_path / "link").symlink_to(root)
    assert resolve(tmp_path / "link", "a").name == "a.mp4"


def test_present_counts_every_sample(root):
    samples = [sample("a"), sample("gone"), sample("b")]
    split = present([*samples, samples[0]], root)
    here, missing = split
    assert [item.video for item in here] == ["a", "b", "a"]
    assert [item.video for item in missing] == ["gone"]
    assert str(split) == "3 present / 4 defined"
    assert str(present([], root)) == "0 present / 0 defined"
    assert str(present(samples, root / "no such folder")) == "0 present / 3 defined"
