"""Every published annotation file that is kept beside the checkout: counts, first rows, kinds, answers, spans; and the
same files broken: the message names the file and the line.
"""

import json
import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from videre.data import (
    activities,
    captions,
    egoschema,
    epic_kitchens,
    labels,
    longvideobench,
    lvu,
    mlvu,
    moments,
    mvbench,
    nextgqa,
    nextqa,
    retrieval,
    short_answers,
    tempcompass,
)
from videre.errors import DataError
from videre.types import Sample, Span

Reader = Callable[[Path], Sequence]


@pytest.fixture(scope="session")
def annotations(shared: Path) -> Path:
    folder = shared / "corpus" / "annotations"
    if not folder.is_dir():
        pytest.skip(f"needs the benchmarks' annotation files, in {folder}")
    return folder


SAMPLES: list[tuple[str, Reader, int]] = [
    ("nextqa/val.csv", nextqa.read, 200),
    ("nextqa/test.csv", nextqa.read, 200),
    ("nextgqa/val.csv", nextgqa.read, 200),
    ("nextgqa/test.csv", nextgqa.read, 200),
    ("mvbench/mvbench.jsonl", mvbench.read, 200),
    ("tempcompass/TempCompass.jsonl", tempcompass.read, 200),
    ("tempcompass_official/multi-choice.json", tempcompass.read, 142),
    ("tempcompass_official/yes_no.json", tempcompass.read, 258),
    ("tempcompass_official/caption_matching.json", tempcompass.read, 123),
    ("tempcompass_official/captioning.json", tempcompass.read, 164),
    ("longvideobench/include_frame_idx.json", longvideobench.read, 200),
    ("egoschema/questions.json", egoschema.read, 20),
    ("mlvu/mlvu.jsonl", mlvu.read, 210),
    ("msvd_qa/qa_test.json", short_answers.msvd, 200),
    ("msrvtt_qa/qa_val.json", short_answers.msrvtt, 200),
    ("activitynet_qa/val_q.json", short_answers.activitynet, 200),
    ("activitynet_qa/test_q.json", short_answers.activitynet, 200),
    ("activitynet_qa_malmm/qa_test.json", short_answers.activitynet, 200),
    ("lvu/test.json", lvu.read, 207),
    ("breakfast/val.json", activities.breakfast, 200),
    ("charades_sta/charades_test_release.jsonl", moments.read, 200),
    ("tacos/tacos_test_release.jsonl", moments.read, 200),
    ("activitynet_captions/activitynet_val_release.jsonl", moments.read, 200),
    ("qvhighlights/highlight_val_release.jsonl", moments.read, 200),
    ("tvsum/tvsum_val_release.jsonl", moments.read, 4),
    ("youtube_highlights/youtube_highlight_val_release.jsonl", moments.read, 40),
    ("didemo/val_data.json", moments.read_didemo, 200),
    ("didemo/test_data.json", moments.read_didemo, 200),
    ("didemo/tempoTL+didemo_val.json", moments.read_didemo, 200),
]
OTHERS: list[tuple[str, Reader, int]] = [
    ("longvideobench/include_frame_idx.json", longvideobench.read_references, 200),
    ("qvhighlights/highlight_val_release.jsonl", moments.read_highlights, 200),
    ("tvsum/tvsum_val_release.jsonl", moments.read_highlights, 4),
    ("youtube_highlights/youtube_highlight_val_release.jsonl", moments.read_highlights, 40),
    ("msrvtt_retrieval/msrvtt_test.csv", retrieval.msrvtt, 200),
    ("didemo/val_data.json", retrieval.didemo, 181),
    ("didemo/test_data.json", retrieval.didemo, 174),
    ("activitynet_captions/activitynet_val_release.jsonl", retrieval.activitynet, 57),
    ("youcook2_retrieval/validation_youcook.csv", retrieval.youcook2, 200),
    ("epic_kitchens_100/EPIC_100_retrieval_test_sentence.csv", retrieval.epic_kitchens, 200),
    ("msrvtt_cap/cap_val.json", captions.msrvtt, 10),
    ("msvd_cap/cap_val.json", captions.msvd, 5),
    ("msvd_cap/coco_gt_cap_val.json", captions.coco, 5),
    ("youcook2/cap_val.json", captions.youcook2, 200),
    ("youcook2/cap_test.json", captions.youcook2, 200),
    ("epic_kitchens_100/EPIC_100_validation.csv", epic_kitchens.anticipation, 200),
    ("epic_kitchens_100/EPIC_100_verb_classes.csv", epic_kitchens.read_classes, 97),
    ("epic_kitchens_100/EPIC_100_noun_classes.csv", epic_kitchens.read_classes, 300),
    ("hmdb51/hmdb51.csv", labels.read_hmdb51, 200),
]
TABLES: list[tuple[str, Callable, int]] = [
    ("nextgqa/gsub_val.json", nextgqa.read_grounds, 165),
    ("nextgqa/gsub_test.json", nextgqa.read_grounds, 185),
    ("nextgqa/frame2time_val.json", nextgqa.read_frame_seconds, 165),
    ("nextgqa/frame2time_test.json", nextgqa.read_frame_seconds, 185),
    ("nextgqa/upbd_val.json", nextgqa.read_frame_seconds, 165),
    ("nextgqa/upbd_test.json", nextgqa.read_frame_seconds, 185),
    ("nextgqa/map_vid_vidorID.json", nextqa.read_folders, 185),
    ("nextgqa/train_gpt4_sub.json", nextgqa.read_paraphrases, 200),
    ("tempcompass_official/meta_info.json", tempcompass.read_fine_grained, 39),
    ("egoschema/uid_to_ego4d.json", egoschema.read_clips, 200),
    ("egoschema/subset_answers.json", labels.read_answers, 500),
    ("msvd_qa/qa_ans2label.json", labels.read_answers, 2423),
    ("msrvtt_qa/qa_ans2label.json", labels.read_answers, 1500),
    ("epic_kitchens_100/EPIC_100_tail_verbs.csv", epic_kitchens.read_tail, 86),
    ("epic_kitchens_100/EPIC_100_tail_nouns.csv", epic_kitchens.read_tail, 228),
    ("epic_kitchens_100/EPIC_100_video_info.csv", epic_kitchens.read_durations, 200),
    ("star/action_classes.txt", labels.read_coded, 111),
    ("star/action_mapping.txt", labels.read_coded, 111),
    ("star/object_classes.txt", labels.read_coded, 37),
    ("star/relationship_classes.txt", labels.read_coded, 24),
    ("star/verb_classes.txt", labels.read_coded, 17),
    ("labels/ava__label_map.txt", labels.read_coded, 60),
    ("labels/activitynet__label_map.txt", labels.read_names, 200),
    ("labels/diving48__label_map.txt", labels.read_names, 48),
    ("labels/gym__label_map.txt", labels.read_names, 99),
    ("labels/hmdb51__label_map.txt", labels.read_names, 51),
    ("labels/jester__label_map.txt", labels.read_names, 27),
    ("labels/kinetics__label_map_k400.txt", labels.read_names, 400),
    ("labels/kinetics__label_map_k600.txt", labels.read_names, 600),
    ("labels/kinetics__label_map_k700.txt", labels.read_names, 700),
    ("labels/sthv2__label_map.txt", labels.read_names, 174),
    ("labels/ucf101__label_map.txt", labels.read_names, 101),
    ("howto100m_asr/6BM6wtbOkFw.csv", moments.read_speech, 18),
    ("howto100m_asr/K5fh6Xb_6tA.csv", moments.read_speech, 319),
]
JOINED = {"activitynet_qa/val_a.json", "activitynet_qa/test_a.json"}
EVERY = [*SAMPLES, *OTHERS, *TABLES]


@cache
def read_once(reader: Callable, path: Path) -> Sequence:
    return reader(path)


def named(cases: list) -> list[str]:
    return [f"{reader.__module__.split('.')[-1]}.{reader.__name__}-{name}" for name, reader, _ in cases]


def test_every_file_of_the_corpus_has_a_reader(annotations):
    there = {str(path.relative_to(annotations)) for path in annotations.rglob("*") if path.is_file()}
    assert there == {name for name, _, _ in EVERY} | JOINED


@pytest.mark.parametrize(("name", "reader", "count"), EVERY, ids=named(EVERY))
def test_counts(annotations, name, reader, count):
    assert len(read_once(reader, annotations / name)) == count


@pytest.mark.parametrize(("name", "reader", "count"), SAMPLES, ids=named(SAMPLES))
def test_samples_hold_together(annotations, name, reader, count):
    samples = read_once(reader, annotations / name)
    assert len({sample.id for sample in samples}) == count
    for sample in samples:
        assert sample.question.text == sample.question.text.strip() != ""
        assert not sample.video.startswith("/")
        if sample.question.options and sample.answer is not None:
            assert sample.question.options[sample.option] == sample.answer
        for span in sample.spans:
            assert -0.2 <= span.start_seconds <= span.end_seconds


FIRST = {
    "nextqa/val.csv": ("4010069381_6", "4010069381", "roll the handle", "CH"),
    "nextgqa/test.csv": ("2574374895_8", "2574374895", "lay on floor", "TN"),
    "mvbench/mvbench.jsonl": ("1", "star/Charades_v1_480/ZS9XR.mp4", "Ate the medicine.", "action_sequence"),
    "tempcompass/TempCompass.jsonl": ("0", "videos/1034419625.mp4", "dunking a basketball", "action"),
    "tempcompass_official/multi-choice.json": (
        "multi-choice/1034419625/action/0",
        "1034419625",
        "dunking a basketball",
        "action",
    ),
    "longvideobench/include_frame_idx.json": (
        "86CxyhFV9MI_0",
        "86CxyhFV9MI.mp4",
        "run away countless times, i was just scared, i still and front of our crown, like a world of souls,",
        "TOS",
    ),
    "mlvu/mlvu.jsonl": ("1", "video/4_count/count_126.mp4", "1", "count"),
    "msvd_qa/qa_test.json": ("0000000", "jfrrO5K_vKM_55_65", "someone", "who"),
    "msrvtt_qa/qa_val.json": ("0000000", "video6513", "couch", "what"),
    "activitynet_qa_malmm/qa_test.json": ("v_1QIUV7WYKXg_3", "1QIUV7WYKXg", "no", "yes_no"),
    "lvu/test.json": ("director/0Ij2veeSsE4", "0Ij2veeSsE4", "steven", "director"),
    "breakfast/val.json": ("P47-cam01-P47_cereals", "P47/cam01/P47_cereals", "cereal", ""),
    "charades_sta/charades_test_release.jsonl": ("12404", "3MSZA", None, ""),
}


@pytest.mark.parametrize("name", FIRST)
def test_first_rows(annotations, name):
    reader = next(reader for known, reader, _ in SAMPLES if known == name)
    first: Sample = read_once(reader, annotations / name)[0]
    assert (first.id, first.video, first.answer, first.kind) == FIRST[name]


def test_kinds(annotations):
    kinds = {
        name: Counter(sample.kind for sample in read_once(reader, annotations / name)) for name, reader, _ in SAMPLES
    }
    assert set(kinds["nextqa/val.csv"]) == set(nextqa.GROUPS)
    assert set(kinds["nextgqa/val.csv"]) <= {"CW", "CH", "TN", "TP", "TC"}
    assert kinds["mvbench/mvbench.jsonl"] == Counter(dict.fromkeys(mvbench.FOLDERS, 10))
    assert len(mvbench.FOLDERS) == 20
    assert set(kinds["tempcompass/TempCompass.jsonl"]) == set(tempcompass.DIMENSIONS)
    assert set(kinds["mlvu/mlvu.jsonl"].values()) == {30}
    assert set(kinds["lvu/test.json"]) == {"director", "year", "way_speaking", "genre", "relationship"}


def test_nextgqa_joins_spans_folders_and_frame_times(annotations):
    folder = annotations / "nextgqa"
    folders = nextqa.read_folders(folder / "map_vid_vidorID.json")
    samples = nextgqa.read(folder / "test.csv", folder / "gsub_test.json", folders=folders)
    grounds = nextgqa.read_grounds(folder / "gsub_test.json")
    frames = nextgqa.read_frame_seconds(folder / "frame2time_test.json")
    for sample in samples:
        video, qid = sample.id.rsplit("_", 1)
        assert sample.video == folders[video]
        assert sample.spans == grounds[video].spans[qid] != ()
        assert len(frames[video]) == 32
        assert list(frames[video]) == sorted(frames[video])
    assert samples[0].video == "1101/2574374895"


def test_the_whole_ground_truth_of_nextgqa_is_kept_as_published(shared):
    for split, videos, questions, early in (("val", 570, 3358, 0), ("test", 999, 5553, 36)):
        path = shared / "golden" / "nextgqa" / f"gsub_{split}.json"
        raw = json.loads(path.read_text())
        grounds = nextgqa.read_grounds(path)
        assert (len(grounds), sum(len(ground.spans) for ground in grounds.values())) == (videos, questions)
        told = {
            video: {
                qid: [[span.start_seconds, span.end_seconds] for span in spans] for qid, spans in ground.spans.items()
            }
            for video, ground in grounds.items()
        }
        assert told == {video: row["location"] for video, row in raw.items()}
        starts = [
            span.start_seconds for ground in grounds.values() for spans in ground.spans.values() for span in spans
        ]
        assert sum(start < 0 for start in starts) == early


def test_every_multiple_choice_question_of_tempcompass_that_a_model_answered(shared):
    path = shared / "corpus" / "results" / "tempcompass" / "video-llava.multi-choice.pred.json"
    samples = tempcompass.read(path, task="multi-choice")
    kinds = Counter(sample.kind for sample in samples)
    assert kinds == {"action": 338, "direction": 335, "speed": 317, "order": 302, "attribute_change": 288}
    stuck = [sample for sample in samples if sample.id.endswith("1024867412_1034049020_0/order/2")]
    assert [(len(sample.question.options), sample.option) for sample in stuck] == [(3, 1)]


def test_every_row_of_qvhighlights_validation(shared):
    path = shared / "corpus" / "results" / "qvhighlights" / "highlight_val_release.jsonl"
    found = moments.read_highlights(path)
    assert len(found) == 1550
    assert all(len(score) == 3 for row in found for score in row.saliency)
    assert all(span.end_seconds <= row.duration_seconds for row in found for span in row.sample.spans)
    first = found[0]
    assert (first.id, first.sample.spans, first.clip_ids[:2], first.saliency[0]) == (
        "2579",
        (Span(82, 150),),
        (41, 42),
        (1, 1, 2),
    )


def test_official_questions_of_tempcompass_and_the_prompts_agree(annotations):
    prompts = tempcompass.read(annotations / "tempcompass" / "TempCompass.jsonl")
    official = tempcompass.read(annotations / "tempcompass_official" / "multi-choice.json")
    known = {(s.video, s.question.text, s.question.options): s.answer for s in official}
    both = [s for s in prompts if (Path(s.video).stem, s.question.text, s.question.options) in known]
    assert len(both) > 100
    assert all(s.answer == known[Path(s.video).stem, s.question.text, s.question.options] for s in both)
    fine = tempcompass.read_fine_grained(annotations / "tempcompass_official" / "meta_info.json")
    assert fine["1034419625", "action"] == "fine-grained action"
    assert {s.kind for s in official} == {dimension for _, dimension in fine}


def test_longvideobench_references(annotations):
    rows = longvideobench.read_references(annotations / "longvideobench" / "include_frame_idx.json")
    assert rows[0].position == (854, 948, 1373)
    assert {row.duration_group for row in rows} <= {15, 60, 600, 3600}


def test_egoschema_answers_and_clips(annotations, tmp_path):
    folder = annotations / "egoschema"
    plain = egoschema.read(folder / "questions.json", folder / "subset_answers.json")
    assert all(sample.answer is None and sample.clip is None for sample in plain)
    answers = tmp_path / "answers.json"
    answers.write_text(json.dumps({plain[0].id: 3}))
    cut = egoschema.read(folder / "questions.json", answers, clips=folder / "uid_to_ego4d.json")
    assert (cut[0].option, cut[0].clip) == (3, Span(240, 420))
    assert cut[0].video == "2fa72a4f-b318-4e04-97b8-efdc3b039258"
    assert all(sample.clip and sample.clip.seconds == 180 for sample in cut)


@pytest.mark.parametrize("split", ["val", "test"])
def test_activitynet_qa_joins_its_answers(annotations, split):
    folder = annotations / "activitynet_qa"
    samples = short_answers.activitynet(folder / f"{split}_q.json", folder / f"{split}_a.json")
    assert all(sample.answer for sample in samples)
    assert all(sample.answer is None for sample in short_answers.activitynet(folder / f"{split}_q.json"))
    if split == "test":
        other = {
            s.id: s.answer for s in short_answers.activitynet(annotations / "activitynet_qa_malmm" / "qa_test.json")
        }
        assert sum(sample.answer == other[sample.id] for sample in samples if sample.id in other) > 190


def test_paragraphs_join_the_sentences_of_a_video(annotations):
    pairs = retrieval.didemo(annotations / "didemo" / "test_data.json")
    rows = json.loads((annotations / "didemo" / "test_data.json").read_text())
    video = Counter(row["video"] for row in rows).most_common(1)[0][0]
    told = next(pair.text for pair in pairs if pair.video == video)
    assert told == " ".join(row["description"].strip() for row in rows if row["video"] == video)
    first = retrieval.activitynet(annotations / "activitynet_captions" / "activitynet_val_release.jsonl")[0]
    assert first.text.startswith("A weight lifting tutorial is given. The coach helps")


def test_captions_are_grouped_and_held_back_ones_are_empty(annotations):
    msvd = captions.msvd(annotations / "msvd_cap" / "cap_val.json")
    coco = captions.coco(annotations / "msvd_cap" / "coco_gt_cap_val.json")
    assert msvd == coco
    assert sum(len(row.captions) for row in msvd) == 200
    val = captions.youcook2(annotations / "youcook2" / "cap_val.json")
    assert (val[0].captions, val[0].clip) == (("pick the ends off the verdalago",), Span(47, 60))
    pairs = retrieval.youcook2(annotations / "youcook2_retrieval" / "validation_youcook.csv")
    assert (pairs[0].text, pairs[0].clip) == (val[0].captions[0], val[0].clip)
    assert all(row.captions == () for row in captions.youcook2(annotations / "youcook2" / "cap_test.json"))


def test_lvu_windows_are_those_of_ma_lmm(annotations):
    path = annotations / "lvu" / "test.json"
    raw = json.loads(path.read_text())
    samples = lvu.read(path, "director", window_seconds=100, stride_seconds=20)
    expected = [
        (video, start)
        for video, row in raw.items()
        if "director" in row
        for start in [0, *range(20, row["duration"] - 100 + 1, 20)]
    ]
    assert [(sample.video, sample.clip.start_seconds) for sample in samples] == expected
    assert samples[0].id == "director/0Ij2veeSsE4_0"
    assert samples[0].clip == Span(0, 99)
    with pytest.raises(DataError, match="no task of LVU"):
        lvu.read(path, "mood")


def test_anticipation_sees_nothing_of_the_action(annotations):
    path = annotations / "epic_kitchens_100" / "EPIC_100_validation.csv"
    rows = epic_kitchens.anticipation(path, observed_seconds=3.5)
    for row in rows:
        assert row.sample.clip is not None
        assert row.sample.clip.end_seconds <= max(0.0, row.action.start_seconds - 1.0)
        assert row.observable == (row.action.start_seconds > 1.0)
        assert row.sample.clip.seconds <= 3.5 + 1e-9
        assert 0 <= row.verb_class < 97
        assert 0 <= row.noun_class < 300
    assert (rows[0].observable, rows[0].sample.answer, rows[0].sample.video) == (
        False,
        "take plate",
        "P01/videos/P01_11",
    )
    assert rows[2].action == Span(49.15, 50.95)
    classes = epic_kitchens.read_classes(path.parent / "EPIC_100_noun_classes.csv")
    assert [int(item.id) for item in classes] == list(range(300))
    assert classes[0].instances[1] == "tap:water"


def test_moments_of_other_sets(annotations):
    didemo = moments.read_didemo(annotations / "didemo" / "test_data.json")
    assert didemo[0].spans[:3] == (Span(20, 25), Span(20, 25), Span(0, 5))
    tvsum = moments.read_highlights(annotations / "tvsum" / "tvsum_val_release.jsonl")
    assert (len(tvsum[0].saliency), len(tvsum[0].saliency[0])) == (74, 20)
    words = moments.read_speech(annotations / "howto100m_asr" / "6BM6wtbOkFw.csv")
    assert words[0] == Span(0.0, 13.19, label="watch girls")
    assert all(a.start_seconds <= b.start_seconds for a, b in pairwise(words))


STRUCTURED = [case for case in EVERY if not case[0].endswith(".txt")]
LINES = [case for case in STRUCTURED if case[0].endswith(".jsonl")]
CSV = [case for case in STRUCTURED if case[0].endswith(".csv")]
JSON = [case for case in STRUCTURED if case[0].endswith(".json")]


def copied(source: Path, folder: Path) -> Path:
    """The file; of JSON lines and CSV the first twelve lines, so that reading it many times takes no time."""
    path = folder / source.name
    lines = source.read_text().splitlines(keepends=True)
    path.write_text("".join(lines if source.suffix == ".json" else lines[:12]))
    return path


def raised(reader: Callable, path: Path) -> str:
    """The message of the error, empty where there is none."""
    try:
        reader(path)
    except DataError as error:
        return str(error)
    return ""


def refused(reader: Callable, path: Path) -> str:
    with pytest.raises(DataError) as caught:
        reader(path)
    message = str(caught.value)
    assert re.match(rf"{re.escape(str(path))}:\d+", message), message
    assert "; " in message
    return message.removeprefix(str(path))


@pytest.mark.parametrize(("name", "reader", "count"), LINES, ids=named(LINES))
def test_a_broken_line_is_named(annotations, tmp_path, name, reader, count):
    path = copied(annotations / name, tmp_path)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:2], lines[2][:-20], *lines[3:]]))
    assert refused(reader, path).startswith(":3: ")
    path.write_text("\n".join(lines)[:-30])
    assert refused(reader, path).startswith(f":{len(lines)}: the last line is torn")


@pytest.mark.parametrize(("name", "reader", "count"), CSV, ids=named(CSV))
def test_a_deleted_column_is_named(annotations, tmp_path, name, reader, count):
    path = copied(annotations / name, tmp_path)
    head, rest = path.read_text().split("\n", 1)
    missed = 0
    for column in head.strip().split(","):
        path.write_text(head.replace(column, "deleted", 1) + "\n" + rest)
        missed += raised(reader, path).startswith(f"{path}:1: no column {column} (there is ")
    assert missed > 0
    first = rest.split("\n", 1)[0]
    if "," in first:
        path.write_text(f"{head}\n{rest.rstrip()}\n{first.split(',')[0]}\n")
        assert refused(reader, path).startswith(f":{len(path.read_text().splitlines())}: ")


@pytest.mark.parametrize(("name", "reader", "count"), JSON, ids=named(JSON))
def test_a_cut_file_is_named_with_its_line(annotations, tmp_path, name, reader, count):
    path = copied(annotations / name, tmp_path)
    text = path.read_text().rstrip()
    path.write_text(text[: len(text) // 2])
    message = refused(reader, path)
    assert int(message[1:].split(":")[0].split(" ")[0]) <= text.count("\n", 0, len(text) // 2) + 1


@pytest.mark.parametrize(("name", "reader", "count"), STRUCTURED, ids=named(STRUCTURED))
def test_random_damage_gives_samples_or_a_data_error(annotations, tmp_path, name, reader, count):
    path = copied(annotations / name, tmp_path)
    whole = path.read_bytes()[:6_000]
    generator = random.Random(name)
    for _ in range(8):
        at = generator.randrange(len(whole))
        damaged = whole[:at] + bytes(generator.randrange(256) for _ in range(3)) + whole[at + generator.randrange(40) :]
        path.write_bytes(damaged)
        assert re.match(rf"({re.escape(str(path))}:\d+|$)", raised(reader, path))


def edited(path: Path, line: int, old: str, new: str) -> None:
    lines = path.read_text().splitlines(keepends=True)
    assert old in lines[line - 1], lines[line - 1]
    lines[line - 1] = lines[line - 1].replace(old, new)
    path.write_text("".join(lines))


WRONG = [
    ("nextqa/val.csv", nextqa.read, 2, ",roll the handle,6", ",roll the hndle,6", "none of the options"),
    ("nextqa/val.csv", nextqa.read, 4, ",CH,", ",XX,", "\"type\" is 'XX'"),
    ("mvbench/mvbench.jsonl", mvbench.read, 5, '"GT": "C"', '"GT": "F"', "the options are A, B, C, D"),
    ("mvbench/mvbench.jsonl", mvbench.read, 5, "action_sequence", "action_seqence", "none of MVBench's tasks"),
    ("mlvu/mlvu.jsonl", mlvu.read, 3, '"GT"', '"gt"', 'no field "GT"'),
    (
        "tempcompass/TempCompass.jsonl",
        tempcompass.read,
        2,
        '"category": "action"',
        '"category": "x"',
        "the dimension 'x'",
    ),
    ("tempcompass_official/yes_no.json", tempcompass.read, 6, '"yes"', '"maybe"', "yes or no"),
    ("tempcompass_official/multi-choice.json", tempcompass.read, 6, '"A. dunking', '"A. dnking', "none of the options"),
    ("qvhighlights/highlight_val_release.jsonl", moments.read, 1, "[82, 150]", "[150, 82]", "ends before it starts"),
    ("qvhighlights/highlight_val_release.jsonl", moments.read, 1, "[82, 150]", "[82, NaN]", "finite"),
    ("qvhighlights/highlight_val_release.jsonl", moments.read, 1, "[82, 150]", "[82000, 150000]", "milliseconds"),
    ("qvhighlights/highlight_val_release.jsonl", moments.read_highlights, 1, "[41, 42, ", "[42, ", "33 clips but 34"),
    (
        "charades_sta/charades_test_release.jsonl",
        moments.read,
        2,
        '"qid": 12405',
        '"qid": 12404',
        "used before, on line 1",
    ),
    ("charades_sta/charades_test_release.jsonl", moments.read, 2, '"3MSZA"', '"../3MSZA"', "climbs out"),
    ("msvd_qa/qa_test.json", short_answers.msvd, 17, '"video"', '"vido"', 'no field "video"'),
    ("breakfast/val.json", activities.breakfast, 5, '"cereal"', "5", '"class_name" is a number'),
    ("epic_kitchens_100/EPIC_100_validation.csv", epic_kitchens.anticipation, 2, "00:00:01.89", "1.89", "HH:MM:SS"),
    ("egoschema/questions.json", egoschema.read, 1, '"option 4"', '"option 5"', 'no field "option 4"'),
    ("nextgqa/gsub_val.json", nextgqa.read_grounds, 1, "[[2.8, 7.6]]", "[[7.6, 2.8]]", "ends before it starts"),
]


@pytest.mark.parametrize(("name", "reader", "line", "old", "new", "reason"), WRONG, ids=lambda value: str(value)[:24])
def test_a_wrong_value_is_named(annotations, tmp_path, name, reader, line, old, new, reason):
    path = copied(annotations / name, tmp_path)
    edited(path, line, old, new)
    message = refused(reader, path)
    assert reason in message
    near = int(re.match(r":(\d+)", message).group(1))
    assert line - 11 <= near <= line, message


def test_joins_that_do_not_fit_name_the_row(annotations, tmp_path):
    folder = annotations / "nextgqa"
    with pytest.raises(DataError, match=r"test.csv:2: no spans for 2574374895_8; use the gsub file of the same split"):
        nextgqa.read(folder / "test.csv", folder / "gsub_val.json")
    with pytest.raises(DataError, match=r"test.csv:2: the video 2574374895 is not in the folder map"):
        nextqa.read(folder / "test.csv", folders={"1": "0/1"})
    other = annotations / "activitynet_qa"
    with pytest.raises(DataError, match=r"test_q.json:1 \(row 0\): no answer for v_1QIUV7WYKXg_3"):
        short_answers.activitynet(other / "test_q.json", other / "val_a.json")
