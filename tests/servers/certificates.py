"""The authority and the leaves that the servers of the tests present: the code of the demo."""

from scripts.certificates import CA, NotPermittedError, authority

__all__ = ["CA", "NotPermittedError", "authority"]
