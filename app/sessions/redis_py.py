"""What is used of redis-py, imported without its metrics.

Where OpenTelemetry is installed redis-py imports it, for metrics that nobody turns on: 40 ms and 2.5 MB of every start.
"""

import sys

_hidden = "opentelemetry" not in sys.modules
if _hidden:
    # To import what stands there as None is an ImportError (the import statement in Python's language reference).
    sys.modules["opentelemetry"] = None  # type: ignore[assignment]
try:
    from redis.asyncio import Redis, RedisCluster
    from redis.asyncio.cluster import ClusterNode
    from redis.asyncio.retry import Retry
    from redis.asyncio.sentinel import MasterNotFoundError, Sentinel
    from redis.backoff import ExponentialWithJitterBackoff
    from redis.exceptions import ConnectionError as RedisConnectionError
    from redis.exceptions import RedisClusterException, RedisError
finally:
    if _hidden:
        del sys.modules["opentelemetry"]

__all__ = [
    "ClusterNode",
    "ExponentialWithJitterBackoff",
    "MasterNotFoundError",
    "Redis",
    "RedisCluster",
    "RedisClusterException",
    "RedisConnectionError",
    "RedisError",
    "Retry",
    "Sentinel",
]
