/* SPDX-License-Identifier: ISC */
/* conf_proxy.c - the statement proxy.  No message quotes what may be a password. */
#include "conf.h"

#include <stdlib.h>

/* What follows the URL; text NULL: not given */
struct proxy_words {
	struct word user, password, file, handshake, fastopen;
};

static int read_option(struct conf *conf, const struct word *option,
		       struct proxy_words *words)
{
	static const char *const names[] = {
		"user", "password", "password-file", "handshake", "fastopen",
	};
	struct word *const places[] = {
		&words->user, &words->password, &words->file,
		&words->handshake, &words->fastopen,
	};
	const int count = sizeof(names) / sizeof(names[0]);
	const char *near;

	for (int i = 0; i < count; i++) {
		if (!word_is(option->text, option->len, names[i]))
			continue;
		if (places[i]->text != NULL)
			return conf_fail(conf, option->column, -EINVAL,
					 "'%s' a second time: keep one", names[i]);
		if (!conf_word(conf, places[i]))
			return conf_fail(conf, conf_end_column(conf), -EINVAL,
					 "something is missing after '%s'", names[i]);
		return 0;
	}
	near = nearest_word(option->text, option->len, string_at, names, count);
	if (near != NULL)
		return conf_fail(conf, option->column, -EINVAL,
				 "unknown word after the proxy URL: did you mean '%s'?",
				 near);
	return conf_fail(conf, option->column, -EINVAL,
			 "unknown word after the proxy URL: use user, password, password-file, "
			 "handshake or fastopen");
}

static int set_login(struct conf *conf, const struct word *user,
		     const struct word *at, const void *pass, size_t pass_len,
		     struct proxy *proxy)
{
	char phrase[CONFIG_ERROR_SIZE];
	int err = login_set(proxy, user->text, user->len, pass, pass_len, phrase);

	return err < 0 ? conf_fail(conf, at->column, err, "%s", phrase) : 0;
}

static int use_password_file(struct conf *conf, const struct word *user,
			     const struct word *file, const char *path,
			     struct proxy *proxy)
{
	struct span text;
	bool open_to_all;
	const uint8_t *end;
	size_t len;
	int err = file_read(path, &text, &open_to_all);

	if (err < 0)
		return conf_fail(conf, file->column, err,
				 "cannot read the password file '%.200s': %s", path,
				 strerror(-err));
	if (open_to_all)
		config_warn(conf->config,
			    "%s:%d:%d: others may read the password file '%.200s': chmod 600 it",
			    conf->name, conf->line, file->column, path);
	end = text.len > 0 ? memchr(text.data, '\n', text.len) : NULL;
	len = end != NULL ? (size_t)(end - text.data) : text.len;
	if (len > 0 && text.data[len - 1] == '\r')
		len--;
	err = set_login(conf, user, file, text.data, len, proxy);
	file_release(&text);
	return err;
}

static int read_password_file(struct conf *conf, const struct word *user,
			      const struct word *file, struct proxy *proxy)
{
	char phrase[CONFIG_ERROR_SIZE], *path;
	int err = path_expand(file->text, file->len, conf->home, &path, phrase);

	if (err < 0)
		return conf_fail(conf, file->column, err, "%s", phrase);
	err = use_password_file(conf, user, file, path, proxy);
	free(path);
	return err;
}

static int apply_login(struct conf *conf, const struct proxy_words *words,
		       struct proxy *proxy)
{
	const struct word *pass = words->password.text != NULL ?
		&words->password : &words->file;

	if (words->user.text == NULL && pass->text == NULL)
		return 0;
	if (words->user.text == NULL)
		return conf_fail(conf, pass->column, -EINVAL,
				 "a password without a user: add 'user NAME'");
	if (pass->text == NULL)
		return conf_fail(conf, words->user.column, -EINVAL,
				 "a user without a password: add 'password-file PATH' or 'password P'");
	if (words->password.text != NULL && words->file.text != NULL)
		return conf_fail(conf, words->file.column, -EINVAL,
				 "both 'password' and 'password-file': keep one");
	if (proxy->has_login)
		return conf_fail(conf, words->user.column, -EINVAL,
				 "the URL has a login already: remove one of the two");
	if (words->file.text != NULL)
		return read_password_file(conf, &words->user, &words->file, proxy);
	return set_login(conf, &words->user, pass, pass->text, pass->len, proxy);
}

static int apply_modes(struct conf *conf, const struct proxy_words *words,
		       struct proxy *proxy)
{
	const struct word *word = &words->handshake;
	char phrase[CONFIG_ERROR_SIZE];
	int err = 0;

	if (word->text != NULL)
		err = handshake_parse(word->text, word->len, &proxy->handshake,
				      phrase);
	if (err == 0 && words->fastopen.text != NULL) {
		word = &words->fastopen;
		err = yes_no_parse("fastopen", word->text, word->len,
				   &proxy->fastopen, phrase);
	}
	return err < 0 ? conf_fail(conf, word->column, err, "%s", phrase) : 0;
}

static int read_url(struct conf *conf, const struct word *url,
		    struct proxy *proxy)
{
	char phrase[CONFIG_ERROR_SIZE];
	char *copy = strndup(url->text, url->len);
	int err;

	if (copy == NULL)
		return conf_fail(conf, url->column, -ENOMEM, "out of memory");
	err = proxy_from_url(copy, proxy, phrase);
	explicit_bzero(copy, url->len);
	free(copy);
	return err < 0 ? conf_fail(conf, url->column, err, "%s", phrase) : 0;
}

static int read_name(struct conf *conf, struct word *ret)
{
	const struct config *c = conf->config;
	int err;

	if (!conf_word(conf, ret))
		return conf_fail(conf, conf_end_column(conf), -EINVAL,
				 "the name is missing: write proxy NAME socks5://HOST:PORT");
	err = conf_check_name(conf, ret);
	if (err < 0)
		return err;
	for (int i = 0; i < c->proxy_count; i++)
		if (strlen(c->proxies[i].name) == ret->len &&
		    memcmp(c->proxies[i].name, ret->text, ret->len) == 0)
			return conf_fail(conf, ret->column, -EINVAL,
					 "there is a proxy '%s' already: take another name",
					 c->proxies[i].name);
	return 0;
}

static int read_proxy(struct conf *conf, struct proxy *proxy)
{
	struct proxy_words words = { .user.text = NULL };
	struct word name, url, option;
	int err = read_name(conf, &name);

	if (err < 0)
		return err;
	if (!conf_word(conf, &url))
		return conf_fail(conf, conf_end_column(conf), -EINVAL,
				 "the URL is missing: write proxy NAME socks5://HOST:PORT");
	err = read_url(conf, &url, proxy);
	while (err == 0 && conf_word(conf, &option))
		err = read_option(conf, &option, &words);
	if (err < 0)
		return err;
	memcpy(proxy->name, name.text, name.len);
	err = apply_modes(conf, &words, proxy);
	return err < 0 ? err : apply_login(conf, &words, proxy);
}

int conf_proxy(struct conf *conf, const struct word *keyword)
{
	struct proxy proxy = { .has_login = false };
	int err = read_proxy(conf, &proxy);

	if (err == 0 && config_add_proxy(conf->config, &proxy) < 0)
		err = conf_fail(conf, keyword->column, -ENOMEM, "out of memory");
	explicit_bzero(&proxy, sizeof(proxy));
	return err;
}
