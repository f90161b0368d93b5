"""How far the engines of one network may lie apart."""

from __future__ import annotations

import torch

# A GPU computes in half precision, which keeps 11 bits of a number.
ENGINES_AGREE = 5e-3 if torch.cuda.is_available() else 1e-4
