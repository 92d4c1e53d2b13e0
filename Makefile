# The verbs of this repository. `make help` lists them; each is a line or two that calls a script you can read.

PYTHON ?= python3
VENV := .venv
# sslyze and gixy, whose pins are not the app's.
NGINX_TOOLS := .local/nginx-tools
SBOM_TOOLS := .local/sbom-tools

.DEFAULT_GOAL := help
.PHONY: help demo up down test-compose test-cluster image test bench bench-compose lint lock sbom docs screenshots clean

help: ## List the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/app ## Run the app with a local identity provider; SESSION_BACKEND=redis for the stateful setup
	@$(VENV)/bin/python -m scripts.demo

test: $(VENV)/dev $(NGINX_TOOLS)/nginx ## Run every test; ARGS="-k login" runs some of them
	@$(VENV)/bin/python -m scripts.test $(ARGS)

up: $(VENV)/app ## Run the production set-up in containers; HTTPS_PORT=8444 for another port
	@$(VENV)/bin/python -m scripts.stack up

down: $(VENV)/app ## Stop and remove the containers; VOLUMES=1 the data too
	@$(VENV)/bin/python -m scripts.stack down

test-compose: $(VENV)/dev $(SBOM_TOOLS)/sbom ## Test the images and the compose file on a container engine; ARGS as for test
	@$(VENV)/bin/python -m scripts.test_compose $(ARGS)

test-cluster: $(VENV)/dev ## Test the chart on a real Kubernetes: that of KUBECONFIG, or a node of its own; ARGS as for test
	@$(VENV)/bin/python -m scripts.test_cluster $(ARGS)

image: $(VENV)/app ## Build the images of the app, nginx and the identity provider
	@$(VENV)/bin/python -m scripts.containers build

bench: $(VENV)/dev ## Measure one worker against the guide's ways to serve it; ARGS=--quick to see that it works, ARGS=--sessions for sessions alone
	@$(VENV)/bin/python scripts/packages.py nginx redis-server wrk valgrind
	@$(VENV)/bin/python -m tests.load $(ARGS)

bench-compose: $(VENV)/dev ## Measure the compose stack against its processes without containers, as root; ARGS=--quick likewise
	@$(VENV)/bin/python scripts/packages.py wrk
	@$(VENV)/bin/python -m tests.load.containers $(ARGS)

lint: $(VENV)/dev $(NGINX_TOOLS)/nginx ## Check formatting, types, shell, YAML, nginx and alerts
	@$(VENV)/bin/python scripts/packages.py nginx prometheus prometheus-alertmanager
	@$(VENV)/bin/python scripts/chart_tools.py >/dev/null
	@$(VENV)/bin/python scripts/lint.py

lock: $(VENV)/dev ## Renew requirements/ from pyproject.toml, with hashes
	scripts/lock.sh $(UPGRADE)

sbom: $(VENV)/app $(SBOM_TOOLS)/sbom ## Build the images and write what is in each to dist/ (CycloneDX, by Syft)
	@$(VENV)/bin/python -m scripts.sbom $(SBOM_TOOLS)/bin/syft

docs: $(VENV)/dev ## Renew the generated pages under docs/ and helm/
	$(VENV)/bin/python -m app settings --markdown > docs/settings.md
	$(VENV)/bin/python -m app metrics > docs/metrics.md
	$(VENV)/bin/python -m scripts.dashboards
	$(VENV)/bin/python -m scripts.chart_docs
	$(VENV)/bin/python -m scripts.licences > docs/licences.md

screenshots: $(VENV)/dev ## Take the pictures of docs/images, from the running demo and from the dashboards' own queries
	@$(VENV)/bin/python scripts/packages.py
	@$(VENV)/bin/python -m scripts.screenshots
	@$(VENV)/bin/python -m tests.observability.pictures

clean: ## Remove the virtual environment and everything made at run time; what test-cluster built stays in ~/.cache/auth0-flask
	rm -rf $(VENV) .local dist

$(VENV)/app: requirements/app.txt scripts/environment.py
	@$(PYTHON) scripts/environment.py $(VENV) app

$(VENV)/dev: requirements/dev.txt scripts/environment.py
	@$(PYTHON) scripts/environment.py $(VENV) dev
	@touch $(VENV)/app

$(NGINX_TOOLS)/nginx: requirements/nginx.txt scripts/environment.py
	@mkdir -p .local
	@$(PYTHON) scripts/environment.py $(NGINX_TOOLS) nginx

$(SBOM_TOOLS)/sbom: requirements/sbom.txt scripts/environment.py
	@mkdir -p .local
	@$(PYTHON) scripts/environment.py $(SBOM_TOOLS) sbom
