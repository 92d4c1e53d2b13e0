#!/bin/sh
# What Helm rendered, on standard input, with kustomization.yaml applied. Helm 3: `helm install --post-renderer ./post-render.sh`.
# Helm 4 takes it as a plugin: `helm plugin install .`, then `--post-renderer auth0-flask-kustomize`.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
cp "$here/kustomization.yaml" "$folder"
cat >"$folder/rendered.yaml"
kubectl kustomize "$folder"
