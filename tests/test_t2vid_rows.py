"""Long texts are read, limited, mixed; rows are written in four forms and read again."""

import json
import os
from collections import Counter

import pytest

from videre.data import long_texts, training_rows
from videre.data.long_texts import LongText, short_enough
from videre.data.training_rows import TrainingRow
from videre.errors import DataError

PICTURES = TrainingRow("a", "What rose?", "The tide.", images=("images/a/0.png", "images/a/1.png"), source="longalpaca")
FILM = TrainingRow("b", "Who left?", "The cook.", video="b.mp4", clip=(1.0, 2.5))
WORDS = TrainingRow("c", "A long text.\n\nWhat is it?", "A text.")


def saved(path, rows):
    text = json.dumps(rows) if path.suffix == ".json" else "".join(json.dumps(row) + "\n" for row in rows)
    path.write_text(text, "utf-8")
    return path


def test_longalpaca_rows_are_cut_into_text_and_question(tmp_path):
    paper = "Below is a paper. Memorize the paper and answer my question after the paper.\n The paper begins. \n BODY"
    two = (
        "There are two papers. Memorize them and answer my question after the paper.\n The first paper begins. \n P1 "
        "Now the first paper ends. The second paper begins. P2 Now the second paper ends.Compare them."
    )
    rows = [
        {"instruction": f"{paper} \n Now the paper ends. \nWhy?", "input": "", "output": "So."},
        {"instruction": "Add 1 and 2.", "input": "", "output": "3"},
        {"instruction": two, "output": "Both."},
    ]
    read = long_texts.long_alpaca(saved(tmp_path / "x.json", rows))
    first, second = read.texts
    assert (first.context, first.question, first.answer) == ("BODY", "Why?", "So.")
    assert (second.question, "P1" in second.context, "P2" in second.context) == ("Compare them.", True, True)
    assert read.dropped == {"short instruction without a long text": 1}
    assert [text.id for text in read.texts] == ["longalpaca-00000", "longalpaca-00002"]


def test_longalpaca_rows_of_a_real_book(shared):
    path = shared / "corpus/longtext/longalpaca_style.json"
    told = json.loads(path.read_text("utf-8"))
    read = long_texts.long_alpaca(path)
    assert not read.dropped
    for row, text in zip(told, read.texts, strict=True):
        assert row["instruction"].endswith(f"Now the text ends. {text.question}")
        assert (
            text.context.split()
            == row["instruction"].split("after the text.\n")[1].split("Now the text ends.")[0].split()
        )


def test_numbered_documents_give_the_short_answer_and_the_document(tmp_path):
    row = {
        "context": "Document 1 ...",
        "question": "who wrote it",
        "answer": "Answer: A poet. Long Answer: A poet of old.\nGold Document ID: 7",
    }
    (text,) = long_texts.long_qlora(saved(tmp_path / "q.jsonl", [row])).texts
    assert (text.question, text.answer) == (f"who wrote it {long_texts.DOCUMENT_SUFFIX}", "A poet.\nDocument ID: 7")
    row["context"] = "word " * 3000
    (text,) = long_texts.natural_questions(saved(tmp_path / "n.jsonl", [row])).texts
    assert text.question.startswith("Who wrote it? Answer the question")
    row["context"] = "word " * 2999
    assert long_texts.natural_questions(saved(tmp_path / "n.jsonl", [row])).dropped == {
        "context of fewer than 3000 words": 1
    }


def test_booksum_prompts_are_cut_at_q_and_a(tmp_path):
    rows = [{"prompt": "word " * 3000 + "Q: Who? A:", "output": "He."}, {"prompt": "no question", "output": "x"}]
    read = long_texts.book_sum(saved(tmp_path / "b.jsonl", rows))
    assert [(t.question, t.answer, len(t.context.split())) for t in read.texts] == [("Who?", "He.", 3000)]
    assert read.dropped == {'no "Q:" in the prompt': 1}


def test_own_rows_and_their_faults(tmp_path):
    good = {"id": "x", "text": "A text.", "question": "Q?", "answer": "A."}
    read = long_texts.own(saved(tmp_path / "o.jsonl", [good]))
    assert read.texts == [LongText("x", "A text.", "Q?", "A.", "own")]
    with pytest.raises(DataError, match=r"o.jsonl:2: the id 'x' was used before"):
        long_texts.own(saved(tmp_path / "o.jsonl", [good, good]))
    with pytest.raises(DataError, match=r'o.jsonl:1: no field "answer"'):
        long_texts.own(saved(tmp_path / "o.jsonl", [{"id": "x", "text": "t", "question": "q"}]))
    twice = long_texts.numbered([read.texts[0], read.texts[0]])
    assert [text.id for text in twice] == ["x", "x-2"]


def test_what_is_left_out_is_counted_and_the_limit_itself_is_kept():
    texts = [LongText(str(n), "word " * n, "q " * (n + 1), "a") for n in range(10)]
    kept = short_enough(
        texts,
        question_words=8,
        tokens=lambda t: 10 * int(t.id),
        most_tokens=60,
        pages=lambda t: int(t.id),
        most_pages=5,
    )
    assert [text.id for text in kept.texts] == ["1", "2", "3", "4", "5"]
    assert kept.dropped == Counter({"blank context": 1, "more than 5 pages": 2, "question of more than 8 words": 2})
    assert len(kept.texts) + kept.dropped.total() == len(texts)
    exact = short_enough(texts, tokens=lambda t: 10 * int(t.id), most_tokens=60)
    assert exact.texts[-1].id == "6"
    assert exact.dropped["more than 60 tokens"] == 3


@pytest.mark.parametrize("form", ["messages", "swift", "llama-factory"])
def test_rows_of_every_form_are_read_back_as_they_were(tmp_path, form):
    path = tmp_path / ("rows.json" if form == "llama-factory" else "rows.jsonl")
    path.write_text(training_rows.lines([PICTURES, FILM, WORDS], form), "utf-8")
    assert training_rows.read(path) == [PICTURES, FILM, WORDS]


def test_the_published_forms_to_the_letter():
    assert training_rows.written(PICTURES, "messages") == {
        "id": "a",
        "source": "longalpaca",
        "images": ["images/a/0.png", "images/a/1.png"],
        "messages": [
            {"role": "user", "content": [{"type": "image"}, {"type": "image"}, {"type": "text", "text": "What rose?"}]},
            {"role": "assistant", "content": [{"type": "text", "text": "The tide."}]},
        ],
    }
    swift = training_rows.written(PICTURES, "swift")
    assert swift["messages"][0] == {"role": "user", "content": "<image><image>What rose?"}
    factory = training_rows.written(PICTURES, "llama-factory")
    assert factory["conversations"][0]["value"].count("<image>") == len(factory["images"]) == 2
    assert training_rows.dataset_info("sea", "rows.json", PICTURES) == {
        "sea": {
            "file_name": "rows.json",
            "formatting": "sharegpt",
            "columns": {"messages": "conversations", "images": "images"},
        }
    }
    llava = training_rows.written(PICTURES, "llava")
    assert (llava["video"], llava["conversations"][0]["value"]) == (os.path.join("images", "a"), "<video>\nWhat rose?")


def test_rows_of_several_turns_and_of_other_trainers(tmp_path):
    turns = [("system", "Be kind."), ("user", "<image>One?"), ("assistant", "1"), ("user", "Two?"), ("assistant", "2")]
    row = {"messages": [{"role": who, "content": said} for who, said in turns], "images": ["p.png"]}
    inline = {"messages": [
        {"role": "user", "content": [{"type": "image", "image": "q.png"}, {"type": "text", "text": "What?"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "A cat."}]},
    ]}  # fmt: skip
    read = training_rows.read(saved(tmp_path / "r.jsonl", [row, inline]))
    assert [(one.id, one.question, one.answer, one.images) for one in read] == [
        ("0", "One?", "1", ("p.png",)),
        ("0-2", "Two?", "2", ("p.png",)),
        ("1", "What?", "A cat.", ("q.png",)),
    ]
    with pytest.raises(DataError, match="no pairs of user and assistant"):
        training_rows.read(saved(tmp_path / "r.jsonl", [{"messages": row["messages"][:2]}]))


def test_the_twin_in_words_has_the_same_id_and_no_pictures():
    twin = training_rows.twin(PICTURES, "The harbour wakes.")
    assert (twin.id, twin.answer, twin.images) == (PICTURES.id, PICTURES.answer, ())
    assert twin.question == "The harbour wakes.\n\nWhat rose?"


@pytest.fixture(scope="module")
def parts():
    sizes = {"synthetic": 33_400, "video": 66_700}
    return {name: [TrainingRow(f"{name}{n}", "q", "a") for n in range(size)] for name, size in sizes.items()}


@pytest.mark.parametrize(
    ("count", "synthetic"), [(30_000, 10_000), (60_000, 20_000), (100_000, 33_333), (7, 2), (1, 0)]
)
def test_mixes_have_exact_counts(parts, count, synthetic):
    shares = {"synthetic": 1, "video": 2}
    mixed = training_rows.mix(parts, shares, count=count, seed=3)
    assert len(mixed) == len({row.id for row in mixed}) == count
    assert sum(row.id.startswith("s") for row in mixed) == synthetic
    if count == 7:
        assert mixed == training_rows.mix(parts, shares, count=count, seed=3)
        assert mixed != training_rows.mix(parts, shares, count=count, seed=4)


def test_mixes_that_cannot_be_made():
    rows = [TrainingRow("x", "q", "a")]
    with pytest.raises(DataError, match="needs 2 rows of 'a' and there are 1"):
        training_rows.mix({"a": rows}, {"a": 1}, count=2)
    with pytest.raises(DataError, match="id 'x' stands in two sets"):
        training_rows.mix({"a": rows, "b": rows}, {"a": 1, "b": 1}, count=2)
    with pytest.raises(ValueError, match="shares above 0"):
        training_rows.mix({"a": rows}, {"a": 0}, count=1)
