# shellcheck shell=bash
# SPDX-License-Identifier: ISC
# Sourced after lib.sh by the tests of programs that make many connects at once.
#
# The proof is a proxy that answers nobody before all have asked (barrier=N): a
# program whose connect() waits for the answer never gets as far as the second.
# Three proxies, and the port of the target decides which one is asked:
#
#   PORT4     a web server, through the barrier
#   DEAD      nobody listens there, through a proxy that does as it should
#   SILENT    through a proxy that never answers: no program may take its
#             connection for made, each has to run into its own timeout
#
# shellcheck disable=SC2034
ASYNC=$TOP/tests/async
LIMIT=${ASYNC_LIMIT:-12} # seconds for a program that gets nowhere
LATER=()

[ "$(ulimit -Sn)" -ge 4096 ] || ulimit -Sn 4096 || exit 1
targets
own plain --name target.test=127.0.0.1
plain=$PORT
own silent --script hang-after=0
silent=$PORT
# Somebody does listen there, so that going past the proxy is no timeout.
started mute "$PYTHON" -c 'import socket, threading
listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
print(listener.getsockname()[1], flush=True)
threading.Event().wait()'
SILENT=$PORT

# to PORT: the patterns of a rule for that target
to() {
	printf '127.0.0.1/32:%s target.test:%s' "$1" "$1"
}

# gather NAME COUNT [WORD]: a proxy with a barrier for COUNT, and a configuration
gather() {
	own "$1" --name target.test=127.0.0.1 --script "barrier=$2${3:+,$3}"
	cat >"$T/$1.conf" <<-END
		proxy barrier socks5h://127.0.0.1:$PORT
		proxy plain socks5h://127.0.0.1:$plain
		proxy silent socks5h://127.0.0.1:$silent
		via silent $(to "$SILENT")
		via plain $(to "$DEAD")
		via barrier $(to "$PORT4")
	END
	chmod 600 "$T/$1.conf"
}

# ax NAME COMMAND...: under socksify with that configuration
ax() {
	local conf=$T/$1.conf
	shift
	# --foreground: it stays in our process group and ends with us
	timeout --foreground -k 2 "$LIMIT" "$SOCKSIFY" -f "$conf" "$@"
}

# tally COMMAND...: its lines, each with how often it came; the first ten
tally() {
	"$@" | sort | uniq -c | sed 's/^ *//; 10q'
}

# granted NAME: the requests that the proxy with the barrier granted
granted() {
	grep -c '^CONNECT .* 0$' "$T/$1.log"
}

# later NAME WANTED COMMAND...: as says, in the background, for what only waits
later() {
	local file=$T/later.${#LATER[@]}
	set -m # each is a process group, for end_later
	"${@:3}" >"$file" 2>"$file.err" </dev/null &
	set +m
	LATER+=("$!" "$1" "$2" "$file")
}

end_later() {
	local i
	for ((i = 0; i < ${#LATER[@]}; i += 4)); do
		kill -- "-${LATER[i]}" && wait "${LATER[i]}"
	done 2>/dev/null
}
trap 'end_later; end_all' EXIT

# settle: how that went
settle() {
	local i
	for ((i = 0; i < ${#LATER[@]}; i += 4)); do
		wait "${LATER[i]}"
		says "${LATER[@]:i+1:2}" cat "${LATER[i + 3]}"
	done
	LATER=()
}

# many NAME COUNT COMMAND...: the command takes an address, a port, a count and
# seconds, makes so many connects at once and says how they ended
many() {
	local name=$1 count=$2
	shift 2
	gather "$name" "$count"
	later "$name: a silent proxy" "$count timeout" \
		ax "$name" "$@" 127.0.0.1 "$SILENT" "$count" 2
	says "$name: $count at once" "$count ok" ax "$name" "$@" 127.0.0.1 "$PORT4" "$count" "$LIMIT"
	says "$name: all through the proxy" "$count" granted "$name"
	says "$name: refused" "$count ECONNREFUSED" \
		ax "$name" "$@" 127.0.0.1 "$DEAD" "$count" "$LIMIT"
	stop "$name"
}
