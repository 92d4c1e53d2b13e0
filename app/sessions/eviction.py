"""What Redis does when its memory is full, looked at once at start."""

import logging
import re

from .model import StoreUnavailable
from .store import RedisStore

log = logging.getLogger(__name__)


async def check(store: RedisStore) -> None:
    """Warn of a policy that lets Redis drop any session, or a note that one was ended, while it is needed."""
    try:
        memory = await store.info("memory")
    except StoreUnavailable:
        # Not there yet, or it does not tell this user. Neither keeps the server from starting.
        log.info("the session store did not tell what it does when it is full")
        return
    found = re.search(r"^maxmemory_policy:(allkeys-\S+)", memory, re.MULTILINE)
    if found:
        log.warning(
            "Redis' maxmemory-policy is %s: when its memory is full it signs people out who are using the app, and "
            "forgets who was signed out. Give it noeviction, or volatile-ttl, which lets go first what ends first",
            found[1],
        )
