"""What `make compat` runs in each environment: the demo without fine-tuning, in a world of its own.

Usage: python tests/compat/cell.py
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.isolation import isolate

if __name__ == "__main__":
    isolate()
    from winnow.__main__ import main

    sys.argv = ["winnow", "demo", "--preset", "probe", "--json"]  # fine-tuning takes minutes, and asks FiftyOne nothing
    main()
