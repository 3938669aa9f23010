#!/usr/bin/env bash
# Installs the daemon, or another version of it, from this checkout: docs/systemd.md.
#
#     sudo deploy/systemd/install.sh [--wheel FILE] [--with-training]
#     sudo deploy/systemd/install.sh --uninstall
#
# Run it as often as you like. Settings that are there are left alone, the program is replaced only
# once the new one is complete, and a daemon that runs is started anew. --with-training adds what
# anchorwatch-retrain.service needs: TensorFlow, 3 GB instead of half a one. --uninstall leaves
# settings and state.
set -euo pipefail
# The daemon's user is another one than root and has to run what is made here, whatever root's own
# umask is.
umask 022

here=$(cd "$(dirname "$0")" && pwd)
source=$(cd "$here/../.." && pwd)
home=/opt/anchorwatch settings=/etc/anchorwatch units=/etc/systemd/system
commands=/usr/local/bin
wheel='' lock=requirements-daemon.lock uninstall=''

usage() {
    sed -n '4,5s/^#  *//p' "$0" >&2
    exit 2
}
while (($#)); do
    case $1 in
        --wheel) wheel=$(realpath -e "${2:?--wheel needs a file}") && shift ;;
        --with-training) lock=requirements-train.lock ;;
        --uninstall) uninstall=yes ;;
        *) usage ;;
    esac
    shift
done
if ((EUID != 0)); then
    echo "install.sh: it writes $home, $settings and $units: run it as root" >&2
    exit 1
fi
# While an image is built no systemd runs.
manager() {
    if [[ -d /run/systemd/system ]]; then systemctl "$@"; fi
}

if [[ $uninstall ]]; then
    manager disable --quiet --now anchorwatch-retrain.timer anchorwatchd.service 2>/dev/null || true
    rm -f "$units"/anchorwatchd.service "$units"/anchorwatch-retrain.{service,timer}
    rm -f "$commands"/anchorwatch{,d}
    rm -rf "$home" "$home.new" "$home.before"
    manager daemon-reload
    echo "Left: $settings and /var/lib/private/anchorwatch (bundles, captures, labels)"
    exit 0
fi

python=${PYTHON:-python3}
"$python" -c 'import sys, ensurepip, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' ||
    { echo "install.sh: needs Python 3.11 to 3.13 with venv; say which: PYTHON=..." >&2; exit 1; }

# Beside the running one, which a broken download leaves as it is.
rm -rf "$home.new"
"$python" -m venv "$home.new"
pip=("$home.new/bin/python" -m pip --quiet --disable-pip-version-check)
"${pip[@]}" install --require-hashes --only-binary :all: -r "$source/$lock"
if [[ ! $wheel ]]; then # a checkout is built with tools that are pinned too
    "$python" -m venv "$home.new/build"
    "$home.new/build/bin/python" -m pip --quiet install --require-hashes \
        -r "$source/requirements-build.lock"
    "$home.new/build/bin/python" -m pip --quiet wheel --no-deps --no-build-isolation \
        --wheel-dir "$home.new/wheels" "$source"
    wheel=$(echo "$home.new"/wheels/anchorwatch-*.whl)
fi
"${pip[@]}" install --no-deps --no-index "$wheel"
rm -rf "$home.new/build" "$home.new/wheels"
# Programs name the interpreter by its whole path.
grep -lIr -- "$home.new/bin" "$home.new/bin" | xargs -r sed -i "s|$home.new|$home|g"
rm -rf "$home.before"
if [[ -e $home ]]; then mv "$home" "$home.before"; fi
mv "$home.new" "$home"

install -d -m 755 "$settings"
for file in "$source/deploy/anchorwatch.toml" "$here/retrain.env"; do
    [[ -e $settings/${file##*/} ]] || install -m 644 "$file" "$settings"
done
install -m 644 "$here"/*.service "$here"/*.timer "$units"
install -m 755 "$here/anchorwatch" "$commands"
ln -sf anchorwatch "$commands/anchorwatchd"
manager daemon-reload
manager try-restart --no-block anchorwatchd.service
"$home/bin/anchorwatchd" --version
if [[ ! -e /var/lib/private/anchorwatch/bundles ]]; then
    cat <<END
Next, a bundle in a folder that every user may read, and the broker in $settings/anchorwatch.toml:
    anchorwatch bundles /var/lib/anchorwatch/bundles --add /srv/bundle
    systemctl enable --now anchorwatchd
END
fi
