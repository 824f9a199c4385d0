/* SPDX-License-Identifier: ISC */
/* run.c - socksify-run: check the settings and the command, then become the command. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit.h"
#include "socksify/config.h"
#include "socksify/enter.h"
#include "socksify/tally.h"
#include "supervised.h"

#define EXIT_OURS 125	/* socksify itself failed */
#define EXIT_REFUSED 126 /* the command cannot be run, or must not be */
#define EXIT_ABSENT 127	/* there is no such command */

#define ADDRESSES_SIZE 1024 /* some twenty addresses of one proxy name */

extern char **environ;

static bool quiet;

__attribute__((format(printf, 1, 2)))
static void complain(const char *format, ...)
{
	va_list args;

	if (quiet)
		return;
	va_start(args, format);
	fputs("socksify: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
}

/* --- settings as text --- */

/* RFC 3986 section 2.3: the octets that need no escape. */
static void print_escaped(const uint8_t *octets, size_t len)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "abcdefghijklmnopqrstuvwxyz0123456789-._~";

	for (size_t i = 0; i < len; i++)
		if (octets[i] != '\0' && strchr(plain, octets[i]) != NULL)
			putchar(octets[i]);
		else
			printf("%%%02X", octets[i]);
}

static void print_url(const struct proxy *p)
{
	char text[TARGET_TEXT_SIZE];

	fputs("socks5://", stdout);
	if (p->has_login) {
		print_escaped(p->login.user, p->login.user_len);
		fputs(":***@", stdout);
	}
	fputs(target_text(&p->address, text), stdout);
}

/* A proxy that came as a URL has no name; rules cannot mention it either. */
static const char *proxy_name(const struct proxy *p)
{
	return p->name[0] != '\0' ? p->name : "default";
}

/* The host of a pattern: target_text() without its port. */
static void print_host(const struct target *host)
{
	struct target t = *host;
	char text[TARGET_TEXT_SIZE];
	char *colon;

	t.port = 1;
	target_text(&t, text);
	colon = strrchr(text, ':');
	if (colon != NULL)
		*colon = '\0';
	fputs(text, stdout);
}

static void print_net(const struct pattern *p)
{
	char text[INET6_ADDRSTRLEN];
	bool v6 = p->host.kind == TARGET_IPV6;

	if (inet_ntop(v6 ? AF_INET6 : AF_INET, p->host.ip, text,
		      sizeof(text)) == NULL)
		return;
	printf(v6 ? "[%s" : "%s", text);
	if (p->prefix != (v6 ? 128 : 32))
		printf("/%u", p->prefix);
	if (v6)
		putchar(']');
}

static void print_pattern(const struct pattern *p)
{
	switch (p->proto) {
	case PROTO_ANY:
		break;
	case PROTO_TCP:
		fputs("tcp ", stdout);
		break;
	case PROTO_UDP:
		fputs("udp ", stdout);
		break;
	}
	switch (p->kind) {
	case PATTERN_ALL:
		putchar('*');
		break;
	case PATTERN_NET:
		print_net(p);
		break;
	case PATTERN_DOMAIN:
		putchar('.');
		print_host(&p->host);
		break;
	case PATTERN_NAME:
		print_host(&p->host);
		break;
	}
	if (p->has_ports && p->port_low == p->port_high)
		printf(":%u", p->port_low);
	else if (p->has_ports)
		printf(":%u-%u", p->port_low, p->port_high);
}

static void print_rule(const struct config *c, const struct rule *r)
{
	switch (r->action) {
	case RULE_DIRECT:
		fputs("direct ", stdout);
		break;
	case RULE_BLOCK:
		fputs("block ", stdout);
		break;
	case RULE_VIA:
		printf("via %s ", proxy_name(&c->proxies[r->proxy]));
		break;
	}
	print_pattern(&r->pattern);
}

static void print_bind(const struct config *c, const struct rule *r)
{
	printf("bind via %s ", proxy_name(&c->proxies[r->proxy]));
	print_pattern(&r->pattern);
	printf("  # %s\n", r->source);
}

static const char *dns_word(const struct config *c, char buf[TARGET_TEXT_SIZE + 4])
{
	switch (c->dns) {
	case DNS_REMOTE:
		return "remote";
	case DNS_LOCAL:
		return "local";
	case DNS_TCP:
		memcpy(buf, "tcp:", 4);
		target_text(&c->dns_server, buf + 4);
		return buf;
	case DNS_TOR:
		return "tor";
	}
	return "";
}

static const char *udp_word(enum udp_mode mode)
{
	switch (mode) {
	case UDP_PROXY:
		return "proxy";
	case UDP_BLOCK:
		return "block";
	case UDP_DIRECT:
		return "direct";
	}
	return "";
}

static const char *handshake_word(enum handshake_mode mode)
{
	switch (mode) {
	case HANDSHAKE_STANDARD:
		return "standard";
	case HANDSHAKE_PIPELINED:
		return "pipelined";
	case HANDSHAKE_OPTIMISTIC:
		return "optimistic";
	}
	return "";
}

static void print_proxy(const struct proxy *p)
{
	printf("proxy %s ", proxy_name(p));
	print_url(p);
	printf(" handshake %s fastopen %s\n", handshake_word(p->handshake),
	       p->fastopen ? "yes" : "no");
}

/* What was printed has arrived: 0, or EXIT_OURS after a message. */
static int finish_output(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	complain("cannot write the output: %s: check where it goes",
		 strerror(errno));
	return EXIT_OURS;
}

static int print_config(const struct config *c)
{
	char dns[TARGET_TEXT_SIZE + 4];

	if (c->origin != NULL)
		printf("# the proxy comes from %s\n", c->origin);
	for (int i = 0; i < c->proxy_count; i++)
		print_proxy(&c->proxies[i]);
	for (int i = 0; i < c->rule_count; i++) {
		print_rule(c, &c->rules[i]);
		if (c->rules[i].source != NULL)
			printf("  # %s", c->rules[i].source);
		putchar('\n');
	}
	for (int i = 0; i < c->bind_count; i++)
		print_bind(c, &c->binds[i]);
	printf("dns %s\n", dns_word(c, dns));
	printf("udp %s\n", udp_word(c->udp));
	printf("timeout %u", c->timeout_ms / 1000);
	if (c->timeout_ms % 1000 != 0)
		printf(".%03u", c->timeout_ms % 1000);
	putchar('\n');
	printf("verbose %d\n", c->verbose);
	if (c->log_path != NULL)
		printf("log %s\n", c->log_path);
	if (c->log_format != LOG_FORMAT_BY_NAME)
		printf("log-format %s\n", config_log_is_json(c) ? "json" : "text");
	return finish_output();
}

/* "host:port" or "[v6]:port", after "tcp " or "udp " if wanted. */
static int parse_target(const char *text, enum rule_proto *ret_proto,
			struct target *ret)
{
	enum rule_proto proto = PROTO_TCP;
	const char *colon;
	const char *host;
	unsigned long port;
	char *end;
	size_t len;
	int err;

	if (strncmp(text, "tcp ", 4) == 0 || strncmp(text, "udp ", 4) == 0) {
		if (text[0] == 'u')
			proto = PROTO_UDP;
		text += 4;
	}
	colon = strrchr(text, ':');
	if (colon == NULL || colon[1] < '0' || colon[1] > '9')
		return -EINVAL;
	port = strtoul(colon + 1, &end, 10);
	if (*end != '\0' || port < 1 || port > UINT16_MAX)
		return -EINVAL;
	host = text;
	len = (size_t)(colon - text);
	if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
		host++;
		len -= 2;
	} else if (memchr(host, ':', len) != NULL) {
		return -EINVAL;
	}
	err = target_from_host(host, len, (uint16_t)port, ret);
	if (err == 0)
		*ret_proto = proto;
	return err;
}

static int explain(const struct config *c, const char *text)
{
	char buf[TARGET_TEXT_SIZE];
	enum rule_proto proto = PROTO_TCP;
	struct decision d;
	struct target t;

	if (parse_target(text, &proto, &t) < 0) {
		complain("cannot read the target '%s': write HOST:PORT, as in "
			 "example.org:443 or '[2001:db8::1]:443'", text);
		return EXIT_OURS;
	}
	d = config_decide(c, &t, proto);
	printf("%s%s: ", proto == PROTO_UDP ? "udp " : "", target_text(&t, buf));
	switch (d.action) {
	case RULE_DIRECT:
		fputs("direct", stdout);
		break;
	case RULE_BLOCK:
		fputs("blocked", stdout);
		break;
	case RULE_VIA:
		fputs("via ", stdout);
		if (d.proxy != NULL && d.proxy->name[0] != '\0')
			printf("%s, ", d.proxy->name);
		if (d.proxy != NULL)
			print_url(d.proxy);
		break;
	}
	putchar('\n');
	if (d.rule != NULL) {
		fputs("rule: ", stdout);
		print_rule(c, d.rule);
		if (d.rule->source != NULL)
			printf("  # %s", d.rule->source);
		putchar('\n');
	}
	if (d.why != NULL)
		printf("why: %s\n", d.why);
	return finish_output();
}

/* --- what the command's environment gets --- */

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

static int print_environment(void)
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

/* --- the command --- */

/* 0 if execve(2) would try the file, else -errno. */
static int check_candidate(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return S_ISDIR(st.st_mode) ? -EISDIR : -EACCES;
	return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0 ? -errno : 0;
}

/*
 * Find @name as execvp(3) does.  0 and the path, -ENOENT when there is none,
 * -EACCES or -EISDIR when there is one that cannot be run (@ret is set too).
 */
static int find_program(const char *name, char ret[PATH_MAX])
{
	const char *dir = getenv("PATH");
	int result = -ENOENT;

	if (name[0] == '\0')
		return -ENOENT;
	if (strchr(name, '/') != NULL) {
		if (strlen(name) >= PATH_MAX)
			return -ENAMETOOLONG;
		strcpy(ret, name);
		return check_candidate(ret);
	}
	if (dir == NULL)
		dir = "/bin:/usr/bin";	/* execvp(3) */
	for (;;) {
		char path[PATH_MAX];
		size_t len = strcspn(dir, ":");
		int n = snprintf(path, sizeof(path), "%.*s%s%s", (int)len, dir,
				 len > 0 ? "/" : "./", name);

		if (n > 0 && (size_t)n < sizeof(path)) {
			int err = check_candidate(path);

			if (err == 0 || (err == -EACCES && result == -ENOENT)) {
				strcpy(ret, path);
				result = err;
			}
			if (err == 0)
				return 0;
		}
		if (dir[len] == '\0')
			return result;
		dir += len + 1;
	}
}

static int report_not_found(const char *name, const char *path, int err)
{
	if (err == -EACCES || err == -EISDIR) {
		complain("%s %s: %s", path,
			 err == -EISDIR ? "is a directory" : "is not executable",
			 err == -EISDIR ? "name a program in it" :
			 "use chmod +x, or start it with its interpreter");
		return EXIT_REFUSED;
	}
	if (err != -ENOENT && err != -ENOTDIR) {
		complain("cannot run '%s' (%s): check the path", name,
			 strerror(-err));
		return err == -ENAMETOOLONG ? EXIT_ABSENT : EXIT_REFUSED;
	}
	if (strchr(name, '/') != NULL)
		complain("%s does not exist: check the path", name);
	else
		complain("command '%s' is not found: check the spelling and PATH "
			 "(shell functions and builtins need a shell, "
			 "as in socksify sh -c '...')", name);
	return EXIT_ABSENT;
}

/* A program that the library cannot enter; returns only after a failure. */
static int run_other(const struct config *c, const char *path, char **argv,
		     const struct inspection *seen)
{
	char error[SUPERVISED_ERROR_SIZE];

	if (!supervised_takes(seen->verdict)) {
		complain("%s %s", seen->path, inspection_text(seen->verdict));
		tally_add(TALLY_REFUSED);
		return EXIT_REFUSED;
	}
	supervised_run(c, seen->verdict, path, argv, error);
	tally_add(TALLY_REFUSED);
	complain("%s %s", seen->path, inspection_text(seen->verdict));
	complain("%s cannot be supervised either: %s", path, error);
	return EXIT_REFUSED;
}

/* What is no ELF file and has no "#!" line is a script for the shell, as in execvp(3). */
static int run_shell_text(const char *path, char **argv, int argc)
{
	struct inspection seen;
	char **args = calloc((size_t)argc + 2, sizeof(*args));

	if (args == NULL) {
		complain("out of memory: free some");
		return EXIT_OURS;
	}
	if (inspect_program("/bin/sh", &seen) < 0) {
		complain("%s %s", seen.path, inspection_text(seen.verdict));
		free(args);
		return EXIT_REFUSED;
	}
	args[0] = argv[0];
	args[1] = (char *)(uintptr_t)path;
	memcpy(args + 2, argv + 1, (size_t)argc * sizeof(*args));
	execve("/bin/sh", args, environ);
	free(args);
	return 0;
}

/* AddressSanitizer's runtime is not the first library any more: it is told not to mind. */
static int export_asan(void)
{
	static const char setting[] = "verify_asan_link_order=0";
	const char *before = getenv("ASAN_OPTIONS");
	char *value;
	int err;

	if (before == NULL)
		return setenv("ASAN_OPTIONS", setting, 1);
	if (strstr(before, "verify_asan_link_order") != NULL)
		return 0;
	if (asprintf(&value, "%s:%s", setting, before) < 0)
		return -1;
	err = setenv("ASAN_OPTIONS", value, 1);
	free(value);
	return err;
}

/* Becomes the program at @path; returns only an exit status after a failure. */
static int run_program(const struct config *c, const char *path, char **argv, int argc)
{
	struct inspection seen;
	int status = 0;

	if (inspect_program(path, &seen) < 0)
		return run_other(c, path, argv, &seen);
	if (seen.needs_to_be_first && export_asan() < 0) {
		complain("out of memory: free some");
		return EXIT_OURS;
	}
	/* Shell text is not left to the kernel, whose binfmt_misc might know more. */
	if (seen.verdict == INSPECTION_SHELL_TEXT)
		status = run_shell_text(path, argv, argc);
	else
		execve(path, argv, environ);
	if (status != 0)
		return status;
	complain("cannot run %s (%s): check the file, its interpreter and its arguments",
		 path, strerror(errno));
	return EXIT_REFUSED;
}

/* The same for a command, which is searched for. */
static int run_command(const struct config *c, char **argv, int argc)
{
	char path[PATH_MAX];
	int err = find_program(argv[0], path);

	if (err < 0)
		return report_not_found(argv[0], path, err);
	return run_program(c, path, argv, argc);
}

/* Each line a message of its own. */
static void show_warnings(const struct config *c)
{
	const char *line = c->warning;

	while (line != NULL && *line != '\0') {
		size_t len = strcspn(line, "\n");

		complain("%.*s", (int)len, line);
		line += len + (line[len] == '\n');
	}
}

int main(int argc, char **argv)
{
	enum { RUN, EXEC, EXPLAIN, PRINT_CONFIG, ENVIRONMENT } mode = RUN;
	char error[CONFIG_ERROR_SIZE] = "";
	const char *wish = getenv("SOCKSIFY_QUIET");
	const char *target = NULL;
	struct config *c;
	int status;
	int i = 1;

	unsetenv("SOCKSIFY_DISABLE"); /* it was for this program only */
	quiet = wish != NULL && wish[0] != '\0' && strcmp(wish, "0") != 0;
	if (argc == 3 && strcmp(argv[1], "--explain") == 0) {
		mode = EXPLAIN;
		target = argv[2];
	} else if (argc == 2 && strcmp(argv[1], "--print-config") == 0) {
		mode = PRINT_CONFIG;
	} else if (argc == 2 && strcmp(argv[1], "--env") == 0) {
		mode = ENVIRONMENT;
	} else if (argc >= 3 && strcmp(argv[1], "--") == 0) {
		i = 2;
	} else if (argc >= 4 && strcmp(argv[1], "--exec") == 0) {
		/* From the library: a file that it cannot enter, and its whole argv. */
		mode = EXEC;
		target = argv[2];
		i = 3;
	} else {
		complain("socksify-run is a part of socksify: run socksify, see socksify(1)");
		return EXIT_OURS;
	}

	if (config_load(getenv, &c, error) < 0) {
		complain("%s", error);
		return EXIT_OURS;
	}
	quiet = quiet || c->quiet;
	show_warnings(c);

	switch (mode) {
	case EXPLAIN:
		status = explain(c, target);
		break;
	case PRINT_CONFIG:
		status = print_config(c);
		break;
	case ENVIRONMENT:
	case EXEC:
	case RUN:
	default:
		status = export_source(c);
		if (status == 0)
			status = export_proxy_address(c);
		if (status == 0)
			status = export_preload();
		if (status != 0)
			break;
		if (mode != ENVIRONMENT && audit_run(c) < 0) {
			complain("no place to count: make XDG_RUNTIME_DIR or /tmp writable, "
				 "or leave --audit out");
			status = EXIT_OURS;
			break;
		}
		if (mode == EXEC)
			status = run_program(c, target, argv + i, argc - i);
		else
			status = mode == RUN ? run_command(c, argv + i, argc - i) :
					       print_environment();
		break;
	}
	config_free(c);		/* wipes logins */
	return status;
}
