"""The page in a real browser, from file:// and offline: seeking, keys, boxes on the picture, hostile text, access."""

import json
import os
import shutil
import struct
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from videre import report
from videre.record import Record
from videre.types import Answer, Box, Evidence, Frames, Question, ScoreLine, Span, Step, Usage

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs the programs chromium and chromedriver")

FPS, FRAMES = 25, 100
RED = (0.25, 0.2, 0.6, 0.7)
"""Corners of the red rectangle in the coded picture."""
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
    "--hide-scrollbars", "--autoplay-policy=no-user-gesture-required", "--window-size=1280,1000",
)  # fmt: skip
ON_NEW_PAGE = "window.hooked = []; for (const f of ['alert', 'confirm', 'prompt']) window[f] = (x) => hooked.push(x);"


class Browser:
    """Headless Chromium, and the questions that these tests ask it."""

    def __init__(self, profile: Path) -> None:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service

        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(DRIVER))
        self.driver.set_script_timeout(10)
        self.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": ON_NEW_PAGE})

    def open(self, page: Path, *, scheme: str = "light") -> "Browser":
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        self.driver.get("about:blank")
        self.logs()
        self.requests()
        self.driver.get(page.as_uri())
        if self("return Boolean(document.querySelector('.case.current video[src]'))"):
            self.until("const v = document.querySelector('.current video'); return v.readyState >= 2 || v.error")
            self.settle()
        return self

    def __call__(self, script: str, *arguments: object) -> object:
        return self.driver.execute_script(script, *arguments)

    def until(self, script: str, seconds: float = 8.0) -> None:
        end = time.monotonic() + seconds
        while not self(script):
            assert time.monotonic() < end, f"did not come true in {seconds} s: {script}"
            time.sleep(0.02)

    def settle(self) -> None:
        """Waits until the player shows what it was asked for."""
        self.until("const v = document.querySelector('.current video'); return !v.seeking && v.readyState >= 2")
        self.driver.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")

    def click(self, selector: str, index: int = 0, *, x: float | None = None) -> None:
        """Presses the mouse in the middle of an element, or `x` px from its left edge."""
        script = """
            const e = document.querySelectorAll(arguments[0])[arguments[1]];
            e.scrollIntoView({block: 'center', behavior: 'instant'});
            const r = e.getBoundingClientRect();
            return [r.x, r.width, r.y + r.height / 2];
        """
        left, width, y = self(script, f".current {selector}", index)
        place = {"x": left + (width / 2 if x is None else x), "y": y, "button": "left", "clickCount": 1}
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.driver.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": kind, **place})

    def press(self, *keys: str) -> None:
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    @property
    def seconds(self) -> float:
        self.settle()
        return float(self("return document.querySelector('.current video').currentTime"))

    def logs(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]

    def rectangle(self, selector: str) -> tuple[float, float, float, float]:
        found = "const r = document.querySelector(arguments[0]).getBoundingClientRect();"
        return tuple(self(f"{found} return [r.x, r.y, r.right, r.bottom]", f".current {selector}"))

    def picture(self) -> np.ndarray:
        import io

        from PIL import Image

        return np.asarray(Image.open(io.BytesIO(self.driver.get_screenshot_as_png())).convert("RGB")).astype(int)


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Browser]:
    found = Browser(tmp_path_factory.mktemp("profile"))
    yield found
    found.driver.quit()


# ---- small videos --------------------------------------------------------------------------------------------------


def write_video(
    path: Path, *, size: tuple[int, int] = (320, 180), sar: Fraction | None = None, late_seconds: float = 0.0
) -> Path:
    """H.264 at 25 frames a second: a red rectangle that stays, on gray that steps with each frame.

    With `late_seconds` the picture begins that long after the sound.
    """
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=FPS, options={"preset": "ultrafast", "g": "12"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        if sar:
            stream.codec_context.sample_aspect_ratio = sar
        sound = out.add_stream("aac", rate=16000, layout="mono") if late_seconds else None
        for packet in _silence(sound) if sound else ():
            out.mux(packet)
        for index in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(_drawing(size, index), "rgb24")
            frame.pts, frame.time_base = index + round(late_seconds * FPS), Fraction(1, FPS)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def _drawing(size: tuple[int, int], index: int) -> np.ndarray:
    width, height = size
    x0, y0, x1, y1 = (round(c * n) for c, n in zip(RED, (width, height, width, height), strict=True))
    picture = np.full((height, width, 3), 60 + index, np.uint8)
    picture[y0:y1, x0:x1] = (230, 20, 20)
    return picture


def _silence(stream: av.AudioStream) -> Iterator[av.Packet]:
    for start in range(0, 16000 * 4, 1024):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts = 16000, start
        yield from stream.encode(frame)
    yield from stream.encode(None)


def turn(path: Path) -> Path:
    """Writes a quarter turn to the right into the header of an mp4: the picture's matrix in `tkhd`."""
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 44
    one, last = 1 << 16, 1 << 30
    content[at : at + 36] = struct.pack(">9i", 0, one, 0, -one, 0, 0, 0, 0, last)
    path.write_bytes(content)
    return path


class Reader:
    """Just enough of a reader for pictures: the frames in order, at 25 a second."""

    def __init__(self, path: str) -> None:
        self.path, self.width_px, self.height_px, self.duration_seconds = path, 320, 180, FRAMES / FPS
        self.info, self.notes = {}, ()

    def at(self, seconds):
        numbers = sorted({min(FRAMES - 1, int(t * FPS + 1e-6)) for t in seconds})
        pixels = np.stack([_drawing((320, 180), n).transpose(2, 0, 1) for n in numbers])
        return Frames(pixels, np.array(numbers, np.float64) / FPS)

    def stream(self, fps, start_seconds=0.0):
        yield self.at([start_seconds])


def record(path: Path, *, id: str = "a", question: str = "Where is the red one?", box=RED, **changes) -> Record:
    evidence = Evidence(
        seconds=(0.4, 1.2, 2.0, 3.48),
        scores=(0.1, 0.9, 0.3, 0.5),
        spans=(Span(1.0, 1.6, 0.8, "there"), Span(3.2, 3.6, 0.4)),
        boxes=(Box(1.2, *box, "red", 0.9),),
        steps=(Step("select", {"k": 4}, {"error": "no luck"}, 5.0),),
        scored=ScoreLine(tuple(i / 5 for i in range(20)), tuple(abs(10 - i) / 10 for i in range(20))),
    )
    answer = Answer(
        "A",
        0,
        "It stands there [00:01–00:02].",
        0.8,
        evidence,
        Usage(4, 10, 1, 3.0),
        {"selector": id},
        notes=("Mind.",),
    )
    facts = {"path": str(path), "duration_seconds": FRAMES / FPS, "width_px": 320, "height_px": 180, "fps_avg": FPS}
    return Record(id, facts | changes, Question(question, ("left", "right")), answer)


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    return write_video(tmp_path_factory.mktemp("clips") / "red 100%#1.mp4")


@pytest.fixture(scope="module")
def page(clip) -> Path:
    return report.write([record(clip)], clip.parent / "page.html", open_video=Reader)


# ---- the page ------------------------------------------------------------------------------------------------------


def test_opens_offline_without_errors_and_asks_for_nothing(browser, page, clip):
    browser.open(page)
    requests = browser.requests()
    assert {url.split(":")[0] for url in requests} <= {"file", "data"}
    assert {url for url in requests if url.startswith("file")} == {page.as_uri(), clip.as_uri()}
    assert browser.logs() == []
    assert browser("return hooked") == []
    assert browser("return document.querySelector('video').error") is None


def test_a_click_on_evidence_moves_the_player_to_it(browser, page):
    browser.open(page)
    places = {
        (".frame", 1): 1.2, (".frame", 3): 3.48, (".chips .chip", 1): 3.2, (".rationale .chip", 0): 1.0,
        (".hit", 2): 2.0, (".band", 0): 1.0, (".dot", 0): 1.2,
    }  # fmt: skip
    for (selector, index), expected in places.items():
        browser.click(selector, index)
        assert browser.seconds == pytest.approx(expected, abs=0.01), selector
        assert browser("return document.querySelector('.now').textContent") == f"00:{expected:05.2f}"


def test_a_click_near_a_score_peak_moves_the_player_to_the_peak(browser, page):
    width = browser.open(page)("return document.querySelector('.line').clientWidth")
    browser.click(".line", x=round(width * 2.8 / (FRAMES / FPS)) + 3)  # a candidate that was not chosen
    assert browser.seconds == pytest.approx(2.8, abs=0.01)
    assert browser("return document.querySelector('.tip').textContent") == "00:02.80  score 0.4"


def test_the_frame_on_screen_is_the_one_of_the_thumbnail(browser, page):
    browser.open(page)
    for index, seconds in enumerate((0.4, 1.2, 2.0, 3.48)):
        browser.click(".frame", index)
        browser.settle()
        browser("window.scrollTo({top: 0, behavior: 'instant'})")
        x0, y0, x1, y1 = browser.rectangle(".stage")
        gray = browser.picture()[round(y0 + 0.9 * (y1 - y0)), round(x0 + 0.9 * (x1 - x0))].mean()
        assert gray == pytest.approx(60 + seconds * FPS, abs=3)


def test_keys_step_and_jump_and_play(browser, page):
    from selenium.webdriver.common.keys import Keys

    browser.open(page)
    browser.press("n")
    assert browser.seconds == pytest.approx(0.4, abs=0.01)
    browser.press("n")
    assert browser.seconds == pytest.approx(1.0, abs=0.01)
    browser.press("p")
    assert browser.seconds == pytest.approx(0.4, abs=0.01)
    shown = "document.querySelector('video').requestVideoFrameCallback((_, f) => { window.shown = f.mediaTime; })"
    for key, expected in ((Keys.ARROW_RIGHT, 0.44), (Keys.ARROW_RIGHT, 0.48), (Keys.ARROW_LEFT, 0.44)):
        browser(f"window.shown = null; {shown}")
        browser.press(key)
        browser.until("return window.shown !== null")
        assert browser("return window.shown") == pytest.approx(expected, abs=0.002)
    browser.press(" ")
    browser.until("return document.querySelector('video').currentTime > 0.7")
    browser.press(" ")
    assert browser("return document.querySelector('video').paused")


def test_home_and_end_move_the_time_line_alone(browser, page):
    from selenium.webdriver.common.keys import Keys

    browser.open(page)("document.querySelector('.line').focus()")
    browser.press(Keys.END)
    assert browser.seconds == pytest.approx(FRAMES / FPS, abs=0.1)
    browser.press(Keys.HOME)
    assert browser.seconds == pytest.approx(0.0, abs=0.01)
    browser("document.querySelector('[data-do=play]').focus()")
    browser.press(Keys.END)
    assert browser.seconds == pytest.approx(0.0, abs=0.01)


def test_every_button_is_on_a_narrow_screen(browser, page):
    try:
        for width in (390, 320):
            metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": True}
            browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
            browser.open(page)
            buttons = "[...document.querySelectorAll('.controls button')]"
            assert browser(f"return Math.max(...{buttons}.map((b) => b.getBoundingClientRect().right))") <= width - 16
            assert browser("return document.documentElement.scrollWidth") <= width
    finally:
        browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_everything_is_reached_by_keyboard_alone(browser, page):
    from selenium.webdriver.common.keys import Keys

    browser.open(page)
    targets = "[data-seek]:not(svg *), [data-do], [data-save], .line, summary, a"
    assert browser(f"return [...document.querySelectorAll('{targets}')].every((e) => e.tabIndex === 0)")
    browser("document.querySelector('.line').focus()")
    browser.press(*[Keys.TAB] * 3, Keys.ENTER)
    assert browser.seconds == pytest.approx(2.0, abs=0.01)
    assert browser("return getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_the_picture_may_begin_after_the_sound(browser, tmp_path):
    late = write_video(tmp_path / "late.mp4", late_seconds=0.6)
    browser.open(report.write([record(late)], tmp_path / "page.html", pictures=False))
    browser.click(".frame", 1)
    assert browser.seconds == pytest.approx(1.2 + 0.6, abs=0.02)
    assert browser("return document.querySelector('.now').textContent") == "00:01.20"


# ---- boxes ---------------------------------------------------------------------------------------------------------


def iou(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    common = max(0.0, width) * max(0.0, height)
    return common / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - common)


def red_on_screen(browser: Browser) -> tuple[float, float, float, float]:
    """Where the picture really shows the red rectangle, from a screenshot without the overlay."""
    browser("document.querySelector('.current .boxes').style.visibility = 'hidden'")
    picture = browser.picture()
    browser("document.querySelector('.current .boxes').style.visibility = ''")
    x0, y0, x1, y1 = (round(v) for v in browser.rectangle(".stage"))
    stage = picture[y0:y1, x0:x1]
    rows, columns = np.nonzero((stage[..., 0] > 150) & (stage[..., 1] < 90) & (stage[..., 2] < 90))
    return x0 + columns.min(), y0 + rows.min(), x0 + columns.max() + 1, y0 + rows.max() + 1


def turned(box: tuple[float, ...]) -> tuple[float, ...]:
    x0, y0, x1, y1 = box
    return 1 - y1, x0, 1 - y0, x1


@pytest.mark.parametrize(("name", "box", "shape", "options"), [
    ("plain", RED, (320, 180), {}),
    ("rotated", turned(RED), (180, 320), {}),
    ("sar", RED, (640, 180), {"sar": Fraction(2, 1)}),
    ("narrow", RED, (320, 360), {"sar": Fraction(1, 2)}),
    ("square", RED, (240, 240), {"size": (240, 240)}),
])  # fmt: skip
def test_boxes_lie_on_what_they_mark(browser, tmp_path, name, box, shape, options):
    clip = write_video(tmp_path / f"{name}.mp4", **options)
    if name == "rotated":
        turn(clip)
    browser.open(report.write([record(clip, box=box)], tmp_path / "page.html", pictures=False))
    assert browser("const v = document.querySelector('video'); return [v.videoWidth, v.videoHeight]") == list(shape)
    browser.click(".frame", 1)
    browser.settle()
    browser("window.scrollTo({top: 0, behavior: 'instant'})")
    assert iou(browser.rectangle(".box"), red_on_screen(browser)) >= 0.95


def test_boxes_stay_on_the_picture_when_the_window_changes(browser, page):
    browser.open(page).click(".frame", 1)
    try:
        for width in (700, 420):
            metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
            browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
            browser("window.scrollTo({top: 0, behavior: 'instant'})")
            browser.settle()
            assert iou(browser.rectangle(".box"), red_on_screen(browser)) >= 0.95
            assert browser("return document.documentElement.scrollWidth <= innerWidth")
    finally:
        browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_boxes_fade_outside_their_time(browser, page):
    browser.open(page)
    opacity = []
    for seconds in (1.2, 1.7, 2.0, 2.6):
        browser("document.querySelector('video').currentTime = arguments[0]", seconds)
        browser.settle()
        opacity.append(browser("const b = document.querySelector('.box'); return b ? Number(b.style.opacity) : 0"))
    assert opacity[0] == 1
    assert 0 < opacity[2] < opacity[1] < 1
    assert opacity[3] == 0


def test_boxes_of_thumbnails_lie_on_the_same_part_of_the_picture(browser, page):
    browser.open(page)
    script = """
      const item = document.querySelectorAll('.current .strip li')[1], r = (e) => e.getBoundingClientRect();
      return [r(item.querySelector('img')), r(item.querySelector('rect'))].map((b) => [b.x, b.y, b.right, b.bottom]);
    """
    picture, drawn = browser(script)
    width, height = picture[2] - picture[0], picture[3] - picture[1]
    truth = [picture[i % 2] + c * (width, height)[i % 2] for i, c in enumerate(RED)]
    assert iou(drawn, truth) >= 0.95


# ---- what else a page must bear ------------------------------------------------------------------------------------


def test_without_the_video_the_pictures_take_its_place(browser, clip, tmp_path):
    copy = tmp_path / "copy.mp4"
    shutil.copy(clip, copy)
    target = report.write([record(copy)], tmp_path / "page.html", open_video=Reader)
    copy.unlink()
    browser.driver.get(target.as_uri())
    browser.until("return !document.querySelector('.still').hidden")
    browser.click(".frame", 1)
    assert browser("return document.querySelector('.still').src === document.querySelectorAll('.frame img')[1].src")
    assert browser("return document.querySelector('.gone').textContent").startswith("This browser cannot play")
    assert browser("return document.querySelector('.now').textContent") == "00:01.20"
    assert browser("return document.querySelectorAll('.box').length") == 1


def test_an_embedded_video_plays_for_all_its_questions(browser, clip, tmp_path):
    records = [record(clip), record(clip, question="And then?")]
    target = report.write(records, tmp_path / "page.html", embed_video=True, pictures=False)
    browser.open(target)
    browser.driver.find_elements("css selector", ".list a")[1].click()
    browser.until("return document.querySelector('#case-2 video').readyState >= 2")
    browser.click(".frame", 2)
    assert browser.seconds == pytest.approx(2.0, abs=0.01)
    assert browser.logs() == []


def test_questions_are_listed_and_answers_compared(browser, clip, tmp_path):
    records = [record(clip), record(clip, id="b"), record(clip, id="c", question="Who else?")]
    browser.open(report.write(records, tmp_path / "page.html", pictures=False))
    columns = browser("return [...document.querySelectorAll('.current .record')].map(r => r.getBoundingClientRect().x)")
    assert len(set(columns)) == 2
    assert browser("return document.querySelectorAll('.current video').length") == 1
    browser.driver.find_elements("css selector", ".list a")[1].click()
    browser.until("return document.querySelector('.current h2').textContent === 'Who else?'")
    assert browser("return [...document.querySelectorAll('.case')].filter(c => c.offsetParent).length") == 1


def test_saves_the_record_and_the_subtitles(browser, page, tmp_path):
    browser.driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    browser.open(page)
    for index, name in enumerate(("a.json", "a.vtt")):
        browser.click("[data-save]", index)
        end = time.monotonic() + 5
        while not (tmp_path / name).exists():
            assert time.monotonic() < end, os.listdir(tmp_path)
            time.sleep(0.05)
    assert json.loads((tmp_path / "a.json").read_text())["answer"] == "A"
    assert (tmp_path / "a.vtt").read_text().startswith("WEBVTT\n\n1\n00:00:01.000 --> 00:00:01.600\nthere: ")


def test_hostile_text_is_inert(browser, clip, tmp_path):
    bad = "</script></style><script>alert(1)</script><img src=x onerror=alert(1)><svg onload=alert(1)>\"'><b>"
    folder = tmp_path / "<img src=x onerror=alert(1)>\"' %"
    folder.mkdir()
    copy = folder / "a'\"><img src=x onerror=alert(1)>#?%41\n.mp4"
    shutil.copy(clip, copy)
    evidence = Evidence(
        (1.2,), (0.5,), (Span(1.0, 2.0, 0.5, bad),), (Box(1.2, *RED, bad, 0.5),), (Step(bad, {bad: bad}, bad),)
    )
    answer = Answer(bad, 0, bad, 0.5, evidence, run={"selector": bad, bad: bad}, ranking=(bad,), notes=(bad,))
    hostile = [Record(bad + n, {"path": str(copy), "codec": bad}, Question(bad, (bad, "b")), answer) for n in "ab"]
    failed = Record(bad, {"path": bad}, Question(bad), None, {"code": bad, "message": bad})
    browser.open(report.write([*hostile, failed], tmp_path / "page.html", open_video=Reader, title=bad))
    browser.click(".frame", 0)
    browser.settle()
    for item in (1, 0):
        browser.driver.find_elements("css selector", ".list a")[item].click()
    assert browser("return hooked") == []
    assert browser.logs() == []
    assert browser("return document.querySelector('#case-1 .box span').textContent").startswith(bad)
    assert browser("return document.querySelectorAll('[onerror], [onload], b').length") == 0
    assert browser("return document.title") == bad


CONTRAST = """
  const parse = (c) => (c.match(/[\\d.]+/g) || [0, 0, 0, 0]).map(Number);
  const linear = (v) => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const shares = [.2126, .7152, .0722];
  const light = (c) => shares.reduce((sum, share, i) => sum + share * linear(c[i] / 255), 0);
  const ground = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
    if (c.length < 4 || c[3] === 1) return c; } return [255, 255, 255]; };
  const found = [];
  for (const e of document.querySelectorAll('body *')) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || e.closest('script, style, .stage, .skip, .tip') || !e.offsetParent) continue;
    const style = getComputedStyle(e), a = light(parse(style.color)), b = light(ground(e));
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) found.push([e.className, e.textContent.trim().slice(0, 30), ratio]);
  }
  return found;
"""
NAMELESS = """
  const name = (e) => e.getAttribute('aria-label') || e.textContent.trim() || (e.querySelector('img') || {}).alt;
  const named = [...document.querySelectorAll('button, a, summary, [role], video, nav')];
  const bad = named.filter((e) => !e.hidden && !name(e));
  const images = [...document.images].filter((i) => !i.hidden && !i.alt);
  const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
  return [bad.length, images.length, ids.length - new Set(ids).size, document.documentElement.lang];
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_and_everything_has_a_name(browser, clip, tmp_path, scheme):
    failed = Record("f", {"path": "gone.mp4"}, Question("Why?"), None, {"code": "video", "message": "it is broken"})
    records = [record(clip), record(clip, id="b"), failed]
    browser.open(report.write(records, tmp_path / "page.html", open_video=Reader), scheme=scheme)
    browser.click(".frame", 1)
    browser.settle()
    for link in range(2):
        browser.driver.find_elements("css selector", ".list a")[link].click()
        browser("document.querySelectorAll('.current details').forEach((d) => { d.open = true; })")
        assert browser(CONTRAST) == []
    assert browser(NAMELESS) == [0, 0, 0, "en"]


def test_prints_every_question_with_its_pictures(browser, clip, tmp_path):
    records = [record(clip), record(clip, question="And then?")]
    browser.open(report.write(records, tmp_path / "page.html", open_video=Reader))
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    seen = browser(
        "return [...document.querySelectorAll('.case, .frame img')].filter((e) => e.getClientRects().length).length"
    )
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert seen == 2 + 8
