#!/bin/sh
# Builds an image of this checkout, tagged with its version: build.sh [gpu|train] [OPTIONS ...]
#
# OPTIONS go to whatever builds: $ENGINE, or buildah, podman or docker, whichever there is.
set -eu
cd "$(dirname "$0")/../.."
. deploy/.env

variant=daemon
case "${1-}" in gpu | train) variant=$1 && shift ;; esac
name=anchorwatch
[ "$variant" = daemon ] || name=anchorwatch-$variant

for engine in ${ENGINE:-buildah podman docker}; do
    command -v "$engine" >/dev/null && break
done
# Podman's own format has no health checks.
case "$engine" in *docker) format= ;; *) format=--format=docker ;; esac
# shellcheck disable=SC2086 # no format is no argument
exec "$engine" build $format --file deploy/container/Containerfile \
    --build-arg "BASE=$PYTHON_IMAGE" --build-arg "VERSION=$ANCHORWATCH_VERSION" \
    --build-arg "LOCK=requirements-$variant.lock" --tag "$name:$ANCHORWATCH_VERSION" "$@" .
