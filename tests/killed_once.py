"""`winnow`, the second process of which is killed once in the middle of a training that is saved after each batch.

torch's launcher runs it; see tests/test_two_processes.py.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from winnow.__main__ import main
from winnow.plugin.training.batches import Batch
from winnow.plugin.training.checkpoint import Checkpoint
from winnow.plugin.training.trainer import _Run

KILLED = "WINNOW_TEST_KILLED"  # a file that stands for "has been killed"
LEARNT = "WINNOW_TEST_LEARNT"  # a file with a byte for each batch that the first process learnt from
_BEFORE = 6  # batch

learn = _Run._learn


def learn_or_die(run: _Run, batch: Batch) -> None:
    killed = Path(os.environ[KILLED])
    if os.environ["RANK"] == "1" and run._done == _BEFORE and not killed.exists():
        killed.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    learn(run, batch)
    if os.environ["RANK"] == "0":
        with Path(os.environ[LEARNT]).open("ab") as file:
            file.write(b".")


if __name__ == "__main__":
    _Run._learn = learn_or_die  # type: ignore[method-assign]
    Checkpoint.is_due = lambda self: True  # type: ignore[method-assign]
    main()
