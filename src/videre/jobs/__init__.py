"""Many items, one line an answer, nothing lost: a run that is killed continues with the same command.

A run is a folder. Its log gains one sealed JSON line an item, at once; everything else there can be made again.
"""

from videre.jobs.engine import Engine, PerWorker, Result
from videre.jobs.folder import OutOfSpace, begun, new_folder, replace_file
from videre.jobs.item import Item, Work, file_key, key
from videre.jobs.local import Local
from videre.jobs.log import rows
from videre.jobs.run import Outcome, run
from videre.jobs.status import status
from videre.jobs.stop import Stop
from videre.jobs.threads import Threads

__all__ = [
    "Engine",
    "Item",
    "Local",
    "OutOfSpace",
    "Outcome",
    "PerWorker",
    "Result",
    "Stop",
    "Threads",
    "Work",
    "begun",
    "file_key",
    "key",
    "new_folder",
    "replace_file",
    "rows",
    "run",
    "status",
]
