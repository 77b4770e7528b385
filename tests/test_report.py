"""The page as a file, and the subtitles and tables: everything is shown, nothing is obeyed."""

import base64
import csv
import dataclasses
import io
import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from videre import report
from videre.apps.reporting import _records
from videre.errors import ConfigError, DataError, VideoError
from videre.record import Record, error_record, to_row
from videre.report import markup, media
from videre.report.cases import cases_of
from videre.report.steps import steps_panel, tree
from videre.subtitles import COLUMNS, csv_table, cues, srt, webvtt
from videre.types import Answer, Box, Evidence, Frames, Question, ScoreLine, Span, Step, Usage

HOSTILE = "</script></style><script>alert(1)</script><img src=x onerror=alert(1)>\"'`&lt;\x1b[31m\u202egpj\x00"
FPS = 10.0


class FakeVideo:
    """Ten seconds at ten frames a second; each frame is one gray that says its number."""

    def __init__(self, path: str, sha256: str = "aa") -> None:
        self.path, self.duration_seconds, self.width_px, self.height_px = path, 10.0, 64, 36
        self.info, self.notes, self.asked = {"fps_avg": FPS, "codec": "h264", "sha256": sha256}, (), []

    def at(self, seconds):
        self.asked.append(list(seconds))
        numbers = sorted({min(99, int(t * FPS + 1e-6)) for t in seconds})
        pixels = np.stack([np.full((3, 36, 64), n, np.uint8) for n in numbers])
        return Frames(pixels, np.array(numbers, np.float64) / FPS)

    def stream(self, fps, start_seconds=0.0):
        yield self.at([start_seconds])


class Page(HTMLParser):
    """What a browser would make of the page, as far as tests need it: tags with attributes, and visible text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words += data + " "

    def named(self, tag: str, **wanted: str) -> list[dict]:
        return [a for t, a in self.tags if t == tag and all(a.get(k.rstrip("_")) == v for k, v in wanted.items())]

    def seeks(self, class_: str) -> list[float]:
        return [float(a["data-seek"]) for _, a in self.tags if a.get("class") == class_]


def record(*, id="a", path="clip.mp4", question=None, answer=None, **video) -> Record:
    facts = {"path": path, "duration_seconds": 10.0, "width_px": 64, "height_px": 36, "fps_avg": FPS, "sha256": "aa"}
    return Record(id, facts | video, question or Question("What moves?", ("a dog", "a cat")), answer or full_answer())


def full_answer(**changes) -> Answer:
    evidence = Evidence(
        seconds=(1.0, 2.5, 7.0),
        scores=(0.2, 0.9, 0.4),
        spans=(Span(2.0, 3.0, 0.8, "runs"),),
        boxes=(Box(2.5, 0.1, 0.2, 0.5, 0.6, "dog", 0.7),),
        steps=(Step("score", {"frames": 3}, {"best": 0.9}, 12.5), Step("ground", {}, {"error": "no box"}, 3.0)),
        scored=ScoreLine((0.0, 2.5, 5.0, 7.0), (0.1, 0.9, 0.3, 0.4)),
    )
    answer = Answer(
        "B",
        option=1,
        rationale="It runs [00:02–00:03].",
        confidence=0.8,
        evidence=evidence,
        usage=Usage(3, 100, 1, 80.0),
        run={"videre": "0.1.0", "model": {"id": "m"}, "selector": "uniform:k=3", "frames_sha256": ["x", "y", "z"]},
        notes=("This clip is not from the model's world.",),
    )
    return dataclasses.replace(answer, **changes)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"\0\0\0\x18ftypisom" + b"\0" * 40)
    return path


def written(records: list[Record], folder: Path, **options) -> Page:
    options = {"open_video": FakeVideo} | options
    return Page(report.write(records, folder / "page.html", **options).read_text("utf-8"))


def test_shows_answer_options_notes_usage_and_run_card(clip, tmp_path):
    page = written([record(path=str(clip))], tmp_path)
    for words in ("What moves?", "a dog", "a cat", "chosen", "confidence 80 %", "not from the model's world"):
        assert words in page.words
    assert "3 frames · 100 tokens in · 1 token out · 80 ms" in page.words
    assert "uniform:k=3" in page.words
    assert [a["class"] for a in page.named("li", class_="chosen")] == ["chosen"]


def test_every_moment_can_be_sought_on_the_line_and_in_the_strip(clip, tmp_path):
    page = written([record(path=str(clip))], tmp_path)
    assert page.seeks("frame") == [1.0, 2.5, 7.0]
    assert page.seeks("hit") == [1.0, 2.5, 7.0]
    assert page.seeks("band") == [2.0]
    assert page.seeks("dot") == [2.5]
    assert page.seeks("chip") == [2.0, 2.0]  # the span, and the time inside the rationale


def test_thumbnails_carry_their_own_true_time_and_an_alternative_in_words(clip, tmp_path):
    answer = full_answer(evidence=Evidence(seconds=(1.04, 2.58)))
    page = written([record(path=str(clip), answer=answer)], tmp_path)
    alts = [image["alt"] for image in page.named("img") if image.get("src")]
    assert alts == ["Frame at 00:01.00", "Frame at 00:02.50"]
    assert page.seeks("frame") == [1.0, 2.5]


def test_boxes_stand_on_the_thumbnail_of_their_moment(clip, tmp_path):
    page = written([record(path=str(clip))], tmp_path)
    drawn = [a for a in page.named("rect") if a.get("width") == "40.0"]
    assert [(a["x"], a["y"], a["height"]) for a in drawn] == [("10.0", "20.0", "40.0")]
    assert "Frame at 00:02.50, score 0.9; marked: dog" in [i["alt"] for i in page.named("img")]


def test_failed_steps_and_failed_records_are_marked(clip, tmp_path):
    error = VideoError("bad.mp4 has no video stream; pass another file", code="no_video")
    records = [record(path=str(clip)), error_record(error, id="b", path="bad.mp4", question=Question("And here?"))]
    page = written(records, tmp_path)
    assert len(page.named("li", class_="failed")) == 1
    assert "has no video stream" in page.words
    assert "code: no_video" in page.words
    assert len(page.named("video")) == 1
    assert "2 questions · 2 videos · 1 failed" in page.words


def test_same_video_and_question_stand_side_by_side():
    first, other = record(id="a"), record(id="c", question=Question("Who?"))
    second = record(id="b", answer=full_answer(run={"selector": "aks:k=3"}))
    found = cases_of([first, other, record(id="d", path="z.mp4"), second])
    assert [[e.record.id for e in case.entries] for case in found] == [["a", "b"], ["c"], ["d"]]
    assert [e.label for e in found[0].entries] == ["uniform:k=3 · m", "aks:k=3"]


def test_a_video_that_is_gone_is_said_to_be_gone_and_all_else_is_shown(tmp_path):
    page = written([record(path="/nowhere/clip.mp4")], tmp_path)
    assert page.named("video") == []
    assert "The video is not here: /nowhere/clip.mp4" in page.words
    assert page.seeks("frame") == [1.0, 2.5, 7.0]


def test_a_video_that_cannot_be_read_again_keeps_its_player(clip, tmp_path):
    def refuse(path: str) -> FakeVideo:
        raise VideoError("it is broken now")

    page = written([record(path=str(clip))], tmp_path, open_video=refuse)
    assert len(page.named("video")) == 1
    assert "it is broken now" in page.words


def test_a_file_that_changed_since_is_said_to_have_changed(clip, tmp_path):
    page = written([record(path=str(clip), sha256="bb")], tmp_path)
    assert "has changed since" in page.words


def test_opens_each_video_once_and_a_few_frames_at_a_time(clip, tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(media, "_CHUNK_PIXELS", 2 * 64 * 36)
    records = [record(id=str(i), path=str(clip), question=Question(f"{i}?")) for i in range(3)]
    written(records, tmp_path, open_video=lambda path: opened.append(FakeVideo(path)) or opened[-1])
    assert [video.asked for video in opened] == [[[1.0, 2.5], [7.0]]]


def test_the_reader_of_the_house_gives_the_pictures(tmp_path):
    clip = tmp_path / "gray.mp4"
    with av.open(str(clip), "w") as out:
        stream = out.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 36, "yuv420p"
        for level in range(0, 250, 10):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((36, 64, 3), level, np.uint8), "rgb24")))
        out.mux(stream.encode(None))
    page = written(
        [record(path=str(clip), answer=Answer("x", evidence=Evidence((0.5, 2.0))))], tmp_path, open_video=None
    )
    stills = [image["src"].partition(",")[2] for image in page.named("img") if image.get("src")]
    levels = [np.asarray(Image.open(io.BytesIO(base64.b64decode(still)))).mean() for still in stills]
    assert levels == pytest.approx([50, 200], abs=4)


def test_without_pictures_no_video_is_opened(clip, tmp_path):
    def refuse(path: str) -> FakeVideo:
        raise AssertionError(path)

    page = written([record(path=str(clip))], tmp_path, open_video=refuse, pictures=False)
    assert page.named("video")[0]["src"] == "./clip.mp4"


@pytest.mark.parametrize(
    "name",
    ["-x.mp4", "a b.mp4", "100%03d.mp4", "a|b.mp4", "a'\"b.mp4", "a#b?c.mp4", "c:d.mp4", "new\nline.mp4", "🐕.mp4"],
)
def test_odd_names_become_addresses_that_name_the_same_file(name, tmp_path):
    from urllib.parse import unquote_to_bytes, urljoin, urlsplit

    file = tmp_path / "sub" / name
    inside = media.address(file, folder=tmp_path)
    outside = media.address(file, folder=tmp_path / "other")
    for found in (urljoin((tmp_path / "page.html").as_uri(), inside), outside):
        parts = urlsplit(found)
        assert (parts.scheme, parts.query, parts.fragment) == ("file", "", "")
        assert unquote_to_bytes(parts.path) == os.fsencode(file)


def test_a_name_that_is_not_utf8_is_kept_byte_for_byte(tmp_path):
    name = os.fsdecode(b"caf\xe9.mp4")
    assert media.address(tmp_path / name, folder=tmp_path) == "./caf%E9.mp4"
    page = written([record(path=f"/nowhere/{name}")], tmp_path)
    assert r"caf\udce9.mp4" in page.words


@pytest.mark.parametrize("path", ["", "a\0b.mp4", "x" * 5000, "http://example.org/a.mp4", "/dev/zero"])
def test_what_is_no_regular_file_is_not_reachable(path, tmp_path):
    assert media.find(path, near=tmp_path) is None


def test_embeds_videos_only(clip, tmp_path):
    page = written([record(path=str(clip))], tmp_path, embed_video=True)
    assert page.named("video")[0]["src"].startswith("data:video/mp4;base64,")
    secret = tmp_path / "secret.txt"
    secret.write_text("a key")
    page = written([record(path=str(secret))], tmp_path, embed_video=True)
    assert page.named("video")[0]["src"] == "./secret.txt"
    assert "of no kind that a page can hold" in page.words


def test_an_embedded_file_stands_in_the_page_once(clip, tmp_path):
    records = [record(path=str(clip)), record(path=str(clip), question=Question("Who?"))]
    players = written(records, tmp_path, embed_video=True).named("video")
    assert ["src" in player for player in players] == [True, False]
    assert players[1]["data-same-as"] == "case-1"


def test_a_file_too_large_to_embed_is_linked_and_said_so(clip, tmp_path, monkeypatch):
    monkeypatch.setattr(media, "EMBED_LIMIT_BYTES", 10)
    page = written([record(path=str(clip))], tmp_path, embed_video=True)
    assert page.named("video")[0]["src"] == "./clip.mp4"
    assert "too large" in page.words


def hostile_record(path: str) -> Record:
    evidence = Evidence(
        seconds=(1.0,),
        scores=(0.5,),
        spans=(Span(0.0, 1.0, label=HOSTILE),),
        boxes=(Box(1.0, 0, 0, 1, 1, HOSTILE),),
        steps=(Step(HOSTILE, {HOSTILE: HOSTILE}, {"error": HOSTILE, "list": [HOSTILE, {HOSTILE: [HOSTILE]}]}, 1.0),),
    )
    run = {"selector": HOSTILE, "model": {"id": HOSTILE}, HOSTILE: [HOSTILE]}
    answer = Answer(HOSTILE, 0, HOSTILE, 0.5, evidence, run=run, ranking=(HOSTILE,), notes=(HOSTILE,))
    return Record(
        HOSTILE, {"path": path, "codec": HOSTILE, "notes": [HOSTILE]}, Question(HOSTILE, (HOSTILE, "b")), answer
    )


def test_hostile_text_stays_text(tmp_path):
    folder = tmp_path / "<img src=x onerror=alert(1)>\"'"
    folder.mkdir()
    clip = folder / "</title><script>alert(1)<.mp4".replace("/", "∕")
    clip.write_bytes(b"\0")
    failure = Record(HOSTILE, {"path": HOSTILE}, Question(HOSTILE), None, {"code": HOSTILE, "message": HOSTILE})
    records = [hostile_record(str(clip)), dataclasses.replace(hostile_record(str(clip)), id="b"), failure]
    text = report.write(records, tmp_path / "page.html", open_video=FakeVideo, title=HOSTILE).read_text("utf-8")
    page = Page(text)
    assert [a.get("id") for a in page.named("script")] == ["data", None]
    assert not [a for _, attributes in page.tags for a in attributes if a.startswith("on") or a == "style"]
    assert not re.search(r"[\x00\x1b\u202e]", text)
    assert page.words.count("<script>alert(1)</script>") > 10


def test_the_data_in_the_page_is_the_record_file_and_holds_no_markup(clip, tmp_path):
    records = [hostile_record(str(clip)), record(path=str(clip))]
    text = report.write(records, tmp_path / "page.html", open_video=FakeVideo).read_text("utf-8")
    inside = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    assert inside is not None
    assert not set("<>&") & set(inside[1])
    rows = json.loads(inside[1])["records"]
    assert rows == [json.loads(json.dumps(to_row(each))) for each in records]


def test_the_policy_allows_this_style_and_this_script_and_no_network(clip, tmp_path):
    page = written([record(path=str(clip))], tmp_path)
    policy = page.named("meta")[1]["content"]
    assert policy.startswith("default-src 'none'; img-src data:; media-src file: data: 'self'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert "http" not in policy


def test_values_that_are_not_finite_do_not_break_the_page(clip, tmp_path):
    evidence = Evidence(seconds=(1.0,), scores=(float("nan"),), scored=ScoreLine((1.0, 2.0), (float("inf"), 0.5)))
    answer = full_answer(evidence=evidence, confidence=float("nan"))
    page = written([record(path=str(clip), answer=answer)], tmp_path)
    assert "nan" not in " ".join(str(v) for _, a in page.tags for v in a.values() if "alt" not in a)


@pytest.mark.parametrize("duration", [None, "long", -1.0, float("nan"), float("inf"), 0])
def test_odd_facts_and_times_do_not_break_the_page(tmp_path, duration):
    text = "[99999999999999999999:00:00] [00:99] [1:02:03.5-1:02:04] " + "[" + "9" * 400 + ":00:00]"
    answer = full_answer(text=text, option=7, evidence=Evidence(seconds=(float("nan"),)))
    page = written([record(path="gone.mp4", answer=answer, duration_seconds=duration, fps_avg="x")], tmp_path)
    assert 3723.5 in page.seeks("chip")


def test_an_empty_answer_without_evidence_is_a_page(tmp_path):
    page = written([Record("a", {"path": "gone.mp4"}, Question("Why?"), Answer(""))], tmp_path)
    assert "(an empty reply)" in page.words


def test_a_reply_that_names_no_option_is_said_so(tmp_path):
    page = written([record(path="gone.mp4", answer=full_answer(text="maybe", option=None))], tmp_path)
    assert "names none of the options" in page.words
    assert page.named("li", class_="chosen") == []


def test_no_records_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="one record or more"):
        report.write([], tmp_path / "page.html")
    assert list(tmp_path.iterdir()) == []


def test_a_page_that_cannot_be_written_leaves_the_old_one(tmp_path):
    target = tmp_path / "page.html"
    report.write([record()], target, pictures=False)
    before = target.read_bytes()
    with pytest.raises(TypeError):
        report.write([record(answer=full_answer(run={"x": object()}))], target, pictures=False)
    assert target.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]


def test_a_place_where_no_page_can_be_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="choose a folder that you may write to"):
        report.write([record()], tmp_path / "file" / "report.html", pictures=False)


@pytest.mark.parametrize("line", [b"\xff\n", b"[" * 100_000])
def test_a_line_that_is_no_json_is_named(line, tmp_path):
    (tmp_path / "bad.jsonl").write_bytes(line)
    with pytest.raises(DataError, match=r"bad.jsonl, line 1"):
        list(_records(str(tmp_path / "bad.jsonl")))


def test_steps_read_as_words():
    said = Page(steps_panel([Step("parse", {"question": "Who?"}, {"keep": True, "when": None, "k": 8}, 3.21)])).words
    assert " ".join(said.split()) == "parse 3.2 ms in question Who? out keep yes when not known k 8"
    deep: list = []
    for _ in range(500):
        deep = [deep]
    assert "items" in Page(tree(deep)).words
    assert "20 items" in Page(tree(list(range(20)))).words


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "00:00.00"), (59.999, "01:00.00"), (3661.5, "1:01:01.50"), (-0.5, "-00:00.50")]
)
def test_clock(seconds, words):
    assert markup.clock(seconds) == words


def test_between_shows_tenths_where_there_are_any():
    assert markup.between(12, 17) == "00:12–00:17"
    assert markup.between(12.4, 17) == "00:12.4–00:17.0"
    assert markup.between(5, 5) == "00:05"


# ---- subtitles and tables ------------------------------------------------------------------------------------------


def test_webvtt_of_a_record():
    assert webvtt([record()]) == ("WEBVTT\n\n1\n00:00:02.000 --> 00:00:03.000\nruns: What moves? a cat\n")


def test_moments_without_spans_give_short_cues_that_do_not_overlap():
    answer = full_answer(evidence=Evidence(seconds=(1.0, 1.4, 7.0)))
    assert [(c.start_seconds, c.end_seconds) for c in cues([record(answer=answer)])] == [
        (1.0, 1.4),
        (1.4, 2.4),
        (7.0, 8.0),
    ]


def test_cues_are_sorted_positive_and_at_least_a_millisecond():
    found = cues([Span(5.0, 5.0, label="b"), Span(-1.0, 0.5, label="a")])
    assert [(c.start_seconds, c.end_seconds, c.text) for c in found] == [(0.0, 0.5, "a"), (5.0, 5.001, "b")]


@pytest.mark.parametrize("form", [webvtt, srt])
def test_text_cannot_start_a_cue_or_markup(form):
    text = form(
        [Span(1.0, 2.0, label="x\n\n2\r\n00:00:00.000 --> 00:00:09.000\n<script>&amp;</script>{\\an8}\x1b[31m")]
    )
    body = text.split("00:00:02", 1)[1]
    assert body.count("\n") == 2
    assert not set("<>") & set(body.replace("&gt;", "").replace("&lt;", ""))
    assert "\x1b" not in text
    assert text.count("-->") == 1


def test_srt_is_numbered_with_commas():
    assert srt([Span(3600.0, 3601.5, label="late")]) == "1\n01:00:00,000 --> 01:00:01,500\nlate\n"


def test_failed_records_give_no_cues_and_an_empty_file_is_valid():
    failed = error_record(VideoError("no"), id="a", path="a.mp4", question=Question("Who?"))
    assert webvtt([failed]) == "WEBVTT\n"
    assert srt([failed]) == ""


def test_csv_has_one_row_a_record():
    failed = error_record(VideoError("cannot be read"), id="b", path="b.mp4", question=Question("Who?"))
    bare = Record(
        "c", {}, Question("Where?"), Answer("there", evidence=Evidence(boxes=(Box(1.0, 0.0, 0.0, 1.0, 1.0),)))
    )
    rows = list(csv.DictReader(io.StringIO(csv_table([record(), failed, bare]))))
    assert list(rows[0]) == list(COLUMNS)
    assert rows[0]["frames_seconds"] == "1.000; 2.500; 7.000"
    assert rows[0]["spans_seconds"] == "2.000-3.000"
    assert rows[0]["boxes"] == "2.500 0.1000 0.2000 0.5000 0.6000 dog"
    assert rows[1]["error"] == "cannot be read"
    assert rows[2]["boxes"] == "1.000 0.0000 0.0000 1.0000 1.0000"


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r=", "＝", " ="])
def test_csv_disarms_formulas(start):
    text = f"{start}cmd|' /C calc'!A0"
    table = csv_table([record(id=text, question=Question(text + "\x1b[31m"), answer=full_answer(text=text))])
    row = next(csv.DictReader(io.StringIO(table)))
    assert all(row[name].startswith("'") for name in ("id", "question", "answer"))
    assert "\x1b" not in table
