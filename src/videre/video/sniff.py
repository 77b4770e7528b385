"""What kind of file these bytes are, judged by us and not by a demuxer's guess or a file name.

The answer picks the only demuxers that FFmpeg may use for the file. Playlists are refused here: they are the formats
that make a reader open something else.
"""

import struct

from videre.errors import REFUSED, VideoError
from videre.video.source import Source

DEMUXERS = {
    "mp4": "mov,mp4,m4a,3gp,3g2,mj2",
    "matroska": "matroska,webm",
    "avi": "avi",
    "mpegts": "mpegts",
    "mpeg": "mpeg",
    "mpegvideo": "mpegvideo",
    "m4v": "m4v",
    "h264": "h264",
    "hevc": "hevc",
    "ivf": "ivf",
    "flv": "flv",
    "asf": "asf",
    "ogg": "ogg",
    "mxf": "mxf",
    "nut": "nut",
    "dv": "dv",
    "yuv4mpeg": "yuv4mpegpipe",
    "gif": "gif",
    "apng": "apng",
    "webp": "",  # decoded by Pillow: FFmpeg before 8.1 has no animated WebP
}
"""Every container that is opened, with the demuxers allowed for it."""

_MAGIC = (
    (0, b"\x1a\x45\xdf\xa3", "matroska"),
    (0, b"OggS", "ogg"),
    (0, b"FLV\x01", "flv"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf"),
    (0, b"DKIF", "ivf"),
    (0, b"\x06\x0e\x2b\x34\x02\x05\x01\x01", "mxf"),
    (0, b"nut/multimedia container\0", "nut"),
    (0, b"YUV4MPEG2 ", "yuv4mpeg"),
    (0, b"\x1f\x07\x00", "dv"),
    (0, b"GIF8", "gif"),
    (0, b"\0\0\x01\xba", "mpeg"),
    (0, b"\0\0\x01\xb3", "mpegvideo"),
)
_ATOMS = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"moof", b"styp", b"sidx", b"uuid")
_STILLS = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
)
_STILL_BRANDS = (b"avif", b"heic", b"heix", b"mif1", b"msf1")
_SOUNDS = (b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2", b"\xff\xf1", b"\xff\xf9", b"fLaC", b"wvPK", b"MAC ", b"#!AMR")
_OTHERS = (
    (b"PK\x03\x04", "a ZIP archive"),
    (b"%PDF", "a PDF"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"Rar!", "a RAR archive"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"SQLite", "a database"),
)
_PLAYLISTS = (
    "#extm3u",
    "ffconcat",
    "<mpd",
    "<smoothstreamingmedia",
    "[playlist]",
    "[reference]",
    "<asx",
    "<smil",
    "v=0",
    "rtsp",
    "http://",
    "https://",
    "file ",
    "<playlist",
)


def sniff(source: Source) -> str:
    """The container, a key of `DEMUXERS`.

    Raises:
        VideoError: "empty_file", "playlist" (refused), "still_image", "no_video_track", "not_a_video".
    """
    if source.size_bytes == 0:
        raise VideoError(f"{source.name}: file is empty (0 bytes); copy or download it again", code="empty_file")
    head = source.read(0, 4096)
    kind = _container(head)
    if kind:
        return kind
    if head.startswith(b"RIFF"):
        return _riff(head, source.name)
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        if _is_animated_png(source):
            return "apng"
        raise _still(source.name, "PNG")
    _refuse_known(head, source.name)
    raise VideoError(
        f"{source.name}: not a video (unknown content); check the file or convert it to MP4", code="not_a_video"
    )


def _container(head: bytes) -> str:
    if head[4:8] in _ATOMS and not (head[4:8] == b"ftyp" and head[8:12] in _STILL_BRANDS):
        return "mp4"
    for start, magic, kind in _MAGIC:
        if head.startswith(magic, start):
            return kind
    if _is_transport_stream(head):
        return "mpegts"
    return _raw_video(head)


def _is_transport_stream(head: bytes) -> bool:
    """Five sync bytes at the distance of a packet: 188, with time codes 192, with error correction 204."""
    for step in (188, 192, 204):
        for start in range(step):
            if len(head) > start + 4 * step and all(head[start + k * step] == 0x47 for k in range(5)):
                return True
    return len(head) >= 188 and len(head) % 188 == 0 and all(byte == 0x47 for byte in head[::188])


def _raw_video(head: bytes) -> str:
    """A stream without a container: its first start code names the codec."""
    start = 4 if head.startswith(b"\0\0\0\x01") else 3 if head.startswith(b"\0\0\x01") else 0
    if not start or len(head) < 16:
        return ""
    unit = head[start]
    if unit in (0xB0, 0xB5) or (0x20 <= unit <= 0x2F and b"\0\0\x01\xb6" in head):
        return "m4v"
    if unit & 0x9F in (7, 9) or (unit == 6 and b"\0\0\x01\x67" in head):  # parameters, delimiter, or remarks first
        return "h264"
    return "hevc" if (unit >> 1) & 0x3F in (32, 33, 35) and unit & 0x81 == 0 else ""


def _riff(head: bytes, name: str) -> str:
    form = head[8:12]
    if form in (b"AVI ", b"AVIX"):
        return "avi"
    if form == b"WEBP":
        if head[12:16] == b"VP8X" and len(head) > 20 and head[20] & 2:
            return "webp"
        raise _still(name, "WebP")
    if form == b"WAVE":
        raise audio_only(name)
    raise VideoError(f"{name}: not a video (RIFF of another kind); convert it to MP4", code="not_a_video")


def _is_animated_png(source: Source) -> bool:
    """Whether an animation chunk stands before the picture data."""
    position = 8
    for _ in range(64):
        chunk = source.read(position, 8)
        if len(chunk) < 8 or chunk[4:] == b"IDAT":
            return False
        if chunk[4:] == b"acTL":
            return True
        position += 12 + struct.unpack(">I", chunk[:4])[0]
    return False


def _refuse_known(head: bytes, name: str) -> None:
    """Raises the error for content that is something else."""
    for magic, what in _STILLS:
        if head.startswith(magic):
            raise _still(name, what)
    if head[4:8] == b"ftyp":
        raise _still(name, "HEIF or AVIF")
    if head.startswith(_SOUNDS):
        raise audio_only(name)
    for magic, what in _OTHERS:
        if head.startswith(magic):
            raise VideoError(f"{name}: not a video (looks like {what}); pass the video itself", code="not_a_video")
    text = _as_text(head)
    if text is None:
        return
    if text.lstrip("\ufeff \t\r\n").lower().startswith(_PLAYLISTS) or "<mpd" in text[:2048].lower():
        what = "playlist files are not videos; pass the video itself"
        raise VideoError(f"{name}: {what}", code="playlist", exit_code=REFUSED)
    if text.startswith("version https://git-lfs"):
        raise VideoError(f"{name}: a Git LFS pointer, not the video; run: git lfs pull", code="not_a_video")
    kind = "a web page" if "<html" in text.lower() or "<!doctype html" in text.lower() else "text"
    raise VideoError(f"{name}: not a video (looks like {kind}); download the video itself", code="not_a_video")


def _as_text(head: bytes) -> str | None:
    """The start of a text file, None for binary content."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return head[: len(head) // 2 * 2].decode("utf-16", "replace")
    text = head.decode("utf-8", "replace")
    odd = sum(not (char.isprintable() or char in "\r\n\t\ufeff") or char == "\ufffd" for char in text)
    return text if odd <= len(text) // 50 else None


def _still(name: str, what: str) -> VideoError:
    return VideoError(f"{name}: a still image ({what}), not a video; pass moving pictures", code="still_image")


def audio_only(name: str, what: str = "audio only") -> VideoError:
    """The error for sound without moving pictures, cover art included."""
    return VideoError(f"{name}: no video track ({what}); pass a file with moving pictures", code="no_video_track")
