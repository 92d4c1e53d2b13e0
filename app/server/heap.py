"""What the garbage collector has to look at, and how often."""

import gc

# A request has some hundred objects at a time, which go without the collector. Python's own 700 make it walk those of
# the requests that are being answered again and again, and find nothing. What does need it is found a little later.
_YOUNG_OBJECTS = 20_000


def settle() -> None:
    """Call it when everything is there that stays: the collector need not walk that any more."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, *gc.get_threshold()[1:])
