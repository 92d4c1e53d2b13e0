"""Pictures of the dashboards in docs/images: the panels' own queries on a real Prometheus, drawn without Grafana."""
