#!/usr/bin/env bash
# Run the unit suite on the newest CPython to be had, and say which one that was: from PATH, or on Debian from its newest
# suite, unpacked into the user's cache; nothing is installed. `newest_python.sh [pytest arguments]`
set -euo pipefail
cd "$(dirname "$0")/.."

cache=${XDG_CACHE_HOME:-$HOME/.cache}/auth0-flask
# A name that changes every month, so that "newest" does not grow old.
unpacked=$cache/cpython-$(date +%Y-%m)

on_path() {
	for minor in 20 19 18 17 16 15 14 13 12 11; do
		# A shim may stand on PATH for a version that is not there.
		python3.$minor -c '' 2>/dev/null && echo "3.$minor $(command -v python3.$minor)"
	done
	return 0
}

from_debian() {
	grep -qs '^ID=debian$' /etc/os-release || return 0
	[ -d "$unpacked" ] || unpack || return 0
	for python in "$unpacked"/usr/bin/python3.??; do
		echo "${python##*/python} $python"
	done
}

# apt's own state stays out of it: a private configuration, an empty status, and dpkg -x.
unpack() {
	local mirror suite=sid new libraries
	mirror=$(sed -n 's/^URIs: *//p' /etc/apt/sources.list.d/*.sources 2>/dev/null | head -n 1)
	[ -n "$mirror" ] || mirror=$(awk '$1 == "deb" {for (i = 2; i <= NF; i++) if ($i ~ /^https?:/) {print $i; exit}}' /etc/apt/sources.list)
	mkdir -p "$cache"
	new=$(mktemp -d "$cache/new.XXXXXX")
	mkdir -p "$new"/apt/{state/lists/partial,archives/partial,etc/apt.conf.d,etc/preferences.d}
	: >"$new/apt/state/status"
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >"$new/apt/etc/sources.list"
	# A mirror may lag behind the date on which its index expires; the signature is checked all the same.
	cat >"$new/apt/apt.conf" <<-END
		Dir::State "$new/apt/state";
		Dir::State::status "$new/apt/state/status";
		Dir::Cache "$new/apt";
		Dir::Etc "$new/apt/etc";
		APT::Sandbox::User "$(id -un)";
		APT::Install-Recommends "false";
		Acquire::Languages "none";
		Acquire::Check-Valid-Until "false";
		Debug::NoLocking "true";
	END
	if ! fetch "$new" >"$new/log" 2>&1; then
		echo "Debian's $suite gave no CPython: $(grep '^[EW]:' "$new/log" | head -n 1)" >&2
		rm -rf "$new"
		return 1
	fi
	libraries=$(echo "$new"/usr/lib/*/libc.so.6)
	libraries=$unpacked${libraries#"$new"}
	for python in "$new"/usr/bin/python3.??; do
		wrap "${python##*/}" "${libraries%/*}" >"$new/wrapper"
		mv "$python" "$python.bin"
		mv "$new/wrapper" "$python"
		chmod +x "$python"
	done
	# Its ensurepip looks for pip where the machine has another one.
	sed -i "s#/usr/share/python-wheels#$unpacked&#" "$new"/usr/lib/python3.*/_sysconfig*
	rm -rf "$new/apt"
	# Another run may have been faster.
	mv -T "$new" "$unpacked" 2>/dev/null || rm -rf "$new"
	find "$cache" -maxdepth 1 -name 'cpython-*' ! -path "$unpacked" -exec rm -rf {} +
}

fetch() {
	export APT_CONFIG=$1/apt/apt.conf
	local wanted package
	apt-get update
	wanted=$(apt-cache search --names-only '^python3\.[0-9]+-venv$' | awk '{print $1}' | sort -V | tail -n 2)
	# shellcheck disable=SC2086 # one argument a package
	apt-get -y --download-only install $wanted libstdc++6
	for package in "$1"/apt/archives/*.deb; do
		dpkg -x "$package" "$1"
	done
	unset APT_CONFIG
}

# The interpreter needs its own, newer libc: its loader runs it, under the name it was called by, so that environments made
# from it work. Programs that it starts get the machine's libraries, since no variable is set.
wrap() {
	cat <<-END
		#!/bin/sh
		exec $2/ld-linux*.so.* --library-path $2 --argv0 "\$0" $unpacked/usr/bin/$1.bin "\$@"
	END
}

tested=$(.venv/bin/python -c 'import sys; print("3.%d" % sys.version_info[1])')
while read -r version python; do
	if [ "$version" = "$tested" ]; then
		echo "The newest CPython to be had here is $(.venv/bin/python -V), on which all suites run."
		exit 0
	fi
	environment=.local/cpython-$version
	if [ ! "$environment/test" -nt requirements/test.txt ]; then
		# A release too new for a dependency to have wheels is passed over, aloud.
		if ! PIP_ONLY_BINARY=:all: "$python" scripts/environment.py "$environment" test >.local/cpython.log 2>&1; then
			echo "CPython $version is passed over: $(grep -m 1 -i error .local/cpython.log || tail -n 1 .local/cpython.log)"
			continue
		fi
	fi
	echo "The unit suite on $("$environment/bin/python" -V):"
	exec "$environment/bin/python" -m pytest tests/unit --quiet "$@"
done < <({ on_path; from_debian; } | sort -rV -u -k 1,1)
echo "No CPython 3.11 or newer was found." >&2
exit 1
