/* SPDX-License-Identifier: ISC */
/* dns_tor.c - ask the proxy for addresses and names, by Tor's extension of SOCKS. */
#include "socksify/dns_tor.h"

#include <errno.h>

#include "socksify/control.h"
#include "socksify/dns_tcp.h"
#include "socksify/route.h"

/* The reply's address is the answer; the connection has no other use. */
static int ask(enum socks5_command command, const struct target *about, struct target *ret)
{
	const struct config *config = route_config();
	struct control control;
	struct decision d;

	if (config == NULL || config->proxy_count == 0)
		return -ENETDOWN;
	d = config_decide(config, about, PROTO_TCP);
	if (d.action == RULE_BLOCK)
		return -EACCES;
	control_begin(&control, d.action == RULE_VIA ? d.proxy : &config->proxies[0], command,
		      about, dns_tcp_deadline());
	control_finish(&control);
	if (control.phase != CONTROL_DONE)
		return control.answered && control.error == -EHOSTUNREACH ? -ENOENT : control.error;
	*ret = *socks5_bound(&control.s);
	ret->port = 0;
	control_drop(&control);
	return 0;
}

int dns_tor_address(const char *name, size_t len, struct target *ret)
{
	struct target about, answer;
	int err = target_from_host(name, len, 0, &about);

	if (err == 0)
		err = ask(SOCKS5_TOR_RESOLVE, &about, &answer);
	if (err == 0 && answer.kind != TARGET_IPV4 && answer.kind != TARGET_IPV6)
		err = -EPROTO;
	if (err == 0)
		*ret = answer;
	return err;
}

int dns_tor_name(const struct target *address, struct target *ret)
{
	struct target about = *address, answer;
	int err;

	about.port = 0; /* the program's business */
	err = ask(SOCKS5_TOR_RESOLVE_PTR, &about, &answer);
	if (err < 0)
		return err;
	if (answer.kind != TARGET_NAME)
		return -EPROTO;
	*ret = answer;
	return 0;
}
