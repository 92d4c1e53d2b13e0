"""Two requests have changed the same session: whose changes count.

Changes are told by key of `flask.session`. What only one of them changed is kept from that one. What both changed is
decided by the function that the key has (`on_conflict`); a key without one has what was written last.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from .model import Session, data_of, encode

Resolve = Callable[[Any, Any], Any]
"""`resolve(theirs, mine)`: the value of a key that both changed; None stands for a key that is not there."""

_ABSENT = b""


def merge(mine: Session, theirs: Session, resolvers: Mapping[str, Resolve]) -> None:
    """Bring *theirs*, which others wrote since *mine* was read, into *mine*; what it has changed itself stays.

    Of a session that was emptied, or of another life, nothing comes along: it may be another user's.
    """
    if not mine.cleared:
        _merge_data(mine, theirs, resolvers)
    mine.plaintext = theirs.plaintext
    if mine.begun:
        return
    mine.labels, mine.note = {**theirs.labels, **mine.labels}, {**theirs.note, **mine.note}
    if theirs.not_after is not None:
        mine.not_after = theirs.not_after if mine.not_after is None else min(mine.not_after, theirs.not_after)


def _merge_data(mine: Session, theirs: Session, resolvers: Mapping[str, Resolve]) -> None:
    before = _encoded(data_of(mine.plaintext) if mine.plaintext is not None else {})
    # As it would be read again, so that a tuple is a list on both sides.
    ours = data_of(encode(mine))
    now, after = _encoded(dict(theirs)), _encoded(ours)
    merged = dict(theirs)
    for key in before.keys() | after.keys():
        if after.get(key, _ABSENT) == before.get(key, _ABSENT):
            continue
        value = ours.get(key)
        absent = key not in ours
        if key in resolvers and now.get(key, _ABSENT) != before.get(key, _ABSENT):
            value = resolvers[key](merged.get(key), value)
            absent = value is None
        if absent:
            merged.pop(key, None)
        else:
            merged[key] = value
    # Past the callbacks: this is no change that a page made.
    dict.clear(mine)
    dict.update(mine, merged)


def _encoded(data: Mapping[str, Any]) -> dict[str, bytes]:
    return {key: msgspec.msgpack.encode(value) for key, value in data.items()}
