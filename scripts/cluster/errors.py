"""What keeps a cluster from being there."""


class ClusterError(Exception):
    """What is missing or did not work, as a sentence with the fix."""
