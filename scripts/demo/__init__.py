"""`make demo`: the app, a local identity provider and, if asked for, Redis, on this machine until Ctrl-C."""
