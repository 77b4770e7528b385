"""BT-Adapter against tensors of the official modules (farewellthree/BT-Adapter at 393b4b8)."""

import pytest
import torch
import transformers as tf
from safetensors.torch import load_file

from videre.evaluate import retrieval
from videre.methods.bt_adapter import convert, losses
from videre.methods.bt_adapter.adapter import Adapter, layers
from videre.methods.bt_adapter.branch import BranchConfig
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


def loaded(network, official, **config):
    adapter = Adapter(network, BranchConfig(**{"depth": 3, **config}))
    adapter.load_state_dict(convert.ours(official))
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


def test_parameters_of_the_large_model():
    with torch.device("meta"):
        network = tf.CLIPVisionModelWithProjection(
            tf.CLIPVisionConfig(hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16,
                                image_size=224, patch_size=14, projection_dim=768)
        )  # fmt: skip
        adapter = Adapter(network, BranchConfig())
    trained = {name: p.numel() for name, p in adapter.named_parameters() if p.requires_grad}
    assert all(name.startswith("branch.") for name in trained)
    assert sum(n for name, n in trained.items() if "balance" not in name) == 71_451_648
    assert sum(n for name, n in trained.items() if "balance" in name) == 2 * 1024


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
    for ours, official in names.items():
        torch.testing.assert_close(found[ours], told[f"loss.{official}"], rtol=1e-4, atol=1e-6)
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
