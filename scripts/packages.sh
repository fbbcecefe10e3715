#!/usr/bin/env bash
# Installs the Debian packages that are missing; says nothing when there is nothing to do.
#
#   scripts/packages.sh run     what building and running needs
#   scripts/packages.sh test    that, and what the tests drive: a browser, Python, and a provider to sign in at
#   scripts/packages.sh cluster what running needs, and a balancer
#   scripts/packages.sh bench   what building needs, the tools of the benchmark and its peers
set -euo pipefail

packages=(libhiredis-dev libssl-dev libpq-dev zlib1g-dev postgresql redis-server python3 pkg-config)
case ${1:-run} in
run) ;;
# glewlwyd would set up a MySQL database for itself; with dbconfig-sqlite3 it is a file that nobody reads.
test) packages+=(python3-venv chromium chromium-driver nodejs openssl glewlwyd dbconfig-sqlite3 sqlite3)
    # What the fault tests put in front of the instances.
    packages+=(haproxy) ;;
cluster) packages+=(haproxy) ;;
bench)
    packages+=(python3-venv gcc libc6-dev util-linux nginx-light libnginx-mod-nchan golang-go)
    # Centrifuge, what it imports (Debian's package names only some of it), and JWTs for it.
    packages+=(golang-github-centrifugal-{centrifuge,protocol}-dev golang-github-fzambia-eagle-dev)
    packages+=(golang-github-igm-sockjs-go-dev golang-github-mna-redisc-dev golang-github-golang-jwt-jwt-dev)
    ;;
*) sed -n '2,8p' "$0" >&2; exit 64 ;;
esac

provided_otherwise() {
    case $1 in
    nodejs) command -v node >/dev/null ;;
    python3-venv) python3 -c 'import ensurepip, venv' 2>/dev/null ;;
    *) return 1 ;;
    esac
}

missing=()
for package in "${packages[@]}"; do
    dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed ||
        provided_otherwise "$package" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

echo "==> Installing ${missing[*]}"
as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# Debian starts a server as soon as it is installed. Ours are private ones, so the packages' own stay off meanwhile.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
    as_root chmod 755 $policy
    trap 'as_root rm -f $policy' EXIT
fi
export DEBIAN_FRONTEND=noninteractive
as_root apt-get update -qq
as_root apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
