"""Bad inputs: one line that names the file and the next step, a stable code, the documented exit code."""

import os
import random
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from make_videos import X264, make_audio, make_video, numbers_in
from videre.errors import VideoError
from videre.video import decode
from videre.video.limits import Limits
from videre.video.open import open_video


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bad")


@pytest.fixture(scope="module")
def good(folder: Path) -> Path:
    return make_video(folder / "good.mp4", 100)


def refusal(source: object, **how: object) -> VideoError:
    """The error of opening, checked for its form."""
    with pytest.raises(VideoError) as caught:
        open_video(source, **how)  # type: ignore[arg-type]
    message = str(caught.value)
    assert "\n" not in message
    assert message.isprintable()
    assert ";" in message  # what is wrong; what to do
    return caught.value


def expect(source: object, code: str, exit_code: int, words: str = "", **how: object) -> None:
    error = refusal(source, **how)
    assert (error.code, error.exit_code) == (code, exit_code)
    assert words in str(error)


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_01_missing_and_dangling(folder: Path, good: Path) -> None:
    expect(folder / "goood.mp4", "no_such_file", 3, "did you mean good.mp4?")
    (folder / "dangling.mp4").symlink_to(folder / "gone.mp4")
    expect(folder / "dangling.mp4", "no_such_file", 3, "a link to a file that is gone")
    expect(good / "inside.mp4", "no_such_file", 3)
    expect("", "no_such_file", 3)
    expect("nul\0byte.mp4", "no_such_file", 3)


def test_02_directory(folder: Path) -> None:
    expect(folder, "is_directory", 3, "/*.mp4?")


def test_03_no_permission(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", denied)
    expect(good, "no_permission", 3, "mode -rw")


def test_04_empty(folder: Path) -> None:
    expect(write(folder / "empty.mp4", b""), "empty_file", 3, "file is empty (0 bytes)")
    expect(b"", "empty_file", 3)


def test_05_truncated_without_index(folder: Path, good: Path) -> None:
    data = good.read_bytes()
    for name, part in {
        "head": data[:3000],
        "half": data[: len(data) // 2],
        "no_moov": data[: data.find(b"moov") - 4],
    }.items():
        expect(write(folder / f"{name}.mp4", part), "truncated", 3, "truncated: index missing; re-mux or re-download")


def test_06_random_bytes_and_text(folder: Path) -> None:
    noise = random.Random(5).randbytes(200_000)
    expect(write(folder / "noise.mp4", noise), "not_a_video", 3, "not a video")
    expect(write(folder / "notes.mp4", b"hello\n"), "not_a_video", 3, "looks like text")
    expect(write(folder / "page.mp4", b"<!DOCTYPE html><html><title>404</title>"), "not_a_video", 3, "web page")
    expect(write(folder / "zip.mp4", b"PK\x03\x04" + noise[:999]), "not_a_video", 3, "ZIP")


def test_07_bit_flips_are_counted_or_refused(folder: Path, good: Path) -> None:
    data = bytearray(good.read_bytes())
    start, end = data.find(b"mdat") + 8, data.find(b"moov")
    chance = random.Random(0)
    for _ in range(60):
        data[chance.randrange(start, end)] ^= chance.randrange(1, 255)
    path = write(folder / "flips.mp4", bytes(data))
    with open_video(path, limits=Limits(max_corrupt=1.0)) as video:
        frames = video.at(np.arange(100) / 25)
        assert 0 < len(frames) <= 100
        assert any(("lost" in note or "damaged" in note) and " at " in note for note in video.notes)
    with open_video(path, limits=Limits(max_corrupt=0.0)) as video:
        with pytest.raises(VideoError, match="do not decode, more than 0%") as caught:
            video.at(np.arange(100) / 25)
        assert (caught.value.code, caught.value.exit_code) == ("damaged", 3)


def test_damage_looks_the_same_on_any_number_of_cores(
    folder: Path, good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = bytearray(good.read_bytes())
    start, end = data.find(b"mdat") + 8, data.find(b"moov")
    chance = random.Random(0)
    for _ in range(60):
        data[chance.randrange(start, end)] ^= chance.randrange(1, 255)
    path, told = write(folder / "flips.mp4", bytes(data)), set()
    for cores in (1, 2, 4):
        monkeypatch.setattr(decode, "usable_cores", lambda cores=cores: cores)
        with open_video(path, limits=Limits(max_corrupt=1.0)) as video:
            frames = video.at(np.arange(100) / 25)
            told.add((tuple(frames.sha256()), video.notes))
    assert len(told) == 1


def test_08_frames_after_a_damaged_middle_keep_their_times(folder: Path, good: Path) -> None:
    with av.open(str(good)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(good.read_bytes())
    for position, size in packets[40:44]:
        data[position : position + size] = bytes(size)
    with open_video(write(folder / "hole.mp4", bytes(data))) as video:
        frames = video.at(np.arange(100) / 25)
        late = frames.seconds > 2.5
        assert numbers_in(frames.pixels[late]) == [round(second * 25) for second in frames.seconds[late]]
        assert any("lost" in note for note in video.notes)


def test_09_header_promises_more_frames(folder: Path) -> None:
    path = make_video(folder / "front.mp4", 100, mux_options={"movflags": "faststart"})
    cut = path.read_bytes()
    with open_video(write(folder / "cut.mp4", cut[: len(cut) * 6 // 10])) as video:
        assert "the file is cut" in video.notes[0]
        frames = video.at([0.0, 1.0, 3.9])
        assert numbers_in(frames.pixels) == [round(second * 25) for second in frames.seconds]
        assert frames.seconds[-1] < video.duration_seconds < 4.0


def test_11_absurd_duration(folder: Path) -> None:
    path = make_video(folder / "absurd.mkv", 3, times_ms=[0, 40, 10**11])
    expect(path, "too_long", 3, "clock is broken")
    expect(make_video(folder / "weeks.mkv", 2, times_ms=[0, 10**9]), "too_long", 7, "cut it into parts")


def test_16_17_sound_only(folder: Path) -> None:
    expect(make_audio(folder / "sound.mp4"), "no_video_track", 3, "no video track (audio only)")
    expect(make_audio(folder / "sound.mp3", codec="libmp3lame"), "no_video_track", 3, "audio only")
    expect(make_audio(folder / "sound.mka", muxer="matroska"), "no_video_track", 3, "audio only")
    expect(write(folder / "sound.wav", b"RIFF\x24\0\0\0WAVEfmt " + bytes(99)), "no_video_track", 3)


def test_18_still_images_and_moving_ones(folder: Path) -> None:
    image = Image.new("RGB", (64, 48), "red")
    for kind in ("jpeg", "png", "bmp", "webp", "tiff"):
        image.save(folder / f"image.{kind}.mp4", kind)
        expect(folder / f"image.{kind}.mp4", "still_image", 3, "not a video")
    others = [Image.new("RGB", (64, 48), colour) for colour in ("green", "blue")]
    for kind in ("gif", "png", "webp"):
        image.save(folder / f"moving.{kind}", kind, save_all=True, append_images=others, duration=100, loop=0)
        with open_video(folder / f"moving.{kind}") as video:
            frames = video.at([0.0, 0.1, 0.2])
            assert len(frames) == 3
            assert frames.seconds == pytest.approx([0.0, 0.1, 0.2])
            assert frames.pixels[2, 2].mean() > 180


def header(box: bytes, width_px: int, height_px: int) -> bytes:
    """A sample entry with its size overwritten."""
    place = box.rfind(b"avc1") + 4 + 24
    return box[:place] + struct.pack(">HH", width_px, height_px) + box[place + 4 :]


def test_24_too_many_pixels_from_the_header(folder: Path, good: Path) -> None:
    path = write(folder / "bomb.mp4", header(good.read_bytes(), 16000, 16000))
    expect(path, "too_many_pixels", 7, "256 Mpx > limit 64 Mpx")
    expect(make_video(folder / "big.mkv", 1), "too_many_pixels", 7, limits=Limits(max_pixels=1000))
    expect(make_video(folder / "big.ts", 1), "too_many_pixels", 7, limits=Limits(max_pixels=1000))


def test_24_a_small_header_over_a_large_picture(folder: Path, good: Path) -> None:
    """The stream itself is larger than the header says; the decoder must not follow it."""
    path = write(
        folder / "lie.mp4", header(make_video(folder / "wide.mp4", 2, size_px=(640, 480)).read_bytes(), 16, 16)
    )
    assert refusal(path, limits=Limits(max_pixels=100_000)).code in ("too_many_pixels", "no_frames")


def test_25_many_frames_are_reached_by_seeking(folder: Path) -> None:
    path = make_video(folder / "many.mp4", 4000, fps=1000, size_px=(48, 16), options={**X264, "g": "250"})
    with open_video(path) as video:
        assert numbers_in(video.at([3.5]).pixels) == [3500]


def test_26_codec_without_a_decoder_and_encryption(folder: Path, good: Path) -> None:
    path = write(folder / "codec.mp4", good.read_bytes().replace(b"avc1", b"zzz9"))
    expect(path, "unknown_codec", 3, "zzz9")
    assert "ffmpeg -i" in str(refusal(path))
    path = write(folder / "drm.mp4", good.read_bytes().replace(b"avc1", b"encv"))
    expect(path, "encrypted", 3, "DRM")


PLAYLISTS = {
    "concat": b"ffconcat version 1.0\nfile good.mp4\n",
    "hls": b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:4.0,\n%s\n#EXT-X-ENDLIST\n",
    "hls_bom": b"\xef\xbb\xbf\r\n#EXTM3U\n%s\n",
    "dash": b'<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>%s</BaseURL></MPD>',
    "sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 18098 RTP/AVP 96\n",
    "pls": b"[playlist]\nFile1=%s\n",
    "asx": b'<asx version="3.0"><entry><ref href="%s"/></entry></asx>',
}


@pytest.fixture
def trap() -> Iterator[tuple[str, list[object]]]:
    """An address on this machine, and the connections that were made to it."""
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(0.05)
    hits: list[object] = []
    yield f"127.0.0.1:{server.getsockname()[1]}", hits
    try:
        connection, peer = server.accept()
        connection.close()
        hits.append(peer)
    except TimeoutError:
        pass
    server.close()
    assert not hits


@pytest.mark.parametrize("name", PLAYLISTS)
@pytest.mark.parametrize("isolate", [False, True])
def test_28_29_playlists_as_path_and_bytes(
    folder: Path, good: Path, name: str, isolate: bool, trap: tuple[str, list[object]]
) -> None:
    for target in (good.name, f"file://{good}", f"http://{trap[0]}/x.ts"):
        text = PLAYLISTS[name].replace(b"%s", target.encode())
        expect(write(folder / f"{name}.mp4", text), "playlist", 7, "playlist files are not videos", isolate=isolate)
        expect(text, "playlist", 7, isolate=isolate)


def test_29_external_references(folder: Path, good: Path) -> None:
    data = good.read_bytes()
    place = data.find(b"url \0\0\0\x01")
    assert place > 0
    outside = data[:place] + b"url \0\0\0\0" + data[place + 8 :]
    expect(write(folder / "outside.mp4", outside), "external_reference", 7, "another file")


STRINGS = (
    "concat:a.mp4|b.mp4",
    "subfile,,start,0,end,9,,:good.mp4",
    "data:video/mp4;base64,AAAA",
    "pipe:0",
    "async:good.mp4",
    "crypto:good.mp4",
    "fd:0",
    "file:good.mp4",
    "http://%s/a.mp4",
    "https://%s/a.mp4",
    "tcp://%s",
    "rtsp://%s/a",
    "ftp://%s/a",
    "hls+http://%s/a.m3u8",
    "cache:http://%s/a.mp4",
)


@pytest.mark.parametrize("text", STRINGS)
def test_30_protocol_strings(text: str, trap: tuple[str, list[object]]) -> None:
    expect(text.replace("%s", trap[0]), "not_a_path", 7, "download it")


NAMES = (
    "-x.mp4",
    "a%03d.mp4",
    "a|b.mp4",
    "a\nb.mp4",
    "\"quoted' name.mp4",
    "x" * 251 + ".mp4",
    "\U0001f3ac.mp4",
    "\u202egnp.mp4",
    "concat:a|b.mp4",
    "http:x.mp4",
    "data:,x",
    "*?.mp4",
    " .mp4",
    "\x1b[31m.mp4",
)


@pytest.mark.parametrize("name", NAMES)
def test_31_odd_names_are_literal(folder: Path, good: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    Path(name).write_bytes(good.read_bytes())
    with open_video(name) as video:
        assert (video.path, len(video.at([1.0]))) == (name, 1)
    Path(name).write_bytes(b"")
    expect(name, "empty_file", 3)
    Path(name).unlink()


def test_31_names_that_are_not_text(folder: Path, good: Path) -> None:
    name = os.fsdecode(os.fsencode(folder) + b"/caf\xe9.mp4")
    with open(name, "wb") as file:
        file.write(good.read_bytes())
    with open_video(name, isolate=True) as video:
        assert len(video.at([1.0])) == 1
    with open(name, "wb"):
        pass
    expect(name, "empty_file", 3, "caf\\udce9.mp4")


def test_32_not_regular_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(folder / "fifo.mp4")
    server = socket.socket(socket.AF_UNIX)
    monkeypatch.chdir(folder)
    server.bind("socket.mp4")
    for path in (
        folder / "fifo.mp4",
        folder / "socket.mp4",
        "/dev/zero",
        "/dev/null",
        "/proc/self/environ",
        "/proc/cpuinfo",
    ):
        expect(path, "not_a_file", 7, "not a regular file")
    (folder / "link.mp4").symlink_to("/proc/self/environ")
    expect(folder / "link.mp4", "not_a_file", 7)
    server.close()


@pytest.mark.parametrize("isolate", [False, True])
def test_34_a_file_that_changes_while_it_is_read(folder: Path, good: Path, isolate: bool) -> None:
    path = write(folder / "changing.mp4", good.read_bytes())
    with open_video(path, isolate=isolate) as video:
        assert len(video.at([1.0])) == 1
        other = make_video(folder / "other.mp4", 100, numbers=range(500, 600))
        other.replace(path)
        with pytest.raises(VideoError, match="changed while it was read") as caught:
            video.at([2.0])
        assert (caught.value.code, caught.value.exit_code) == ("changed", 3)
    path = write(folder / "shrinking.mp4", good.read_bytes())
    with open_video(path, isolate=isolate) as video:
        with path.open("r+b") as file:
            file.truncate(2000)
        with pytest.raises(VideoError):
            video.at([2.0])


def test_nothing_else_is_opened(folder: Path, good: Path, trap: tuple[str, list[object]]) -> None:
    """Demuxers are let loose on a playlist without our sniffing: the whitelists alone hold."""
    from videre.video import container
    from videre.video.source import Source

    for name in ("concat", "hls", "dash", "sdp"):
        text = PLAYLISTS[name].replace(b"%s", f"http://{trap[0]}/x.ts".encode())
        for kind in ("mp4", "matroska", "mpegts"):
            with pytest.raises(VideoError):
                container.open_container(Source(text), kind, Limits())
            with pytest.raises(VideoError):
                container.open_container(Source(write(folder / "loose.mp4", text)), kind, Limits())
