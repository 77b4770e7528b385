"""T2Vid's official chunks and layouts, line for line, from `golden/t2vid`."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("nltk")

from videre.methods.t2vid import official

LICENCE_TEXT = Path("/usr/share/common-licenses/GPL-3")
FONTS = {
    "DejaVuSans": None,
    "LiberationSans": os.environ.get("VIDERE_LIBERATION_SANS")
    or "/usr/share/fonts/truetype/liberation2/LiberationSans-Regular.ttf",
}


@pytest.fixture(scope="module")
def golden(shared) -> dict:
    return json.loads((shared / "golden/t2vid/layout.json").read_text("utf-8"))["cases"]


def fonts(name: str, layout: str) -> official.Font:
    path = FONTS[name]
    if path and not Path(path).is_file():
        pytest.skip(f"{name} is not on this machine")
    return official.font(path, layout=layout)


def test_chunks_are_the_official_ones(golden):
    for name, case in golden.items():
        assert len(official.tokens(case["source"])) == case["n_tokens"], name
        assert official.chunks(case["source"]) == case["chunks"], name


@pytest.mark.parametrize("name", FONTS)
@pytest.mark.parametrize("layout", ["basic", "raqm"])
def test_layouts_are_the_official_ones_line_for_line(golden, name, layout):
    font = fonts(name, layout)
    for case_name, case in golden.items():
        told = case["layout"][f"{name}_{layout.upper()}"]
        for chunk, page in zip(official.chunks(case["source"]), told, strict=True):
            made = official.lay_out(chunk, font)
            want = [(line["text"], line["y"], line["right"], line["height"]) for line in page["lines"]]
            assert [(x.text, x.y_px, x.right_px, x.height_px) for x in made.lines] == want, case_name
            assert (made.top_px, made.height_px) == (page["top"], page["total_height"]), case_name
            assert made.leaves_canvas == (page["overflow_vertical"] or page["overflow_right"]), case_name
            assert list(official.ink_box(official.draw(made, font))) == page["ink_bbox"], case_name


@pytest.mark.skipif(not LICENCE_TEXT.is_file(), reason="the text of the GPL is not on this machine")
def test_how_full_the_official_pages_are(shared):
    want = json.loads((shared / "golden/t2vid/overflow_stats.json").read_text("utf-8"))["GPL3"]
    font, chunks = fonts("LiberationSans", "raqm"), official.chunks(LICENCE_TEXT.read_text("utf-8"))
    pages = [official.lay_out(chunk, font) for chunk in chunks]
    heights, lines, sizes = [p.height_px for p in pages], [len(p.lines) for p in pages], [len(c) for c in chunks]
    assert len(pages) == want["chunks"]
    assert {"median": np.median(sizes), "max": max(sizes)} == want["chars_per_chunk"]
    assert {"median": np.median(lines), "max": max(lines)} == want["lines"]
    assert (np.median(heights), max(heights)) == (want["height"]["median"], want["height"]["max"])
    assert sum(page.leaves_canvas for page in pages) == want["vertical_overflow"] + want["right_overflow"] == 0
