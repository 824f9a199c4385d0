# shellcheck shell=bash
# SPDX-License-Identifier: ISC
# Sourced first by tests that count packets: two network namespaces, $client and
# $proxy, and a cable between them.  All that leaves the client is counted but TCP
# to ports 1080 to 1083 of 10.99.0.1 and datagrams to it, where the relays are.

if [ -z "${LEAK_INSIDE-}" ]; then
	# The namespaces made below live in a mount namespace of our own and end with it.
	user=
	[ "$(id -u)" = 0 ] || user=-r
	export LEAK_INSIDE=1
	# shellcheck disable=SC2086
	exec unshare $user -m -n --propagation private "$0" "$@"
fi
# shellcheck source=tests/integration/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

need ip nft unshare
mount -t tmpfs tmpfs /run || exit 1
client=socksify-client-$$
proxy=socksify-proxy-$$
end_namespaces() {
	ip netns del "$client" 2>/dev/null
	ip netns del "$proxy" 2>/dev/null
	end_all
}
trap end_namespaces EXIT

lay_cable() {
	ip netns add "$client" && ip netns add "$proxy" &&
		ip -n "$client" link add c0 type veth peer name p0 netns "$proxy" &&
		ip -n "$client" link set lo up && ip -n "$proxy" link set lo up &&
		ip -n "$client" addr add 10.99.0.2/24 dev c0 &&
		ip -n "$proxy" addr add 10.99.0.1/24 dev p0 &&
		ip -n "$client" link set c0 up && ip -n "$proxy" link set p0 up &&
		ip -n "$client" addr add fd99::2/64 dev c0 nodad &&
		ip -n "$proxy" addr add fd99::1/64 dev p0 nodad &&
		ip -n "$client" route add default via 10.99.0.1 &&
		ip -n "$client" -6 route add default via fd99::1
}
check 'two namespaces and a cable' lay_cable

printf 'nameserver 10.99.0.1\noptions timeout:1 attempts:1\n' >"$T/resolv.conf"
printf 'hosts: files dns\n' >"$T/nsswitch.conf"
# in_client COMMAND...: with a resolver whose address is on the other side
in_client() {
	# shellcheck disable=SC2016
	ip netns exec "$client" unshare -m --propagation private sh -c '
mount --bind "$0/resolv.conf" "$(readlink -f /etc/resolv.conf)" &&
mount --bind "$0/nsswitch.conf" "$(readlink -f /etc/nsswitch.conf)" && exec "$@"' "$T" "$@"
}

# behind COMMAND...: on the proxy's side, where $T/hosts has the names
behind() {
	# shellcheck disable=SC2016
	exec ip netns exec "$proxy" unshare -m --propagation private sh -c '
mount --bind "$0/hosts" /etc/hosts && exec "$@"' "$T" "$@"
}

# make_target [OPTION...]: an HTTP target on the port "web", behind the proxy of p.conf; it
# has the name leak.example.org and the addresses 192.0.2.10 and 2001:db8::10
make_target() {
	started target ip netns exec "$proxy" "$PYTHON" "$LIB/http_target.py" "$@"
	target=127.0.0.1:$PORT
	# shellcheck disable=SC2034
	web=$PORT
	start server ip netns exec "$proxy" "$PYTHON" "$LIB/socks5_server.py" --listen 10.99.0.1:1080 \
		--log "$T/server.log" --name "leak.example.org=$target" --name "192.0.2.10=$target" \
		--name "2001:db8::10=$target" --name "::ffff:192.0.2.10=$target"
	wait_until 15 has_line "$T/server.out" 1 || fail 'the server starts' "$(cat "$T/server.err")"
	make_conf p socks5h://10.99.0.1:1080
}

detector() {
	ip netns exec "$client" nft -f - <<'END'
table inet leak {
	counter seen_udp { }
	counter seen_tcp { }
	counter seen_other { }
	chain out {
		type filter hook output priority 0;
		oifname "lo" meta l4proto { tcp, udp } th dport 53 counter name seen_udp
		oifname "lo" accept
		ip daddr 10.99.0.1 tcp dport 1080-1083 accept
		meta l4proto ipv6-icmp icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit, mld-listener-report, mld2-listener-report } accept
		ip daddr 10.99.0.1 udp dport != 53 accept
		# what the kernel says to a relay whose last answers come to a closed socket
		ip daddr 10.99.0.1 icmp type destination-unreachable accept
		meta l4proto udp counter name seen_udp accept
		meta l4proto tcp counter name seen_tcp accept
		counter name seen_other
	}
}
END
}
check 'the detector' detector
# counted [NAME]: how many packets; nothing when the counters cannot be read
counted() {
	ip netns exec "$client" nft list counters table inet leak >"$T/counters" || return 1
	awk -v name="${1:+seen_$1}" '
$1 == "counter" { current = $2; seen = 1 }
$1 == "packets" && (name == "" || current == name) { sum += $2 }
END { if (seen) print sum + 0 }' "$T/counters"
}
reset() {
	ip netns exec "$client" nft reset counters table inet leak >/dev/null
}
