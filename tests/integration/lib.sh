# shellcheck shell=bash
# SPDX-License-Identifier: ISC
# Sourced by every test.  A test prints a line "ok NAME" or "FAIL NAME" for each
# of its checks; run-integration counts them.
#
#   T         the test's own directory; everything it starts lives there
#   TOP       the source tree
#   SOCKSIFY  the program under test
#   PYTHON    a Python interpreter that is not a wrapper script

set -u
# what the tests use and this file only sets
# shellcheck disable=SC2034
TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
SOCKSIFY=${SOCKSIFY:-$TOP/scripts/socksify-dev}
LIB=$TOP/tests/lib
BUILD=${SOCKSIFY_BUILD:-$TOP/build} # the programs of the tests, too
TEST=$(basename "$0" .test)
T=$(mktemp -d "${TMPDIR:-/tmp}/socksify-$TEST.XXXXXX") || exit 1
PYTHON=$(python3 -c 'import sys; print(sys.executable)') || exit 1
PATH=$PATH:/usr/sbin:/sbin
PIDS=

# Nothing of the caller's settings reaches the tests.
for variable in $(env | sed -n 's/^\(SOCKSIFY_[A-Z_]*\)=.*/\1/p'); do
	case $variable in
	SOCKSIFY_BUILD | SOCKSIFY_LIBRARY | SOCKSIFY_LIBEXECDIR) ;;
	*) unset "$variable" ;;
	esac
done
unset ALL_PROXY all_proxy HTTP_PROXY http_proxy HTTPS_PROXY https_proxy
unset FTP_PROXY ftp_proxy NO_PROXY no_proxy SOCKS5_SERVER SOCKS_SERVER
unset SOCKSIFY_CONF SSH_AUTH_SOCK GIT_SSH GIT_SSH_COMMAND
export LC_ALL=C GIT_CONFIG_NOSYSTEM=1 GIT_TERMINAL_PROMPT=0
export HOME=$T/home XDG_RUNTIME_DIR=$T/run XDG_CONFIG_HOME=$T/home/.config
mkdir -p "$HOME" && mkdir -m 700 "$XDG_RUNTIME_DIR" || exit 1

# Ends one process that we started: politely, after three seconds not so.
end() {
	local i
	kill "$1" 2>/dev/null || return 0
	for ((i = 0; i < 60; i++)); do
		kill -0 "$1" 2>/dev/null || break
		sleep 0.05
	done
	kill -9 "$1" 2>/dev/null
	wait "$1" 2>/dev/null
}

end_all() {
	local pid
	for pid in $PIDS; do
		end "$pid"
	done
	PIDS=
	rm -rf "$T"
}
trap end_all EXIT
trap 'exit 1' HUP INT TERM

# start NAME COMMAND...: in the background, its output in $T/NAME.out and .err
start() {
	local name=$1
	shift
	"$@" >"$T/$name.out" 2>"$T/$name.err" </dev/null &
	PIDS="$! $PIDS"
	printf '%s\n' "$!" >"$T/$name.pid"
}

stop() {
	end "$(cat "$T/$1.pid")"
}

running() {
	kill -0 "$(cat "$T/$1.pid")" 2>/dev/null
}

# wait_until SECONDS COMMAND...: until the command succeeds
wait_until() {
	local end=$((SECONDS + $1))
	shift
	until "$@" 2>/dev/null; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.05
	done
}

accepts() {
	(exec 3<>"/dev/tcp/$1/$2") 2>/dev/null
}

accepts_or_gone() {
	accepts "$2" "$3" || ! running "$1"
}

# wait_port NAME HOST PORT: until the server of that name accepts connections
wait_port() {
	if wait_until 15 accepts_or_gone "$@" && running "$1"; then
		return 0
	fi
	fail "$1 starts" "$(cat "$T/$1.out" "$T/$1.err")"
	exit 1
}

has_line() {
	[ "$(wc -l <"$1")" -ge "$2" ]
}

# started NAME COMMAND...: a server that prints its port; the port is in PORT
started() {
	start "$@"
	if ! wait_until 15 has_line "$T/$1.out" 1; then
		fail "$1 starts" "$(cat "$T/$1.err")"
		exit 1
	fi
	read -r PORT <"$T/$1.out"
}

# free_ports COUNT: ports that nobody listens on just now, on one line
free_ports() {
	"$PYTHON" -c 'import socket, sys
held = [socket.socket() for _ in range(int(sys.argv[1]))]
for one in held: one.bind(("127.0.0.1", 0))
print(*(one.getsockname()[1] for one in held))' "$1"
}

ok() {
	printf 'ok %s\n' "$1"
}

# fail NAME [OUTPUT]
fail() {
	printf 'FAIL %s\n' "$1"
	[ -z "${2-}" ] || printf '%s\n' "$2" | sed 's/^/  | /'
}

need() {
	local program
	for program in "$@"; do
		command -v "$program" >/dev/null || {
			fail "$program is installed"
			exit 1
		}
	done
}

# check NAME COMMAND...: the command must succeed
check() {
	local name=$1 status=0
	shift
	"$@" >"$T/check.out" 2>&1 </dev/null || status=$?
	if [ "$status" = 0 ]; then
		ok "$name"
	else
		fail "$name" "exit status $status
$(tail -n 40 "$T/check.out")"
	fi
}

# status NAME WANTED COMMAND...: the command must end with this exit status
status() {
	local name=$1 wanted=$2 got=0
	shift 2
	"$@" >"$T/check.out" 2>&1 </dev/null || got=$?
	if [ "$got" = "$wanted" ]; then
		ok "$name"
	else
		fail "$name" "exit status $got instead of $wanted
$(tail -n 40 "$T/check.out")"
	fi
}

# says NAME WANTED COMMAND...: the command must print exactly this
says() {
	local name=$1 wanted=$2 got
	shift 2
	got=$("$@" 2>"$T/check.err" </dev/null)
	if [ "$got" = "$wanted" ]; then
		ok "$name"
	else
		fail "$name" "wanted: $wanted
got:    $got
$(tail -n 20 "$T/check.err")"
	fi
}

# make_conf NAME URL TARGET...: a configuration; a loopback target must be named
make_conf() {
	local file=$T/$1.conf url=$2
	shift 2
	{
		printf 'proxy p %s\n' "$url"
		[ $# = 0 ] || printf 'via p %s\n' "$@"
		printf 'via p *\n'
	} >"$file"
	chmod 600 "$file"
}

# sx NAME COMMAND...: under socksify with that configuration
sx() {
	local conf=$T/$1.conf
	shift
	timeout -k 5 60 "$SOCKSIFY" -f "$conf" "$@"
}

# client NAME [OPTIONS] HOST PORT: what a connect says
client() {
	local conf=$1
	shift
	sx "$conf" "$PYTHON" "$LIB/client.py" "$@"
}

# A certificate for the names of the tests: $T/tls.crt and $T/tls.key
make_certificate() {
	openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=target.test \
		-addext 'subjectAltName=DNS:target.test,DNS:proxyonly.test,IP:127.0.0.1' \
		-keyout "$T/tls.key" -out "$T/tls.crt" 2>/dev/null
}

# Files that stand for the system's in a server's own mount namespace: the name
# proxyonly.test, which the client cannot resolve, and the account alice.
make_private_files() {
	{
		cat /etc/hosts
		printf '127.0.0.1 proxyonly.test\n'
	} >"$T/hosts"
	sed '/^alice:/d' /etc/passwd >"$T/passwd"
	printf 'alice:x:60001:65534::/nonexistent:/usr/sbin/nologin\n' >>"$T/passwd"
	if ! sed '/^alice:/d' /etc/shadow >"$T/shadow" 2>/dev/null; then
		sed 's/:.*/:*:19000:0:99999:7:::/; /^alice:/d' /etc/passwd >"$T/shadow"
	fi
	printf 'alice:%s:19000:0:99999:7:::\n' "$(openssl passwd -6 s3cret)" >>"$T/shadow"
	chmod 644 "$T/hosts" "$T/passwd"
}

# privately FILES COMMAND...: runs the command with private copies of /etc/FILES.
# The process stays the one that start() knows.  Who is not root looks like root
# to the command; privately -u leaves the user as it is.
privately() {
	local files user='' back='' script
	if [ "$(id -u)" != 0 ]; then
		user=-r
		[ "$1" != -u ] || back="unshare -U --map-user=$(id -u) --map-group=$(id -g)"
	fi
	[ "$1" != -u ] || shift
	files=$1
	shift
	# shellcheck disable=SC2016
	script='for file in $1; do mount --bind "$0/$file" "/etc/$file" || exit 1; done
shift; exec "$@"'
	# shellcheck disable=SC2086
	exec unshare $user -m --propagation private sh -c "$script" "$T" "$files" $back "$@"
}

has_ipv6() {
	"$PYTHON" -c 'import socket; socket.socket(socket.AF_INET6).bind(("::1", 0))' 2>/dev/null
}

# dead_port: DEAD, a port of 127.0.0.1 where nobody listens, nor can: it is bound
dead_port() {
	started dead_port "$PYTHON" -c 'import socket, threading
holder = socket.socket()
holder.bind(("127.0.0.1", 0))
print(holder.getsockname()[1], flush=True)
threading.Event().wait()'
	DEAD=$PORT
}

# targets: an HTTP target on 127.0.0.1 (PORT4), one on ::1 (PORT6), and
# DEAD, where nobody listens
targets() {
	started target4 "$PYTHON" "$LIB/http_target.py" --log "$T/target.log" "$@"
	PORT4=$PORT
	PORT6=
	if has_ipv6; then
		started target6 "$PYTHON" "$LIB/http_target.py" --listen '[::1]:0' --log "$T/target.log"
		PORT6=$PORT
	fi
	dead_port
}

HELLO='hello through the proxy'

# An own server: own NAME [OPTIONS] starts it, its port goes into PORT
own() {
	local name=$1
	shift
	started "$name" "$PYTHON" "$LIB/socks5_server.py" --log "$T/$name.log" "$@"
}

# ask NAME URL: curl under socksify
ask() {
	sx "$1" curl -q -gsS --max-time 30 "$2"
}

# What every CONNECT server must do for us: common LABEL CONF
common() {
	local label=$1 conf=$2
	says "$label: IPv4 address" "$HELLO" ask "$conf" "http://127.0.0.1:$PORT4/hello"
	if [ -n "$PORT6" ]; then
		says "$label: IPv6 address" "$HELLO" ask "$conf" "http://[::1]:$PORT6/hello"
	fi
	says "$label: name that only the proxy knows" "$HELLO" \
		ask "$conf" "http://proxyonly.test:$PORT4/hello"
	says "$label: connection refused" ECONNREFUSED client "$conf" 127.0.0.1 "$DEAD"
	says "$label: connection refused, epoll" ECONNREFUSED client "$conf" --epoll proxyonly.test "$DEAD"
	check "$label: download" download "$conf" "http://proxyonly.test:$PORT4" 2000000
}

# download CONF BASE BYTES: and compare the digest
download() {
	sx "$1" curl -q -gsSk --max-time 50 -D "$T/headers" -o "$T/big" "$2/big?n=$3" || return 1
	[ "$(stat -c %s "$T/big")" = "$3" ] || return 1
	[ "$(sha256sum <"$T/big" | cut -d' ' -f1)" = \
		"$(sed -n 's/^[Xx]-[Ss]ha256: *\([0-9a-f]*\).*/\1/p' "$T/headers")" ]
}

# upload CONF BASE FILE: and compare the digest
upload() {
	local digest
	digest=$(sx "$1" curl -q -gsSk --max-time 50 -T "$3" "$2/upload") || return 1
	[ "$digest" = "$(sha256sum <"$3" | cut -d' ' -f1)" ]
}
