/* SPDX-License-Identifier: ISC */
/* names_hostent.c - gethostbyname(3), gethostbyaddr(3) and their variants. */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "names.h"

#define BUFFER 2048

static void show(const struct hostent *h)
{
	char text[INET6_ADDRSTRLEN];

	printf("  %s type %d length %d", h->h_name, h->h_addrtype, h->h_length);
	for (char **a = h->h_aliases; *a != NULL; a++)
		printf(" alias %s", *a);
	for (char **a = h->h_addr_list; *a != NULL; a++)
		printf(" %s", names_address(h->h_addrtype, *a, text));
	printf("\n");
}

static void told(const char *what, const char *name, const struct hostent *h)
{
	printf("%s %.300s: %s\n", what, name, h != NULL ? "found" : hstrerror(h_errno));
	if (h != NULL)
		show(h);
}

static int is_inside(const void *at, const char *buf, size_t size)
{
	return (const char *)at >= buf && (const char *)at < buf + size;
}

/* A call that answers into @buf: what it returns for each size from 0 up. */
struct question {
	const char *what, *name;
	int (*ask)(const struct question *q, struct hostent *h, char *buf, size_t size,
		   struct hostent **result, int *h_err);
	int family;
	const void *bytes;
	socklen_t len;
};

/* How much is enough is libc's business; that less is ERANGE and more is not is everybody's. */
static void every_size(const struct question *q)
{
	static char room[BUFFER + 16];
	int fits = -1, misaligned = 0, strange = 0, last = 0, h_err = 0;

	for (size_t skip = 0; skip < 8; skip += 3) {
		fits = -1;
		/* The resolver is asked for each: some are enough. */
		for (size_t size = 0; size <= BUFFER; size += size < 40 ? 5 : size < 400 ? 9 : 206) {
			struct hostent h, *result = &h;
			char *buf = room + skip;

			memset(room, 'x', sizeof(room));
			errno = 0;
			h_err = 77;
			last = q->ask(q, &h, buf, size, &result, &h_err);
			if (last == ERANGE) {
				strange += result != NULL || h_err != NETDB_INTERNAL ||
					   errno != ERANGE || fits >= 0;
				continue;
			}
			fits = 1;
			for (size_t i = size; i < BUFFER; i++)
				strange += buf[i] != 'x';
			if (result == NULL)
				continue;
			misaligned += (uintptr_t)h.h_aliases % sizeof(char *) != 0 ||
				      (uintptr_t)h.h_addr_list % sizeof(char *) != 0;
			strange += !is_inside(h.h_name, buf, size) ||
				   !is_inside(h.h_aliases, buf, size) ||
				   !is_inside(h.h_addr_list, buf, size) ||
				   !is_inside(h.h_addr_list[0], buf, size) || result != &h;
		}
	}
	printf("%s %.300s: returned %d, h_errno %d, fits %d, misaligned %d, strange %d\n", q->what, q->name,
	       last, h_err, fits, misaligned, strange);
}

static int by_name_r(const struct question *q, struct hostent *h, char *buf, size_t size,
		     struct hostent **result, int *h_err)
{
	return gethostbyname_r(q->name, h, buf, size, result, h_err);
}

static int by_name2_r(const struct question *q, struct hostent *h, char *buf, size_t size,
		      struct hostent **result, int *h_err)
{
	return gethostbyname2_r(q->name, q->family, h, buf, size, result, h_err);
}

static int by_addr_r(const struct question *q, struct hostent *h, char *buf, size_t size,
		     struct hostent **result, int *h_err)
{
	return gethostbyaddr_r(q->bytes, q->len, q->family, h, buf, size, result, h_err);
}

static void by_name(const char *name)
{
	struct question q = { .what = "gethostbyname_r", .name = name, .ask = by_name_r };

	told("gethostbyname", name, gethostbyname(name));
	told("gethostbyname2 4", name, gethostbyname2(name, AF_INET));
	told("gethostbyname2 6", name, gethostbyname2(name, AF_INET6));
	every_size(&q);
	q.ask = by_name2_r;
	q.what = "gethostbyname2_r 4";
	q.family = AF_INET;
	every_size(&q);
	q.what = "gethostbyname2_r 6";
	q.family = AF_INET6;
	every_size(&q);
}

static void by_address(const char *name, int family, const void *bytes, socklen_t len)
{
	struct question q = { "gethostbyaddr_r", name, by_addr_r, family, bytes, len };

	told("gethostbyaddr", name, gethostbyaddr(bytes, len, family));
	every_size(&q);
}

static void by_text(const char *text)
{
	int family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET;
	unsigned char bytes[16];

	inet_pton(family, text, bytes);
	by_address(text, family, bytes, family == AF_INET6 ? 16 : 4);
}

/* Threads ask for names of their own at the same time. */
static void *thread(void *arg)
{
	char buf[BUFFER], name[64];
	struct hostent h, *result;
	long bad = 0;
	int h_err;

	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "t%d-%d.known.test", *(int *)arg, i % 10);
		if (gethostbyname_r(name, &h, buf, sizeof(buf), &result, &h_err) != 0 ||
		    result == NULL || strcmp(h.h_name, name) != 0)
			bad++;
	}
	return (void *)bad;
}

static void threads(void)
{
	pthread_t ids[4];
	int numbers[4];
	long bad = 0;

	for (int i = 0; i < 4; i++) {
		numbers[i] = i;
		pthread_create(&ids[i], NULL, thread, &numbers[i]);
	}
	for (int i = 0; i < 4; i++) {
		void *result;

		pthread_join(ids[i], &result);
		bad += (long)result;
	}
	printf("threads: %ld wrong\n", bad);
}

void names_hostent(void)
{
	static const char *const names[] = {
		"127.0.0.1", "1.2", "0x7f.1", "1.2.3.4.5", "256.1.1.1", "1.2.3.4.", "::1", "dead::zz", "::1.",
		".", "a..b.known.test", "has space.test", "localhost", "LocalHost",
		"machine.test", "alias", "second.alias", "only6", "many", "www.known.test",
		"WWW.Known.Test", "www.known.test.", 
	};
	static const char *const addresses[] = { "127.0.0.1", "127.0.0.77", "192.0.2.10", "192.0.2.200", "::1",
						 "2001:db8::10", "2001:db8::99" };
	struct hostent *h;
	unsigned char bytes[16];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		by_name(names[i]);
	by_name(getenv("OWN"));
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++)
		by_text(addresses[i]);
	for (int family = AF_INET;; family = AF_INET6) {
		h = gethostbyname2("www.known.test", family);
		if (h != NULL) {
			memcpy(bytes, h->h_addr_list[0], (size_t)h->h_length);
			by_address("its address", family, bytes, (socklen_t)h->h_length);
		}
		if (family == AF_INET6)
			break;
	}
	threads();
}
