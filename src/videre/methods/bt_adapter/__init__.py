"""BT-Adapter: a branch beside a frozen picture tower that teaches it time.

Source: Liu et al., One For All: Video Conversation is Feasible Without Video Instruction Tuning, CVPR 2024; official
code farewellthree/BT-Adapter at 393b4b8, described in words and formulas, never copied.
"""
