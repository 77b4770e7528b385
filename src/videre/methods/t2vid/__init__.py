"""T2Vid: long texts become video-like lessons, pictures in a row with a question about them.

Source: "Sparrow: Data-Efficient Video-LLM with Text-to-Image Augmentation", arXiv 2411.19951.
"""
