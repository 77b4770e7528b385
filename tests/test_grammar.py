"""Replies of a local model that are held to a schema: on tiny random networks, which know nothing of JSON."""

import json
import re

import numpy as np
import pytest
import torch
import transformers as tf

from tiny_models import CHATML, TEXT, tokenizer
from videre.errors import ConfigError, DataError, ModelError
from videre.methods.msr_vir.parse import Held, parse
from videre.methods.msr_vir.policy import json_schema, read
from videre.methods.msr_vir.profile import PAPER
from videre.methods.msr_vir.propose import Proposing, proposed
from videre.models import text
from videre.models.grammar import Grammar

ANSWER = {
    "type": "object",
    "properties": {"seen": {"type": "boolean"}, "side": {"enum": ["left", "right"]}},
    "required": ["seen", "side"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    place = tmp_path_factory.mktemp("writer")
    torch.manual_seed(0)
    words = tokenizer(chat=CHATML)
    ends = {"bos_token_id": None, "eos_token_id": words.eos_token_id, "pad_token_id": words.pad_token_id}
    config = tf.LlamaConfig(
        vocab_size=len(words) + 9, **{**TEXT, "num_hidden_layers": 1, "max_position_embeddings": 4096}, **ends
    )
    tf.LlamaForCausalLM(config).save_pretrained(place)
    words.save_pretrained(place)
    return text.load(str(place), device="cpu")


@pytest.fixture(scope="module")
def grammar(model):
    return Grammar(model.tokenizer, width=model.network.config.vocab_size)


def test_a_random_network_writes_what_the_schema_says(model):
    for temperature in (0.0, 5.0):
        reply = json.loads(model.generate("q", max_tokens=60, temperature=temperature, schema=ANSWER))
        assert set(reply) == {"seen", "side"}
        assert reply["seen"] in (True, False)
        assert reply["side"] in ("left", "right")


def test_all_that_the_schema_allows_can_be_drawn(model, grammar):
    drawn = {written(grammar, model.tokenizer, ANSWER, seed) for seed in range(40)}
    assert len(drawn) == 4


def test_words_that_the_reply_begins_with_count(model):
    reply = model.generate("q", max_tokens=60, start='{"seen":tr', schema=ANSWER)
    assert json.loads(reply)["seen"] is True
    with pytest.raises(ConfigError, match="cannot be held"):
        model.generate("q", start="[", schema=ANSWER)


def test_without_a_schema_nothing_changes(model):
    free = model.generate("q", max_tokens=8)
    model.generate("q", max_tokens=8, schema=ANSWER)
    assert model.generate("q", max_tokens=8) == free


def test_a_schema_that_is_none_and_a_slow_tokenizer_are_refused(model):
    with pytest.raises(ConfigError, match="schema"):
        model.generate("q", schema={"type": "colour"})
    with pytest.raises(ModelError, match="fast tokenizers"):
        Grammar(object(), width=5)


@pytest.mark.parametrize("canonical", [False, True])
def test_what_can_be_written_under_the_schema_of_policies_is_a_policy(model, grammar, canonical):
    schema, operators = json_schema(canonical=canonical), set()
    texts = [written(grammar, model.tokenizer, schema, seed) for seed in range(50)]
    whole = [json.loads(text) for text in texts if text is not None]
    assert len(whole) >= 12
    for told in whole:
        operators.add(told.get("temporal", {}).get("op"))
        try:
            read(told)
        except DataError as error:  # what no schema tells
            if not re.search("deeper than|nodes", str(error)):
                raise
        assert not canonical or told.keys() == {"spatial", "temporal", "version"}
    assert len(operators) >= 4


def written(grammar, tokenizer, schema, seed):
    """A text out of random tokens that the schema allows; where a string may end, it mostly does. None: never whole."""
    rng, held, ids = np.random.default_rng(seed), grammar.held(schema, start=[]), [0]
    ends = {tokenizer.eos_token_id, *tokenizer('"', add_special_tokens=False)["input_ids"]}
    for _ in range(200):
        scores = held(torch.tensor([ids]), torch.zeros(1, len(tokenizer)))
        allowed = scores[0].isfinite().nonzero()[:, 0].tolist()
        closing = [token for token in allowed if token in ends]
        ids.append(int(rng.choice(closing if closing and rng.random() < 0.6 else allowed)))
        if ids[-1] == tokenizer.eos_token_id:
            return tokenizer.decode(ids[1:-1])
    return None


def test_the_canonical_schema_holds_exactly_the_canonical_spelling(model, grammar):
    told = {"op": "relate", "relation": "after", "of": {"op": "detect", "query": "a ball falls"}}
    policy = read(
        {"temporal": told, "spatial": [{"op": "region", "side": "left", "of": {"op": "locate", "query": "x"}}]}
    )
    grammar.held(json_schema(canonical=True), start=model._plain(policy.canonical))
    with pytest.raises(ConfigError):
        grammar.held(json_schema(canonical=True), start=model._plain(json.dumps({"temporal": told})))
    with pytest.raises(ConfigError):
        grammar.held(json_schema(), start=model._plain('{"temporal":{"op":"leap"'))


class Writer:
    """Writes one policy, and keeps what it was asked for."""

    def generate(self, prompt, **asked):
        self.asked = asked
        return read({"temporal": {"op": "whole"}}).canonical


def test_parsers_are_held_in_the_order_that_they_know_and_the_papers_dialect_is_not():
    writer = Writer()
    assert parse("why?", Held(writer)).status == "ok"
    assert writer.asked["schema"] == json_schema()
    assert proposed(writer, "1", "why?", Proposing(count=2, held=True))[0]["policy"]
    assert writer.asked["schema"] == json_schema(canonical=True)
    proposed(writer, "1", "why?", Proposing(count=1))
    assert "schema" not in writer.asked
    Held(writer, PAPER.dialect).generate("q")
    assert writer.asked["schema"] is None
