"""Video-STaR: verifiers on notations, random text and boundaries; question tables; export."""

import itertools
import json
from dataclasses import asdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videre.data import conversations, label_sets, rows
from videre.errors import DataError
from videre.methods.video_star import asking, export, published, rectangles, templates
from videre.methods.video_star.label import KINDS, PROFILES, Label, Profile, Row, Space
from videre.methods.video_star.store import Kept, load_kept, load_rows, save_kept, save_rows
from videre.methods.video_star.table import build
from videre.methods.video_star.verify import Verifier, kept, leaks

GOLD = {
    "time_range": [0.2, 0.5],
    "time_point": 0.42,
    "number": 63.0,
    "box": [0.2, 0.3, 0.5, 0.8],
    "object": "blanket",
    "keywords": "eating apple pie",
    "sentence": "Put down.",
    "ordered": ["Back", "3.5 Soms.Tuck", "Entry"],
    "unordered": ["open the door", "sit down"],
    "same": "the objects are NOT the same",
}
NAMES = {"number": "final_score"}
CASES = [
    ("time_range", "from 4 to 10 seconds", "accept"),
    ("time_range", "It starts at 0.2 and lasts 0.3.", "accept"),
    ("time_range", '{"start": 0.2, "end": 0.5}', "accept"),
    ("time_range", "It is not from 0.2 to 0.5, it is from 0.6 to 0.9.", "reject"),
    ("time_range", "Either from 0.2 to 0.5 or from 0.6 to 0.9.", "reject"),
    ("time_range", "From 4 to 10.", "abstain"),
    ("time_range", "In the middle of the video.", "abstain"),
    ("time_range", "The final answer is 0.2 to 0.5. Before it was 0.6 to 0.9.", "accept"),
    ("time_point", "At 00:08.", "accept"),
    ("time_point", "forty percent into the video", "accept"),
    ("time_point", "142%", "reject"),
    ("number", "sixty-three", "accept"),
    ("number", "60, 63 or 70", "reject"),
    ("number", "6.3/10", "abstain"),
    ("number", "The score is 63 after 2.5 somersaults.", "accept"),
    ("number", "I give 20, overall 63.", "accept"),
    ("number", "The difficulty is 63.", "abstain"),
    ("box", "x1=0.2, y1=0.3, x2=0.5, y2=0.8", "accept"),
    ("box", "[20%, 30%, 50%, 80%]", "accept"),
    ("box", "not at [0.2, 0.3, 0.5, 0.8] but at [0.6, 0.1, 0.9, 0.2]", "reject"),
    ("object", "The object in the box is a blanket on the sofa.", "accept"),
    ("object", "It is not a blanket, it is a pillow.", "reject"),
    ("object", "The object is a pillow or a blanket.", "reject"),
    ("keywords", "Not drinking but eating apple pie.", "accept"),
    ("keywords", "No, he is eating apple pie.", "accept"),
    ("keywords", "It is unclear whether he is eating apple pie.", "reject"),
    ("keywords", "Eating apple pie is not shown.", "reject"),
    ("sentence", "He picked up the bag and then put it down on the floor.", "accept"),
    ("sentence", "The video does not show what he did.", "reject"),
    ("ordered", "Entry, then 3.5 Soms.Tuck, then Back.", "reject"),
    ("ordered", "Back dive. A tuck follows. Clean entry. Overall: Back, 3.5 Soms.Tuck, Entry.", "accept"),
    ("ordered", "back then 3.5 soms.tuck then entry", "accept"),
    ("unordered", "He sits down after he opened the door.", "accept"),
    ("unordered", "He sits down.", "reject"),
    ("same", "No, they differ: one is a door, the other a closet.", "accept"),
    ("same", "The two objects are the same.", "reject"),
    ("same", "I cannot tell.", "abstain"),
]


def row(kind: str, value=None, *, options=(), seconds=20.0) -> Row:
    label = Label(NAMES.get(kind, "label"), kind, GOLD[kind] if value is None else value, options)
    return Row("r", "clip.mp4", "What is it?", (label,), seconds)


def status(answer: str, one: Row, **settings) -> str:
    return Verifier(**settings).verdicts(answer, one)[0].status


@pytest.mark.parametrize(("kind", "answer", "wanted"), CASES)
def test_verdicts(kind, answer, wanted):
    assert status(answer, row(kind)) == wanted


def test_verdicts_on_other_classes_of_a_closed_set():
    one = row("keywords", "running", options=("running", "swimming", "cooking"))
    assert status("He is running.", one) == "accept"
    assert status("He is swimming, cooking and running.", one) == "reject"


@pytest.mark.parametrize("profile", sorted(PROFILES))
@settings(max_examples=60, deadline=None)
@given(text=st.text(max_size=80))
def test_no_text_raises(profile, text):
    for kind in KINDS:
        assert status(text, row(kind), profile=PROFILES[profile]) in ("accept", "reject", "abstain")


PIECES = ["0.2", "1e9", "-", "to", "[", "]", "%", ":", "from", "not", "or", "5 s", "00:05", ",", ".", "same", "😀", "/"]


@settings(max_examples=250, deadline=None)
@given(parts=st.lists(st.sampled_from(PIECES), max_size=12))
def test_no_heap_of_pieces_raises(parts):
    for kind in KINDS:
        assert status(" ".join(parts), row(kind)) in ("accept", "reject", "abstain")


@settings(max_examples=60, deadline=None)
@given(start=st.integers(0, 60), length=st.integers(15, 39), form=st.sampled_from("spgc"))
def test_a_range_verifies_in_every_notation_and_not_beside_itself(start, length, form):
    seconds = 100.0

    def told(a: int, b: int) -> str:
        each = {"s": f"{a} s to {b} s", "p": f"{a}% to {b}%", "g": f"{a / 100} to {b / 100}"}
        return each | {"c": f"{a // 60:02d}:{a % 60:02d} to {b // 60:02d}:{b % 60:02d}"}  # type: ignore[return-value]

    one = row("time_range", [start / 100, (start + length) / 100], seconds=seconds)
    assert status(f"It happens from {told(start, start + length)[form]}.", one) == "accept"
    moved = (start + length + 1) % 60 if start + 2 * length > 99 else start + length
    if moved + length <= start or moved >= start + length:
        assert status(f"It happens from {told(moved, moved + length)[form]}.", one) == "reject"


def test_the_boundary_of_overlap_does_not_hang_on_spelling():
    for text in ("0.2 to 0.4", "0.20 to 0.400", "20% to 40%", "4 s to 8 s", "00:04 to 00:08", "from 0.2000 to 0.4000"):
        assert status(text, row("time_range", [0.2, 0.6])) == "reject"


def test_declared_spaces_of_boxes():
    thousand = Profile(space=Space(scale="thousand"))
    pixels = Profile(space=Space(form="xywh", scale="pixel", frame_px=(640, 360)))
    assert status("[200, 300, 500, 800]", row("box"), profile=thousand) == "accept"
    assert status("[128, 108, 192, 180]", row("box"), profile=pixels) == "accept"
    assert status("[200, 300, 500, 800]", row("box")) == "abstain"
    assert rectangles.corners((0.5, 0.5, 0.2, 0.4), Space("cxcywh")) == pytest.approx((0.4, 0.3, 0.6, 0.7))
    with pytest.raises(ValueError, match="frame_px"):
        Space(scale="pixel")


def test_a_row_of_two_labels_needs_both():
    both = Row("r", "v", "q?", (Label("a", "keywords", "door"), Label("final_score", "number", 5.0)))
    verdicts = Verifier().verdicts("A door; score 9.", both)
    assert [(v.label, v.status) for v in verdicts] == [("a", "accept"), ("final_score", "reject")]
    assert not kept(verdicts)
    assert kept(Verifier().verdicts("A door; score 5.", both))


def test_profiles_differ_where_they_should():
    assert status("The score is 59.", row("number"), profile=PROFILES["official"]) == "accept"
    assert status("The score is 59.", row("number"), profile=PROFILES["paper"]) == "reject"
    assert status("He is not eating apple pie.", row("keywords"), profile=PROFILES["paper"]) == "accept"


def test_labels_that_no_answer_could_match_are_refused(tmp_path):
    for kind, value in [
        ("time_range", [0.5, 0.5]),
        ("box", [0.5, 0.1, 0.2, 0.3]),
        ("time_point", 1.5),
        ("ordered", []),
    ]:
        with pytest.raises(ValueError, match="expected"):
            Label("x", kind, value)
    (tmp_path / "t.jsonl").write_text(json.dumps(asdict(row("keywords"))).replace("keywords", "keyword") + "\n")
    with pytest.raises(DataError, match=r"t.jsonl:1 .*'keyword'.*time_range"):
        load_rows(tmp_path / "t.jsonl")


def test_talk_of_the_hint_is_found():
    assert leaks("I'd be happy to explain the reasoning behind the final label.")
    assert leaks("As stated in the answer, he sits down.")
    assert not leaks("The man sits down, so the final answer is sitting.")


def test_pools_are_wide_and_their_draw_does_not_hang_on_order():
    assert all(len(set(pool)) >= 10 for pool in templates.POOLS.values())
    assert templates.pick("action", "a") == templates.pick("action", "a")
    assert len({templates.pick("action", str(i)) for i in range(60)}) > 5


def test_a_diving_set_becomes_rows(tmp_path):
    source = tmp_path / "dives.jsonl"
    dive = {"id": "d1", "video": "d1.mp4", "steps": ["Back", "3.5 Soms.Tuck", "Entry"], "difficulty": 3.3, "score": 63}
    source.write_text(json.dumps(dive) + "\n")
    table = build(label_sets.fine_diving(source), "diving quality")
    kinds = {r.id.split("/")[1]: r for r in table}
    assert set(kinds) == {"steps", "next_step", "previous_step", "score", "quality"}
    assert kinds["steps"].labels[0].value == ["Back", "3.5 Soms.Tuck", "Entry"]
    assert [label.name for label in kinds["quality"].labels] == ["action_sequence", "action_difficulty", "final_score"]
    assert len({r.id for r in table}) == len(table) == 7


def test_action_sets_become_rows(tmp_path):
    kinetics = tmp_path / "k.csv"
    kinetics.write_text("label,youtube_id,time_start,time_end,split\neating pie,abc,3,13,train\nskiing,abd,0,10,train\n"
                        "skiing,abe,0,10,train\n")  # fmt: skip
    rows = build(label_sets.kinetics(kinetics), "action recognition")
    assert rows[0].video == "abc_000003_000013"
    assert rows[0].labels[0].options == ("eating pie", "skiing")
    assert rows[0].duration_seconds == 10.0
    something = tmp_path / "s.json"
    something.write_text(json.dumps([{"id": "7", "label": "putting cup on table", "placeholders": ["cup", "table"]}]))
    made = build(label_sets.something(something), "interaction")
    assert [label.kind for label in made[0].labels] == ["sentence", "unordered"]


def test_questions_and_boxes_become_rows(tmp_path):
    choices = [{"choice": text} for text in ("Put down.", "Sat.", "Ran.", "Ate.")]
    star = {"question_id": "Sequence_T1_1", "question": "What did he do?", "answer": "Put down.", "video_id": "V"}
    star |= {"start": 2, "end": 6, "choices": choices}
    (tmp_path / "star.json").write_text(json.dumps([star]))
    made = build(label_sets.star_questions(tmp_path / "star.json"), "situated reasoning")
    assert [r.id.split("/")[1] for r in made] == ["question", "question_of"]
    assert made[0].duration_seconds == 4.0
    box = {"seconds": 1.0, "x0": 0.1, "y0": 0.1, "x1": 0.4, "y1": 0.5, "label": "cup"}
    own = {"id": "o", "video": "o.mp4", "duration_seconds": 10}
    own |= {"boxes": [box, box | {"seconds": 4.0, "label": "table"}]}
    own |= {"spans": [{"start_seconds": 2, "end_seconds": 5, "label": "pours tea"}]}
    own["spans"].append({"start_seconds": 4.0, "end_seconds": 4.1, "label": "claps"})
    (tmp_path / "own.jsonl").write_text(json.dumps(own) + "\n")
    rows = {r.id: r for r in build(label_sets.own(tmp_path / "own.jsonl"), "objects")}
    assert rows["o/when_range/0"].labels[0].value == [0.2, 0.5]
    assert rows["o/when_time/1"].labels[0].value == pytest.approx(0.405, abs=0.01)
    assert rows["o/what_at_time/1"].labels[0].value == ["pours tea", "claps"]
    assert rows["o/two_objects/0"].labels[2].value == "the objects are NOT the same"
    assert rows["o/where/0"].labels[0].kind == "box"
    for one in rows.values():  # every label, said as the export says it, is accepted by its own verifier
        assert kept(Verifier().verdicts(export.said(one.labels), one)), one.id


def test_tables_and_kept_answers_are_read_back(tmp_path):
    table = [row(kind) for kind in GOLD]
    save_rows(tmp_path / "t.jsonl", table)
    read = load_rows(tmp_path / "t.jsonl")
    assert [r.values for r in read] == [json.loads(json.dumps(r.values)) for r in table]
    some = [Kept(read[0], "from 0.2 to 0.5", True, 1, tuple(Verifier().verdicts("from 0.2 to 0.5", read[0])))]
    save_kept(tmp_path / "k.jsonl", some)
    assert load_kept(tmp_path / "k.jsonl") == some


def test_questions_of_a_model_lose_their_numbers_and_doubles():
    replies = itertools.cycle(
        ["1. What is done?\n2. What is done?\n- Who runs {x}?", "3) Where is it?\nnot a question"]
    )
    found = asking.pool(lambda prompt: next(replies), ["running"], "action", count=3)
    assert found == ["What is done?", "Who runs (x)?", "Where is it?"]


def test_export_has_each_option_once_and_shares_nothing():
    names = ["running", "swimming", "cooking", "skiing", "reading"]
    some = [
        Kept(Row(f"r{i}", "v.mp4", "What is done?", (Label("class", "keywords", n),)), f"I see {n}.", True, 1)
        for i, n in enumerate(names)
    ]
    made = export.examples(some)
    assert len(made) == 15
    for one in (e for e in made if e.variant == "choice"):
        gold = names[int(one.id[1])]
        options = one.question.splitlines()[2:]
        assert len(set(options)) == 4
        assert options[ord(one.target) - ord("A")] == f"{one.target}. {gold}"
    for form in ("messages", "swift", "llama-factory", "llava"):
        rows = list(export.rows(made, form))
        before = json.dumps(rows[1])
        rows[0].clear()
        assert json.dumps(rows[1]) == before


def test_the_form_of_our_export_is_read_as_general_data(tmp_path):
    one = Kept(row("keywords"), "He eats apple pie.", True, 1)
    path = tmp_path / "tune_.json"
    path.write_text(json.dumps([*export.rows(export.rationales([one]), "llava"), {"id": "bad", "cls_correct": False}]))
    (read,) = conversations.llava(path)
    assert (read.turns[0].question, read.turns[0].answer) == ("What is it?", "He eats apple pie.")


def vstar(id: str, label: dict, kinds: list[str], output: str, *, correct: bool = True) -> dict:
    turns = [{"from": "human", "value": "<video>\nWhen?"}, {"from": "gpt", "value": output}]
    told = {"question_id": id, "video_id": "v", "video_path": "star/v.mp4", "question": "When?", "duration": 20.0}
    told |= {"label": label, "label_type": list(label), "verifier_type": kinds, "output": output}
    return told | {"conversations": turns, "rationale": False, "cls_correct": correct}


def test_published_rows_are_read_with_their_labels_and_verified_again(tmp_path):
    dive = {"action_sequence": ["Back", "Entry"], "action_difficulty": 3.3, "final_score": "63.0"}
    some = [
        vstar("a", {"temporal_range": [0.2, 0.5]}, ["temporal_range"], "From 0.2 to 0.5."),
        vstar("b", {"temporal_range": [0.2, 0.5]}, ["temporal_range"], "From 0.6 to 0.9."),
        vstar("c", {"temporal_range": [0.5, 0.5]}, ["temporal_range"], "At 0.5."),
        vstar("d", dive, ["sentence_sequence", "float", "float"], "Back, then entry; difficulty 3.3, score 63."),
        vstar("e", {"actions": ["sit", "eat"]}, ["sentence"], "He eats and sits."),
        vstar("f", {"class": "skiing"}, ["simple"], "He swims.", correct=False),
        vstar("g", {"class": "skiing"}, ["telepathy"], "He skis."),
    ]
    path = tmp_path / "starb_tune_.json"
    path.write_text(json.dumps(some))
    found = published.read(path)
    assert [k.row.id for k in found.kept] == ["a", "b", "d", "e"]
    assert [reason.split(";")[0].split()[-1] for reason in found.refused] == ["0.5]", "'telepathy'"]
    assert [kept(Verifier().verdicts(k.text, k.row)) for k in found.kept] == [True, False, True, True]
    assert not found.kept[0].is_direct
    assert len(published.read(path, rejected=True).kept) == 5
    path.write_text(json.dumps(some[2:3]))
    with pytest.raises(DataError, match="no row of it holds"):
        published.read(path)


def test_a_table_becomes_rows_that_eval_reads(tmp_path):
    path = tmp_path / "questions.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in export.eval_rows([row(kind) for kind in ("keywords",)])))
    (sample,) = rows.read(path)
    assert (sample.answer, sample.kind) == ("Eating apple pie.", "keywords")
