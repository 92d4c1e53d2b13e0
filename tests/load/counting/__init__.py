"""Where the instructions of a signed-in page go, counted with callgrind: the same on a busy machine as on a quiet one.

`python -m tests.load.counting` counts the page, the floor, and the page with each part left out in turn.
"""

from .parts import LEFT_OUT, Part
from .valgrind import Counts, measure

__all__ = ["LEFT_OUT", "Counts", "Part", "measure"]
