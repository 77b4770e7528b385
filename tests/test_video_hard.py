"""Every file of the shared corpus of hard files has the outcome that its row expects."""

import json
from pathlib import Path

import numpy as np
import pytest

from make_videos import number_in, numbers_in
from videre.errors import VideoError
from videre.video.open import VideoFile, open_video

CORPUS = Path(__file__).resolve().parents[2] / "shared" / "corpus"
ROWS = [json.loads(line) for line in (CORPUS / "hard.jsonl").read_text().splitlines()] if CORPUS.is_dir() else []
pytestmark = pytest.mark.skipif(not ROWS, reason="the shared corpus is not beside the checkout")

REFUSED = {  # file: (code, a word of the message)
    "torchcodec__nasa_13013.mp4.audio.mp3": ("no_video_track", "audio only"),
    "mp4parse__capi_tests_bipbop_nonfragment_header.mp4": ("no_frames", "no decodable frame"),
    "mp4parse__capi_tests_bipbop_cbcs_video_init.mp4": ("encrypted", "encrypted"),
    "mp4parse__capi_tests_chunk_out_of_range.mp4": ("unreadable", "damaged"),
    "mp4parse__capi_tests_short-cenc.mp4": ("encrypted", "encrypted"),
    "mp4parse__capi_tests_zero_empty_stsc.mp4": ("no_frames", "no decodable frame"),
    "gen_truncated_no_moov.mp4": ("truncated", "index missing"),
    "gen_empty.mp4": ("empty_file", "0 bytes"),
    "gen_html_error_page.mp4": ("not_a_video", "web page"),
    "gen_git_lfs_pointer.mp4": ("not_a_video", "LFS"),
    "gen_zero_frames.mp4": ("no_video_track", "no track"),
    "gen_audio_only.mp4": ("no_video_track", "audio only"),
    "gen_cover_art.mp3": ("no_video_track", "audio only"),
}
SHOWN_PX = {
    "decord__video_90.mov": (320, 568),
    "decord__video_180.mov": (568, 320),
    "mp4parse__capi_tests_video_rotation_90.mp4": (60, 100),
    "mp4parse__tests_h264_white_frame_sar_16_9.mp4": (1138, 480),
    "mp4parse__tests_metadata.mp4": (320, 240),
    "gen_rotate_90.mp4": (200, 320),
    "gen_rotate_270.mp4": (200, 320),
    "gen_wrong_extension.avi": (200, 320),
    "gen_two_video_streams.mkv": (320, 240),
    "gen_size_change.ts": (320, 240),
    "gen_anamorphic_sar.mp4": (465, 240),
    "gen_animated.webp": (160, 120),
}
FRAMES = {  # where the strict decoder's count of the row is not the right one
    "decord__corrupted.mp4": 49,
    "mp4parse__capi_tests_no_timescale.mp4": 170,
    "gen_truncated_faststart.mp4": 57,
    "gen_bitflips_mdat.mp4": 99,
    "gen_two_video_streams.mkv": 50,
    "gen_duplicate_pts.mkv": 10,
    "gen_animated.webp": 6,
}
NOTES = {
    "decord__corrupted.mp4": "lost",
    "gen_truncated_faststart.mp4": "cut: 58 of 100",
    "gen_bitflips_mdat.mp4": "1 of 100 frames lost",
    "gen_raw.h264": "25 frames a second are assumed",
    "gen_size_change.ts": "size changes",
    "gen_two_video_streams.mkv": "--track",
    "gen_pq_hdr.mp4": "not tone-mapped",
    "gen_duplicate_pts.mkv": "by their order",
}
DURATION_SECONDS = {
    "moviepy__no_duration.webm": 4.94,
    "gen_pts_wrap.ts": 2.0,
    "gen_live_no_duration.mkv": 2.0,
    "gen_edit_list_trim.mp4": 2.5,
    "gen_edit_list_delay.mp4": 2.0,
    "gen_fps_120.mp4": 2.0,
    "gen_fps_1.mp4": 20.0,
    "gen_two_hours_1fps.mp4": 7200.0,
    "gen_size_change.ts": 2.0,
}
TURNED = {  # displayed picture back to the coded one, where the number strip is at the top
    "gen_rotate_90.mp4": lambda picture: np.rot90(picture, 1),
    "gen_wrong_extension.avi": lambda picture: np.rot90(picture, 1),
    "gen_rotate_180.mp4": lambda picture: np.rot90(picture, 2),
    "gen_rotate_270.mp4": lambda picture: np.rot90(picture, 3),
    "gen_mirrored_hflip.mp4": lambda picture: picture[:, ::-1],
}


def row_id(row: dict) -> str:
    return Path(row["file"]).name


def everything(video: VideoFile) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and times of all frames."""
    fps = min(2.5 * max(video.info["fps_avg"], 20), 400)
    chunks = list(video.stream(fps))
    return np.concatenate([chunk.pixels for chunk in chunks]), np.concatenate([chunk.seconds for chunk in chunks])


@pytest.mark.parametrize("row", ROWS, ids=row_id)
def test_row(row: dict) -> None:
    name, path = row_id(row), CORPUS / row["file"]
    if name in REFUSED:
        code, words = REFUSED[name]
        with pytest.raises(VideoError, match=words) as caught:
            open_video(path)
        assert (caught.value.code, caught.value.exit_code) == (code, 3)
        assert name.split(".")[0] in str(caught.value)
        assert "\n" not in str(caught.value)
        return
    if name == "gen_two_hours_1fps.mp4":
        return  # test_two_hours
    with open_video(path) as video:
        pixels, seconds = everything(video)
        measured = row["measured"]
        assert len(pixels) == FRAMES.get(name, measured["decoded_frames_pyav_strict"])
        assert seconds[0] == 0.0
        assert (np.diff(seconds) > 0).all()
        assert seconds[-1] < video.duration_seconds + 1e-9
        width, height = measured["coded_size"]
        assert (video.width_px, video.height_px) == SHOWN_PX.get(name, (width, height))
        assert NOTES.get(name, "") in " ".join(video.notes)
        if name in DURATION_SECONDS:
            assert video.duration_seconds == pytest.approx(DURATION_SECONDS[name], abs=0.01)
        if "true_pts_ms" in row:
            assert seconds == pytest.approx(np.array(row["true_pts_ms"]) / 1000, abs=6e-4)
        check_numbers(name, row, pixels)


def check_numbers(name: str, row: dict, pixels: np.ndarray) -> None:
    """The frames are the right ones, in the right order."""
    start = row["burnt_in_index_start"]
    if name in ("gen_bitflips_mdat.mp4", "gen_duplicate_pts.mkv") or start is None:
        return
    pictures = [TURNED.get(name, lambda picture: picture)(picture.transpose(1, 2, 0)) for picture in pixels]
    numbers = [number_in(picture) for picture in pictures]
    expected = list(range(start, start + len(numbers)))
    if name == "gen_dropped_packets.mp4":
        expected = [*range(16), *range(24, 40)]
    if name == "gen_edit_list_trim.mp4":
        expected = list(range(75, 150))
    assert numbers == expected


def test_two_hours_is_reached_by_seeking() -> None:
    with open_video(CORPUS / "hard/gen_two_hours_1fps.mp4") as video:
        assert video.duration_seconds == 7200.0
        frames = video.at([0.5, 3600.2, 7000.0, 8000.0])
        assert frames.seconds.tolist() == [0.0, 3600.0, 7000.0, 7199.0]
        assert numbers_in(frames.pixels) == [0, 3600, 7000 % 4096, 7199 % 4096]


def test_frames_around_damage_keep_number_and_time() -> None:
    with open_video(CORPUS / "hard/gen_bitflips_mdat.mp4") as video:
        frames = video.at([*np.arange(0, 1.2, 0.04), *np.arange(2.8, 4.0, 0.04)])
        assert numbers_in(frames.pixels) == [round(second / 0.04) for second in frames.seconds]


def test_damage_above_the_limit_is_refused() -> None:
    from videre.video.limits import Limits

    with open_video(CORPUS / "hard/mp4parse__capi_tests_no_timescale.mp4", limits=Limits(max_corrupt=0.01)) as video:
        with pytest.raises(VideoError, match="12 of 182 frames do not decode") as caught:
            video.at(np.arange(0, 6, 0.03))
        assert (caught.value.code, caught.value.exit_code) == ("damaged", 3)


def test_both_fields_of_interlaced_pictures_are_told_apart() -> None:
    for name in ("gen_interlaced_tff.mp4", "gen_mpeg2_interlaced.ts"):
        with open_video(CORPUS / "hard" / name) as video:
            assert video.info["interlaced"] is True
            frames = video.at(np.arange(25) / 25)
            assert numbers_in(frames.pixels) == list(range(0, 50, 2))  # the field that is shown first


def test_grey_and_full_range_keep_their_brightness() -> None:
    for name in ("gen_gray_ffv1.avi", "gen_mjpeg_fullrange.avi"):
        with open_video(CORPUS / "hard" / name) as video:
            strip = video.at([0.04 * 5]).pixels[0, :, video.height_px // 8]  # number 5: ten black blocks, then 1 0 1
            block = video.width_px // 12
            assert np.abs(strip[:, block // 2].astype(int) - 16).max() <= 4
            assert np.abs(strip[:, 11 * block + block // 2].astype(int) - 235).max() <= 4


@pytest.mark.parametrize("clip", sorted((CORPUS / "clips").glob("*")) if ROWS else [], ids=lambda path: path.name)
def test_clips_of_the_corpus_open_with_true_times(clip: Path) -> None:
    with open_video(clip) as video:
        moments = (np.arange(4) + 0.5) / 4 * video.duration_seconds
        frames = video.at(moments, size_px=64)
        assert (frames.seconds <= moments[: len(frames)] + 1e-6).all()
        assert all("video tracks" in note for note in video.notes)
