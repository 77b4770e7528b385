"""Stories: an independent tracker finds in the decoded pixels what the truth says; exports are read by our readers."""

import hashlib
import json
from collections import Counter, defaultdict
from dataclasses import replace
from itertools import pairwise, product

import av
import numpy as np
import pytest
from click.testing import CliRunner

from videre.apps.worlds import command
from videre.data import activities, epic_kitchens, label_sets, nextgqa, retrieval, rows, star, world
from videre.data.world.exports import export
from videre.data.world.scene import COLOURS
from videre.data.world.story import EVENTS, TURNED

SMALL = world.StoryConfig(size_px=96)


def decoded(path):
    with av.open(str(path)) as container:
        yield from (frame.to_ndarray(format="rgb24").astype(np.int32) for frame in container.decode(video=0))


def found(frame) -> dict[str, np.ndarray]:
    """The centre of what is nearest to each colour of the world: pixels in, no knowledge of the story."""
    names, table = list(COLOURS), np.array(list(COLOURS.values()))
    bright = frame.max(-1) > 120
    where, pixels = np.argwhere(bright), frame[bright]
    if not len(pixels):
        return {}
    distance = np.linalg.norm(pixels[:, None] - table, axis=-1)
    nearest = np.where(distance.min(1) < 60, distance.argmin(1), -1)
    masks = {name: where[nearest == i] for i, name in enumerate(names)}
    return {name: (m.min(0) + m.max(0) + 1)[::-1] / 2 / len(frame) for name, m in masks.items() if len(m) >= 30}


def stretches(tracks: list[dict], fps: int, *, gap_seconds: float = 0.7) -> list[tuple[int, int]]:
    """First and last frame of each stretch with something on the stage; short gaps are blinks."""
    busy = [i for i, seen in enumerate(tracks) if seen]
    cuts = [i for i in range(1, len(busy)) if busy[i] - busy[i - 1] > gap_seconds * fps]
    parts = np.split(np.array(busy), cuts)
    return [(int(p[0]), int(p[-1])) for p in parts]


def moved(tracks, colour) -> np.ndarray:
    """How far a colour's centre goes from each frame to the next; 0 where it is not seen in both."""
    pairs = pairwise(tracks)
    return np.array([np.abs(b[colour] - a[colour]).max() if colour in a and colour in b else 0.0 for a, b in pairs])


def judged(tracks: list[dict]) -> tuple[str, str, str, int]:
    """What happens in a stretch, from tracks alone: kind, colour of the actor, of the other, number of blinks."""
    colours = sorted({c for seen in tracks for c in seen})
    plain = [c for c in colours if c not in TURNED]
    half = len(tracks) // 2
    early = {c: moved(tracks[: half - 1], c).sum() for c in plain}
    gaps = sum(bool(a) and not b for a, b in pairwise(tracks))
    if len(plain) == 1:
        (actor,) = plain
        return ("stop" if early[actor] > 0.2 else "blink" if gaps else "rest"), actor, "", max(gaps, 1)
    actor, other = sorted(plain, key=lambda c: -early[c])
    if set(colours) & set(TURNED):
        return "recolour", actor, other, 1
    if early[other] < 0.05:
        return "collision", actor, other, 1
    leader = max(plain, key=lambda c: _along(tracks, plain, c))
    (other,) = set(plain) - {leader}
    return "follow", leader, other, 1


def _along(tracks, plain, colour) -> float:
    """How far ahead a colour is, in the direction in which both go."""
    first, last = tracks[3], tracks[-3]
    way = sum(last[c] - first[c] for c in plain)
    return float(np.dot(way, last[colour]))


@pytest.mark.parametrize("seed", range(8))
def test_what_a_tracker_sees_is_what_is_written(tmp_path, seed):
    story = world.tell(seed, SMALL)
    assert disagreements(story, tmp_path / "story.mp4") == []


def disagreements(story, path) -> list[str]:
    """Where spans, kinds, who did it to whom, counts and boxes as seen in the file differ from the truth."""
    tracks, fps = [found(frame) for frame in decoded(world.write(story, path))], story.config.fps
    acts = [story.act(slot) for slot in range(story.config.events + story.config.distractors)]
    seen = stretches(tracks, fps)
    wrong = [] if len(seen) == len(acts) else [f"{len(seen)} acts are seen, {len(acts)} are written"]
    for (first, last), act in zip(seen, acts, strict=False):
        span = (first / fps, (last + 1) / fps)
        if np.abs(np.subtract(span, (act.span.start_seconds, act.span.end_seconds))).max() > 1.5 / fps:
            wrong.append(f"span {span}, written {act.span}")
        truth = (act.kind, act.actor.split()[0], act.other.split()[0] if act.other else "", act.count)
        if judged(tracks[first : last + 1]) != truth:
            wrong.append(f"{judged(tracks[first : last + 1])}, written {truth}")
        wrong += _boxes_off(tracks, act, fps)
    return wrong


def _boxes_off(tracks, act, fps) -> list[str]:
    off = []
    for piece in act.pieces:
        index = round((piece.start_seconds + piece.end_seconds) / 2 * fps)
        box, at = piece.box(index / fps), tracks[index].get(piece.colour)
        middle = ((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2)
        if at is None or np.abs(at - middle).max() > 0.03:
            off.append(f"{piece.name} at {index / fps} s: {at}, written {middle}")
    return off


def test_same_seed_same_bytes(tmp_path):
    config = replace(SMALL, seconds=18.0, events=2)
    files = [world.write(world.tell(seed, config), tmp_path / f"{i}.mp4") for i, seed in enumerate((3, 3, 4))]
    digests = [hashlib.sha256(f.read_bytes()).hexdigest() for f in files]
    assert digests[0] == digests[1] != digests[2]


def test_a_needle_in_twelve_hours_is_drawn_without_the_rest():
    story = world.tell(1, world.StoryConfig(seconds=12 * 3600.0, events=2, distractors=1000, fps=6, size_px=96))
    for act in story.events:
        clip = story.window(act.span.start_seconds, act.span.end_seconds)
        assert len(clip.things) < 40
        frame = world.render(clip, [act.span.start_seconds + 0.1]).pixels[0].transpose(1, 2, 0)
        assert set(found(frame.astype(int))) <= {n.split()[0] for n in (act.actor, act.other) if n}
        assert found(frame.astype(int))
    quiet = next(
        t for t in np.arange(0.0, 100.0) if not any(a.shown(np.array([t]))[0] for a in story.window(t, t).things)
    )
    assert not found(world.render(story.window(quiet, quiet), [quiet]).pixels[0].transpose(1, 2, 0).astype(int))


def test_a_chunk_is_the_same_whatever_its_size():
    story = world.tell(2, replace(SMALL, size_px=48))
    small, large = (np.concatenate([c.pixels for c in story.chunks(n)]) for n in (7, 64))
    np.testing.assert_array_equal(small, large)


def test_answers_are_among_options_and_blind_guessing_stays_at_chance():
    answers, position, chance = defaultdict(Counter), defaultdict(Counter), {}
    for seed in range(1500):
        for sample in world.story_questions(world.tell(seed)):
            options = sample.question.options
            assert sample.answer in options
            assert len(set(options)) == len(options)
            answers[sample.kind][sample.answer] += 1
            position[sample.kind][options.index(sample.answer)] += 1
            chance[sample.kind] = 1 / len(options)
    assert set(answers) == set(world.STORY_KINDS)
    for kind in world.STORY_KINDS:
        for counts in (answers[kind], position[kind]):
            total = counts.total()
            slack = 4 * (chance[kind] * (1 - chance[kind]) / total) ** 0.5
            assert max(counts.values()) / total < chance[kind] + slack, (kind, counts)


def test_next_and_before_follow_the_order_of_events():
    for seed in range(100):
        story = world.tell(seed)
        by_actor = {act.actor: i for i, act in enumerate(story.events)}
        for sample in world.story_questions(story, kinds=("TN", "TP")):
            step = (
                by_actor[sample.answer.removeprefix("the ")]
                - by_actor[" ".join(sample.question.text[:-1].split()[-2:])]
            )
            assert step == (1 if sample.kind == "TN" else -1)


def test_how_where_and_meanwhile_say_what_the_pieces_show():
    told = Counter()
    for seed in range(300):
        story = world.tell(seed)
        acts = {act.span.start_seconds: act for act in story.events}
        for sample in world.story_questions(story, kinds=("CH", "TC", "DL", "Feasibility")):
            act = acts[sample.spans[0].start_seconds]
            told[sample.kind] += 1
            if sample.kind == "CH":
                towards = np.array(act.pieces[-1].path[:2]) - np.array(act.pieces[0].path[:2])
                side = {(1, 0): "left", (-1, 0): "right", (0, 1): "above", (0, -1): "below"}[
                    tuple(np.sign(towards.round(6)))
                ]
                assert (sample.answer == "it does not") == (act.kind == "follow")
                assert act.kind == "follow" or sample.answer.endswith(side)
            elif sample.kind == "DL":
                x, y = act.pieces[0].path[:2]
                told[sample.answer] += 1
                assert ("left" in sample.answer) == (x < 0.36)
                assert ("right" in sample.answer) == (x > 0.64)
                assert ("top" in sample.answer) == (y < 0.36)
                assert ("bottom" in sample.answer) == (y > 0.64)
            else:
                assert sample.answer.removeprefix("the ") in (act.actor, act.other)
                assert sample.answer.removeprefix("the ") not in sample.question.text
            assert sample.clip is None or sample.clip.end_seconds < act.turn_seconds
    assert len(told) == 9


def test_exports_are_read_back_by_the_readers_of_the_benchmarks(tmp_path):
    stories = [world.tell(seed) for seed in range(12)]
    export(stories, tmp_path)
    by_name = {world.story_name(s).removesuffix(".mp4"): s for s in stories}
    grounded = nextgqa.read(tmp_path / "nextqa.csv", tmp_path / "gsub.json")
    asked = {(s.video, s.kind, s.question.text): s for story in stories for s in world.story_questions(story)}
    for sample in grounded:
        original = asked[f"{sample.video}.mp4", sample.kind, sample.question.text]
        assert (sample.answer, sample.question) == (original.answer, original.question)
        assert (sample.spans[0].start_seconds, sample.spans[0].end_seconds) == pytest.approx(
            (original.spans[0].start_seconds, original.spans[0].end_seconds)
        )
    assert {s.kind for s in grounded} >= {"CW", "CH", "TN", "TP", "TC", "DC", "DL"}
    assert {s.kind for s in star.read(tmp_path / "star.json")} == set(star.KINDS)
    assert [p.text for p in retrieval.msrvtt(tmp_path / "msrvtt.csv")] == [s.caption for s in stories]
    assert [s.answer for s in activities.breakfast(tmp_path / "breakfast.json")] == [s.activity for s in stories]
    for name, row in json.loads((tmp_path / "breakfast.json").read_text()).items():
        kinds = [act.kind for act in by_name[name].events]
        assert row["class_label"] == list(product(EVENTS, repeat=len(kinds))).index(tuple(kinds))
    for sample in activities.coin(tmp_path / "coin.json"):
        assert [span.label for span in sample.spans] == [act.caption for act in by_name[sample.id].events]
    labels = [clip.action for clip in label_sets.kinetics(tmp_path / "kinetics.csv")]
    assert labels == [act.kind for s in stories for act in s.events]
    foreseen = epic_kitchens.anticipation(tmp_path / "epic_train.csv")
    assert [f.action.start_seconds for f in foreseen] == pytest.approx(
        [act.span.start_seconds for s in stories for act in s.events], abs=1e-3
    )
    assert [c.key for c in epic_kitchens.read_classes(tmp_path / "epic_verb.csv")] == list(EVENTS)


def test_the_sheet_of_a_story_shows_each_event_before_and_after_its_turn():
    story = world.tell(5)
    sheet = np.asarray(world.story_sheet(story)).astype(int)
    cell = sheet.shape[1] // 4
    for row, act in enumerate(story.events):
        cells = [sheet[row * (cell + 14) : row * (cell + 14) + cell, i * cell : (i + 1) * cell] for i in range(4)]
        shown = [set(found(c)) - {"white"} for c in cells]
        assert shown[0] == {name.split()[0] for name in (act.actor, act.other) if name}
        assert (shown[2] == set()) == (act.kind == "blink"), "dark at its turn"


@pytest.mark.parametrize("wrong", [{"events": 0}, {"act_seconds": 1.0}, {"seconds": 5.0}, {"kinds": ("fly",)}])
def test_what_cannot_be_told_is_refused(wrong):
    with pytest.raises(ValueError, match=r"events|frames|fit|kinds"):
        world.StoryConfig(**wrong)


def test_stories_by_command_write_files_that_the_readers_take(tmp_path):
    runner = CliRunner()
    args = ["stories", "-n", "2", "--seed", "5", "--seconds", "12", "--events", "2", "--distractors", "0", "-q"]
    result = runner.invoke(command, [*args, "-o", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert [len(list(tmp_path.glob(f"*.{end}"))) for end in ("mp4", "png", "csv", "json")] == [2, 2, 6, 4]
    assert rows.read(tmp_path / "samples.jsonl")
    refused = runner.invoke(command, [*args, "--act-seconds", "9", "-o", str(tmp_path)])
    assert refused.exit_code == 2
    assert "need 22.7 s, got 12 s" in refused.output
