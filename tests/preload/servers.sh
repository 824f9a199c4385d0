# shellcheck shell=sh
# SPDX-License-Identifier: ISC
# servers.sh - for the tests that count: a proxy, a server behind it at port $echo,
# and in $dir, which goes at the end, a configuration.
# shellcheck source=tests/preload/lib.sh disable=SC2154 # the variables of make check
. "$top_srcdir/tests/preload/lib.sh"
python3 "$top_srcdir/tests/lib/socks5_server.py" --listen 127.0.0.1:0 >"$dir/socks" &
pids="$pids $!"
python3 "$top_srcdir/tests/lib/echo_server.py" 127.0.0.1 >"$dir/echo" &
pids="$pids $!"
socks=$(wait_line "$dir/socks")
echo=$(wait_line "$dir/echo" | cut -d' ' -f1)
printf 'proxy p socks5://127.0.0.1:%s\nvia p tcp 127.0.0.1:%s\n' "$socks" "$echo" >"$dir/conf"

# callgrind LIBRARY [OPTION]... COMMAND...: count, with the library preloaded if there is one.
# valgrind's own launcher would be entered by it, and not let the tool, which is static, run unseen.
callgrind() {
	tool=$(valgrind -d --tool=callgrind --callgrind-out-file=/dev/null true 2>&1 | sed -n 's/.* launching \(.*\)$/\1/p')
	preload=$1
	shift
	env ${preload:+LD_PRELOAD="$preload"} VALGRIND_LAUNCHER="$(command -v valgrind)" \
		"$tool" -q --tool=callgrind "$@"
}
