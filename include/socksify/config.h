/* SPDX-License-Identifier: ISC */
/* config.h - the settings of a run: proxies, rules, modes; parsed once, then read-only. */
#ifndef SOCKSIFY_CONFIG_H
#define SOCKSIFY_CONFIG_H

#include "socksify/socks5.h"
#include "socksify/target.h"

#define CONFIG_ERROR_SIZE 512

enum rule_action { RULE_DIRECT, RULE_BLOCK, RULE_VIA };
enum rule_proto { PROTO_ANY, PROTO_TCP, PROTO_UDP };
enum dns_mode {
	DNS_REMOTE,	/* pool addresses: the proxy resolves */
	DNS_LOCAL,	/* as without us */
	DNS_TCP,	/* a resolver, asked over TCP through the proxy */
	DNS_TOR,	/* the proxy, by the RESOLVE requests of Tor */
};
enum udp_mode { UDP_PROXY, UDP_BLOCK, UDP_DIRECT };

/* How the messages of a handshake travel; what servers make of it: socksify.conf(5). */
enum handshake_mode {
	HANDSHAKE_STANDARD,	/* each waits for the answer to the one before (RFC 1928 section 3) */
	HANDSHAKE_PIPELINED,	/* greeting, login and request in one segment */
	HANDSHAKE_OPTIMISTIC,	/* the same, and connect(2) does not wait for the answer */
};

struct proxy {
	char name[64];			/* as the configuration calls it; "" if it came from a URL */
	struct target address;		/* port is never 0 */
	bool has_login;
	struct socks5_login login;	/* valid if has_login */
	enum handshake_mode handshake;
	bool fastopen;			/* TCP fast open towards the proxy (RFC 7413) */
};

enum pattern_kind { PATTERN_ALL, PATTERN_NET, PATTERN_NAME, PATTERN_DOMAIN };

struct pattern {
	enum pattern_kind kind;
	enum rule_proto proto;
	uint16_t port_low, port_high;	/* 0 .. 65535 when no port is given */
	bool has_ports;
	struct target host;		/* PATTERN_NET: address; NAME, DOMAIN (no leading dot): name */
	uint8_t prefix;			/* PATTERN_NET: 0 .. 32 or 0 .. 128 */
};

struct rule {
	enum rule_action action;
	int proxy;			/* RULE_VIA: index into proxies */
	int line;			/* 0: not from a file */
	const char *source;		/* "socksify.conf:12", "--direct", "NO_PROXY", ...; for people */
	struct pattern pattern;
};

struct config_text;

enum log_format {
	LOG_FORMAT_BY_NAME,	/* JSON if the file's name ends in .json or .jsonl */
	LOG_FORMAT_TEXT,
	LOG_FORMAT_JSON,
};

struct config {
	struct proxy *proxies;		/* the first one is the default */
	int proxy_count;
	struct rule *rules;
	int rule_count;
	struct rule *binds;		/* which listening sockets ask a proxy for peers; RULE_VIA all */
	int bind_count;
	enum dns_mode dns;
	struct target dns_server;	/* DNS_TCP: an address and a port */
	enum udp_mode udp;
	unsigned timeout_ms;		/* whole connect with handshake; default 30000; 0: no limit */
	int verbose;			/* 0 .. 2 */
	bool quiet;
	const char *log_path;		/* NULL: none */
	const char *file;		/* the configuration file that was read, or NULL */
	enum log_format log_format;
	const char *origin;		/* where the proxy came from: a path, "SOCKSIFY_PROXY", ... */
	char *warning;			/* NULL, or lines to show once: nothing is wrong enough to fail */
	struct config_text *texts;	/* strings that live as long as this; config.c's */
};

struct decision {
	enum rule_action action;
	const struct proxy *proxy;	/* RULE_VIA only */
	const struct rule *rule;	/* NULL: a built-in rule decided */
	const char *why;		/* one static phrase for --explain and the log */
};

/*
 * config_load - find and parse the settings, first source that speaks wins.
 * @getenv_fn: secure_getenv() in the library, getenv() in the programs
 * @error:     on failure the whole message: "FILE:LINE:COLUMN: what is wrong: what to do"
 * Order (DESIGN section 2): SOCKSIFY_* variables, $SOCKSIFY_CONF,
 * $XDG_CONFIG_HOME/socksify/socksify.conf (default ~/.config), SYSCONFDIR
 * "/socksify.conf", then ALL_PROXY, all_proxy, SOCKS5_SERVER, SOCKS_SERVER.
 * Returns 0 and the configuration, which is never freed before config_free();
 * -ENOENT no proxy from anywhere; -EINVAL bad setting; -EIO and other errnos
 * for a file that cannot be read; -ENOMEM.
 */
MUST_CHECK int config_load(char *(*getenv_fn)(const char *),
			   struct config **ret, char error[CONFIG_ERROR_SIZE]);

/*
 * config_parse - parse the text of one configuration file into @c.
 * @name: how messages call the file;  @home: for "~/", may be NULL
 */
MUST_CHECK int config_parse(struct config *c, const char *name,
			    const char *text, size_t len, const char *home,
			    char error[CONFIG_ERROR_SIZE]);

/* Are log lines JSON objects? */
bool config_log_is_json(const struct config *c);

/* An empty configuration with the defaults, or NULL without memory. */
struct config *config_new(void);

/* Free @c (may be NULL); logins are wiped first. */
void config_free(struct config *c);

/*
 * proxy_from_url - "socks5h://user:p%40ss@host:1080" or "host[:port]" (RFC 3986 section 2.1).
 * @error: a phrase without file or line, as "bad port '70000': use 1 to 65535"
 * Returns 0, -EINVAL, or -ENOTSUP for schemes that are not built yet.
 */
MUST_CHECK int proxy_from_url(const char *url, struct proxy *ret,
			      char error[CONFIG_ERROR_SIZE]);

/* pattern_parse - one pattern of DESIGN section 2, @len octets.  0 or -EINVAL with a phrase. */
MUST_CHECK int pattern_parse(const char *text, size_t len, struct pattern *ret,
			     char error[CONFIG_ERROR_SIZE]);

/*
 * config_decide - what becomes of traffic to @t; first matching rule, then
 * the built-in rules (loopback and the proxy itself direct), then the first proxy.
 * @t: name or address; @proto: PROTO_TCP or PROTO_UDP.  Async-signal-safe.
 */
struct decision config_decide(const struct config *c, const struct target *t,
			      enum rule_proto proto);

/*
 * config_bind - the proxy that a socket about to listen asks for peers.
 * @local: the address and port that it is bound to; the port is 0 if any will do
 * Returns NULL when no `bind` rule names it: it listens on this machine.
 * Async-signal-safe.
 */
const struct proxy *config_bind(const struct config *c, const struct target *local);

/* Is there a `direct` rule that names this host, whatever the port?  (Then libc resolves it.) */
bool config_name_is_direct(const struct config *c, const char *name);

/* Is there a name, beside localhost, for which config_name_is_direct() is true? */
bool config_has_direct_names(const struct config *c);

#endif
