"""TempCompass's three rules: what is right by construction is right, what names nothing is for a judge."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videre.metrics import tempcompass

PHRASES = st.lists(
    st.text("abcdefghij ", min_size=1, max_size=12).map(lambda text: f"the {text.strip()} one"),
    min_size=2, max_size=4, unique=True,
)  # fmt: skip


@given(PHRASES, st.data())
def test_multi_choice_reads_every_official_form(phrases, data):
    lines = [f"{letter}. {phrase}" for letter, phrase in zip("ABCD", phrases, strict=False)]
    said, true = (data.draw(st.sampled_from(lines)) for _ in range(2))
    rule = tempcompass.TASKS["multi-choice"]
    for reply in (said, said[0], f"{said[0]}.", f"{said[0]})", f"{said[0]}) {said[3:]}", f"{said}</s>"):
        assert rule(reply, true, "") is (said == true)
    for reply in (said[3:], f"({said[0]})", f"It is {said[0]}", "", said[0].lower()):
        assert rule(reply, true, "") is None


@given(st.sampled_from(["yes", "no"]), st.sampled_from(["yes", "no"]), st.text("abc ,.", max_size=9))
def test_yes_no_looks_at_the_start_in_any_case(said, true, rest):
    rule = tempcompass.TASKS["yes_no"]
    for reply in (said, said.upper(), f"{said.capitalize()}, {rest}", f"{said}</s>"):
        assert rule(reply, true, "") is (said == true)
    assert rule(f"well, {said}", true, "") is None
    assert rule("", true, "") is None


@given(PHRASES, st.data(), st.sampled_from(["Caption", "Sentence", "Option"]))
def test_caption_matching_reads_name_sentence_and_line(phrases, data, word):
    lines = [f"{word} {letter}: {phrase}" for letter, phrase in zip("AB", phrases, strict=False)]
    question = "\n".join(["which?", *lines])
    said, true = (data.draw(st.sampled_from(lines)) for _ in range(2))
    name, sentence = said.split(": ")
    rule = tempcompass.TASKS["caption_matching"]
    for reply in (said, name, sentence, f"{name}.", f"1) {sentence}"):
        assert rule(reply, true, question) is (said == true)
    assert rule("neither of them", true, question) is None


@pytest.mark.parametrize("task", tempcompass.TASKS)
@given(reply=st.text(max_size=30))
def test_no_reply_crashes_a_rule(task, reply):
    answer = {"multi-choice": "A. run", "yes_no": "yes", "caption_matching": "Caption A: run"}[task]
    assert tempcompass.TASKS[task](reply, answer, "which?\nCaption A: run\nCaption B: sit") in (True, False, None)
