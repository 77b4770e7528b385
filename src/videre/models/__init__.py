"""Models that read pictures and text. Light to import: each file brings its own heavy packages.

`videre.models.mllm.load` runs any transformers image- or video-text model, `videre.models.endpoint` talks to a server,
`videre.models.builtin` is the small model that ships with the package, `videre.models.fake` needs no weights at all.
"""
