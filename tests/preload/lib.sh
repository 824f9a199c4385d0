# shellcheck shell=sh
# SPDX-License-Identifier: ISC
# lib.sh - for the tests that start servers: a directory, $dir, and the servers'
# $pids, which go at the end; and the first lines that servers print.
dir=$(mktemp -d)
pids=
# shellcheck disable=SC2086 # a list of pids
trap 'kill $pids 2>/dev/null || true; rm -rf "$dir"' EXIT
trap 'exit 1' HUP INT TERM

# wait_lines FILE COUNT: until the file has so many lines
wait_lines() {
	n=0
	until [ -e "$1" ] && [ "$(wc -l <"$1")" -ge "$2" ]; do
		n=$((n + 1))
		[ $n -lt 200 ] || { echo "no line in $1" >&2; exit 1; }
		sleep 0.05
	done
}

# wait_line FILE: its first line, once it is there
wait_line() {
	wait_lines "$1" 1
	head -n 1 "$1"
}
