"""BT-Adapter against tensors of the official modules (farewellthree/BT-Adapter at 393b4b8)."""

import json

import pytest
import torch
import transformers as tf
from safetensors.torch import load_file

from videre.errors import ModelError
from videre.evaluate import retrieval
from videre.methods.bt_adapter import convert, losses, official, protocol
from videre.methods.bt_adapter.adapter import Adapter, layers
from videre.methods.bt_adapter.branch import BranchConfig
from videre.methods.bt_adapter.chat import combined, official_group, video_tokens
from videre.methods.bt_adapter.mask import from_dropped
from videre.methods.bt_adapter.tower import Eva

SIZES = {"hidden_size": 32, "num_hidden_layers": 6, "num_attention_heads": 4, "image_size": 16, "patch_size": 4}
NEAR = {"atol": 1e-5, "rtol": 1e-5}


@pytest.fixture(scope="module")
def golden(shared):
    folder = shared / "golden" / "bt_adapter"
    return lambda name: load_file(folder / f"{name}.safetensors")


def weights(tensors, prefix="weights."):
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def clip_vision():
    config = tf.CLIPVisionConfig(**SIZES, intermediate_size=64, projection_dim=16)
    return tf.CLIPVisionModelWithProjection(config)


def eva():
    return Eva(tf.Blip2VisionConfig(**SIZES, intermediate_size=139, layer_norm_eps=1e-6), 16)


def loaded(network, released, **config):
    adapter = Adapter(network, BranchConfig(**{"depth": 3, **config}))
    adapter.load_state_dict(convert.ours(released))
    return adapter.eval()


@pytest.mark.parametrize(
    ("name", "build", "gates"),
    [
        ("vision_eval_ungated", clip_vision, False),
        ("vision_eval_gated", clip_vision, True),
        ("vision_eval_eva", eva, False),
    ],
)
def test_activations_of_the_retrieval_tower(golden, name, build, gates):
    told = golden(name)
    adapter = loaded(build(), weights(told), gates=gates)
    with torch.no_grad():
        for seen in layers(adapter.tower, adapter.branch, pixels=told["video"]):
            number = seen.layer + 1
            torch.testing.assert_close(seen.tokens.flatten(0, 1), told[f"state{number}.clip"], **NEAR)
            if seen.state is not None:
                branch = torch.cat([seen.state.cls, seen.state.patches], 1)
                torch.testing.assert_close(branch, told[f"state{number}.branch"], **NEAR)
        torch.testing.assert_close(adapter(told["video"]), told["video_embedding"], **NEAR)


def test_an_eva_file_brings_its_tower(golden, tmp_path):
    told = golden("vision_eval_eva")
    state = {f"backbone.{name}": value for name, value in weights(told).items()}
    torch.save({"state_dict": state}, tmp_path / "eva.pth")
    adapter = official.eva(tmp_path / "eva.pth", heads=4)
    with torch.no_grad():
        torch.testing.assert_close(adapter(told["video"]), told["video_embedding"], **NEAR)
    del state["backbone.head.bias"]
    torch.save(state, tmp_path / "less.pth")
    with pytest.raises(ModelError, match="no whole EVA tower"):
        official.eva(tmp_path / "less.pth", heads=4)


def test_parameters_of_the_large_model():
    with torch.device("meta"):
        network = tf.CLIPVisionModelWithProjection(
            tf.CLIPVisionConfig(hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16,
                                image_size=224, patch_size=14, projection_dim=768)
        )  # fmt: skip
        adapter = Adapter(network, BranchConfig())
        align = losses.Pretraining(adapter).align
    trained = {name: p.numel() for name, p in adapter.named_parameters() if p.requires_grad}
    assert all(name.startswith("branch.") for name in trained)
    assert sum(n for name, n in trained.items() if "balance" not in name) == 71_451_648
    assert sum(n for name, n in trained.items() if "balance" in name) == 2 * 1024
    assert sum(p.numel() for p in align.parameters()) == 788_736


def whole_clip():
    text = {"hidden_size": 24, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    text |= {"vocab_size": 64, "max_position_embeddings": 16, "eos_token_id": 2}
    config = tf.CLIPConfig(text_config=text, vision_config={**SIZES, "intermediate_size": 64}, projection_dim=16)
    return tf.CLIPModel(config)


def pretraining(told):
    named = convert.ours(weights(told))
    network = whole_clip()
    model = losses.Pretraining(Adapter(network, BranchConfig(depth=3, drop_path=0.0)))
    align = weights(named, "align.")
    model.align.load_state_dict(align)
    rest = {name: value for name, value in named.items() if not name.startswith("align.")}
    missing = model.adapter.load_state_dict(rest, strict=False)
    assert (missing.missing_keys, missing.unexpected_keys) == (["network.logit_scale"], [])
    return model


def test_losses_and_gradients_of_pretraining(golden):
    told = golden("pretrain_losses")
    model = pretraining(told).train()
    with torch.no_grad():
        texts = model.adapter.network.get_text_features(told["text_ids"].long()).pooler_output
    torch.testing.assert_close(texts, told["text_features"], **NEAR)
    kept = from_dropped(told["branch_mask"])
    found = losses.losses(model, told["video"], texts, kept=kept, layout="official")
    names = {"vtc": "NCE_loss", "mbca": "branch_text_nce_loss", "mbta": "clip_branch_mask_mse_loss"}
    for ours, released in names.items():
        torch.testing.assert_close(found[ours], told[f"loss.{released}"], rtol=1e-4, atol=1e-6)
    sum(found.values()).backward()
    wanted = convert.ours(weights(told, "grad."))
    got = {name: p.grad for name, p in model.adapter.named_parameters() if p.grad is not None}
    got |= {f"align.{name}": p.grad for name, p in model.align.named_parameters()}
    assert set(got) == set(wanted)
    for name, gradient in wanted.items():
        # A bias of keys shifts all of a query's scores alike: its gradient is rounding noise around zero.
        near = 1e-4 * gradient.abs().max().item() + (1e-5 if name.endswith("k_proj.bias") else 1e-7)
        torch.testing.assert_close(got[name], gradient, rtol=1e-4, atol=near, msg=name)


def test_pretrained_features_without_mask(golden):
    told, wanted = golden("pretrain_losses"), golden("pretrain_eval_features")
    adapter = pretraining(told).adapter.eval()
    with torch.no_grad():
        torch.testing.assert_close(adapter(told["video"]), wanted["video_features"], **NEAR)


def test_contrastive_loss_and_its_metric(golden):
    told = golden("loss_and_metric")
    for scale in (100, 1):
        found = losses.contrast(told["video"], told["text"], scale=float(scale))
        torch.testing.assert_close(found, told[f"loss_scale{scale}"], rtol=1e-4, atol=1e-6)
    for number in range(3):
        video, text = (
            torch.nn.functional.normalize(told[f"retr{number}.{kind}"], dim=-1).numpy() for kind in ("video", "text")
        )
        found = retrieval(video, text)["text_to_video"]
        shares = [found.recall[k].percent for k in (1, 5, 10)]
        wanted = told[f"retr{number}.R1_R5_R10_MdR_MnR"]
        assert [*shares, found.median_rank, found.mean_rank] == pytest.approx(wanted.tolist(), rel=1e-5)


def bare_vision():
    return tf.CLIPVisionModel(tf.CLIPVisionConfig(**SIZES, intermediate_size=64))


def chat_tower(released):
    """The chat tower with what the file holds of it; parts that never run keep their random weights."""
    adapter = Adapter(bare_vision(), BranchConfig(depth=3))
    named = {name.replace("vision_model.", ""): value for name, value in convert.ours(released).items()}
    missing = adapter.load_state_dict(named, strict=False)
    assert not missing.unexpected_keys
    return adapter.eval(), missing.missing_keys


def test_tokens_of_the_chat_tower(golden):
    told = golden("llava_eval_T8")
    adapter, missing = chat_tower(weights(told))
    assert not missing
    frames = told["frames"][None]
    group = official_group(8, 16, 64)
    with torch.no_grad():
        for seen in layers(adapter.tower, adapter.branch, pixels=frames, group=group):
            if seen.layer < 3:
                torch.testing.assert_close(seen.tokens[0], told[f"hidden{seen.layer + 1}"], **NEAR)
            elif seen.layer < 5:
                both = torch.cat(combined(adapter.tower, seen), 1)
                torch.testing.assert_close(both, told[f"hidden{seen.layer + 1}"], **NEAR)
            else:
                torch.testing.assert_close(seen.tokens[0], told["hidden6.clip"], **NEAR)
                torch.testing.assert_close(
                    torch.cat([seen.state.cls, seen.state.patches], 1), told["hidden6.branch"], **NEAR
                )
        tokens = torch.cat(video_tokens(adapter.tower, adapter.branch, frames, compat="official"), 1)
        torch.testing.assert_close(tokens[0], told["llm_tokens"], **NEAR)
        ours = torch.cat(video_tokens(adapter.tower, adapter.branch, frames), 1)
        assert (ours[0] - told["llm_tokens"]).abs().max() > 1e-3  # the two halves of the clip do meet in ours


def test_tokens_from_stored_features(golden):
    told = golden("llava_train_reserve_T8")
    moved = {name.replace("layers.1.", "layers.4.", 1) if name.startswith("layers.1.") else name: value
             for name, value in weights(told).items()}  # fmt: skip
    moved = {name.replace("layers.0.", "layers.3.", 1) if name.startswith("layers.0.") else name: value
             for name, value in moved.items()}  # fmt: skip
    adapter, missing = chat_tower(moved)
    assert not [name for name in missing if "encoder.layers.3." in name or "encoder.layers.4." in name]
    assert not [name for name in missing if name.startswith("branch.") and ".2." not in name]
    with torch.no_grad():
        tokens = video_tokens(adapter.tower, adapter.branch, entering=told["features"], compat="official")
    torch.testing.assert_close(torch.cat(tokens, 1), told["llm_tokens"], **NEAR)


def test_official_names_come_back(shared):
    names = json.loads((shared / "golden" / "bt_adapter" / "state_dict_names_tiny.json").read_text())
    shapes = names["CLIPSimilarity_split"]
    released = {name: torch.randn(shape) for name, shape in shapes.items()}
    back = convert.official(convert.ours(released))
    assert back.keys() == released.keys()
    assert all(torch.equal(back[name], value) for name, value in released.items())
    old = {name.replace("btadapter", "timesFPN"): value for name, value in released.items()}
    assert convert.ours(old).keys() == convert.ours(released).keys()
    with pytest.raises(ModelError, match=r"unknown tensors backbone\.other"):
        convert.ours({**released, "backbone.other": torch.zeros(1)})


def test_official_frames(shared):
    told = json.loads((shared / "golden" / "bt_adapter" / "frame_indices.json").read_text())
    for case in told["retrieval_uniform_sample_test"]:
        assert protocol.shown_frames(case["total_frames"], case["clip_len"]) == case["indices"]
    for case in told["llava_get_seq_frames"]:
        assert protocol.chat_frames(case["total_frames"], case["num_frm"]) == case["indices"]
