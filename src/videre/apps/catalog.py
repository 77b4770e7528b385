"""Names -> things: the only place that knows what "uniform" or "ask" stands for.

These are tables alone, so that help stays quick. Each entry says where a thing is written, as `module:name`; `naming`
loads it when it is asked for.
"""

COMMANDS = {
    "ask": ("videre.apps.asking:command", "Ask a question about videos and see the evidence."),
    "doctor": ("videre.apps.doctor:command", "Check decoders, packages, models; say what to mend."),
    "eval": ("videre.apps.evaluating:command", "Evaluate a model on a benchmark; compare two runs."),
    "report": ("videre.apps.reporting:command", "Turn evidence records into one HTML page."),
    "score": ("videre.apps.scoring:command", "Score prediction files that others published."),
    "world": ("videre.apps.worlds:command", "Write videos of the generated world with their truth."),
}
"""Command -> where it is written, and the line that `videre --help` shows. A method adds its own here."""

BENCHMARKS = {
    "activitynet-qa": "videre.data.short_answers:activitynet",
    "egoschema": "videre.data.egoschema:read",
    "longvideobench": "videre.data.longvideobench:read",
    "mlvu": "videre.data.mlvu:read",
    "mvbench": "videre.data.mvbench:read",
    "nextqa": "videre.data.nextqa:read",
    "rows": "videre.data.rows:read",
    "star": "videre.data.star:read",
    "tempcompass": "videre.data.tempcompass:read",
    "video-mme": "videre.data.video_mme:read",
}
"""Benchmark -> the reader of its published annotation file. `world` is generated instead."""

SELECTORS = {
    "uniform": "videre.video.sample:uniform",
}
"""Selector name -> the function that makes it from its settings (`uniform:k=8`)."""
