"""`python -m tests.load.counting [PART...]`."""

import sys
import tempfile
from pathlib import Path

from . import LEFT_OUT, measure

with tempfile.TemporaryDirectory(prefix="count-") as name:
    counts = measure(Path(name), print, parts=sys.argv[1:])
for key, part in LEFT_OUT.items():
    if key in counts.parts:
        print(f"{counts.parts[key]:>10,}  {part.title}")
print(f"{counts.rest:>10,}  the rest")
print(f"{counts.floor:>10,}  the floor, {counts.floor / counts.all:.2f} of all")
print(f"{counts.all:>10,}  all")
