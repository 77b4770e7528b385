"""Opening, sampling, looking and drawing: a file becomes frames with true times. `docs/video.md` is the contract."""
