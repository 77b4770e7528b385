"""Choose the frames that a question needs: scorers, strategies, a selector that is trained for it.

Source: M-LLM based video frame selection for efficient video understanding, CVPR 2025, arXiv 2502.19680.
"""
