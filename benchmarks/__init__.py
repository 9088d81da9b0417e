"""What measures the recorded numbers, in the environment in which the tests measure them again."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "book" / "_tools"))
import processor

processor.pin()
