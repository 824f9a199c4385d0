/* SPDX-License-Identifier: ISC */
/* check_config.c - configuration files and variables: what they set, how they fail. */
#include "socksify/config.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define A "proxy a socks5://192.0.2.1\n"

static const struct {
	const char *text, *says;	/* says NULL: the text is right */
} files[] = {
	{ "", NULL },
	{ "\n\r\n# only comments\r\n \t# x", NULL },
	{ "\xef\xbb\xbfproxy a 192.0.2.1", NULL },
	{ "via a h\r\n" A, NULL },
	{ A "DIRECT h # comment\nblock udp *:443 tcp x\n", NULL },
	{ A "timeout 0\n", NULL },
	{ A "dns remote\nudp direct\ntimeout 86400\nlog /tmp/x\nverbose 2\nlog-format json\n", NULL },
	{ "proxy a h user u password p", NULL },
	{ A "drect h", "f:2:1: unknown word 'drect': did you mean 'direct'?" },
	{ "  dierct h", "f:1:3: unknown word 'dierct': did you mean 'direct'?" },
	{ "zzzzzz", "a line begins with" },
	{ A "via b h", "f:2:5: no proxy is called 'b': add 'proxy b" },
	{ "proxy office h\n\nvia ofice *\n", "f:3:5: no proxy is called 'ofice': did you mean 'office'?" },
	{ "via x h", "f:1:5: no proxy is called 'x': add" },
	{ A "via a", "f:2:6: a pattern is missing" },
	{ "via", "f:1:4: the name of a proxy is missing" },
	{ A "via a,b *", "f:2:5: several proxies after 'via': this is not built yet" },
	{ "direct", "f:1:7: a pattern is missing" },
	{ "block udp # x", "f:1:10: a pattern is missing" },
	{ "direct h 10.1.0.0/8", "f:1:10: bad network '10.1.0.0/8': the network address is 10.0.0.0/8" },
	{ A A, "f:2:7: there is a proxy 'a' already" },
	{ "proxy", "the name is missing" },
	{ "proxy a", "f:1:8: the URL is missing" },
	{ "proxy a,b h", "f:1:7: bad proxy name" },
	{ "proxy a h:0", "f:1:9: bad port '0'" },
	{ "proxy a http://h", "f:1:9: proxy scheme 'http' is not built yet" },
	{ "proxy a h user", "something is missing after 'user'" },
	{ "proxy a h user u", "f:1:16: a user without a password" },
	{ "proxy a h password secret", "f:1:20: a password without a user" },
	{ "proxy a h usr u", "did you mean 'user'?" },
	{ "proxy a h user u secret", "use user, password, password-file, handshake or fastopen" },
	{ "proxy a h user u user v", "second time" },
	{ "proxy a x:y@h user u password secret", "has a login already" },
	{ "proxy a h user u password secret password-file /x", "keep one" },
	{ "proxy a h user u password-file /nonexistent/x", "f:1:32: cannot read" },
	{ "proxy a h user u password-file x", "not an absolute path" },
	{ "proxy a h user u password-file ~/x", "needs HOME" },
	{ "dns", "f:1:4: something is missing" },
	{ "dns remot", "f:1:5: unknown dns mode 'remot': did you mean 'remote'?" },
	{ "dns tcp", "unknown dns mode 'tcp': did you mean 'tcp:'?" },
	{ "dns tcp:", "bad resolver ''" },
	{ "dns tcp:dns.example", "bad resolver 'dns.example': use tcp:ADDRESS" },
	{ "dns tcp:9.9.9.9:0", "bad resolver '9.9.9.9:0'" },
	{ "dns tcp:9.9.9.9:1-2", "bad resolver" },
	{ "dns tcp:9.9.9.0/24", "bad resolver" },
	{ "dns tcp:9.9.9.9:70000", "bad resolver" },
	{ "dns x", "unknown dns mode 'x': use remote, local, tor or tcp:" },
	{ "dns remote\ndns local", "f:2:1: 'dns' is set on line 1 already" },
	{ "dns remote x", "f:1:12: one word too many" },
	{ "udp maybe", "use proxy, block or direct" },
	{ "timeout -1", "1 to 86400" },
	{ "timeout 86401", "1 to 86400" },
	{ "timeout 1.5", "1 to 86400" },
	{ "verbose 3", "use 0, 1 or 2" },
	{ "log-format xml", "use text or json" },
	{ "log x", "not an absolute path" },
	{ "chain x a b", "f:1:1: 'chain' is not built yet" },
	{ A "bind via a", NULL },
	{ A "BIND VIA a *:6881-6889 0.0.0.0:21 [::]:22 # all\nbind via a", NULL },
	{ "bind via a", "f:1:10: no proxy is called 'a': add 'proxy a" },
	{ "proxy office h\nbind via offce *:1", "f:2:10: no proxy is called 'offce': did you mean 'office'?" },
	{ A "bind", "f:2:5: something is missing: write bind via NAME [PATTERN...]" },
	{ A "bind via", "f:2:9: the name of a proxy is missing: write bind via NAME [PATTERN...]" },
	{ A "bind vai a", "f:2:6: unknown word 'vai' after 'bind': did you mean 'via'?" },
	{ A "bind tcp", "f:2:6: unknown word 'tcp' after 'bind': write bind via" },
	{ A "bind via a udp *", "f:2:12: 'bind' is for TCP alone: remove 'udp'" },
	{ A "bind via a,b", "f:2:10: several proxies after 'via': this is not built yet" },
	{ A "bind via a *:70000", "f:2:12: bad port '70000'" },
	{ A "bind via a h:21", "f:2:12: 'h:21' is a name, but sockets listen on addresses" },
	{ A "bind via a * .h", "f:2:14: '.h' is a name" },
	{ A "bnd via a", "f:2:1: unknown word 'bnd': did you mean 'bind'?" },
	{ "handshake x", "f:1:1: 'handshake' does not begin a line: write it after the URL" },
	{ A "fastopen yes", "f:2:1: 'fastopen' does not begin a line" },
	{ "proxy a h handshake pipelined user u password p fastopen yes", NULL },
	{ "proxy a h HANDSHAKE Optimistic FastOpen NO", NULL },
	{ "proxy a h handshake", "f:1:20: something is missing after 'handshake'" },
	{ "proxy a h fastopen # yes", "f:1:19: something is missing after 'fastopen'" },
	{ "proxy a h handshake lazy", "f:1:21: unknown handshake mode 'lazy': use standard, pipelined or optimistic" },
	{ "proxy a h handshake pipelind", "f:1:21: unknown handshake mode 'pipelind': did you mean 'pipelined'?" },
	{ "proxy a h fastopen on", "f:1:20: bad fastopen 'on': use yes or no" },
	{ "proxy a h fastopen yes fastopen no", "f:1:24: 'fastopen' a second time: keep one" },
	{ "proxy a h handshake standard handshake standard", "f:1:30: 'handshake' a second time: keep one" },
	{ "proxy a h hanshake standard", "f:1:11: unknown word after the proxy URL: did you mean 'handshake'?" },
	{ "proxy a h fast-open yes", "f:1:11: unknown word after the proxy URL: did you mean 'fastopen'?" },
	{ "direct\rh", "f:1:7: control character 0x0d" },
};

START_TEST(file_is_understood_or_refused_with_its_place)
{
	char error[CONFIG_ERROR_SIZE] = "";
	struct config *c = config_new();
	int err = config_parse(c, "f", files[_i].text, strlen(files[_i].text),
			       NULL, error);

	if (files[_i].says == NULL)
		ck_assert_msg(err == 0, "%s: %s", files[_i].text, error);
	else
		ck_assert_int_lt(err, 0);
	if (files[_i].says != NULL)
		ck_assert_msg(strstr(error, files[_i].says) != NULL,
			      "%s: %s", files[_i].text, error);
	ck_assert_ptr_null(strstr(error, "secret"));
	config_free(c);
}
END_TEST

START_TEST(nul_byte_is_refused)
{
	char error[CONFIG_ERROR_SIZE] = "";
	struct config *c = config_new();

	ck_assert_int_eq(config_parse(c, "f", "# a\0b", 5, NULL, error), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error, "f:1:4: a NUL byte"));
	config_free(c);
}
END_TEST

/* A scratch HOME and a scripted environment */
static char home[] = "/tmp/check_config.XXXXXX";
static char path[256];
static const char *variables[24];

static char *scripted_getenv(const char *name)
{
	for (int i = 0; variables[i] != NULL; i += 2)
		if (strcmp(variables[i], name) == 0) {
			union { const char *in; char *out; } value = { variables[i + 1] };

			return value.out;
		}
	return NULL;
}

static void make_home(void)
{
	memcpy(home + sizeof(home) - sizeof("XXXXXX"), "XXXXXX", sizeof("XXXXXX"));
	ck_assert_ptr_nonnull(mkdtemp(home));
}

static void write_file(const char *name, const char *text, mode_t mode)
{
	int fd;

	snprintf(path, sizeof(path), "%s/%s", home, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	ck_assert_int_eq(fchmod(fd, mode), 0);
	close(fd);
}

static const struct {
	const char *variables[22];
	const char *where, *origin, *says;
	int proxies, rules;
} loads[] = {
	{ { "SOCKSIFY_PROXY", "h:1" }, "h:1", "SOCKSIFY_PROXY", NULL, 1, 0 },
	{ { "SOCKSIFY_PROXY", "a b" }, .says = "SOCKSIFY_PROXY: more than one proxy" },
	{ { "SOCKSIFY_PROXY", "u:secret" }, .says = "SOCKSIFY_PROXY: bad port" },
	{ { "ALL_PROXY", "h:1", "SOCKS_SERVER", "x" }, "h:1", "ALL_PROXY", NULL, 1, 0 },
	{ { "ALL_PROXY", "", "all_proxy", "h" }, "h:1080", "all_proxy", NULL, 1, 0 },
	{ { "ALL_PROXY", "http://h" }, .says = "ALL_PROXY: proxy scheme 'http' is not built yet" },
	{ { "ALL_PROXY", "h", "NO_PROXY", "a.b, .c,*.d,10.0.0.0/8,[::1]:8,h:80,10.0.0.1/8" },
	  "h:1080", "ALL_PROXY", NULL, 1, 6 },
	{ { "SOCKSIFY_PROXY", "h", "NO_PROXY", "*" }, "h:1080", "SOCKSIFY_PROXY", NULL, 1, 0 },
	{ { "SOCKS5_SERVER", "h:7" }, "h:7", "SOCKS5_SERVER", NULL, 1, 0 },
	{ { "SOCKS_SERVER", "h", "SOCKS_USERNAME", "u", "SOCKS_PASSWORD", "p" },
	  "h:1080", "SOCKS_SERVER", NULL, 1, 0 },
	{ { "SOCKS_SERVER", "h", "SOCKS_USERNAME", "u" }, .says = "password is empty" },
	{ { "SOCKSIFY_DIRECT", "*" }, NULL, NULL, NULL, 0, 1 },
	{ { "SOCKSIFY_DIRECT", "*:1" }, .says = "no proxy: give -p URL" },
	{ { "SOCKSIFY_PROXY", "h", "SOCKSIFY_DIRECT", "udp a b\n c\n" },
	  "h:1080", "SOCKSIFY_PROXY", NULL, 1, 3 },
	{ { "SOCKSIFY_PROXY", "h", "SOCKSIFY_DIRECT", "udp" }, .says = "SOCKSIFY_DIRECT: a pattern is missing" },
	{ { "SOCKSIFY_PROXY", "h", "SOCKSIFY_DIRECT", "a..b" }, .says = "SOCKSIFY_DIRECT: bad pattern" },
	{ { "SOCKSIFY_PROXY", "h", "SOCKSIFY_TIMEOUT", "x" }, .says = "SOCKSIFY_TIMEOUT: bad timeout" },
	{ { "SOCKSIFY_PROXY", "h", "SOCKSIFY_HANDSHAKE", "pipelned" },
	  .says = "SOCKSIFY_HANDSHAKE: unknown handshake mode 'pipelned': did you mean 'pipelined'?" },
	{ { "SOCKSIFY_PROXY", "h", "SOCKSIFY_FASTOPEN", "1" },
	  .says = "SOCKSIFY_FASTOPEN: bad fastopen '1': use yes or no" },
	{ { "SOCKSIFY_DIRECT", "*", "SOCKSIFY_FASTOPEN", "1" }, .says = "SOCKSIFY_FASTOPEN: bad" },
	{ { "SOCKSIFY_PROXY", "h", "SOCKSIFY_BIND", "on" }, .says = "SOCKSIFY_BIND: bad value 'on': use yes or no" },
	{ { "SOCKSIFY_DIRECT", "*", "SOCKSIFY_BIND", "yes" }, .says = "SOCKSIFY_BIND: there is no proxy" },
	{ { "SOCKSIFY_PROXY", "h", "SOCKSIFY_DNS", "x" }, .says = "SOCKSIFY_DNS: unknown dns mode" },
	{ { "SOCKSIFY_PROXY", "h", "SOCKSIFY_UDP", "x" }, .says = "SOCKSIFY_UDP: unknown udp mode" },
	{ { "SOCKSIFY_PROXY", "h", "SOCKSIFY_VERBOSE", "x" }, .says = "SOCKSIFY_VERBOSE: bad verbosity" },
	{ { "SOCKSIFY_PROXY", "h", "SOCKSIFY_QUIET", "x" }, .says = "SOCKSIFY_QUIET: 'x' is neither" },
	{ { "SOCKSIFY_CONF", "/nonexistent" }, .says = "SOCKSIFY_CONF: there is no file" },
	{ { "SOCKSIFY_CONF", "none" }, .says = "no proxy" },
	{ { "SOCKSIFY_CONF", "/" }, .says = "cannot read '/'" },
	{ { "HOME", "/nonexistent" }, .says = "write /nonexistent/.config/socksify/socksify.conf" },
};

START_TEST(variables_are_sources)
{
	char error[CONFIG_ERROR_SIZE] = "", text[TARGET_TEXT_SIZE];
	struct config *c = NULL;
	int err;

	memcpy(variables, loads[_i].variables, sizeof(loads[_i].variables));
	err = config_load(scripted_getenv, &c, error);
	if (loads[_i].says != NULL) {
		ck_assert_msg(err < 0 && strstr(error, loads[_i].says) != NULL,
			      "%d %s", err, error);
		ck_assert_ptr_null(strstr(error, "secret"));
		ck_assert_ptr_null(c);
		return;
	}
	ck_assert_msg(err == 0, "%s", error);
	ck_assert_int_eq(c->proxy_count, loads[_i].proxies);
	ck_assert_int_eq(c->rule_count, loads[_i].rules);
	if (loads[_i].where != NULL) {
		ck_assert_str_eq(target_text(&c->proxies[0].address, text), loads[_i].where);
		ck_assert_str_eq(c->origin, loads[_i].origin);
	}
	config_free(c);
}
END_TEST

static const struct {
	const char *text, *server;	/* NULL: none */
	enum dns_mode mode;
} modes[] = {
	{ "dns remote", NULL, DNS_REMOTE },
	{ "dns LOCAL", NULL, DNS_LOCAL },
	{ "dns tor", NULL, DNS_TOR },
	{ "dns tcp:9.9.9.9", "9.9.9.9:53", DNS_TCP },
	{ "dns TCP:127.0.0.1:5353", "127.0.0.1:5353", DNS_TCP },
	{ "dns tcp:[2620:fe::fe]", "[2620:fe::fe]:53", DNS_TCP },
	{ "dns tcp:[2620:fe::fe]:5353", "[2620:fe::fe]:5353", DNS_TCP },
};

START_TEST(a_dns_mode_may_name_a_resolver)
{
	char error[CONFIG_ERROR_SIZE] = "", text[TARGET_TEXT_SIZE];
	struct config *c = config_new();

	ck_assert_ptr_nonnull(c);
	ck_assert_msg(config_parse(c, "f", modes[_i].text, strlen(modes[_i].text), NULL, error) == 0,
		      "%s", error);
	ck_assert_int_eq(c->dns, modes[_i].mode);
	if (modes[_i].server != NULL)
		ck_assert_str_eq(target_text(&c->dns_server, text), modes[_i].server);
	config_free(c);
}
END_TEST

START_TEST(variables_win_over_the_file_and_its_rules_stay)
{
	char error[CONFIG_ERROR_SIZE] = "", conf[256];
	struct config *c;

	make_home();
	write_file("password", "pass word\nmore\n", 0644);
	write_file("conf", "proxy a h user u password-file ~/password\n"
		   "via a x\ntimeout 5\ndns local\nlog ~/log\n", 0600);
	memcpy(conf, path, sizeof(conf));
	memcpy(variables, (const char *[]){ "HOME", home, "SOCKSIFY_CONF", conf,
	       "SOCKSIFY_PROXY", "p", "SOCKSIFY_TIMEOUT", "7", "SOCKSIFY_DIRECT",
	       "d", "SOCKSIFY_QUIET", "1", NULL }, 13 * sizeof(char *));
	ck_assert_msg(config_load(scripted_getenv, &c, error) == 0, "%s", error);
	ck_assert_int_eq(c->proxy_count, 2);
	ck_assert_str_eq(c->proxies[0].name, "");
	ck_assert_str_eq(c->proxies[1].name, "a");
	ck_assert_uint_eq(c->proxies[1].login.pass_len, 9);
	ck_assert_int_eq(c->rule_count, 2);
	ck_assert_int_eq(c->rules[0].action, RULE_DIRECT);
	ck_assert_int_eq(c->rules[1].proxy, 1);
	ck_assert_uint_eq(c->timeout_ms, 7000);
	ck_assert_int_eq(c->dns, DNS_LOCAL);
	ck_assert(c->quiet);
	ck_assert_ptr_nonnull(strstr(c->warning, "others may read"));
	ck_assert_ptr_nonnull(strstr(c->log_path, "/log"));
	config_free(c);
	unlink(conf);
	snprintf(path, sizeof(path), "%s/password", home);
	unlink(path);
	rmdir(home);
}
END_TEST

START_TEST(words_after_the_url_hold_for_that_proxy)
{
	static const char text[] = "proxy a h handshake optimistic fastopen yes\n"
		"proxy b h handshake pipelined fastopen no\n"
		"proxy c h handshake standard\nproxy d h\n";
	static const struct { enum handshake_mode handshake; bool fastopen; } wanted[] = {
		{ HANDSHAKE_OPTIMISTIC, true }, { HANDSHAKE_PIPELINED, false },
		{ HANDSHAKE_STANDARD, false }, { HANDSHAKE_STANDARD, false },
	};
	char error[CONFIG_ERROR_SIZE] = "";
	struct config *c = config_new();

	ck_assert_msg(config_parse(c, "f", text, strlen(text), NULL, error) == 0,
		      "%s", error);
	ck_assert_int_eq(c->proxy_count, 4);
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(c->proxies[i].handshake, wanted[i].handshake);
		ck_assert_int_eq(c->proxies[i].fastopen, wanted[i].fastopen);
	}
	config_free(c);
}
END_TEST

static struct config *load_with_modes(const char *name, const char *value,
				      const char *handshake, const char *fastopen)
{
	char error[CONFIG_ERROR_SIZE] = "";
	struct config *c;

	memcpy(variables, (const char *[]){ name, value,
	       "SOCKSIFY_HANDSHAKE", handshake, "SOCKSIFY_FASTOPEN", fastopen,
	       NULL }, 7 * sizeof(char *));
	ck_assert_msg(config_load(scripted_getenv, &c, error) == 0, "%s", error);
	return c;
}

START_TEST(variables_hold_for_a_proxy_from_a_url)
{
	static const char *const sources[] = {
		"SOCKSIFY_PROXY", "ALL_PROXY", "all_proxy", "SOCKS5_SERVER", "SOCKS_SERVER",
	};
	struct config *c = load_with_modes(sources[_i], "h", "Optimistic", "YES");

	ck_assert_int_eq(c->proxies[0].handshake, HANDSHAKE_OPTIMISTIC);
	ck_assert(c->proxies[0].fastopen);
	ck_assert_ptr_null(c->warning);
	config_free(c);
	c = load_with_modes(sources[_i], "h", "", "no");
	ck_assert_int_eq(c->proxies[0].handshake, HANDSHAKE_STANDARD);
	ck_assert(!c->proxies[0].fastopen);
	config_free(c);
}
END_TEST

START_TEST(variables_do_not_hold_for_a_proxy_of_a_file)
{
	struct config *c;
	char conf[256];

	make_home();
	write_file("conf", "proxy a h handshake pipelined\n", 0600);
	memcpy(conf, path, sizeof(conf));
	c = load_with_modes("SOCKSIFY_CONF", conf, "optimistic", "yes");
	ck_assert_int_eq(c->proxies[0].handshake, HANDSHAKE_PIPELINED);
	ck_assert(!c->proxies[0].fastopen);
	ck_assert_ptr_nonnull(c->warning);
	ck_assert_ptr_nonnull(strstr(c->warning, "SOCKSIFY_HANDSHAKE is not for the proxies of /"));
	ck_assert_ptr_nonnull(strstr(c->warning, "SOCKSIFY_FASTOPEN is not for the proxies of /"));
	config_free(c);
	unlink(conf);
	rmdir(home);
}
END_TEST

/* How many bind rules there are with a file of one, and this variable. */
static int binds_with(const char *value, bool *ret_by_option)
{
	char error[CONFIG_ERROR_SIZE] = "", conf[256];
	struct config *c;
	int count;

	make_home();
	write_file("conf", "proxy a h\nproxy b h\nbind via b *:21\n", 0600);
	memcpy(conf, path, sizeof(conf));
	memcpy(variables, (const char *[]){ "SOCKSIFY_CONF", conf, "SOCKSIFY_BIND", value, NULL },
	       5 * sizeof(char *));
	ck_assert_msg(config_load(scripted_getenv, &c, error) == 0, "%s", error);
	count = c->bind_count;
	*ret_by_option = count > 0 && strcmp(c->binds[count - 1].source, "--bind") == 0;
	if (count > 0)
		ck_assert_int_eq(c->binds[0].proxy, 1);
	if (count > 1)
		ck_assert_int_eq(c->binds[1].proxy, 0);
	config_free(c);
	return count;
}

START_TEST(bind_variable_adds_to_the_file_or_takes_away)
{
	bool by_option;

	ck_assert_int_eq(binds_with("", &by_option), 1);
	ck_assert(!by_option);
	ck_assert_int_eq(binds_with("Yes", &by_option), 2);
	ck_assert(by_option);
	ck_assert_int_eq(binds_with("no", &by_option), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("config");
	TCase *tc = tcase_create("config");
	SRunner *sr = srunner_create(suite);
	int failures;

	tcase_add_loop_test(tc, file_is_understood_or_refused_with_its_place, 0,
			    (int)(sizeof(files) / sizeof(files[0])));
	tcase_add_test(tc, nul_byte_is_refused);
	tcase_add_loop_test(tc, variables_are_sources, 0,
			    (int)(sizeof(loads) / sizeof(loads[0])));
	tcase_add_loop_test(tc, a_dns_mode_may_name_a_resolver, 0,
			    sizeof(modes) / sizeof(modes[0]));
	tcase_add_test(tc, variables_win_over_the_file_and_its_rules_stay);
	tcase_add_test(tc, words_after_the_url_hold_for_that_proxy);
	tcase_add_loop_test(tc, variables_hold_for_a_proxy_from_a_url, 0, 5);
	tcase_add_test(tc, variables_do_not_hold_for_a_proxy_of_a_file);
	tcase_add_test(tc, bind_variable_adds_to_the_file_or_takes_away);
	suite_add_tcase(suite, tc);
	srunner_run_all(sr, CK_NORMAL);
	failures = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failures != 0;
}
