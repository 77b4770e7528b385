"""Names -> things: the only place that knows what "uniform" or "ask" stands for.

These are tables alone, so that help stays quick. Each entry says where a thing is written, as `module:name`; `naming`
loads it when it is asked for.
"""

from typing import Any

COMMANDS = {
    "adapter": ("videre.apps.adapters:command", "Convert and show adapters that teach a frozen CLIP time."),
    "ask": ("videre.apps.asking:command", "Ask a question about videos and see the evidence."),
    "convert": ("videre.apps.converting:command", "Turn released checkpoints into ours, and back."),
    "doctor": ("videre.apps.doctor:command", "Check decoders, packages, models; say what to mend."),
    "eval": ("videre.apps.evaluating:command", "Evaluate a model on a benchmark; compare two runs."),
    "ground": ("videre.apps.grounding:command", "Find when and where an answer lies, step by step."),
    "index": ("videre.apps.indexing:command", "Read the videos of a folder so that moments can be searched."),
    "label": ("videre.apps.labelling:command", "Label which frames help, to train a frame selector."),
    "replay": ("videre.apps.replaying:command", "Replay a trace of ground without any model."),
    "report": ("videre.apps.reporting:command", "Turn evidence records into one HTML page."),
    "retrieve": ("videre.apps.retrieving:command", "Measure how texts find videos on a retrieval benchmark."),
    "score": ("videre.apps.scoring:command", "Score prediction files that others published."),
    "search": ("videre.apps.searching:command", "Find moments in indexed videos by a text or a clip."),
    "select": ("videre.apps.selecting:command", "Choose the frames that a question needs; show scores."),
    "star": ("videre.apps.starring:command", "Train on labelled videos by verified answers."),
    "stream": ("videre.apps.streaming:command", "Watch a video as it comes; answer every few seconds."),
    "study": ("videre.apps.study:command", "Study a model: frames, their order, attention; instructions."),
    "synth": ("videre.apps.synth:command", "Print long texts on pages: video-like lessons."),
    "train": ("videre.apps.training:command", "Train what a method needs, as a recipe says."),
    "world": ("videre.apps.worlds:command", "Write videos of the generated world with their truth."),
}
"""Command -> where it is written, and the line that `videre --help` shows. A method adds its own here."""

BENCHMARKS: dict[str, dict[str, Any]] = {
    "activitynet-qa": {
        "reader": "videre.data.short_answers:activitynet",
        "takes": ("answers",),
        "match": "exact",
    },
    "breakfast": {"reader": "videre.data.activities:breakfast"},
    "charades-sta": {"reader": "videre.apps.benchmarks:moments", "scores": "moments"},
    "coin": {"reader": "videre.data.activities:coin"},
    "egoschema": {"reader": "videre.data.egoschema:read", "takes": ("answers",)},
    "epic-kitchens": {
        "reader": "videre.apps.benchmarks:anticipation",
        "takes": ("verbs", "nouns"),
        "scores": "anticipation",
    },
    "longvideobench": {"reader": "videre.data.longvideobench:read", "groups": "videre.apps.benchmarks:lengths"},
    "lvu": {"reader": "videre.data.lvu:read"},
    "mlvu": {"reader": "videre.data.mlvu:read"},
    "msrvtt-captions": {"reader": "videre.apps.benchmarks:msrvtt_captions", "scores": "captions"},
    "msrvtt-qa": {"reader": "videre.data.short_answers:msrvtt", "match": "first-word"},
    "msvd-captions": {"reader": "videre.apps.benchmarks:msvd_captions", "scores": "captions"},
    "msvd-qa": {"reader": "videre.data.short_answers:msvd", "match": "first-word"},
    "mvbench": {
        "reader": "videre.data.mvbench:read",
        "takes": ("bounds",),
        "rules": ("mvbench", "lmms-eval-mvbench", "t2vid"),
    },
    "nextgqa": {
        "reader": "videre.data.nextgqa:read",
        "takes": ("grounds", "folders"),
        "needs": ("grounds",),
        "scores": "grounded",
        "groups": "videre.apps.benchmarks:causes",
    },
    "nextqa": {
        "reader": "videre.data.nextqa:read",
        "takes": ("folders",),
        "groups": "videre.apps.benchmarks:causes",
    },
    "qvhighlights": {"reader": "videre.apps.benchmarks:moments", "scores": "moments"},
    "rows": {"reader": "videre.data.rows:read", "takes": ("dedupe",)},
    "star": {"reader": "videre.data.star:read", "takes": ("part", "whole")},
    "tempcompass": {"reader": "videre.data.tempcompass:read", "takes": ("task",), "rules": ("tempcompass",)},
    "tgif-qa": {"reader": "videre.data.tgif_qa:read", "takes": ("task",)},
    "video-chatgpt": {"reader": "videre.data.video_chatgpt:read", "takes": ("part",), "scores": "aspects"},
    "video-mme": {
        "reader": "videre.data.video_mme:read",
        "rules": ("videomme", "lmms-eval-videomme", "t2vid"),
        "groups": "videre.apps.benchmarks:task_types",
    },
    "world": {"kinds": None},
    "world-gqa": {"kinds": "grounded", "scores": "grounded"},
    "youcook2-captions": {"reader": "videre.apps.benchmarks:youcook2_captions", "scores": "captions"},
}
"""Benchmark -> the reader of its published annotation file (the world's two are generated) and how it is scored.

`takes` names the further options of its reader and `needs` those without which there is no score, `scores` what is
scored beside the questions, `match` the rule for open answers, `rules` the official extractors, `groups` a second
grouping of the questions.
"""

SELECTORS = {
    "aks": "videre.apps.frame_selectors:aks",
    "bolt": "videre.apps.frame_selectors:bolt",
    "focus": "videre.apps.frame_selectors:focus",
    "mdp3": "videre.apps.frame_selectors:mdp3",
    "msr-vir": "videre.apps.grounding:selector",
    "nms": "videre.apps.frame_selectors:nms",
    "post-hoc": "videre.apps.grounding:post_hoc",
    "q-frame": "videre.apps.frame_selectors:q_frame",
    "top-k": "videre.apps.frame_selectors:top_k",
    "uniform": "videre.video.sample:uniform",
    "wfs-sb": "videre.apps.frame_selectors:wfs_sb",
}
"""Selector name -> the function that makes it from its settings (`uniform:k=8`, `aks:clip=MODEL`)."""

TRAINED = "videre.apps.frame_selectors:trained"
"""What makes the selector of a folder or hub id."""

MODELS: dict[str, str] = {
    "bt-adapter": "videre.apps.adapters:chat_model",
    "captions": "videre.apps.grounding:captions",
    "grid": "videre.apps.rivals:grid",
    "ma-lmm": "videre.apps.remembering:model",
    "option": "videre.apps.rivals:option",
    "pictures": "videre.apps.rivals:pictures",
    "prompt": "videre.apps.rivals:prompt",
    "slow-fast": "videre.apps.rivals:slow_fast",
}
"""Model prefix -> the function that loads one from what stands after it (`ma-lmm:FOLDER`)."""

TRAINERS: dict[str, str] = {
    "adapter": "videre.methods.bt_adapter.pretrain:train",
    "answerer": "videre.apps.answerer:train",
    "bt-chat": "videre.methods.bt_adapter.tuning:train",
    "memory": "videre.apps.memory_training:train",
    "parser": "videre.methods.msr_vir.training:train",
    "reasoner": "videre.methods.msr_vir.training:train",
    "selector": "videre.methods.frame_selector.training:train",
}
"""What `videre train` can train -> `function(recipe: dict, out: Path)`, which resumes what lies in `out`."""
