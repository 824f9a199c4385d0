/* SPDX-License-Identifier: ISC */
/*
 * fuzz_hosts.c - /etc/hosts: what is read in pieces is what its lines say, and
 * the table in memory knows each of the names, in each case, and no other.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../lib/fakesys.h"
#include "../lib/nosys.h"
#include "socksify/hosts.h"

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size);

#define BLANKS " \t\r"
#define NAMES 64

struct seen {
	struct target address;
	const char *name;	/* in the text */
	size_t len;
};

struct names {
	struct seen seen[NAMES];
	int expected, visited;
};

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* hosts(5), word by word: an address, and the names of it. */
static void read_line(const char *line, size_t len, struct names *ret)
{
	const char *end = line + len;
	struct target address = { .kind = TARGET_NONE };

	while (line < end && ret->expected < NAMES) {
		size_t n = 0;

		while (line + n < end && strchr(BLANKS, line[n]) == NULL)
			n++;
		if (n > 0 && n <= TARGET_NAME_MAX) {
			if (address.kind != TARGET_NONE)
				ret->seen[ret->expected++] = (struct seen){ address, line, n };
			else if (target_from_host(line, n, 0, &address) < 0 ||
				 address.kind == TARGET_NAME)
				return;
		}
		line += n + 1;
	}
}

static void read_text(const char *text, struct names *ret)
{
	while (*text != '\0') {
		size_t line = strcspn(text, "\n");

		read_line(text, strcspn(text, "#\n"), ret);
		text += line + (text[line] == '\n');
	}
}

static bool compare(const struct target *address, const char *name, size_t len, void *arg)
{
	struct names *names = arg;
	const struct seen *s = &names->seen[names->visited];

	if (names->visited == NAMES)
		return false;
	require(names->visited < names->expected);
	require(s->len == len && memcmp(s->name, name, len) == 0);
	require(target_host_equal(&s->address, address));
	names->visited++;
	return true;
}

static bool same_name(const struct seen *a, const struct seen *b)
{
	return a->len == b->len && strncasecmp(a->name, b->name, a->len) == 0;
}

/* All lines that have the name say together what it is. */
static unsigned bits_of(const struct names *names, const struct seen *wanted)
{
	unsigned bits = 0;

	for (int i = 0; i < names->expected; i++) {
		const struct seen *s = &names->seen[i];

		if (same_name(s, wanted))
			bits |= s->address.kind == TARGET_IPV4	     ? HOSTS_V4 :
				target_is_loopback(&s->address) ? HOSTS_V4 | HOSTS_V6 :
								       HOSTS_V6;
	}
	return bits;
}

static void swap_case(const char *name, size_t len, char ret[TARGET_NAME_MAX])
{
	for (size_t i = 0; i < len; i++) {
		bool letter = (name[i] >= 'a' && name[i] <= 'z') || (name[i] >= 'A' && name[i] <= 'Z');

		ret[i] = (char)(letter ? name[i] ^ 0x20 : name[i]);
	}
}

static void check_table(const struct names *names)
{
	for (int i = 0; i < names->expected; i++) {
		const struct seen *s = &names->seen[i];
		char swapped[TARGET_NAME_MAX];
		struct seen longer = *s;

		swap_case(s->name, s->len, swapped);
		require(hosts_find(s->name, s->len) == bits_of(names, s));
		require(hosts_find(swapped, s->len) == bits_of(names, s));
		/* with all that follows in the text, it may be another name of it, or none */
		longer.len++;
		if (longer.len <= TARGET_NAME_MAX)
			require(hosts_find(longer.name, longer.len) == bits_of(names, &longer));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t size)
{
	static struct names names;
	char *text = malloc(size + 1);

	require(text != NULL);
	if (size > 0)
		memcpy(text, octets, size);
	text[size] = '\0';
	names = (struct names){ .expected = 0 };
	read_text(text, &names);
	fakesys.calls = 0;
	fakesys.now_ns += 1000 * MS;
	nosys_version++;
	nosys_hosts = text;
	require(hosts_each(compare, &names) == 0);
	require(names.visited == names.expected);
	/* With more names than are kept here, only the reading is compared. */
	if (names.expected < NAMES)
		check_table(&names);
	nosys_hosts = NULL;
	free(text);
	return 0;
}
