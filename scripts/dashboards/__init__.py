"""Grafana's dashboards, in a form that people can read: `make docs` writes deploy/grafana/dashboards from it.

A module for each dashboard says which panels there are; `model` makes Grafana's JSON of them.
"""

from . import authentication, overview, runtime, sessions

DASHBOARDS = (overview.DASHBOARD, authentication.DASHBOARD, sessions.DASHBOARD, runtime.DASHBOARD)

__all__ = ["DASHBOARDS"]
