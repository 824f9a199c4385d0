/* SPDX-License-Identifier: ISC */
/* environment.c - what the command finds in its environment. */
#include "environment.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "complain.h"
#include "socksify/enter.h"
#include "socksify/supervise.h"

#define ADDRESSES_SIZE 1024 /* some twenty addresses of one proxy name */

/* The file that was found, or none, wherever the command's home will be. */
static int export_source(const struct config *c)
{
	if (setenv("SOCKSIFY_CONF", c->file != NULL ? c->file : "none", 0) == 0)
		return 0;
	complain("out of memory: free some");
	return EXIT_OURS;
}

/*
 * The proxy's own name is resolved here, once and directly, so that no child
 * needs a resolver before it can reach the proxy.
 */
static int export_proxy_address(const struct config *c)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC,
				  .ai_socktype = SOCK_STREAM };
	char list[ADDRESSES_SIZE] = "";
	struct addrinfo *found;
	size_t used = 0;
	int err;

	if (c->proxy_count == 0 ||
	    c->proxies[0].address.kind != TARGET_NAME) {
		unsetenv("SOCKSIFY_PROXY_ADDRESS");
		return 0;
	}
	err = getaddrinfo(c->proxies[0].address.name, NULL, &hints, &found);
	if (err != 0) {
		complain("cannot resolve proxy host '%s' (%s): "
			 "check the name, or give the address",
			 c->proxies[0].address.name, gai_strerror(err));
		return EXIT_OURS;
	}
	for (struct addrinfo *ai = found; ai != NULL; ai = ai->ai_next) {
		char text[NI_MAXHOST];
		size_t len;

		if (getnameinfo(ai->ai_addr, ai->ai_addrlen, text, sizeof(text),
				NULL, 0, NI_NUMERICHOST) != 0)
			continue;
		len = strlen(text);
		if (used + len + 2 > sizeof(list))
			break;
		if (used > 0)
			list[used++] = ',';
		memcpy(list + used, text, len + 1);
		used += len;
	}
	freeaddrinfo(found);
	if (used == 0) {
		complain("proxy host '%s' has no address: "
			 "check the name, or give the address",
			 c->proxies[0].address.name);
		return EXIT_OURS;
	}
	if (setenv("SOCKSIFY_PROXY_ADDRESS", list, 1) < 0) {
		complain("out of memory: free some");
		return EXIT_OURS;
	}
	return 0;
}

/* Is @library in the list of LD_PRELOAD @list?  Then its place there was chosen. */
static bool is_listed(const char *library, const char *list)
{
	for (size_t item; *list != '\0'; list += item + (list[item] != '\0')) {
		item = strcspn(list, ": ");	/* ld.so(8): either */
		if (item == strlen(library) && memcmp(list, library, item) == 0)
			return true;
	}
	return false;
}

/* LD_PRELOAD: our library, then what was there, in its order.  -ENOMEM. */
static int preload_value(const char *library, const char *before, char **ret)
{
	int n;

	if (is_listed(library, before))
		n = asprintf(ret, "%s", before);
	else
		n = asprintf(ret, "%s%s%s", library, before[0] != '\0' ? ":" : "", before);
	return n < 0 ? -ENOMEM : 0;
}

static int export_preload(void)
{
	const char *library = getenv("SOCKSIFY_LIBRARY");
	const char *before = getenv("SOCKSIFY_PRELOAD");
	struct inspection seen;
	char *value = NULL;
	int err;

	if (library == NULL || library[0] == '\0') {
		complain("SOCKSIFY_LIBRARY is not set: start the command with socksify");
		return EXIT_OURS;
	}
	if (library[0] != '/' || strpbrk(library, ": ") != NULL) {
		complain("the loader cannot preload '%s': put the library under "
			 "an absolute path without colons and blanks", library);
		return EXIT_OURS;
	}
	/* The loader only warns about a library it cannot load, and goes on. */
	if (inspect_library(library, &seen) < 0) {
		complain("%s is missing or no library for this machine: "
			 "install socksify again", library);
		return EXIT_OURS;
	}
	if (before == NULL)
		before = getenv("LD_PRELOAD");
	err = preload_value(library, before != NULL ? before : "", &value);
	if (err == 0 && setenv("LD_PRELOAD", value, 1) < 0)
		err = -ENOMEM;
	free(value);
	if (err < 0) {
		complain("out of memory: free some");
		return EXIT_OURS;
	}
	unsetenv("SOCKSIFY_PRELOAD");
	return 0;
}

int environment_export(const struct config *c, bool is_child)
{
	bool is_resolved = is_child && getenv("SOCKSIFY_PROXY_ADDRESS") != NULL &&
			   supervise_is_strict();
	int status = export_source(c);

	if (status == 0 && !is_resolved)
		status = export_proxy_address(c);
	return status == 0 ? export_preload() : status;
}

/* export NAME='value' for a POSIX shell */
static void print_export(const char *entry)
{
	const char *value = strchr(entry, '=') + 1;

	printf("export %.*s'", (int)(value - entry), entry);
	for (; *value != '\0'; value++)
		if (*value == '\'')
			fputs("'\\''", stdout);
		else
			putchar(*value);
	fputs("'\n", stdout);
}

/* Can a shell assign to it?  Anything else must not reach eval. */
static bool is_shell_name(const char *entry)
{
	size_t len = strspn(entry, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_");

	return entry[len] == '=';
}

int environment_print(void)
{
	static const char *const dropped[] = { "SOCKSIFY_PROXY",
					       "SOCKSIFY_PROXY_ADDRESS" };

	for (char **entry = environ; *entry != NULL; entry++)
		if (is_shell_name(*entry) &&
		    (strncmp(*entry, "SOCKSIFY_", 9) == 0 ||
		     strncmp(*entry, "LD_PRELOAD=", 11) == 0))
			print_export(*entry);
	/* What was taken out on the way must not stay in the shell. */
	for (size_t i = 0; i < sizeof(dropped) / sizeof(dropped[0]); i++)
		if (getenv(dropped[i]) == NULL)
			printf("unset %s\n", dropped[i]);
	return finish_output();
}
