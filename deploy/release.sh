#!/bin/sh
# Makes what a release is made of, into an empty folder: release.sh [FOLDER]. docs/releases.md
#
# The same commit gives the same bytes: times are the commit's. What isn't committed is refused,
# unless UNCOMMITTED=yes says that it is for trying out.
set -eu
cd "$(dirname "$0")/.."
PATH="$PWD/.venv/bin:$PATH"
out=${1:-dist}

version=$(python -c 'import detector; print(detector.__version__)')
grep -q "^## $version\b" CHANGELOG.md || { echo "CHANGELOG.md says nothing of $version" >&2; exit 1; }
if [ "${UNCOMMITTED-}" != yes ] && [ -n "$(git status --porcelain)" ]; then
    echo "something here is not committed: git status" >&2
    exit 1
fi
if [ -e "$out" ] && [ -n "$(ls -A "$out")" ]; then
    echo "$out is there, and not empty" >&2
    exit 1
fi
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
export SOURCE_DATE_EPOCH

mkdir -p "$out"
hatchling build --directory "$out" >&2
python deploy/sbom.py requirements-daemon.lock >"$out/anchorwatch-$version.cdx.json"
# What the daemon is installed with; a wheel by itself names no versions.
cp requirements-daemon.lock "$out/anchorwatch-$version.lock"
(cd "$out" && sha256sum -- * >SHA256SUMS && cat SHA256SUMS)
