"""Training of parser and answerer: pairs, their filters, DPO, cycles, and the whole by command on tiny checkpoints."""

import json
import math

import pytest
import torch
import transformers as tf
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import tiny_clip
from tiny_models import CHATML, TEXT, build, tokenizer
from videre.apps import cli
from videre.data.world.sample import SAMPLE
from videre.errors import ConfigError, ModelError
from videre.methods.msr_vir import dpo, grpo, preferences, training
from videre.methods.msr_vir.cycle import learns
from videre.methods.msr_vir.dpo import DPO, log_probability, preference_loss, trained, with_reference
from videre.methods.msr_vir.grpo import GRPO
from videre.methods.msr_vir.judge import nll
from videre.methods.msr_vir.learning import Rows
from videre.methods.msr_vir.policy import read
from videre.methods.msr_vir.preferences import Candidate, Choice, capped, guarded_iop, pairs_of, reward, score
from videre.methods.msr_vir.propose import Proposing, proposed
from videre.methods.msr_vir.recipe import read_recipe
from videre.methods.msr_vir.training import block
from videre.models.text import TextLLM
from videre.types import Question, Sample, Span

AFTER = read({"temporal": {"op": "relate", "relation": "after", "of": {"op": "detect", "query": "a ball falls"}}})
BEFORE = read({"temporal": {"op": "relate", "relation": "before", "of": {"op": "detect", "query": "a ball falls"}}})


def tiny_text(seed=0):
    torch.manual_seed(seed)
    words = tokenizer(chat=CHATML)
    ends = {"bos_token_id": None, "eos_token_id": words.eos_token_id, "pad_token_id": words.pad_token_id}
    network = tf.Qwen2ForCausalLM(tf.Qwen2Config(vocab_size=len(words), **TEXT, **ends)).eval()
    return TextLLM(network, words, name="tiny", card={})


def made(policy, loss, *, span=(0.0, 5.0), probe=None, bonus=0.0, boxes=()):
    return Candidate(policy, policy, span, boxes, loss, loss if probe is None else probe, bonus)


def only(candidates, **choice):
    (pair,) = pairs_of("q", candidates, Choice(**choice))
    return pair


@pytest.mark.parametrize("mode", ["paper", "best_worst", "all_pairs"])
def test_the_smaller_loss_wins_and_swapped_losses_swap_the_pair(mode):
    low, high = made("a", 0.2), made("b", 0.9, span=(5.0, 9.0))
    for candidates in ([low, high], [high, low]):
        assert only(candidates, mode=mode)["chosen"]["policy"] == "a"
    pair = only([made("a", 0.9), made("b", 0.2, span=(5.0, 9.0))], mode=mode)
    assert (pair["chosen"]["policy"], pair["kept"]) == ("b", True)
    assert only([low, high], mode=mode, negate=True)["chosen"]["policy"] == "b"


@pytest.mark.parametrize("mode", ["paper", "all_pairs"])
@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf, None])
def test_a_loss_that_is_no_number_never_wins(broken, mode):
    good, bad = made("a", 3.0), made("b", broken, span=(5.0, 9.0))
    for candidates in ([good, bad], [bad, good]):
        assert only(candidates, mode=mode)["chosen"]["policy"] == "a"


def test_a_tie_goes_to_the_second_in_the_papers_mode():
    pair = only([made("a", 0.5), made("b", 0.5)], mode="paper")
    assert (pair["chosen"]["policy"], pair["kept"], pair["reason"]) == ("b", True, "")


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (made("a", 0.9), "same policy"),
        (made("b", 0.9), "same grounding"),
        (made("b", 0.21, span=(5.0, 9.0)), "tie"),
        (made("b", 0.9, span=(5.0, 9.0)), ""),
        (made("b", 0.9, boxes=((1.0, 0.0, 0.0, 0.5, 0.5),)), ""),
    ],
)
def test_pairs_that_say_nothing_are_left_out_with_their_reason(other, reason):
    pair = only([made("a", 0.2), other], mode="all_pairs")
    assert (pair["kept"], pair["reason"]) == (not reason, reason)


def test_the_loss_that_decides_is_chosen_by_name():
    one, other = made("a", 0.2, probe=0.9), made("b", 0.6, span=(5.0, 9.0), probe=0.1)
    assert [score(one, Choice(by=by)) > score(other, Choice(by=by)) for by in ("full", "probe", "both")] == [
        True, False, False,
    ]  # fmt: skip


def test_invalid_replies_lose_in_one_pair_of_ten_at_most():
    good = [made("a", 0.1), made("b", 0.9, span=(5.0, 9.0)), Candidate("no policy")]
    pairs = [pair for i in range(9) for pair in pairs_of(str(i), good, Choice())]
    kept = [pair for pair in capped(pairs, Choice()) if pair["kept"]]
    assert sum(not pair["rejected"]["policy"] for pair in kept) == 1
    assert len(kept) == 10
    assert all(pair["chosen"]["policy"] for pair in kept)
    assert len(list(pairs_of("q", good, Choice(invalid="drop")))) == 1


@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 5)), min_size=2, max_size=5))
def test_no_kept_pair_prefers_the_larger_loss(told):
    pairs = pairs_of("q", [made(name, loss, span=(ord(name) - 97.0, 9.0)) for name, loss in told], Choice())
    for pair in pairs:
        assert not pair["kept"] or pair["chosen"]["loss"] < pair["rejected"]["loss"]


def test_the_reward_of_a_point_is_nothing_and_of_the_truth_one():
    truth = (Span(10.0, 14.0),)
    assert guarded_iop(Span(12.0, 12.0), truth) == 0.0
    assert guarded_iop(Span(12.0, 12.07), truth) <= 0.05
    assert guarded_iop(Span(10.0, 14.0), truth) == 1.0
    assert guarded_iop(Span(0.0, 14.0), (Span(0.0, 4.0), Span(10.0, 14.0))) == pytest.approx(4 / 14)
    assert reward(Span(10.0, 14.0), truth, iop=1.0, iou=0.3) == pytest.approx(1.3)
    assert reward(Span(10.0, 14.0), (), iop=1.0, iou=0.3) == 0.0


def test_facts_say_how_policies_differ_before_anything_is_trained():
    def row(*told):
        return {"id": "q", "candidates": [dict(vars(c)) for c in told]}

    right = Candidate(AFTER.canonical, AFTER.id, (9.0, 14.0), (), 0.2, 0.2, 1.0)
    wrong = Candidate(BEFORE.canonical, BEFORE.id, (0.0, 4.0), (), 0.9, 0.9, 0.0)
    told = preferences.facts([row(right, wrong), row(right, Candidate("?"))], [])
    assert told["share_of_pairs_that_ground_differently"] == 1.0
    assert told["share_where_lower_loss_has_higher_reward"] == 1.0
    assert told["distinct_per_100_questions"] == 100.0
    assert told["operators"] == {"detect": 2, "relate": 2}


def test_the_preference_loss_is_the_published_form():
    loss = preference_loss(torch.tensor(-3.0), torch.tensor(-5.0), (-4.0, -4.5), beta=0.5)
    assert float(loss) == pytest.approx(-math.log(1 / (1 + math.exp(-0.5 * (1.0 + 0.5)))))


PROMPT = "before or after?"


def pair_of(chosen, rejected, prompt=PROMPT):
    return {"id": "q", "prompt": prompt, "chosen": chosen.canonical, "rejected": rejected.canonical}


def margin(parser, prompt=PROMPT):
    with torch.no_grad():
        both = [float(log_probability(parser, prompt, policy.canonical)) for policy in (AFTER, BEFORE)]
    return both[0] - both[1]


def first_loss(folder):
    rows = [json.loads(line) for line in (folder / "fit" / "fit.jsonl").read_text().splitlines()]
    return next(row["loss"] for row in rows if "loss" in row)


FAST = DPO(lr=3e-3, epochs=12, batch=1, rank=4, save_steps=0, warmup=0.0)


@pytest.mark.parametrize(("chosen", "rejected", "sign"), [(AFTER, BEFORE, 1), (BEFORE, AFTER, -1)])
def test_the_margin_grows_towards_the_chosen_and_the_first_loss_is_that_of_a_coin(tmp_path, chosen, rejected, sign):
    parser = tiny_text()
    before = margin(parser)
    (pair,) = with_reference(parser, [pair_of(chosen, rejected)], FAST)
    after = trained(parser, [pair], FAST, out=tmp_path)
    assert sign * (margin(after) - before) > 1.0
    assert first_loss(tmp_path) == pytest.approx(math.log(2), abs=1e-5)


def test_each_cycle_has_the_parser_at_its_start_as_reference(tmp_path):
    short = DPO(lr=2e-3, epochs=3, batch=1, rank=4, save_steps=0, warmup=0.0)
    parser = tiny_text()
    for cycle in range(2):
        start = margin(parser)
        (pair,) = with_reference(parser, [pair_of(AFTER, BEFORE)], short)
        assert pair["reference"][0] - pair["reference"][1] == pytest.approx(start, abs=1e-4)
        parser = trained(parser, [pair], short, out=tmp_path / str(cycle))
        assert first_loss(tmp_path / str(cycle)) == pytest.approx(math.log(2), abs=1e-5)
        assert margin(parser) > start


def test_no_pair_is_dropped_or_cut_however_long_its_prompt(tmp_path):
    parser = tiny_text()
    long = "zebra quartz " * 600
    assert len(parser.tokenizer(long)["input_ids"]) > 3600
    pairs = [pair_of(AFTER, BEFORE, prompt=long), pair_of(AFTER, BEFORE)]
    told = with_reference(parser, pairs, FAST)
    assert len(told) == len(Rows(told, count=2, seed=0)) == 2
    assert {Rows(told, count=2, seed=0)[i]["row"]["prompt"] for i in range(2)} == {long, PROMPT}
    parser.network.config.max_position_embeddings = 100
    with pytest.raises(ModelError, match="shorten"):
        with_reference(parser, pairs, FAST)
    with pytest.raises(ConfigError, match="no pair"):
        trained(parser, [], FAST, out=tmp_path)


def grouped(*told, how=GRPO()):  # noqa: B008
    """A group of (policy, loss, span, drawn)."""
    members = [Candidate(p.canonical, p.id, s, (), x, x, drawn=n) for p, x, s, n in told]
    return {**grpo.group("q", members, (Span(9.0, 14.0),), how), "prompt": PROMPT}


RIGHT, WRONG = (AFTER, 0.2, (9.0, 14.0), 1), (BEFORE, 0.9, (0.0, 4.0), 3)


def test_the_reward_of_grpo_weighs_answer_span_form_and_length():
    how = GRPO(node=0.0)
    right, wrong = (grpo.reward(Candidate(p.canonical, p.id, s, (), x, x), (Span(9.0, 14.0),), how)
                    for p, x, s, _ in (RIGHT, WRONG))  # fmt: skip
    assert right == pytest.approx(0.1 + math.exp(-0.2) + 1.3)
    assert wrong == pytest.approx(0.1 + math.exp(-0.9))
    point = Candidate(AFTER.canonical, AFTER.id, (12.0, 12.07), (), math.inf, math.inf)
    assert grpo.reward(point, (Span(9.0, 14.0),), how) < 0.1 + 0.07
    assert grpo.reward(Candidate("no"), (), how) == 0.0
    assert grpo.reward(point, (), GRPO(node=0.01)) == pytest.approx(0.1 - 0.01 * 2)
    with pytest.raises(ValueError, match="shrink"):
        GRPO(iop=1.0, iou=0.1)


def test_advantages_count_doubles_and_leave_out_what_the_parser_did_not_draw():
    members = grouped(RIGHT, WRONG)["members"]
    assert sum(m["drawn"] * m["advantage"] for m in members) == pytest.approx(0.0, abs=1e-9)
    assert sum(m["drawn"] * m["advantage"] ** 2 for m in members) == pytest.approx(4.0)
    assert members[0]["advantage"] > 0 > members[1]["advantage"]
    told = grouped(RIGHT, (*WRONG[:3], 0))
    assert [m["policy"] for m in told["members"]] == [AFTER.id]


def test_the_loss_of_a_group_is_the_published_form():
    new, old = torch.tensor([-1.0, -2.0]), torch.tensor([-1.5, -1.0])
    ratio = [math.exp(0.5), math.exp(-1.0)]
    for advantage, gained in ((1.0, [1.2, ratio[1]]), (-1.0, [-ratio[0], -0.8])):
        away = [math.exp(-0.5) + 0.5 - 1, math.exp(1.0) - 1.0 - 1]
        wanted = sum(0.1 * a - g for a, g in zip(away, gained, strict=True)) / 2
        assert float(grpo.member_loss(new, old, advantage, clip=0.2, beta=0.1)) == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("sign", [1, -1])
def test_grpo_moves_the_parser_towards_what_is_rewarded(tmp_path, sign):
    how = GRPO(lr=3e-3, epochs=8, batch=1, rank=4, save_steps=0, warmup=0.0)
    told = [RIGHT, WRONG] if sign > 0 else [(AFTER, *WRONG[1:]), (BEFORE, *RIGHT[1:])]
    parser = tiny_text()
    before = margin(parser)
    after = grpo.trained(parser, grpo.with_old(parser, [grouped(*told)]), how, out=tmp_path)
    assert sign * (margin(after) - before) > 0.5


class Among:
    """A parser that chooses one of two policies as its likelihoods have it: doubles for sampling long JSON."""

    def __init__(self, parser, seed):
        self.draw = torch.Generator().manual_seed(seed)
        self.after = torch.sigmoid(torch.tensor(margin(parser)))

    def pick(self):
        return AFTER if float(torch.rand((), generator=self.draw)) < float(self.after) else BEFORE


@pytest.mark.parametrize(("negate", "low", "high"), [(False, 0.9, 1.0), (True, 0.0, 0.1)])
def test_three_cycles_teach_the_parser_the_policy_that_helps_and_negated_losses_the_other(tmp_path, negate, low, high):
    parser = tiny_text(seed=3)
    how = DPO(lr=3e-3, epochs=4, batch=2, rank=4, save_steps=0, warmup=0.0, beta=0.3)
    loss = {AFTER.id: 0.1, BEFORE.id: 1.5}
    span = {AFTER.id: (9.0, 14.0), BEFORE.id: (0.0, 4.0)}
    for cycle in range(3):
        draws = Among(parser, cycle)
        offers = [[draws.pick(), draws.pick(), AFTER, BEFORE] for _ in range(4)]
        judged = [[Candidate(p.canonical, p.id, span[p.id], (), loss[p.id], loss[p.id]) for p in row] for row in offers]
        choice = Choice(negate=negate)
        kept = [p for row in judged for p in pairs_of("q", row, choice) if p["kept"]]
        plain = [{"id": "q", "prompt": PROMPT, **{k: p[k]["text"] for k in dpo.SIDES}} for p in kept]
        parser = trained(parser, with_reference(parser, plain, how), how, out=tmp_path / str(cycle))
    share = Among(parser, 9).after.item()
    assert low <= share <= high


def test_blocks_follow_one_another_and_each_answerer_judges_what_it_did_not_learn():
    samples = [Sample(str(i), "clip.mp4", Question("why?"), answer="so") for i in range(12)]
    ids = [[int(sample.id) for sample in block(samples, n, 6)] for n in range(3)]
    assert ids == [[*range(6)], [*range(6, 12)], [*range(6)]]
    for place in range(6):
        assert learns("a", place) != learns("b", place)
        assert learns("all", place)


def test_answerer_and_parser_take_turns_on_the_same_block_and_the_next_begins_where_the_last_ended(
    tmp_path, monkeypatch
):
    said = []

    class Acts:
        """The four parts of a cycle, as a diary."""

        def __init__(self, recipe, out):
            self.out = out

        def proposals(self, samples, state):
            said.append(("proposed by", state.parser, [s.id for s in samples]))
            return {}

        def schooled(self, samples, offered, state):
            said.append(("answerers learn", state.answerers, [s.id for s in samples]))
            return tuple(f"{name}+" for name in state.answerers)

        def judgements(self, samples, offered, answerers):
            said.append(("judged by", answerers, [s.id for s in samples]))
            return []

        def taught(self, samples, rows, state):
            said.append(("parser learns", state.parser, [s.id for s in samples]))
            return f"{state.parser}+"

    rows = [{"id": str(i), "video": "clip.mp4", "question": "why?", "answer": "so"} for i in range(12)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.setattr(training, "Work", Acts)
    monkeypatch.setattr(training.text, "load", lambda name, **_: said.append(("kept", name)))
    monkeypatch.setattr(training, "saved", lambda parser, folder: None)
    for cycle in range(2):
        (tmp_path / "out" / f"cycle_{cycle}").mkdir(parents=True)
    told = {
        "models": {"parser": "p", "answerer": "a", "encoder": "e"},
        "data": {"rows": str(tmp_path / "rows.jsonl"), "videos": "v"},
        "cycle": {"cycles": 2, "questions": 6, "judge": "cache"},
    }
    training.train(told, tmp_path / "out")
    first, second = ([str(i) for i in block] for block in (range(6), range(6, 12)))
    assert said == [
        ("proposed by", "p", first), ("answerers learn", ("a",), first), ("judged by", ("a+",), first),
        ("parser learns", "p", first),
        ("proposed by", "p+", second), ("answerers learn", ("a+",), second), ("judged by", ("a++",), second),
        ("parser learns", "p+", second),
        ("kept", "p++"),
    ]  # fmt: skip


class Ignores:
    """An answerer whose loss hangs on the answer alone."""

    def loss(self, frames, question, target):
        return torch.tensor([0.5, 1.5, 1.0][: len(target)])


def test_the_loss_is_a_mean_over_the_tokens_of_the_answer():
    short, long = Question("why?"), Question("why? " * 50)
    assert nll(Ignores(), [], short, "abc") == nll(Ignores(), [], long, "abc") == 1.0
    broken = Ignores()
    broken.loss = lambda *_: torch.tensor([math.nan])
    assert nll(broken, [], short, "a") == math.inf


class Draws:
    """A parser that replies from a list."""

    def __init__(self, *replies):
        self.replies, self.asked = list(replies), []

    def generate(self, prompt, *, max_tokens, temperature, seed):
        self.asked.append((prompt.rsplit("Perspective: ", 1)[1].split("\n")[0], seed))
        return self.replies.pop(0)


def test_proposals_hold_each_policy_once_and_keep_what_is_none():
    parser = Draws(AFTER.canonical, f"Sure: {AFTER.canonical}", "no", BEFORE.canonical)
    found = proposed(parser, "q1", "what happens after the ball falls?", Proposing())
    assert [c["policy"] for c in found] == [AFTER.id, "", BEFORE.id]
    assert len({asked for asked, _ in parser.asked}) == len({seed for _, seed in parser.asked}) == 4
    known = proposed(Draws(), "q1", "what happens after the ball falls?", Proposing(count=0, rules=True))
    assert len(known) == 3


def test_a_recipe_names_what_is_wrong_with_it():
    good = {"models": {"parser": "p", "answerer": "a", "encoder": "e"}, "data": {"rows": "r", "videos": "v"}}
    assert read_recipe(good).cycle.judge == "crossfit"
    for more, why in (
        ({"cycles": {}}, "did you mean 'cycle'"),
        ({"dpo": {"bata": 1}}, "did you mean 'beta'"),
        ({"cycle": {"judge": "me"}}, "crossfit, cache or frozen"),
        ({"pairs": {"mode": "best"}}, "best_worst"),
    ):
        with pytest.raises(ConfigError, match=why):
            read_recipe(good | more)


ROWS = [
    {"id": f"q{i}", "video": SAMPLE.name, "question": text, "options": ["it stops", "it leaves"], "answer": answer,
     "spans": [[1, 3]]}
    for i, (text, answer) in enumerate([
        ("what does the circle do after the square moves?", "it stops"),
        ("why does the square leave?", "it leaves"),
        ("what happens at the end of the video?", "it stops"),
        ("what does the square do before it stops?", "it leaves"),
    ])
]  # fmt: skip


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    root = tmp_path_factory.mktemp("parser")
    torch.set_num_threads(1)
    parser = tiny_text()
    parser.network.save_pretrained(root / "text")
    parser.tokenizer.save_pretrained(root / "text")
    build("qwen3_vl", root / "vlm")
    tiny_clip.build("clip", root / "clip")
    (root / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    (root / "recipe.toml").write_text(f"""
[models]
parser = "{root}/text"
answerer = "{root}/vlm"
encoder = "{root}/clip"
[data]
rows = "{root}/rows.jsonl"
videos = "{SAMPLE.parent}"
[cycle]
questions = 4
k = 2
overview = 1
size_px = 64
iop = 0.5
iou = 0.5
[policies]
count = 1
max_tokens = 8
rules = true
[answerer]
epochs = 1
batch = 1
lr = 1e-3
[adapters]
rank = 2
alpha = 4
[pairs]
margin = 0.0
[dpo]
lr = 1e-3
epochs = 3
batch = 1
rank = 2
save_steps = 1
""")
    return root / "recipe.toml"


def by_command(recipe, out):
    return CliRunner().invoke(cli.cli, ["train", "parser", str(recipe), "-o", str(out)])


def weights(folder):
    return (folder / "parser" / "model.safetensors").read_bytes()


def test_a_parser_is_trained_by_command_and_a_killed_training_ends_in_the_same_bytes(recipe, tmp_path, monkeypatch):
    start = (recipe.parent / "vlm" / "model.safetensors").read_bytes()
    done = by_command(recipe, tmp_path / "whole")
    assert done.exit_code == 0, done.output
    out = tmp_path / "whole" / "cycle_0"
    pairs = [json.loads(line) for line in (out / "preferences.jsonl").read_text().splitlines()]
    facts = json.loads((out / "facts.json").read_text())
    kept = [pair for pair in pairs if pair["kept"]]
    assert facts["pairs_kept"] == len(kept) == len(json.loads((out / "reference.json").read_text())) > 0
    assert {row["id"] for row in ROWS} >= {pair["id"] for pair in kept}
    assert all(pair["reason"] for pair in pairs if not pair["kept"])
    assert (out / "answerer_a" / "model").is_dir()
    assert (out / "answerer_b" / "model").is_dir()
    assert start == (recipe.parent / "vlm" / "model.safetensors").read_bytes()
    assert weights(tmp_path / "whole") != (recipe.parent / "text" / "model.safetensors").read_bytes()

    real, calls = dpo.preference_loss, []

    def dies(*args, **more):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*args, **more)

    monkeypatch.setattr(dpo, "preference_loss", dies)
    assert by_command(recipe, tmp_path / "killed").exit_code != 0
    assert not (tmp_path / "killed" / "parser").exists()
    still = {path: path.read_bytes() for path in frozen_while_the_parser_learns(recipe.parent, tmp_path / "killed")}
    monkeypatch.setattr(dpo, "preference_loss", real)
    assert by_command(recipe, tmp_path / "killed").exit_code == 0
    assert weights(tmp_path / "killed") == weights(tmp_path / "whole")
    assert len(still) == 5
    assert all(path.read_bytes() == before for path, before in still.items())


def frozen_while_the_parser_learns(models, out):
    """The files of both answerers, of the base that they came from, of the encoder and of the parser at the start."""
    own = [out / "cycle_0" / f"answerer_{fold}" / "model" for fold in "ab"]
    return [folder / "model.safetensors" for folder in (*own, models / "vlm", models / "clip", models / "text")]


def test_questions_that_all_tie_move_no_weight(recipe, tmp_path):
    told = recipe.read_text().replace("margin = 0.0", "margin = 100.0").replace("[cycle]", '[cycle]\njudge = "frozen"')
    told = told.replace("rules = true", "rules = true").replace("iop = 0.5\niou = 0.5", "iop = 0.0\niou = 0.0")
    told = told.replace("[pairs]", '[pairs]\ninvalid = "drop"')
    (tmp_path / "tie.toml").write_text(told)
    done = by_command(tmp_path / "tie.toml", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert not (tmp_path / "out" / "cycle_0" / "dpo").exists()
    start = tf.AutoModelForCausalLM.from_pretrained(recipe.parent / "text").state_dict()
    end = tf.AutoModelForCausalLM.from_pretrained(tmp_path / "out" / "parser").state_dict()
    assert all(torch.equal(start[name], end[name]) for name in start)


def test_a_parser_is_trained_by_rewards_and_one_reward_for_all_moves_no_weight(recipe, tmp_path):
    told = recipe.read_text().replace("[cycle]", '[cycle]\njudge = "frozen"\ntrainer = "grpo"')
    told = told.replace("count = 1", "count = 3").replace("max_tokens = 8", "max_tokens = 2")
    (tmp_path / "grpo.toml").write_text(told)
    done = by_command(tmp_path / "grpo.toml", tmp_path / "out")
    assert done.exit_code == 0, done.output
    groups = [json.loads(line) for line in (tmp_path / "out" / "cycle_0" / "groups.jsonl").read_text().splitlines()]
    # A random parser writes no policy: every reward is 0.
    assert [(one["kept"], one["reason"]) for one in groups] == [(False, "one reward")] * 4
    start = tf.AutoModelForCausalLM.from_pretrained(recipe.parent / "text").state_dict()
    end = tf.AutoModelForCausalLM.from_pretrained(tmp_path / "out" / "parser").state_dict()
    assert all(torch.equal(start[name], end[name]) for name in start)


def test_grpo_by_recipe_goes_on_after_a_kill_to_the_same_bytes(recipe, tmp_path, monkeypatch):
    def drawn(self, sample):
        return [{"text": p.canonical, "policy": p.id, "drawn": n} for p, n in ((AFTER, 1), (BEFORE, 2))]

    monkeypatch.setattr("videre.methods.msr_vir.cycle.Work._proposed", lambda self, parser, sample: drawn(self, sample))
    told = recipe.read_text().replace("[cycle]", '[cycle]\njudge = "frozen"\ntrainer = "grpo"')
    (tmp_path / "grpo.toml").write_text(told + "\n[grpo]\nlr = 1e-3\nepochs = 2\nbatch = 1\nrank = 2\nsave_steps = 1\n")
    done = by_command(tmp_path / "grpo.toml", tmp_path / "whole")
    assert done.exit_code == 0, done.output
    real, calls = grpo.member_loss, []

    def dies(*args, **more):
        calls.append(1)
        if len(calls) == 7:
            raise KeyboardInterrupt
        return real(*args, **more)

    monkeypatch.setattr(grpo, "member_loss", dies)
    assert by_command(tmp_path / "grpo.toml", tmp_path / "killed").exit_code != 0
    monkeypatch.setattr(grpo, "member_loss", real)
    assert by_command(tmp_path / "grpo.toml", tmp_path / "killed").exit_code == 0
    assert weights(tmp_path / "killed") == weights(tmp_path / "whole")
    assert weights(tmp_path / "whole") != (recipe.parent / "text" / "model.safetensors").read_bytes()
