"""Opens a sniffed file with PyAV under whitelists and chooses the picture track."""

from collections.abc import Iterator
from typing import Any

import av

from videre.errors import REFUSED, USAGE, VideoError
from videre.video.boxes import Mp4Facts, read_mp4_facts
from videre.video.limits import Limits
from videre.video.sniff import DEMUXERS, audio_only, sniff
from videre.video.source import Source


def inspect(source: Source, limits: Limits) -> tuple[str, Mp4Facts]:
    """The container kind and its MP4 facts; everything that can be refused before FFmpeg is refused here."""
    kind = sniff(source)
    facts = read_mp4_facts(source) if kind == "mp4" else Mp4Facts()
    if facts.external:
        raise VideoError(
            f"{source.name}: its pictures lie in another file (external reference); re-mux it",
            code="external_reference",
            exit_code=REFUSED,
        )
    for width_px, height_px in facts.sizes_px:
        check_size(source.name, width_px, height_px, limits)
    if kind == "mp4" and not (facts.has_index or facts.fragmented):
        raise VideoError(f"{source.name}: truncated: index missing; re-mux or re-download", code="truncated")
    return kind, facts


def check_size(name: str, width_px: int, height_px: int, limits: Limits) -> None:
    """Raises `VideoError` ("too_many_pixels") above the limit."""
    if width_px * height_px > limits.max_pixels:
        size, limit = width_px * height_px / 1e6, limits.max_pixels / 1e6
        raise VideoError(
            f"{name}: {width_px}x{height_px} = {size:.0f} Mpx > limit {limit:.0f} Mpx; shrink it",
            code="too_many_pixels",
            exit_code=REFUSED,
        )


def open_container(source: Source, kind: str, limits: Limits) -> Any:
    """A PyAV container that can read this one file and nothing else. Raises `VideoError`."""
    options = {
        "protocol_whitelist": "none",  # nothing FFmpeg could open by name: it reads through our reader alone
        "format_whitelist": DEMUXERS[kind],
        "max_pixels": str(limits.max_pixels),
    }
    try:
        return av.open(source.reader(), mode="r", options=options, buffer_size=1 << 16, metadata_errors="replace")
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise unreadable(source.name, error) from error


def unreadable(name: str, error: BaseException) -> VideoError:
    """The error for content that no demuxer or decoder accepts."""
    reason = str(getattr(error, "strerror", "") or error).lower()
    return VideoError(
        f"{name}: damaged or not a {'video' if not reason else 'readable video'} ({reason}); "
        "re-download it or convert it to MP4",
        code="unreadable",
    )


def choose_track(container: Any, name: str, track: int | None) -> tuple[Any, str]:
    """The stream to show and a note where there was a choice.

    Without `track` it is the default track, and among equals the one with most pixels; `track` counts the moving
    picture tracks from 0.
    """
    streams = [stream for stream in container.streams.video if not _is_picture(stream)]
    if not streams:
        raise audio_only(name, "audio only" if len(container.streams) else "no track at all")
    if track is not None:
        if not 0 <= track < len(streams):
            raise VideoError(
                f"{name}: no video track {track}; choose one of 0..{len(streams) - 1}",
                code="no_such_track",
                exit_code=USAGE,
            )
        return streams[track], f"track {track} of {len(streams)} was asked for" if len(streams) > 1 else ""
    best = max(streams, key=lambda stream: (_is_default(stream), _pixels(stream), -stream.index))
    if len(streams) == 1:
        return best, ""
    return best, f"{len(streams)} video tracks: track {streams.index(best)} was taken; choose another with --track"


def check_decoder(stream: Any, facts: Mp4Facts, name: str) -> None:
    """Raises `VideoError` where the codec cannot be decoded: "encrypted", "unknown_codec"."""
    if facts.encrypted:
        codec = ", ".join(facts.codecs)
        raise VideoError(
            f"{name}: encrypted (DRM-protected {codec}); only its publisher's player can show it", code="encrypted"
        )
    if stream.codec_context is None or not stream.codec_context.codec:
        codec = ", ".join(facts.codecs) or "of unknown name"
        raise VideoError(
            f"{name}: no decoder for codec {codec}; convert it: ffmpeg -i IN -c:v libx264 OUT.mp4", code="unknown_codec"
        )


def packets(container: Any, stream: Any) -> Iterator[Any]:
    """The packets from the current position on; a damaged end is an end."""
    demuxed = container.demux(stream)
    while True:
        try:
            packet = next(demuxed)
        except (StopIteration, EOFError):
            return
        except av.error.FFmpegError:
            return
        if packet.size:
            yield packet


def _is_picture(stream: Any) -> bool:
    """Cover art and thumbnails."""
    return bool(stream.disposition & type(stream.disposition).attached_pic)


def _is_default(stream: Any) -> bool:
    return bool(stream.disposition & type(stream.disposition).default)


def _pixels(stream: Any) -> int:
    context = stream.codec_context
    return context.width * context.height if context is not None else 0
