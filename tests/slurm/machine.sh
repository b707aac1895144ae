#!/bin/sh
# Makes this process's mount and UTS namespaces look like a machine of its own, then starts the services and waits.
# Usage: unshare --mount --uts ... machine.sh BOX NAME UID SERVICE...   (a service is a command line; it dies with us)
# What a cluster shares (everything below BOX, and the disk) is the same on every machine; /tmp, /run and /dev/shm are not.
set -eu
box=$1 name=$2 uid=$3
shift 3

hostname "$name"
mount --bind "$box/hosts" /etc/hosts
resolver=$(readlink -f /etc/resolv.conf || true)
names=$(cat /etc/resolv.conf 2>/dev/null || true)
for place in /run /dev/shm; do mount -t tmpfs -o mode=755 "$name" $place; done
chmod 1777 /dev/shm
mkdir -p /run/lock
case $resolver in /run/*)  # Ubuntu's
  mkdir -p "${resolver%/*}"
  echo "$names" > "$resolver" ;;
esac
# systemd-logind makes one where a user logs in; no job's node has it.
[ "$name" != login ] || install -d -m 700 -o "$uid" "/run/user/$uid"

# BOX is often below /tmp itself: it goes into the new one before that covers it.
fresh=$box/machines/$name
mkdir -p "$fresh"
mount -t tmpfs -o mode=1777 "$name" "$fresh"
case $box in /tmp/*)
  mkdir -p "$fresh${box#/tmp}"
  mount --bind "$box" "$fresh${box#/tmp}" ;;
esac
mount --move "$fresh" /tmp

# Not even a killed test leaves them behind.
for service in "$@"; do sh -c "exec setpriv --pdeathsig KILL $service" & done
touch "$box/run/$name.up"
# `wait` reaps whatever ends up with us: on a node, we are process 1.
while :; do sleep 86400 & wait; done
