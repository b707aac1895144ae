#!/usr/bin/env bash
# Installs what is missing with apt, by name, as root or through sudo. Usage: install.sh PURPOSE... (of apt-packages.txt)
set -euo pipefail
list=$(dirname "$0")/apt-packages.txt
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

missing=()
for purpose in "$@"; do
  for package in $(sed -n "s/^$purpose  *//p" "$list"); do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)" = installed ] || missing+=("$package")
  done
done
[ ${#missing[@]} -gt 0 ] || exit 0

echo "installing: ${missing[*]}"
# nginx, docker-registry and Slurm would start as services of this machine; the tests start their own.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  trap 'as_root rm -f $policy' EXIT
  printf '#!/bin/sh\nexit 101\n' | as_root tee $policy >/dev/null
  as_root chmod 755 $policy
fi
as_root apt-get update -qq
as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
