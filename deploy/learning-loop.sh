#!/usr/bin/env bash
# The learning loop from end to end, with real traffic and a real broker: docs/learning.md.
#
#     deploy/learning-loop.sh BROKER [FOLDER]        (BROKER as HOST:PORT; a few minutes)
#
# An encoder that never saw a capacity limit watches links. One incident on one link is shown to
# it, and every link is watched for that from then on. What was captured is named, a candidate
# learns from it, is tried in the shadow, and takes over once it has proved itself.
set -euo pipefail
cd "$(dirname "$0")/.."
kafka=${1:?say where the broker is: HOST:PORT}
work=${2:-build/learning-loop}
PATH="$PWD/.venv/bin:$PATH"

say() { printf '\n\033[1m%s\033[0m\n' "$*" >&2; }
run() { printf '$ %s\n' "$*" >&2; "$@"; }

rm -rf "$work"
mkdir -p "$work"
export ANCHORWATCH__BUNDLE=$work/bundles ANCHORWATCH__STORE__PATH=$work/captures
export ANCHORWATCH__KAFKA__BOOTSTRAP=$kafka ANCHORWATCH__KAFKA__GROUP=learning-loop
for topic in windows verdicts events dead_letters states sightings anchors; do
    export "ANCHORWATCH__KAFKA__${topic^^}=learning-loop.$topic"
done
# Little traffic, and weeks of it in minutes: so all of it is kept, and canaries come at once.
export ANCHORWATCH__STORE__NORMAL_SHARE=1 ANCHORWATCH__STORE__FLUSH_SECONDS=1
export ANCHORWATCH__CANARY__EVERY_SECONDS=0.02 ANCHORWATCH__CANARY__AT_ONCE=100
export ANCHORWATCH__EVENTS__GATHER_SECONDS=0 ANCHORWATCH__SILENCE__ENABLED=false
export ANCHORWATCH__HTTP__PORT=0

captures=training/captures
# Recorded links, as if they reported at some other time; sixty times as fast as life.
replay() { # time of the first window, then patterns of links
    local at=$1 links=()
    shift
    for pattern; do links+=(--links "$pattern"); done
    run anchorwatch replay "$work/bundles" "$captures" "${links[@]}" --kafka "$kafka" \
        --topic learning-loop.windows --at "$at" --speed 60
}
day() { date -u -d "$1 days ago" +%F; }

say "1. An encoder that has learnt of blocked links, and of nothing else"
run anchorwatch train "$captures" --labels normal --labels blocked --leave-out 'd0[1-5]_*' \
    --epochs 6 --out "$work/first"
run anchorwatch bundles "$work/bundles" --add "$work/first"

say "2. The daemon watches, and keeps what it judged"
anchorwatchd 2>"$work/anchorwatchd.log" &
daemon=$!
trap 'kill "$daemon" 2>/dev/null && wait "$daemon" || true' EXIT
replay "$(day 6)T09:00" 'd29_*/access' 'd0[6-9]_*/access' 'd1?_*/access'
sleep 3
run anchorwatch label list

say "3. One incident, shown to the daemon while it runs"
run anchorwatch enroll --label capacity-limited --link d29_tbf_both35_A20/access \
    --from "$(day 6)T09:01" --to "$(day 6)T09:02" --why "ticket 4711" --yes
run anchorwatch anchors list

say "4. Every link is watched for it: other links, other days"
ago=5
for links in 'd3[0-3]_*/access' 'd3[4-6]_*/access' 'd3[7-9]_*/access' 'd4?_*/access'; do
    replay "$(day $ago)T09:00" "$links" 'd1[0-4]_*/access'
    replay "$(day $ago)T15:00" "${links/access/core}" 'd1[5-9]_*/core' 'd2[0-8]_*/core'
    ago=$((ago - 1))
done
sleep 3
run anchorwatch label list --state capacity-limited

say "5. Somebody looks at it, and says so"
run anchorwatch label confirm --link 'd1[89]*' --link 'd2[0-8]*' --from "$(day 6)" --to "$(day 1)" \
    --why "the switches say so"
# Whatever these were taken for: all of them were limits.
events=$(anchorwatch label list --link 'd29*' --link 'd3*' --link 'd4*' --json | python3 -c "
import json, sys
print(*('--event ' + one['id'] for one in json.load(sys.stdin)))")
# shellcheck disable=SC2086 # options, each a word
anchorwatch label rename capacity-limited $events --why "ticket 4711 and those after it"

say "6. A candidate learns from it"
run anchorwatch retrain --captures "$captures"
versions() { anchorwatch bundles "$work/bundles" --json | python3 -c "
import json, sys
print(*(one['id'] for one in json.load(sys.stdin)['versions'] if one['current'] == $1))"; }
first=$(versions True) candidate=$(versions False)

say "7. It is tried on live traffic, and judges nobody"
run anchorwatch shadow "$work/bundles" "$candidate"
sleep 3
for hour in 09 12 15; do
    replay "$(day 1)T$hour:00" 'd0[1-5]_*' 'd1?_*/access'
done
sleep 6
run anchorwatch shadow "$work/bundles"

say "8. It takes over, for it is no worse on runs that neither has seen, nor live"
run anchorwatch promote "$work/bundles" "$candidate" --captures "$captures" --why "the loop"
sleep 1
run anchorwatch bundles "$work/bundles"

say "9. What would have been judged differently"
run anchorwatch replay --diff "$work/bundles/versions/$first" \
    "$work/bundles/versions/$candidate" "$captures" --links 'd0[1-5]_*/access'

kill "$daemon"
wait "$daemon"
trap - EXIT
