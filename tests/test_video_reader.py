"""The reader's contract, over every way to read: PyAV, torchcodec, and a process of its own."""

import hashlib
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from make_videos import CONTAINERS, X264, make_video, numbered, numbers_in
from videre.errors import VideoError
from videre.types import Frames, Video
from videre.video.decode import Decoder
from videre.video.index import UntrustedIndexError
from videre.video.limits import Limits
from videre.video.open import VideoFile, open_video

FPS, COUNT = 25, 60
VFR_MS = np.concatenate([[0], np.cumsum([20, 33, 400, 100, 20, 40] * 10)])[:COUNT].tolist()
Opener = Callable[..., VideoFile]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("videos")


@pytest.fixture(scope="module")
def plain(folder: Path) -> Path:
    return make_video(
        folder / "plain.mp4", COUNT, options={**X264, "preset": "veryfast", "bf": "3", "b-pyramid": "normal"}
    )


@pytest.fixture(scope="module")
def uneven(folder: Path) -> Path:
    return make_video(folder / "uneven.mp4", COUNT, times_ms=VFR_MS)


@pytest.fixture(params=["pyav", "isolated", pytest.param("torchcodec", marks=pytest.mark.torchcodec)])
def opened(request: pytest.FixtureRequest) -> Opener:
    """`open_video` over each way to read."""
    if request.param == "torchcodec":
        try:
            import torchcodec.decoders  # noqa: F401
        except (ImportError, RuntimeError, OSError) as error:
            pytest.skip(f"torchcodec cannot be loaded: {str(error).splitlines()[0]}")
        return partial(open_video, backend="torchcodec")
    return partial(open_video, isolate=request.param == "isolated")


def true_times(path: Path) -> np.ndarray:
    """Display times of a sound file, by decoding all of it with nothing of ours."""
    with av.open(str(path)) as container:
        times = sorted(float(frame.pts * frame.time_base) for frame in container.decode(video=0))
    return np.array(times) - times[0]


def test_it_is_a_video(opened: Opener, plain: Path) -> None:
    with opened(plain) as video:
        assert isinstance(video, Video)
        assert (video.path, video.width_px, video.height_px) == (str(plain), 192, 128)
        assert video.duration_seconds == pytest.approx(COUNT / FPS)
        assert video.notes == ()


def test_every_moment_gives_the_frame_shown_then(opened: Opener, uneven: Path) -> None:
    times = np.array(VFR_MS) / 1000
    moments = np.linspace(0, times[-1] + 1, 37)
    with opened(uneven) as video:
        frames = video.at(moments.tolist())
    expected = sorted({int(np.searchsorted(times, moment + 1e-9, "right")) - 1 for moment in moments})
    assert numbers_in(frames.pixels) == expected
    assert frames.seconds == pytest.approx(times[expected], abs=1e-6)


def test_a_frames_own_time_gives_that_frame(opened: Opener, plain: Path) -> None:
    with opened(plain) as video:
        seconds = video.at(np.arange(COUNT) / FPS).seconds
        again = video.at(seconds)
    assert numbers_in(again.pixels) == list(range(COUNT))
    assert again.seconds.tolist() == seconds.tolist()


def test_moments_outside_are_the_first_and_last_frame(opened: Opener, plain: Path) -> None:
    with opened(plain) as video:
        frames = video.at([-5.0, 1e9, 1e18, 1e308])
    assert numbers_in(frames.pixels) == [0, COUNT - 1]


def test_moments_in_any_order_and_doubled_give_each_frame_once(opened: Opener, plain: Path) -> None:
    with opened(plain) as video:
        frames = video.at([2.0, 0.5, 0.51, 2.0])
    assert numbers_in(frames.pixels) == [12, 50]


def test_a_stream_is_what_at_gives(opened: Opener, uneven: Path) -> None:
    with opened(uneven) as video:
        chunks = list(video.stream(7.0, 0.9))
        moments = np.arange(0.9, video.duration_seconds, 1 / 7)
        at_once = video.at(moments)
    assert np.concatenate([chunk.seconds for chunk in chunks]).tolist() == at_once.seconds.tolist()
    assert np.array_equal(np.concatenate([chunk.pixels for chunk in chunks]), at_once.pixels)


def test_a_stream_and_at_do_not_disturb_each_other(opened: Opener, plain: Path) -> None:
    with opened(plain) as video:
        numbers = []
        for chunk in video.stream(25.0):
            numbers += numbers_in(chunk.pixels)
            assert numbers_in(video.at([1.0]).pixels) == [25]
    assert numbers == list(range(COUNT))


def test_smaller_frames_are_made_beside_the_decoder(opened: Opener, plain: Path) -> None:
    with opened(plain) as video:
        small = video.at([0.4, 1.2], size_px=96)
        assert (small.width_px, small.height_px) == (96, 64)
        assert numbers_in(small.pixels) == [10, 30]
        assert video.at([0.4], size_px=10_000).width_px == 192


def test_bytes_read_like_their_file(opened: Opener, uneven: Path) -> None:
    with opened(uneven.read_bytes()) as from_bytes, opened(uneven) as from_path:
        assert from_bytes.path == ""
        assert from_bytes.at([0.0, 1.5]).sha256() == from_path.at([0.0, 1.5]).sha256()


def test_info_is_for_the_record(opened: Opener, uneven: Path) -> None:
    with opened(uneven) as video:
        info = video.info
    assert info["sha256"] == hashlib.sha256(uneven.read_bytes()).hexdigest()
    assert (info["codec"], info["frames"], info["vfr"], info["rotation"]) == ("h264", COUNT, True, 0)
    assert info["fps_avg"] == pytest.approx((COUNT - 1) / (VFR_MS[-1] / 1000), rel=1e-3)
    assert info["duration_seconds"] == pytest.approx(video.duration_seconds)
    assert info["notes"] == []


def test_wrong_arguments(opened: Opener, plain: Path) -> None:
    with opened(plain) as video:
        for moments in ([], [float("nan")], [float("inf")]):
            with pytest.raises(ValueError, match="finite"):
                video.at(moments)
        with pytest.raises(ValueError, match="fps"):
            video.stream(0.0)
        with pytest.raises(ValueError, match="size_px"):
            video.at([0.0], size_px=0)
    with pytest.raises((ValueError, TypeError), match="backend"):  # a type error where shapes are checked
        open_video(plain, backend="opencv")  # type: ignore[arg-type]


def test_closing_twice_is_harmless(opened: Opener, plain: Path) -> None:
    video = opened(plain)
    video.close()
    video.close()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moments=st.lists(st.floats(0, 7), min_size=1, max_size=9))
def test_any_moments_equal_a_full_decode(uneven: Path, moments: list[float]) -> None:
    times = np.array(VFR_MS) / 1000
    with open_video(uneven) as video:
        frames = video.at(moments)
    expected = sorted({max(int(np.searchsorted(times, moment + 1e-7, "right")) - 1, 0) for moment in moments})
    assert numbers_in(frames.pixels) == expected
    assert (np.diff(frames.seconds) > 0).all()


@pytest.mark.parametrize("codec", ["libx264", "libx265", "mpeg4", "mpeg2video", "libvpx-vp9"])
def test_skipping_leaves_the_same_pixels(folder: Path, codec: str) -> None:
    """A frame reached by a jump, with others left out, is bit for bit the frame of a full decode."""
    suffix = "webm" if codec == "libvpx-vp9" else "mp4"
    options = {"preset": "veryfast", "g": "24", "bf": "4", "b-pyramid": "normal"} if codec == "libx264" else None
    path = make_video(folder / f"jump-{codec}.{suffix}", 72, codec=codec, options=options)
    with av.open(str(path)) as container:
        whole = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    with open_video(path) as video:
        for numbers in ([3], [23, 24, 25], [7, 11, 30, 31, 70], list(range(0, 72, 5))):
            frames = video.at([number / FPS for number in numbers])
            for number, picture in zip(numbers, frames.pixels, strict=True):
                assert np.array_equal(picture.transpose(1, 2, 0), whole[number])


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_every_promised_container_opens(folder: Path, suffix: str) -> None:
    muxer, codec = CONTAINERS[suffix]
    pixel_format = {"gif": "rgb8", "apng": "rgb24"}.get(suffix, "yuv420p")
    path = make_video(folder / f"promised.{suffix}", 20, muxer=muxer, codec=codec, pixel_format=pixel_format)
    renamed = path.rename(path.with_suffix(".bin"))  # by content, not by name
    with open_video(renamed) as video:
        frames = video.at(np.arange(20) / FPS)
        assert numbers_in(frames.pixels) == list(range(20))
        assert frames.seconds == pytest.approx(np.arange(20) / FPS, abs=2e-3)


@pytest.mark.parametrize("start_ms", [0, 5000, 101_400])
@pytest.mark.parametrize("suffix", ["mkv", "ts", "mp4"])
def test_time_counts_from_the_first_displayed_frame(folder: Path, suffix: str, start_ms: int) -> None:
    times = [start_ms + 40 * number for number in range(30)]
    path = make_video(folder / f"late{start_ms}.{suffix}", 30, times_ms=times)
    with open_video(path) as video:
        frames = video.at([0.0, 0.5, 1.16])
        assert numbers_in(frames.pixels) == [0, 12, 29]
        assert frames.seconds == pytest.approx([0.0, 0.48, 1.16], abs=1e-3)
        assert video.duration_seconds == pytest.approx(1.2, abs=0.05)


def test_fragments_without_counts(folder: Path) -> None:
    flags = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    path = make_video(folder / "fragments.mp4", 30, mux_options=flags)
    with open_video(path) as video:
        assert video.info["frames"] == 30
        assert numbers_in(video.at([0.0, 0.8]).pixels) == [0, 20]


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_turned_pictures_are_upright(opened: Opener, folder: Path, degrees: int) -> None:
    path = make_video(folder / f"turned{degrees}.mp4", 5, rotation_degrees=degrees)
    upright = np.rot90(numbered(2), -degrees // 90)
    with opened(path) as video:
        assert video.info["rotation"] == degrees
        assert (video.height_px, video.width_px) == upright.shape[:2]
        picture = video.at([2 / FPS]).pixels[0].transpose(1, 2, 0)
    assert np.abs(picture.astype(int) - upright).mean() < 6


@pytest.mark.parametrize(("aspect", "size"), [(Fraction(2, 1), (384, 128)), (Fraction(1, 2), (192, 256))])
def test_pixels_are_made_square(opened: Opener, folder: Path, aspect: Fraction, size: tuple[int, int]) -> None:
    path = make_video(folder / f"wide{aspect.numerator}.mp4", 5, pixel_aspect=aspect)
    with opened(path) as video:
        assert (video.width_px, video.height_px) == size
        assert numbers_in(video.at([3 / FPS]).pixels) == [3]


@pytest.mark.parametrize(
    ("codec", "pixel_format", "suffix"),
    [
        ("libx264", "yuv444p", "mp4"),
        ("libx264", "yuv422p10le", "mp4"),
        ("libx265", "yuv420p10le", "mp4"),
        ("libx265", "yuv420p12le", "mp4"),
        ("libx264", "gray", "mp4"),
        ("libvpx-vp9", "yuva420p", "webm"),
        ("ffv1", "bgra", "mkv"),
        ("libx265", "gbrp", "mp4"),
        ("ffv1", "gray16le", "mkv"),
        ("mjpeg", "yuvj422p", "avi"),
        ("qtrle", "argb", "mov"),
    ],
)
def test_colours_are_right_in_every_pixel_format(folder: Path, codec: str, pixel_format: str, suffix: str) -> None:
    path = make_video(folder / f"{codec}-{pixel_format}.{suffix}", 4, codec=codec, pixel_format=pixel_format)
    expected = numbered(2).astype(int)
    if "gray" in pixel_format:
        expected = np.repeat((expected @ [0.299, 0.587, 0.114])[..., None], 3, -1)
    with open_video(path) as video:
        picture = video.at([2 / FPS]).pixels[0].transpose(1, 2, 0).astype(int)
    assert np.abs(picture - expected).mean() < 8
    assert np.abs(picture[100, 20] - expected[100, 20]).max() <= 12


@pytest.mark.parametrize("size", [(193, 129), (17, 33), (191, 128)])
def test_odd_sizes_have_no_edge(folder: Path, size: tuple[int, int]) -> None:
    path = make_video(folder / f"odd{size[0]}.mp4", 3, size_px=size, pixel_format="yuv444p")
    with open_video(path) as video:
        picture = video.at([0.0]).pixels[0].transpose(1, 2, 0)
    assert (video.width_px, video.height_px) == size
    assert np.abs(picture[:, -1].astype(int) - numbered(0, *size)[:, -1]).mean() < 10
    assert np.abs(picture[-1].astype(int) - numbered(0, *size)[-1]).mean() < 10


@pytest.mark.parametrize("standard", [1, 5, 9])
def test_the_colour_matrix_of_the_file_is_used(folder: Path, standard: int) -> None:
    """BT.709, BT.601 and BT.2020 tags: the same colour comes back."""
    path = folder / f"matrix{standard}.mkv"
    colour = np.full((64, 64, 3), (200, 60, 30), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv444p"
        stream.codec_context.colorspace = standard
        to = {1: "itu709", 5: "itu601", 9: "bt2020"}[standard]
        frame = av.VideoFrame.from_ndarray(colour, format="rgb24").reformat(format="yuv444p", dst_colorspace=to)
        frame.colorspace, frame.pts = standard, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with open_video(path) as video:
        assert np.abs(video.at([0.0]).pixels[0, :, 30, 30].astype(int) - [200, 60, 30]).max() <= 4


def test_hdr_white_is_white_and_dark_stays_dark(folder: Path) -> None:
    """PQ code 0.58 is 203 cd/m2, reference white; 0.25 is about 5 cd/m2.

    No B frames: with them x265 leaves the decoding time of a lone frame unset, and the file cannot always be written.
    """
    tags = "transfer=smpte2084:colorprim=bt2020:colormatrix=bt2020nc:bframes=0:log-level=none"
    path = folder / "pq.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx265", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p10le"
        stream.options = {"preset": "ultrafast", "crf": "5", "x265-params": tags}
        picture = np.repeat(np.where(np.arange(64) < 32, 0.58, 0.25)[None, :, None] * 65535, 64, 0).repeat(3, 2)
        frame = av.VideoFrame.from_ndarray(picture.astype("<u2"), format="rgb48le")
        frame = frame.reformat(format="yuv420p10le", dst_colorspace="bt2020")
        frame.pts = 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with open_video(path) as video:
        shown = video.at([0.0]).pixels[0, :, 32]
        assert "HDR (PQ) was tone-mapped" in video.notes[0]
    assert shown[:, 8].min() >= 225
    assert 30 <= shown[:, 56].min() <= shown[:, 56].max() <= 60


def test_one_frame(opened: Opener, folder: Path) -> None:
    with opened(make_video(folder / "one.mp4", 1)) as video:
        frames = video.at(np.linspace(0, 1, 8))
        assert len(frames) == 1
        assert [len(chunk) for chunk in video.stream(10)] == [1]
        assert video.duration_seconds == pytest.approx(0.04)


@pytest.mark.parametrize("fps", [1, 240])
def test_slow_and_fast_clocks(folder: Path, fps: int) -> None:
    with open_video(make_video(folder / f"fps{fps}.mp4", 12, fps=fps)) as video:
        assert video.info["fps_avg"] == pytest.approx(fps, rel=1e-3)
        assert numbers_in(video.at([5.5 / fps]).pixels) == [5]


def test_limits_on_what_one_call_returns(plain: Path) -> None:
    with open_video(plain, limits=Limits(max_frames=3)) as video:
        with pytest.raises(VideoError, match="4 frames > limit 3") as caught:
            video.at([0, 1, 2, 3])
        assert (caught.value.code, caught.value.exit_code) == ("too_many_frames", 7)
    with open_video(plain, limits=Limits(max_bytes=100_000)) as video:
        with pytest.raises(VideoError, match="size_px") as caught:
            video.at([0, 1])
        assert caught.value.exit_code == 7
        assert len(video.at([0, 1], size_px=64)) == 2
    with pytest.raises(VideoError, match="2 s > limit 1 s") as caught:
        open_video(plain, limits=Limits(max_seconds=1.0))
    assert (caught.value.code, caught.value.exit_code) == ("too_long", 7)


def test_limits_check_themselves() -> None:
    with pytest.raises(ValueError, match="max_frames"):
        Limits(max_frames=0)
    with pytest.raises(ValueError, match="max_corrupt"):
        Limits(max_corrupt=1.5)


def test_tracks_are_counted_from_zero(folder: Path) -> None:
    path = folder / "tracks.mkv"
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("libx264", rate=25) for _ in range(2)]
        for stream, size in zip(streams, ((96, 64), (192, 128)), strict=True):
            stream.width, stream.height, stream.pix_fmt, stream.options = *size, "yuv420p", dict(X264)
        for number in range(10):
            for stream, offset in zip(streams, (0, 100), strict=True):
                frame = av.VideoFrame.from_ndarray(
                    numbered(number + offset, stream.width, stream.height), format="rgb24"
                )
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode(None))
    with open_video(path) as video:
        assert numbers_in(video.at([0.0]).pixels) == [100]
        assert "2 video tracks: track 1 was taken" in video.notes[0]
    with open_video(path, track=0) as video:
        assert numbers_in(video.at([0.2]).pixels) == [5]
    with pytest.raises(VideoError, match=r"no video track 2; choose one of 0\.\.1") as caught:
        open_video(path, track=2)
    assert caught.value.exit_code == 2


def test_many_threads_share_a_video(plain: Path) -> None:
    found: list[Frames] = []
    with open_video(plain) as video:
        threads = [threading.Thread(target=lambda k=k: found.append(video.at([k / 10]))) for k in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(numbers_in(np.concatenate([frames.pixels for frames in found]))) == [int(2.5 * k) for k in range(8)]


def test_true_times_of_reordered_frames(plain: Path) -> None:
    with open_video(plain) as video:
        assert video.at(np.arange(COUNT) / FPS).seconds == pytest.approx(true_times(plain), abs=1e-6)


def test_frames_far_from_their_key_frame_are_found_without_comparing_all_pairs() -> None:
    decoder = object.__new__(Decoder)
    decoder._seen = []
    began = time.process_time()
    for number in range(30_000):
        decoder._see(SimpleNamespace(pts=number, dts=number, is_discard=False))
    assert time.process_time() - began < 3, "pair by pair it takes some ten seconds"
    with pytest.raises(UntrustedIndexError):
        decoder._see(SimpleNamespace(pts=7, dts=7, is_discard=False))
