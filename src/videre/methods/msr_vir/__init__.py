"""MSR-ViR: a question becomes a policy that one can read; small modules follow it to a moment and a place.

Source: Song et al., "Modularized Self-Reflected Video Reasoner for Multimodal LLM with Application to Video Question
Answering", ICML 2025 (PMLR 267).
"""
