"""Video-STaR: any labelled videos become a teacher. A model explains; what its labels do not bear out is thrown away.

Source: Zohar et al., "Video-STaR: Self-Training Enables Video Instruction Tuning with Any Supervision", ICLR 2025;
official code orrzohar/Video-STaR at 191559d.
"""
