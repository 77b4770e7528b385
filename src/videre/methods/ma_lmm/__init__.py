"""MA-LMM: hours of video through a memory of constant size (arXiv 2404.05726)."""
