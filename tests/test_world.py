"""The generated world: its truth agrees with the pixels of its files, its answers are balanced, a seed is a clip."""

import hashlib
from collections import Counter, defaultdict

import av
import numpy as np
import pytest

from videre.data import world
from videre.data.world.scene import COLOURS, SHAPES


def decoded(path):
    with av.open(str(path)) as container:
        return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])


def test_same_seed_same_bytes_and_other_seed_other_bytes(tmp_path):
    files = [world.write(world.make(seed), tmp_path / f"{i}.mp4") for i, seed in enumerate((5, 5, 6))]
    digests = [hashlib.sha256(f.read_bytes()).hexdigest() for f in files]
    assert digests[0] == digests[1] != digests[2]


def test_file_is_h264_with_the_frames_and_times_of_the_clip(tmp_path):
    clip = world.make(3, world.Config(seconds=5.0, fps=8, size_px=96))
    with av.open(str(world.write(clip, tmp_path / "clip.mp4"))) as container:
        stream = container.streams.video[0]
        times = [float(frame.time) for frame in container.decode(stream)]
        assert (stream.codec_context.name, stream.width, stream.height) == ("h264", 96, 96)
    np.testing.assert_allclose(times, clip.frame_seconds, atol=1e-6)


@pytest.mark.parametrize("seed", range(40, 44))
def test_boxes_and_spans_agree_with_decoded_pixels(tmp_path, seed):
    clip = world.make(seed)
    frames = decoded(world.write(clip, tmp_path / "clip.mp4")).astype(int)
    for index in range(0, len(frames), 9):
        seconds = clip.frame_seconds[index]
        for thing in clip.things:
            seen = found_box(frames[index], thing, clip)
            if not thing.shown(np.array([seconds]))[0]:
                assert seen is None, f"{thing.name} is seen at {seconds} s, outside its span"
            elif seen and not hidden(clip, thing, seconds):
                box = thing.box(seconds)
                # Tips of stars and triangles fade into the stage over a few pixels.
                slack_px = 6 if thing.shape in ("star", "triangle") else 3
                np.testing.assert_allclose(seen, (box.x0, box.y0, box.x1, box.y1), atol=slack_px / 192)


def found_box(frame, thing, clip):
    """Where pixels nearest to a thing's colour are: an independent look at the picture; None where there are few."""
    colours = np.array([clip.background, *(t.rgb for t in clip.things)])
    own = 1 + clip.things.index(thing)
    distance = np.linalg.norm(frame[:, :, None] - colours, axis=-1)
    near = (distance.argmin(-1) == own) & (distance[..., own] < 50)
    # A speck in an edge between two other colours is not the thing: rows and columns need a few pixels.
    rows, columns = np.flatnonzero(near.sum(1) > 1), np.flatnonzero(near.sum(0) > 1)
    if near.sum() < 60:
        return None
    return columns[0] / 192, rows[0] / 192, (columns[-1] + 1) / 192, (rows[-1] + 1) / 192


def hidden(clip, thing, seconds):
    """Whether a later thing lies over a part of this one."""
    box, after = thing.box(seconds), clip.things[clip.things.index(thing) + 1 :]
    return any(box.iou(o.box(seconds)) > 0 for o in after if o.shown(np.array([seconds]))[0])


@pytest.mark.parametrize("shape", list(SHAPES))
def test_extent_of_each_shape_is_exact(shape):
    clip = next(c for c in map(world.make, range(500)) if any(t.shape == shape for t in c.things))
    thing = next(t for t in clip.things if t.shape == shape)
    alone = world.Clip(clip.seed, clip.config, (0, 0, 0), (thing,))
    middle = (thing.start_seconds + thing.end_seconds) / 2
    drawn = world.render(alone, [middle], 512).pixels[0].max(0) > 25
    rows, columns = np.flatnonzero(drawn.any(1)), np.flatnonzero(drawn.any(0))
    box = thing.box(middle)
    got = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]) / 512
    np.testing.assert_allclose(got, (box.x0, box.y0, box.x1, box.y1), atol=3 / 512)


def test_answers_are_balanced_and_among_the_options():
    answers, chosen = defaultdict(Counter), defaultdict(Counter)
    for seed in range(700):
        for sample in world.questions(world.make(seed)):
            assert sample.answer in sample.question.options
            answers[sample.kind][sample.answer] += 1
            chosen[sample.kind][sample.option] += 1
    assert set(answers) == set(world.KINDS)
    for kind, allowed in (("colour", 0.18), ("shape", 0.22), ("presence", 0.56), ("motion", 0.58), ("direction", 0.32)):
        assert max(answers[kind].values()) / answers[kind].total() < allowed, (kind, answers[kind])
    for kind in ("colour", "shape", "direction"):
        assert max(chosen[kind].values()) / chosen[kind].total() < 0.3, (kind, chosen[kind])


def test_order_truth_follows_the_spans():
    for seed in range(200):
        clip = world.make(seed)
        starts = [t.start_seconds for t in clip.things]
        assert starts == sorted(starts)
        by_kind = {s.kind: s for s in world.questions(clip)}
        if "first" in by_kind:
            assert by_kind["first"].spans[0].start_seconds == min(starts)
            assert by_kind["last"].spans[0].start_seconds == max(starts)
        if "order" in by_kind and by_kind["order"].answer in ("before", "after"):
            a, b = by_kind["order"].spans
            assert (a.start_seconds < b.start_seconds) == (by_kind["order"].answer == "before")


def test_direction_truth_follows_the_boxes():
    for seed in range(200):
        for thing in world.make(seed).things:
            first, last = thing.box(thing.start_seconds), thing.box(thing.end_seconds)
            dx, dy = last.x0 - first.x0, last.y0 - first.y0
            axis = {"": (0, 0), "left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}[thing.direction]
            assert (np.sign(round(dx, 6)), np.sign(round(dy, 6))) == axis


def test_open_questions_carry_no_options():
    samples = world.questions(world.make(1), open_share=1.0)
    assert samples
    assert all(not s.question.options and s.answer for s in samples)


def test_render_draws_what_the_file_shows(tmp_path):
    clip = world.make(12)
    frames = decoded(world.write(clip, tmp_path / "clip.mp4"))
    drawn = world.render(clip, clip.frame_seconds[::10]).pixels.transpose(0, 2, 3, 1)
    assert np.abs(frames[::10].astype(int) - drawn).mean() < 3


def test_sample_clip_is_small_and_true_to_its_seed():
    things = sorted(world.make(world.SAMPLE_SEED).things, key=lambda thing: thing.start_seconds)
    assert things[-1].name == world.SAMPLE_ANSWER
    assert {thing.name for thing in things} == set(world.SAMPLE_OPTIONS)
    assert "last" in world.SAMPLE_QUESTION
    assert world.SAMPLE.stat().st_size < 100_000
    drawn = world.render(world.make(world.SAMPLE_SEED), [0.0, 4.0]).pixels.transpose(0, 2, 3, 1)
    assert np.abs(decoded(world.SAMPLE)[[0, 40]].astype(int) - drawn).mean() < 3


def test_contact_sheet_has_the_things_on_it():
    clip = world.make(5)
    sheet = np.asarray(world.contact_sheet(clip)).reshape(-1, 3).astype(int)
    for thing in clip.things:
        assert (np.abs(sheet - np.array(COLOURS[thing.colour])).max(1) < 14).sum() > 100


def test_config_refuses_what_cannot_be_made():
    with pytest.raises(ValueError, match="things"):
        world.Config(things=(0, 3))
    with pytest.raises(ValueError, match="even side"):
        world.Config(size_px=33)
