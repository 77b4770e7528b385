"""What is said in a video and when: the speech recognition files of HowTo100M.

Files: `{video}.csv` of antoine77340/MIL-NCE_HowTo100M (start, end in seconds, text without stop words).

Source: Miech et al., CVPR 2020. Verified.
"""

from videre.data import spans
from videre.data.annotations import Source, table
from videre.types import Span


def read(path: Source) -> tuple[Span, ...]:
    """The lines in file order, each a span with what is said as its label; they may overlap."""
    rows = table(path, ("start", "end", "text"))
    return tuple(
        spans.published(row, [row.number("start"), row.number("end")], label=row.text("text", blank=True))
        for row in rows
    )
