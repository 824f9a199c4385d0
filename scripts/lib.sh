# shellcheck shell=sh
# SPDX-License-Identifier: ISC
# Shared by the scripts of this directory: packages and the build.

# shellcheck disable=SC2034
build_packages='build-essential autoconf automake libtool autoconf-archive pkg-config check'

# install_packages PACKAGE...: installs what is missing; needs root for that
install_packages() {
	command -v dpkg-query >/dev/null || return 0 # not Debian: configure will tell
	missing=
	for package in "$@"; do
		case $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) in
		installed) ;;
		*) missing="$missing $package" ;;
		esac
	done
	[ -n "$missing" ] || return 0
	if [ "$(id -u)" != 0 ]; then
		echo "socksify: missing packages:$missing: run apt-get install$missing as root" >&2
		return 1
	fi
	echo "installing$missing"
	# RUNLEVEL=1: the servers among them are not started
	# shellcheck disable=SC2086
	quietly apt_get install $missing || {
		quietly apt_get update && quietly apt_get install $missing
	} || {
		echo "socksify: could not install$missing: see the lines above" >&2
		return 1
	}
}

apt_get() {
	command=$1
	shift
	RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 "$command" -y --no-install-recommends "$@" </dev/null
}

# quietly COMMAND...: its output only when it fails
quietly() {
	log=$(mktemp) || return 1
	if "$@" >"$log" 2>&1; then
		rm -f "$log"
		return 0
	fi
	tail -n 40 "$log" >&2
	rm -f "$log"
	return 1
}

# newer FILE THAN: also when one of them is missing
newer() {
	[ ! -e "$1" ] || [ ! -e "$2" ] || [ -n "$(find "$1" -newer "$2")" ]
}

# build TOP [CONFIGURE-OPTION...]: into TOP/build; does only what is needed
build() {
	configure_in "$1/build" "$@" &&
		quietly make -s -C "$1/build" -j"$(getconf _NPROCESSORS_ONLN)" all
}

# configure_in DIRECTORY TOP [CONFIGURE-OPTION...]: the same up to make
configure_in() {
	directory=$1
	top=$2
	shift 2
	if newer "$top/configure.ac" "$top/configure" || newer "$top/Makefile.am" "$top/Makefile.in"; then
		(cd "$top" && quietly autoreconf -fi) || return 1
	fi
	# other options: everything anew; without any, whatever is there will do
	if [ $# != 0 ] && [ -e "$directory/Makefile" ] &&
		[ "$*" != "$(cat "$directory/.options" 2>/dev/null)" ]; then
		rm -rf "$directory" || return 1
	fi
	mkdir -p "$directory" || return 1
	if [ ! -e "$directory/Makefile" ] || newer "$top/configure" "$directory/config.status"; then
		(cd "$directory" && quietly "$top/configure" "$@") || return 1
		echo "$*" >"$directory/.options"
	fi
}
