/* SPDX-License-Identifier: ISC */
/* check_hosts.c - the names that the machine knows, and whom libc asks for others. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "../lib/fakesys.h"
#include "../lib/nosys.h"
#include "socksify/hosts.h"
#include "socksify/nsswitch.h"
#include "socksify/resolver_socket.h"

#define SECOND (1000 * MS)

static unsigned find(const char *name)
{
	return hosts_find(name, strlen(name));
}

static void change(const char *text)
{
	nosys_hosts = text;
	nosys_version++;
}

START_TEST(names_and_families_are_found)
{
	change("::1 localhost\n"
	       "192.0.2.1\tone Two.Example # three\n2001:db8::1 six\n"
	       "nonsense four\n#192.0.2.1 five\n192.0.2.3 last");
	ck_assert_uint_eq(find("localhost"), HOSTS_V4 | HOSTS_V6);
	ck_assert_uint_eq(find("one"), HOSTS_V4);
	ck_assert_uint_eq(find("two.EXAMPLE"), HOSTS_V4);
	ck_assert_uint_eq(find("six"), HOSTS_V6);
	ck_assert_uint_eq(find("last"), HOSTS_V4);
	ck_assert_uint_eq(find("three"), 0);
	ck_assert_uint_eq(find("four"), 0);
	ck_assert_uint_eq(find("five"), 0);
	ck_assert_uint_eq(find("on"), 0);
}
END_TEST

START_TEST(the_machine_s_own_name_is_known)
{
	nosys_own = "machine";
	ck_assert_uint_eq(find("Machine"), HOSTS_OWN);
	change("192.0.2.1 machine\n");
	fakesys.now_ns += SECOND;
	ck_assert_uint_eq(find("machine"), HOSTS_OWN | HOSTS_V4);
	nosys_own = "other";
	fakesys.now_ns += SECOND;
	ck_assert_uint_eq(find("machine"), HOSTS_V4);
	ck_assert_uint_eq(find("other"), HOSTS_OWN);
}
END_TEST

START_TEST(the_file_is_looked_at_once_in_a_second)
{
	int looks;

	change("192.0.2.1 one\n");
	ck_assert_uint_eq(find("one"), HOSTS_V4);
	looks = nosys_calls;
	ck_assert_int_gt(looks, 0);
	for (int i = 0; i < 1000; i++)
		ck_assert_uint_eq(find("one"), HOSTS_V4);
	ck_assert_int_eq(nosys_calls, looks);
	change("192.0.2.1 two\n");
	ck_assert_uint_eq(find("two"), 0);
	fakesys.now_ns += SECOND;
	ck_assert_uint_eq(find("two"), HOSTS_V4);
	ck_assert_uint_eq(find("one"), 0);
	change(NULL);
	fakesys.now_ns += SECOND;
	ck_assert_uint_eq(find("two"), 0);
}
END_TEST

/* Two changes within one tick of the file's clock have the same stamp. */
START_TEST(a_second_change_with_the_first_one_s_stamp_is_seen)
{
	change("192.0.2.1 one\n");
	ck_assert_uint_eq(find("one"), HOSTS_V4);
	nosys_hosts = "192.0.2.1 two\n";
	fakesys.now_ns += SECOND;
	ck_assert_uint_eq(find("two"), HOSTS_V4);
	fakesys.now_ns += SECOND;
	ck_assert_uint_eq(find("two"), HOSTS_V4);
}
END_TEST

START_TEST(many_names_are_found)
{
	char *text = malloc(400000), *at = text, name[32];

	for (int i = 0; i < 10000; i++)
		at += sprintf(at, "192.0.2.%d host%d alias%d\n", i % 250, i, i);
	change(text);
	for (int i = 0; i < 10000; i += 7) {
		snprintf(name, sizeof(name), i % 2 == 0 ? "host%d" : "alias%d", i);
		ck_assert_uint_eq(find(name), HOSTS_V4);
	}
	ck_assert_uint_eq(find("host10000"), 0);
	free(text);
}
END_TEST

START_TEST(a_file_that_cannot_be_read_is_read_again_each_time)
{
	change("192.0.2.1 one\n");
	nosys_read_error = -EIO;
	ck_assert_uint_eq(find("one"), 0);
	nosys_read_error = 0;
	ck_assert_uint_eq(find("one"), HOSTS_V4);
}
END_TEST

START_TEST(a_child_of_fork_reads_anew)
{
	change("192.0.2.1 one\n");
	ck_assert_uint_eq(find("one"), HOSTS_V4);
	change("192.0.2.1 two\n");
	hosts_in_child();
	ck_assert_uint_eq(find("two"), HOSTS_V4);
}
END_TEST

#define SWITCH(text, line) { text, sizeof(text) - 1, line }
static const struct {
	const char *text;
	size_t len;
	const char *line;
} switches[] = {
	SWITCH("hosts: files dns\n", "files dns"),
	SWITCH("passwd: files\nhosts:\tdns files # dns\nnetworks: dns\n", "files dns"),
	SWITCH("hosts: dns [!UNAVAIL=return] files [NOTFOUND=return]\n", "files dns [!UNAVAIL=return]"),
	SWITCH("hosts: files mdns4_minimal [NOTFOUND=return] dns", "files mdns4_minimal [NOTFOUND=return] dns"),
	SWITCH("hosts: resolve[!UNAVAIL=return]files myhostname dns", "files resolve [!UNAVAIL=return] myhostname dns"),
	SWITCH("  HOSTS : ldap\n", "files ldap"),
	SWITCH("hosts:\n", "files"),
	SWITCH("hosts: dns [", "files dns ["),
	SWITCH("#hosts: ldap\n", "files dns"),
	SWITCH("hostsx: ldap\n", "files dns"),
	SWITCH("", "files dns"),
	SWITCH("hosts: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n", "files dns"),
	/* an action on nobody's answer is not one on that of "files" */
	SWITCH("hosts: [NOTFOUND=return] dns\n", "files dns"),
	/* what libc takes for a blank, and for the end of a line */
	SWITCH("hosts: dns\vfiles\r\n", "files dns"),
	SWITCH("hosts: dns files\0ldap\n", "files dns"),
	SWITCH("hosts\0: ldap\nhosts: nis\n", "files nis"),
};

START_TEST(files_come_first)
{
	char line[64];

	nsswitch_files_first(switches[_i].text, switches[_i].len, line, sizeof(line));
	ck_assert_str_eq(line, switches[_i].line);
}
END_TEST

static bool is_resolver(const char *path, size_t len)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	memcpy(un.sun_path, path, len);
	return resolver_socket_is((const struct sockaddr *)&un,
				  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len));
}

START_TEST(sockets_of_resolvers_are_known)
{
	static const char *const paths[] = {
		"/run/nscd/socket", "/var/run/nscd/socket", "/run/nscd/socket/",
		"/run/systemd/resolve/io.systemd.Resolve", "/run/avahi-daemon/socket",
		"/var/run/avahi-daemon/socket", "/run/mdnsd",
	};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		ck_assert(is_resolver(paths[i], strlen(paths[i])));
		ck_assert(is_resolver(paths[i], strlen(paths[i]) + 1));
	}
	ck_assert(!is_resolver("\0/run/nscd/socket", 17));
	ck_assert(!is_resolver("", 0));
	ck_assert(!is_resolver("/", 1));
	ck_assert(!is_resolver("/run/nscd/socket2", 18));
	ck_assert(!is_resolver("/run/dbus/system_bus_socket", 28));
	/* the same socket by another way, and a socket of the same name that is another one */
	nosys_link[0] = "socket";
	nosys_link[1] = "/run/nscd/socket";
	ck_assert(is_resolver("socket", 7));
	nosys_link[1] = "/run/postgresql/socket";
	ck_assert(!is_resolver("socket", 7));
}
END_TEST

static void reset(void)
{
	fake_reset();
	fakesys.now_ns = SECOND;
}

int main(void)
{
	Suite *s = suite_create("hosts");
	TCase *t = tcase_create("hosts");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, reset, NULL);
	tcase_add_test(t, names_and_families_are_found);
	tcase_add_test(t, the_machine_s_own_name_is_known);
	tcase_add_test(t, the_file_is_looked_at_once_in_a_second);
	tcase_add_test(t, a_second_change_with_the_first_one_s_stamp_is_seen);
	tcase_add_test(t, many_names_are_found);
	tcase_add_test(t, a_file_that_cannot_be_read_is_read_again_each_time);
	tcase_add_test(t, a_child_of_fork_reads_anew);
	tcase_add_loop_test(t, files_come_first, 0, sizeof(switches) / sizeof(switches[0]));
	tcase_add_test(t, sockets_of_resolvers_are_known);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
