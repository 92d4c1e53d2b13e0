#!/bin/sh
# Copy the root of the image that this runs in to /system, for a final stage that starts from nothing: without the files and
# folders whose names are given, without set-uid bits, with nothing but /tmp to write to, and with fixed times where
# something was taken away, so that the same base makes the same layer. Runs in Debian's and in Alpine's shell.
set -eu
start=/tmp/start
touch $start
set -- "$@" -- /*
names=
while [ "$1" != -- ]; do
	names="$names $1"
	shift
done
shift
for entry; do
	shift
	case $entry in
	/proc | /sys | /dev | /tmp | /system) ;;
	*) set -- "$@" "$entry" ;;
	esac
done
mkdir /system
# In one call, so that hard links stay links.
cp -a "$@" /system
mkdir /system/proc /system/sys /system/dev /system/tmp

# The engine's, for the build.
rm -f /system/etc/hosts /system/etc/resolv.conf
set -f
for name in $names; do
	find /system -name "$name" -prune -exec rm -rf {} +
done
# Those that are empty are made by what comes later, with its own time.
rmdir /system/opt /system/srv 2>/dev/null || true

find /system -type f -perm /6000 -exec chmod a-s {} +
find /system -type d -perm -0002 -exec chmod o-w {} +
chmod 1777 /system/tmp
find /system -type d -newer $start -exec touch -d @0 {} +
