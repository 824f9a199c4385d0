/* SPDX-License-Identifier: ISC */
/* config_load.c - where the settings come from: variables and files, in order. */
#include "policy.h"

#include <stdio.h>
#include <stdlib.h>

struct sources {
	char *(*getenv_fn)(const char *);
	struct config *config;
	char *error;
	char *path;		/* the file that was read, or where one could be written */
	enum handshake_mode handshake;	/* of a proxy that comes as a URL */
	bool fastopen;			/* the same */
};

/* An empty variable counts as none. */
static const char *variable(const struct sources *s, const char *name)
{
	const char *value = s->getenv_fn(name);

	return value != NULL && value[0] != '\0' ? value : NULL;
}

static int add_url(struct sources *s, const char *name, const char *url,
		   const char *user, const char *pass)
{
	struct proxy proxy = { .has_login = false };
	char phrase[CONFIG_ERROR_SIZE];
	int err = 0;

	if (url[strcspn(url, " \t\n")] != '\0')
		err = fail(phrase, -ENOTSUP,
			   "more than one proxy: a chain is not built yet: give one URL");
	if (err == 0)
		err = proxy_from_url(url, &proxy, phrase);
	if (err == 0 && !proxy.has_login && (user != NULL || pass != NULL))
		err = login_set(&proxy, user != NULL ? user : "",
				user != NULL ? strlen(user) : 0,
				pass != NULL ? pass : "",
				pass != NULL ? strlen(pass) : 0, phrase);
	proxy.handshake = s->handshake;
	proxy.fastopen = s->fastopen;
	if (err < 0)
		fail(s->error, err, "%s: %s", name, phrase);
	else if (config_add_proxy(s->config, &proxy) < 0)
		err = fail(s->error, -ENOMEM, "out of memory");
	if (err == 0)
		s->config->origin = name;
	explicit_bzero(&proxy, sizeof(proxy));
	return err;
}

/* How to speak to a proxy that comes as a URL: one of a file has its own words. */
static int read_proxy_modes(struct sources *s)
{
	const char *handshake = variable(s, "SOCKSIFY_HANDSHAKE");
	const char *fastopen = variable(s, "SOCKSIFY_FASTOPEN");
	char phrase[CONFIG_ERROR_SIZE];
	int err = 0;

	if (handshake != NULL)
		err = handshake_parse(handshake, strlen(handshake),
				      &s->handshake, phrase);
	if (err < 0)
		return fail(s->error, err, "SOCKSIFY_HANDSHAKE: %s", phrase);
	if (fastopen != NULL)
		err = yes_no_parse("fastopen", fastopen, strlen(fastopen),
				   &s->fastopen, phrase);
	if (err < 0)
		return fail(s->error, err, "SOCKSIFY_FASTOPEN: %s", phrase);
	return 0;
}

/* They hold for no proxy of a file: say so rather than ignore them. */
static void warn_unused_modes(const struct sources *s)
{
	const struct config *c = s->config;

	if (c->proxy_count == 0 || c->proxies[0].name[0] == '\0')
		return;
	if (s->handshake != HANDSHAKE_STANDARD)
		config_warn(s->config,
			    "SOCKSIFY_HANDSHAKE is not for the proxies of %.300s: "
			    "write handshake after the URL there", c->origin);
	if (s->fastopen)
		config_warn(s->config,
			    "SOCKSIFY_FASTOPEN is not for the proxies of %.300s: "
			    "write fastopen after the URL there", c->origin);
}

/* One line of SOCKSIFY_DIRECT; a word tcp or udp counts up to the next such word. */
static int add_direct_line(struct sources *s, const char *line, size_t len)
{
	struct rule rule = { .action = RULE_DIRECT, .source = "--direct" };
	enum rule_proto proto = PROTO_ANY;
	char phrase[CONFIG_ERROR_SIZE];
	bool dangling = false;
	int err;

	for (size_t at = 0, n; at < len; at += n) {
		n = 1;
		if (line[at] == ' ' || line[at] == '\t')
			continue;
		while (at + n < len && line[at + n] != ' ' && line[at + n] != '\t')
			n++;
		dangling = word_is(line + at, n, "tcp") || word_is(line + at, n, "udp");
		if (dangling) {
			proto = lower(line[at]) == 't' ? PROTO_TCP : PROTO_UDP;
			continue;
		}
		err = pattern_parse(line + at, n, &rule.pattern, phrase);
		if (err < 0)
			return fail(s->error, err, "SOCKSIFY_DIRECT: %s", phrase);
		rule.pattern.proto = proto;
		if (config_add_rule(s->config, &rule) < 0)
			return fail(s->error, -ENOMEM, "out of memory");
	}
	if (dangling)
		return fail(s->error, -EINVAL,
			    "SOCKSIFY_DIRECT: a pattern is missing after tcp or udp: add one");
	return 0;
}

static int add_direct(struct sources *s)
{
	const char *text = variable(s, "SOCKSIFY_DIRECT");
	int err = 0;

	while (text != NULL && *text != '\0' && err == 0) {
		size_t len = strcspn(text, "\n");

		err = add_direct_line(s, text, len);
		text += len + (text[len] == '\n');
	}
	return err;
}

/* The home that "~/" in a file is about: the program's own may be another. */
static const char *home(const struct sources *s)
{
	const char *given = s->getenv_fn("SOCKSIFY_HOME");

	return given != NULL ? given : s->getenv_fn("HOME");
}

static int parse_file(struct sources *s, struct span text)
{
	struct config *c = s->config;
	int before = c->proxy_count;
	int err = config_parse(c, s->path, (const char *)text.data, text.len,
			       home(s), s->error);

	if (err < 0)
		return err;
	c->file = config_keep(c, s->path, strlen(s->path));
	if (c->file == NULL)
		return fail(s->error, -ENOMEM, "out of memory");
	if (before == 0 && c->proxy_count > 0)
		c->origin = c->file;
	return 0;
}

/* Returns 1 when the file was read, 0 when there is none and none is needed. */
static int try_file(struct sources *s, const char *path, bool needed)
{
	struct span text;
	int err = file_read(path, &text, NULL);

	if ((err == -ENOENT || err == -ENOTDIR) && !needed)
		return 0;
	if (err == -ENOENT)
		return fail(s->error, -EINVAL,
			    "SOCKSIFY_CONF: there is no file '%.300s': correct the path", path);
	if (err < 0)
		return fail(s->error, err, "cannot read '%.300s': %s", path,
			    strerror(-err));
	free(s->path);
	s->path = strdup(path);
	err = s->path == NULL ? fail(s->error, -ENOMEM, "out of memory") :
		parse_file(s, text);
	file_release(&text);
	return err < 0 ? err : 1;
}

static int user_path(const struct sources *s, char **ret)
{
	const char *dir = variable(s, "XDG_CONFIG_HOME");
	const char *home = variable(s, "HOME");

	*ret = NULL;
	if (dir != NULL && dir[0] == '/')
		return asprintf(ret, "%s/socksify/socksify.conf", dir);
	if (home != NULL && home[0] == '/')
		return asprintf(ret, "%s/.config/socksify/socksify.conf", home);
	return 0;
}

static int read_files(struct sources *s)
{
	const char *conf = s->getenv_fn("SOCKSIFY_CONF");
	char *path;
	int err = 0;

	if (conf != NULL && (conf[0] == '\0' || strcmp(conf, "none") == 0))
		return 0;
	if (conf != NULL) {
		err = try_file(s, conf, true);
		return err < 0 ? err : 0;
	}
	if (user_path(s, &path) < 0)
		return fail(s->error, -ENOMEM, "out of memory");
	if (path != NULL)
		err = try_file(s, path, false);
	if (err == 0)
		err = try_file(s, SYSCONFDIR "/socksify.conf", false);
	if (s->path == NULL)
		s->path = path;
	else
		free(path);
	return err < 0 ? err : 0;
}

static int quiet_parse(const char *text, size_t len, bool *ret, char *error)
{
	unsigned on;

	if (number_parse(text, len, 0, 1, &on) < 0)
		return fail(error, -EINVAL, "'%s' is neither 0 nor 1",
			    shown_word(text, len).text);
	*ret = on == 1;
	return 0;
}

static int keep_log(struct config *c, const char *path, char *error)
{
	c->log_path = config_keep(c, path, strlen(path));
	return c->log_path != NULL ? 0 : fail(error, -ENOMEM, "out of memory");
}

static int read_settings(struct sources *s)
{
	static const char *const names[] = {
		"SOCKSIFY_DNS", "SOCKSIFY_UDP", "SOCKSIFY_TIMEOUT",
		"SOCKSIFY_LOG", "SOCKSIFY_VERBOSE", "SOCKSIFY_LOG_FORMAT",
		"SOCKSIFY_QUIET",
	};
	struct config *c = s->config;
	char phrase[CONFIG_ERROR_SIZE];
	int err = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *value = variable(s, names[i]);
		size_t len = value != NULL ? strlen(value) : 0;

		if (value == NULL)
			continue;
		switch (i) {
		case 0: err = dns_parse(value, len, c, phrase); break;
		case 1: err = udp_parse(value, len, &c->udp, phrase); break;
		case 2: err = timeout_parse(value, len, &c->timeout_ms, phrase); break;
		case 3: err = keep_log(c, value, phrase); break;
		case 4: err = verbose_parse(value, len, &c->verbose, phrase); break;
		case 5: err = log_format_parse(value, len, &c->log_format, phrase); break;
		default: err = quiet_parse(value, len, &c->quiet, phrase); break;
		}
		if (err < 0)
			return fail(s->error, err, "%s: %s", names[i], phrase);
	}
	return 0;
}

/* "example.com" means what is below, too.  A bad entry only means: not direct. */
static int add_no_proxy_entry(struct sources *s, const char *text, size_t len)
{
	struct rule rule = { .action = RULE_DIRECT, .source = "NO_PROXY" };
	char phrase[CONFIG_ERROR_SIZE];

	if (pattern_parse(text, len, &rule.pattern, phrase) < 0) {
		config_warn(s->config, "NO_PROXY: %s: not direct", phrase);
		return 0;
	}
	if (rule.pattern.kind == PATTERN_NAME)
		rule.pattern.kind = PATTERN_DOMAIN;
	if (config_add_rule(s->config, &rule) < 0)
		return fail(s->error, -ENOMEM, "out of memory");
	return 0;
}

static int add_no_proxy(struct sources *s)
{
	const char *text = variable(s, "NO_PROXY");
	int err = 0;

	if (text == NULL)
		text = variable(s, "no_proxy");
	while (text != NULL && *text != '\0' && err == 0) {
		size_t len = strcspn(text, ", \t\n");

		if (len > 0)
			err = add_no_proxy_entry(s, text, len);
		text += len + (text[len] != '\0');
	}
	return err;
}

/* The variables that other programs know, too. */
static int read_common_variables(struct sources *s)
{
	static const char *const names[] = {
		"ALL_PROXY", "all_proxy", "SOCKS5_SERVER", "SOCKS_SERVER",
	};

	for (int i = 0; i < 4; i++) {
		const char *url = variable(s, names[i]);
		bool all = i < 2;
		int err;

		if (url == NULL)
			continue;
		err = add_url(s, names[i], url,
			      all ? NULL : variable(s, "SOCKS_USERNAME"),
			      all ? NULL : variable(s, "SOCKS_PASSWORD"));
		return err == 0 && all ? add_no_proxy(s) : err;
	}
	return 0;
}

static bool covers_all(const struct config *c, enum rule_proto proto)
{
	for (int i = 0; i < c->rule_count; i++) {
		const struct pattern *p = &c->rules[i].pattern;

		if (p->kind == PATTERN_ALL && !p->has_ports &&
		    (p->proto == PROTO_ANY || p->proto == proto))
			return true;
	}
	return false;
}

/* Could config_decide() come to its last resort, the first proxy? */
static bool needs_proxy(const struct config *c)
{
	return !covers_all(c, PROTO_TCP) ||
	       (c->udp == UDP_PROXY && !covers_all(c, PROTO_UDP));
}

/* --bind names all sockets that no rule of a file does; no takes those rules away. */
static int read_bind(struct sources *s)
{
	const struct rule all = { .action = RULE_VIA, .source = "--bind",
				  .pattern = { .port_high = UINT16_MAX } };
	const char *text = variable(s, "SOCKSIFY_BIND");
	char phrase[CONFIG_ERROR_SIZE];
	bool on;
	int err;

	if (text == NULL)
		return 0;
	err = yes_no_parse("value", text, strlen(text), &on, phrase);
	if (err < 0)
		return fail(s->error, err, "SOCKSIFY_BIND: %s", phrase);
	if (!on) {
		s->config->bind_count = 0;
		return 0;
	}
	if (s->config->proxy_count == 0)
		return fail(s->error, -ENOENT,
			    "SOCKSIFY_BIND: there is no proxy to ask for peers: give -p URL");
	if (config_add_bind(s->config, &all) < 0)
		return fail(s->error, -ENOMEM, "out of memory");
	return 0;
}

static int read_proxies(struct sources *s)
{
	const char *url = variable(s, "SOCKSIFY_PROXY");
	int err = read_proxy_modes(s);

	if (err == 0 && url != NULL)
		err = add_url(s, "SOCKSIFY_PROXY", url, NULL, NULL);
	if (err == 0)
		err = add_direct(s);
	if (err == 0)
		err = read_files(s);
	if (err == 0)
		err = read_settings(s);
	if (err == 0)
		warn_unused_modes(s);
	if (err < 0 || s->config->proxy_count > 0 || !needs_proxy(s->config))
		return err;
	err = read_common_variables(s);
	if (err < 0 || s->config->proxy_count > 0)
		return err;
	return fail(s->error, -ENOENT,
		    "no proxy: give -p URL, set SOCKSIFY_PROXY or ALL_PROXY, or write %.300s",
		    s->path != NULL ? s->path : SYSCONFDIR "/socksify.conf");
}

static int read_sources(struct sources *s)
{
	int err = read_proxies(s);

	return err < 0 ? err : read_bind(s);
}

int config_load(char *(*getenv_fn)(const char *), struct config **ret,
		char error[CONFIG_ERROR_SIZE])
{
	struct sources s = { .getenv_fn = getenv_fn, .config = config_new(),
			     .error = error };
	int err;

	if (s.config == NULL)
		return fail(error, -ENOMEM, "out of memory");
	err = read_sources(&s);
	free(s.path);
	if (err < 0)
		config_free(s.config);
	else
		*ret = s.config;
	return err;
}
