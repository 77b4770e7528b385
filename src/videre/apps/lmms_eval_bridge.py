"""The door to lmms-eval: it finds the model `videre` through the entry point `lmms_eval.models`, without a fork.

    pip install 'videre[lmms-eval]'
    python -m lmms_eval --model videre --model_args pretrained=Qwen/Qwen3-VL-4B-Instruct,frames=32 --tasks videomme

This file imports without lmms-eval; `lmms_eval_model` is the model itself.
"""

from typing import Any

MODEL_ID = "videre"


def manifests() -> list[Any]:
    """What lmms-eval registers: one chat model of our name."""
    from lmms_eval.models.registry_v2 import ModelManifest

    return [ModelManifest(MODEL_ID, chat_class_path="videre.apps.lmms_eval_model.Videre")]
