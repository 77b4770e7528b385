"""Pages a second on one core: ours beside the official procedure, and both apart: laying out, drawing, writing.

The peer measures each word with the space after it, each line again for its height, draws each line and writes an RGB
PNG: the official procedure, written down from its specification, which passes the goldens of the executed official
code (`tests/parity/test_t2vid.py`). Both get the same texts, cut beforehand by the same tokens, with the same font.
Cutting is measured apart, as the official tokens come from NLTK.

    python benchmarks/t2vid.py [--quick] [--json] [--text FILE]
"""

import argparse
import io
import json
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from videre.methods.t2vid import official
from videre.methods.t2vid.cut import cut
from videre.methods.t2vid.face import Face
from videre.methods.t2vid.layout import Style, pages
from videre.methods.t2vid.render import pixels, png

SYLLABLES = [a + b for a in "bcdflmnprstv" for b in "aeio"]


def words(count: int, *, seed: int = 0) -> str:
    """A text as books have it: few words are frequent (Zipf), sentences of some 15 words, paragraphs of 6 sentences."""
    chance = random.Random(seed)
    known = ["".join(chance.choices(SYLLABLES, k=chance.choice((1, 2, 2, 3, 3, 4)))) for _ in range(8000)]
    drawn = chance.choices(known, weights=[1 / (rank + 3) for rank in range(len(known))], k=count)
    marks = ("." if n % 15 == 14 else "," if n % 7 == 3 else "" for n in range(count))
    return "".join(
        f"{word}{mark}{chr(10) * 2 if n % 90 == 89 else ' '}"
        for n, (word, mark) in enumerate(zip(drawn, marks, strict=True))
    )


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    """Processor seconds, so that other work on the machine does not count, and what came out."""
    start = time.process_time()
    out = work()
    return time.process_time() - start, out


def ours(chunks: list[str], face: Face, style: Style) -> dict[str, float]:
    """Seconds a page of each step."""
    laying, laid = seconds(lambda: [page for chunk in chunks for page in pages(chunk, face, style)])
    drawing, _ = seconds(lambda: [pixels(page) for page in laid])
    whole, files = seconds(lambda: [png(page) for page in laid])  # draws too
    count = len(laid)
    parts = {"lay out": laying, "draw": drawing, "write": whole - drawing, "all": laying + whole}
    return {name: spent / count for name, spent in parts.items()} | {"bytes": sum(map(len, files)) / count}


def theirs(chunks: list[str], font: official.Font) -> dict[str, float]:
    """The same of the official procedure."""
    laying, laid = seconds(lambda: [official.lay_out(chunk, font) for chunk in chunks])
    drawing, pictures = seconds(lambda: [official.draw(page, font) for page in laid])
    writing, files = seconds(lambda: [written(picture) for picture in pictures])
    count = len(laid)
    parts = {"lay out": laying, "draw": drawing, "write": writing, "all": laying + drawing + writing}
    return {name: spent / count for name, spent in parts.items()} | {"bytes": sum(map(len, files)) / count}


def written(picture: Any) -> bytes:
    """A PNG as the official code saves it."""
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def measure(text: str, *, rounds: int) -> dict[str, Any]:
    """Medians of interleaved rounds; each of ours begins with an empty font, that remembers no word."""
    chunks = [piece.of(text) for piece in cut(text)]
    style, found = Style(), dict[str, list[dict[str, float]]](ours=[], official=[])
    for _ in range(rounds):
        found["ours"].append(ours(chunks, Face(None, 20), style))
        found["official"].append(theirs([" ".join(chunk.split()) for chunk in chunks], official.font()))
    middle = {
        who: {step: statistics.median(each[step] for each in many) for step in many[0]} for who, many in found.items()
    }
    steps = ("all", "lay out", "draw", "write")
    ratios = {f"{step}: pages a second": round(middle["official"][step] / middle["ours"][step], 2) for step in steps}
    ratios["size: official bytes over ours"] = round(middle["official"]["bytes"] / middle["ours"]["bytes"], 2)
    rates = {who: round(1 / each["all"], 1) for who, each in middle.items()}
    milliseconds = {who: {step: round(each[step] * 1e3, 3) for step in steps} for who, each in middle.items()}
    spent, _ = seconds(lambda: cut(text))
    return {
        "ratios": ratios,
        "details": {
            "pages": len(chunks),
            "rounds": rounds,
            "pages a second and core": rates,
            "milliseconds a page": milliseconds,
            "bytes a page": {who: round(each["bytes"]) for who, each in middle.items()},
            "cutting, milliseconds a page": round(spent / len(chunks) * 1e3, 3),
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="some 100 pages, 3 rounds")
    parser.add_argument("--json", action="store_true", help="one JSON object, last")
    parser.add_argument("--text", type=Path, help="a text of your own in place of the generated one")
    given = parser.parse_args()
    text = given.text.read_text("utf-8") if given.text else words(10_000 if given.quick else 60_000)
    found = measure(text, rounds=3 if given.quick else 5)
    for name, ratio in found["ratios"].items():
        print(f"{name:36} {ratio:6.2f} x")
    print(json.dumps(found["details"], indent=2))
    if given.json:
        print(json.dumps({"name": "t2vid", **found}))


if __name__ == "__main__":
    main()
