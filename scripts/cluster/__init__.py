"""A real Kubernetes of one node, for `make test-cluster`: of Go modules and Debian's packages, without a registry."""
