/* SPDX-License-Identifier: ISC */
/* names_info.c - getaddrinfo(3) and getnameinfo(3). */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "names.h"

#define FLAGS_NONE 0

static void ask(const char *node, const char *service, int flags, int family, int type)
{
	struct addrinfo hints = { .ai_flags = flags, .ai_family = family, .ai_socktype = type };
	struct addrinfo *list = NULL;
	char what[600];
	int err;

	snprintf(what, sizeof(what), "%.300s %s flags %x family %d type %d",
		 node != NULL ? node : "(null)", service != NULL ? service : "(null)", (unsigned)flags,
		 family, type);
	err = getaddrinfo(node, service, &hints, &list);
	names_list(what, err, list);
	if (err == 0)
		freeaddrinfo(list);
}

/* A name of labels of @label octets that is @len long, below known.test. */
static const char *long_name(size_t label, size_t len)
{
	static char name[600];

	for (size_t i = 0; i < len; i++)
		name[i] = (i + 1) % (label + 1) == 0 && i + 1 < len ? '.' : 'a';
	name[len] = '\0';
	memcpy(name + len - 11, ".known.test", 11);
	return name;
}

/* What is not numeric and nobody knows, and what is in /etc/hosts. */
static const char *const nodes[] = {
	"127.0.0.1", "1.2", "0x7f.1", "017.0.0.1", "1.2.3.4.5", "1.2.3.4 x", "256.1.1.1", "4294967295",
	"4294967296", "::1", "::ffff:1.2.3.4", "fe80::1%lo", "fe80::1%nosuch", "::1%1", "[::1]",
	"1.2.3.4.", "::1.", "", ".", "..", "a..b.known.test", ".known.test", "*", "has space.test",
	"-dash.nx.test", "no/name.test", "user@known.test",
	"localhost", "LOCALHOST", "machine.test", "alias", "Alias", "second.alias",
	"only6", "mapped", "many", "OWN",
};

static void all_flags(const char *node)
{
	static const int flags[] = {
		FLAGS_NONE, AI_CANONNAME, AI_NUMERICHOST, AI_NUMERICSERV, AI_PASSIVE,
		AI_V4MAPPED, AI_V4MAPPED | AI_ALL, AI_CANONNAME | AI_V4MAPPED, 0x4000, AI_IDN,
	};
	static const int families[] = { AF_INET, AF_INET6 };

	for (size_t f = 0; f < sizeof(flags) / sizeof(flags[0]); f++) {
		for (size_t i = 0; i < 2; i++) {
			ask(node, "80", flags[f], families[i], SOCK_STREAM);
		}
	}
}

static void services(const char *node)
{
	static const char *const names[] = { NULL, "", "0", "80", "65535", "65536", "-1", "http",
					     "nosuch", "domain", "*", "80x" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		ask(node, names[i], 0, AF_INET, 0);
		ask(node, names[i], 0, AF_INET, SOCK_DGRAM);
		ask(node, names[i], AI_NUMERICSERV, AF_INET, SOCK_STREAM);
	}
	ask(node, "80", 0, AF_INET, SOCK_RAW);
	ask(node, "80", 0, AF_INET, SOCK_SEQPACKET);
	ask(node, "80", 0, AF_UNIX, SOCK_STREAM);
	ask(node, "80", 0, AF_PACKET, 0);
}

void names_getaddrinfo(void)
{
	struct addrinfo *list = NULL;
	int err;

	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
		const char *node = strcmp(nodes[i], "OWN") == 0 ? getenv("OWN") : nodes[i];

		all_flags(node);
		ask(node, "80", AI_CANONNAME, AF_UNSPEC, SOCK_STREAM);
	}
	all_flags("www.known.test");
	all_flags("WWW.Known.Test");
	all_flags("www.known.test.");
	ask("www.known.test", "80", 0, AF_UNSPEC, SOCK_STREAM);
	ask("www.known.test", NULL, AI_CANONNAME, AF_UNSPEC, 0);
	ask("www.known.test", "80", AI_ADDRCONFIG, AF_UNSPEC, SOCK_STREAM);
	ask("s\303\266k.known.test", "80", AI_IDN, AF_INET, SOCK_STREAM);
	ask(NULL, NULL, 0, AF_UNSPEC, 0);
	services(NULL);
	services("127.0.0.1");
	services("www.known.test");
	services("alias");
	ask(NULL, "80", AI_PASSIVE, AF_UNSPEC, SOCK_STREAM);
	ask(NULL, "80", AI_CANONNAME, AF_UNSPEC, SOCK_STREAM);
	err = getaddrinfo("127.0.0.1", "80", NULL, &list);
	names_list("no hints", err, list);
	freeaddrinfo(list);
	ask(long_name(63, 253), "80", 0, AF_INET, SOCK_STREAM);
	ask(long_name(63, 256), "80", 0, AF_INET, SOCK_STREAM);
	ask(long_name(63, 257), "80", 0, AF_INET, SOCK_STREAM);
	ask(long_name(63, 500), "80", 0, AF_INET, SOCK_STREAM);
	ask(long_name(64, 100), "80", 0, AF_INET, SOCK_STREAM);
}

static void name_of(const char *what, const void *addr, socklen_t len, socklen_t host_size,
		    socklen_t serv_size, int flags)
{
	char host[1100] = "", serv[100] = "";
	int err = getnameinfo(addr, len, host_size > 0 ? host : NULL, host_size,
			      serv_size > 0 ? serv : NULL, serv_size, flags);

	printf("%s %u %u flags %x: %s", what, host_size, serv_size, (unsigned)flags,
	       err == 0 ? "found" : gai_strerror(err));
	if (err == 0)
		printf(" %s %s", host_size > 0 ? host : "-", serv_size > 0 ? serv : "-");
	printf("\n");
}

static void reverse(const char *what, int family, const void *bytes, int digits)
{
	static const int flags[] = { 0, NI_NAMEREQD, NI_NUMERICHOST, NI_NUMERICSERV, NI_DGRAM,
				     NI_NUMERICHOST | NI_NAMEREQD, 0x4000 };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(80) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(80) };
	const void *addr = family == AF_INET6 ? (const void *)&in6 : (const void *)&in;
	socklen_t len = family == AF_INET6 ? sizeof(in6) : sizeof(in);

	if (family == AF_INET6)
		memcpy(&in6.sin6_addr, bytes, 16);
	else
		memcpy(&in.sin_addr, bytes, 4);
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		if (!digits && (flags[i] & NI_NUMERICHOST) != 0)
			continue; /* differ between two runs */
		name_of(what, addr, len, NI_MAXHOST, NI_MAXSERV, flags[i]);
	}
	name_of(what, addr, len, NI_MAXHOST, 0, 0);
	name_of(what, addr, len, 0, NI_MAXSERV, 0);
	name_of(what, addr, len, 0, 0, 0);
	name_of(what, addr, len, NI_MAXHOST, 1, 0);
	for (socklen_t size = 1; size < 18; size++)
		name_of(what, addr, len, size, 0, 0);
	name_of(what, addr, 3, NI_MAXHOST, 0, 0);
	name_of(what, addr, 0, NI_MAXHOST, 0, 0);
}

void names_getnameinfo(void)
{
	static const char *const addresses[] = { "127.0.0.1", "127.0.0.77", "192.0.2.10", "192.0.2.200", "::1",
						 "2001:db8::10", "2001:db8::99", "::ffff:192.0.2.10" };
	struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM }, *list;

	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		int family = strchr(addresses[i], ':') != NULL ? AF_INET6 : AF_INET;
		unsigned char bytes[16];

		inet_pton(family, addresses[i], bytes);
		reverse(addresses[i], family, bytes, 1);
	}
	for (int i = 0; i < 2; i++) {
		if (getaddrinfo("www.known.test", "80", &hints, &list) == 0) {
			const struct sockaddr_in *in = (const void *)list->ai_addr;
			const struct sockaddr_in6 *in6 = (const void *)list->ai_addr;

			reverse("its address", list->ai_family, list->ai_family == AF_INET6 ?
				(const void *)&in6->sin6_addr : (const void *)&in->sin_addr, 0);
			freeaddrinfo(list);
		}
		hints.ai_family = AF_INET6;
	}
}
