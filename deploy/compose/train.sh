#!/bin/sh
# A bundle from captures, into a bundle store, unless it has one: train.sh CAPTURES STORE
set -eu
captures=$1 store=$2
if [ -e "$store/current" ]; then
    echo "there is a bundle in $store"
    exit 0
fi
# As `make demo` does it. The runs left out are those in which faults come and go.
anchorwatch train "$captures" --labels normal --labels blocked --labels capacity-limited \
    --leave-out 'd0[1-5]_*' --out /tmp/bundle --replace
anchorwatch bundles "$store" --add /tmp/bundle
