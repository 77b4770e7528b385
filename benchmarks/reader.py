"""Time to 8, 32 and 128 frames out of a file, against other readers; and the memory of a stream.

    python benchmarks/reader.py [--quick] [--json] [--repeats N] [--backend pyav|torchcodec] [--folder DIR]

Two films of numbered frames (60 s at 720p, 20 min at 360p; key frames every 250 and every 12 frames) are made with
libx264 at the first run. Every reader opens the file anew and returns N evenly spaced frames as RGB at full size. The
number in every picture is read back: a reader that returns another frame than the one asked for is left out of the
comparison of that cell. Repeats are interleaved, all in this process, and the medians are compared.

A ratio below 1 means that videre is faster: `geomean` over the cells and the `worst` cell, each against the fastest
reader with the right frames; `stream_memory` is the peak of streaming one hour over that of one minute.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np

Picked = tuple[np.ndarray, list[int]]  # pictures [N, H, W, 3], indices
BITS, FPS = 16, 25
FILMS = {  # name: (width, height, seconds, key frame distance)
    "720p_60s_gop250": (1280, 720, 60, 250),
    "720p_60s_gop12": (1280, 720, 60, 12),
    "360p_20min_gop250": (640, 360, 1200, 250),
    "360p_20min_gop12": (640, 360, 1200, 12),
}
COUNTS = (8, 32, 128)


def indices(count: int, frames: int) -> list[int]:
    return [(2 * i + 1) * frames // (2 * count) for i in range(count)]


def numbered(number: int, base: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """A picture with moving noise and its number as a row of blocks."""
    height_px, width_px = base.shape[:2]
    x, y = number * 7919 % width_px, number * 104729 % height_px
    picture = base + noise[y : y + height_px, x : x + width_px]
    side = height_px // 8
    left, top = int((math.sin(number / 37) + 1) / 2 * (width_px - 2 * side)), height_px // 3
    picture[top : top + 2 * side, left : left + 2 * side] = (220, 40 + number // 25 * 31 % 180, 60)
    block = width_px // 20
    for bit in range(BITS):
        picture[:block, bit * block : (bit + 1) * block] = 235 if number >> bit & 1 else 16
    return picture


def number_in(picture: np.ndarray) -> int:
    block = picture.shape[1] // 20
    row = picture[block // 4 : 3 * block // 4].mean((0, 2))
    return sum(
        int(row[bit * block + block // 4 : bit * block + 3 * block // 4].mean() > 125) << bit for bit in range(BITS)
    )


def make_film(path: Path, width_px: int, height_px: int, seconds: int, gop: int) -> None:
    y, x = np.mgrid[0:height_px, 0:width_px]
    slopes = [x * 160 // width_px, y * 160 // height_px, (x + y) * 160 // (width_px + height_px)]
    base = np.stack(slopes, -1).astype(np.uint8)
    noise = np.random.default_rng(0).integers(0, 14, (2 * height_px, 2 * width_px, 3), dtype=np.uint8)
    part = path.with_suffix(".part")
    with av.open(str(part), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = width_px, height_px, "yuv420p"
        stream.options = {"preset": "veryfast", "crf": "26", "g": str(gop), "keyint_min": str(min(gop, 12)), "bf": "3"}
        for number in range(seconds * FPS):
            frame = av.VideoFrame.from_ndarray(numbered(number, base, noise), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    part.rename(path)


def videre_reader(backend: str) -> Callable[[str, int], Picked]:
    from videre.video.open import open_video

    def read(path: str, count: int) -> Picked:
        with open_video(path, backend=backend) as video:  # type: ignore[arg-type]
            wanted = indices(count, round(video.duration_seconds * FPS))
            return video.at([index / FPS for index in wanted]).pixels.transpose(0, 2, 3, 1), wanted

    return read


def torchcodec_reader(mode: str) -> Callable[[str, int], Picked]:
    from torchcodec.decoders import VideoDecoder

    def read(path: str, count: int) -> Picked:
        decoder = VideoDecoder(path, seek_mode=mode, dimension_order="NHWC", num_ffmpeg_threads=0)
        wanted = indices(count, len(decoder))
        return decoder.get_frames_at(wanted).data.numpy(), wanted

    return read


def decord_reader() -> Callable[[str, int], Picked]:
    import decord

    def read(path: str, count: int) -> Picked:
        reader = decord.VideoReader(path, ctx=decord.cpu(0))
        wanted = indices(count, len(reader))
        return reader.get_batch(wanted).asnumpy(), wanted

    return read


def opencv_reader() -> Callable[[str, int], Picked]:
    import cv2

    def read(path: str, count: int) -> Picked:
        capture = cv2.VideoCapture(path)
        wanted = indices(count, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        pictures = []
        for index in wanted:
            capture.set(cv2.CAP_PROP_POS_FRAMES, index)
            pictures.append(cv2.cvtColor(capture.read()[1], cv2.COLOR_BGR2RGB))
        capture.release()
        return np.stack(pictures), wanted

    return read


def transformers_reader() -> Callable[[str, int], Picked]:
    from videre.compat import ensure_torchvision

    ensure_torchvision()
    from transformers.video_utils import load_video

    def read(path: str, count: int) -> Picked:
        wanted: list[int] = []

        def choose(metadata: object, **_: object) -> np.ndarray:
            wanted.extend(indices(count, int(metadata.total_num_frames)))  # type: ignore[attr-defined]
            return np.array(wanted)

        pictures, _ = load_video(path, backend="pyav", sample_indices_fn=choose)
        return np.asarray(pictures), wanted

    return read


READERS: dict[str, Callable[[], Callable[[str, int], Picked]]] = {
    "torchcodec": lambda: torchcodec_reader("exact"),
    "torchcodec-approximate": lambda: torchcodec_reader("approximate"),
    "decord": decord_reader,
    "opencv": opencv_reader,
    "transformers": transformers_reader,
}
SLOW = ("opencv", "transformers")
"""Decode a film from its start, or from a key frame for each picture: once a cell is enough to see it."""


def available(backend: str) -> tuple[dict[str, Callable[[str, int], Picked]], dict[str, str]]:
    """Readers that load, and why the others do not."""
    found, absent = {"videre": videre_reader(backend)}, {}
    for name, make in READERS.items():
        try:
            found[name] = make()
        except (ImportError, RuntimeError, OSError) as error:
            absent[name] = f"{type(error).__name__}: {str(error).splitlines()[0][:80]}"
    return found, absent


def timed(read: Callable[[str, int], Picked], path: Path, count: int) -> tuple[float, bool]:
    """Seconds, and whether every picture is the one asked for."""
    began = time.perf_counter()
    pictures, wanted = read(str(path), count)
    seconds = time.perf_counter() - began
    return seconds, [number_in(picture) for picture in pictures] == wanted


def compare(readers: dict, path: Path, count: int, repeats: int, patience_seconds: float) -> dict:
    """Medians of one cell. A reader that takes longer than the patience is timed once."""
    seconds: dict[str, list[float]] = {name: [] for name in readers}
    wrong: set[str] = set()
    for turn in range(repeats):
        for name, read in readers.items():
            if turn and (name in wrong or (name in SLOW and seconds[name][0] > patience_seconds)):
                continue
            try:
                spent, right = timed(read, path, count)
            except (RuntimeError, ValueError, OSError) as error:
                print(f"{name}: {error}", file=sys.stderr)
                right = False
            else:
                seconds[name].append(spent)
            if not right:
                wrong.add(name)
    medians = {name: statistics.median(values) for name, values in seconds.items() if values}
    peers = {name: value for name, value in medians.items() if name != "videre" and name not in wrong}
    best = min(peers, key=lambda name: peers[name]) if peers else ""
    ratio = medians["videre"] / peers[best] if best and "videre" not in wrong else math.nan
    return {"seconds": medians, "wrong": sorted(wrong), "fastest_peer": best, "ratio": ratio}


STREAM = """
import sys
from pathlib import Path
from videre.video.open import open_video
with open_video(sys.argv[1]) as video:
    count = sum(len(chunk) for chunk in video.stream(2.0, size_px=224))
status = Path("/proc/self/status").read_text()  # getrusage would start from what the parent held
print(count, status.split("VmHWM:")[1].split()[0])
"""


def stream_memory(folder: Path) -> dict:
    """Peak resident memory, in kilobytes, of streaming one minute and one hour at 2 frames a second."""
    peaks = {}
    for name, seconds in (("minute", 60), ("hour", 3600)):
        path = folder / f"stream_{name}.mp4"
        if not path.exists():
            make_film(path, 320, 180, seconds, 50)
        done = subprocess.run([sys.executable, "-c", STREAM, str(path)], capture_output=True, text=True, check=True)
        count, peak = map(int, done.stdout.split())
        assert count == seconds * 2
        peaks[name] = peak
    return {"peak_kb": peaks, "ratio": peaks["hour"] / peaks["minute"]}


def table(cells: dict[str, dict], names: list[str]) -> str:
    """Milliseconds a cell and reader; a star marks wrong frames."""
    lines = [f"{'film':20s} {'N':>4s} " + " ".join(f"{name[:14]:>14s}" for name in names) + f" {'ratio':>7s}"]
    for cell, row in cells.items():
        film, count = cell.rsplit(" ", 1)
        shown = []
        for name in names:
            value = row["seconds"].get(name)
            shown.append(f"{'-' if value is None else f'{value * 1e3:.0f}' + '*' * (name in row['wrong']):>14s}")
        lines.append(f"{film:20s} {count:>4s} " + " ".join(shown) + f" {row['ratio']:7.2f}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="shorter films, fewer repeats: under a minute on 2 cores")
    parser.add_argument("--json", action="store_true", help="print one JSON object last")
    parser.add_argument("--repeats", type=int, default=0, help="turns of every reader (default 5, quick 3)")
    parser.add_argument("--backend", choices=("pyav", "torchcodec"), default="pyav", help="what videre decodes with")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "videre-reader-benchmark")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    readers, absent = available(options.backend)
    repeats = options.repeats or (3 if options.quick else 5)
    cells = {}
    for film, (width_px, height_px, seconds, gop) in FILMS.items():
        length = max(10, seconds // 40) if options.quick else seconds
        path = options.folder / f"{film}_{length}.mp4"
        if not path.exists():
            print(f"making {path}", file=sys.stderr)
            make_film(path, width_px, height_px, length, gop)
        for count in COUNTS[:2] if options.quick else COUNTS:
            chosen = {name: read for name, read in readers.items() if not (options.quick and name in SLOW)}
            cells[f"{film} {count}"] = compare(chosen, path, count, repeats, patience_seconds=3.0)
            print(f"{film} {count}: {cells[f'{film} {count}']['ratio']:.2f}", file=sys.stderr)
    ratios = {cell: row["ratio"] for cell, row in cells.items() if not math.isnan(row["ratio"])}
    wrong = [cell for cell, row in cells.items() if "videre" in row["wrong"]]
    memory = stream_memory(options.folder) if not options.quick else {"ratio": math.nan}
    summary = {
        "geomean": statistics.geometric_mean(ratios.values()) if ratios else None,
        "worst": max(ratios.values(), default=None),
    }
    if not options.quick:
        summary["stream_memory"] = memory["ratio"]
    print(table(cells, list(readers)))
    print(
        f"cores {len(os.sched_getaffinity(0))}; absent: {absent or 'none'}; wrong frames by videre: {wrong or 'none'}"
    )
    print(", ".join(f"{name} {value:.3f}" for name, value in summary.items() if value is not None))
    if options.json:
        details = {
            "cells": cells,
            "absent": absent,
            "memory": memory if not options.quick else None,
            "backend": options.backend,
            "repeats": repeats,
            "cores": len(os.sched_getaffinity(0)),
        }
        print(json.dumps({"name": "reader", "ratios": summary, "details": details}))


if __name__ == "__main__":
    main()
