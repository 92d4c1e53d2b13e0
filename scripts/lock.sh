#!/bin/sh
# Resolve pyproject.toml into requirements/*.txt: every platform and Python >= 3.11 in one file, pinned by hash, no addresses.
# `make lock` keeps what still fits; `make lock UPGRADE=--upgrade` takes the newest that pyproject.toml allows.
set -eu
compile() {
	.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --custom-compile-command "make lock" "$@" >/dev/null
}
compile "$@" pyproject.toml --extra tracing --output-file requirements/app.txt
compile "$@" pyproject.toml --extra tracing --group test --constraints requirements/app.txt --output-file requirements/test.txt
compile "$@" pyproject.toml --extra tracing --group dev --constraints requirements/test.txt --output-file requirements/dev.txt
compile "$@" --group nginx --output-file requirements/nginx.txt
compile "$@" --group sbom --output-file requirements/sbom.txt
compile "$@" --group node --output-file requirements/node.txt
# Files are taken out of these; what their Python code would need is not installed.
compile "$@" --no-deps --group chart --output-file requirements/chart.txt
compile "$@" --group checkov --output-file requirements/checkov.txt
# The lock of the local identity provider, likewise without addresses (deploy/identity/.npmrc).
if [ "${1-}" = --upgrade ]; then verb=update; else verb=install; fi
.venv/bin/python scripts/node.py npm "$verb" --package-lock-only --silent
