/* SPDX-License-Identifier: ISC */
/* url.c - a proxy as a URL. */
#include "policy.h"

#define DEFAULT_PORT 1080 /* RFC 1928 section 3 */

/*
 * No message here quotes the login, nor anything that may be a misplaced
 * part of it, as the "port" of "socks5://user:secret" is.
 */

static bool is_scheme(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		char c = lower(text[i]);

		if ((c < 'a' || c > 'z') && (i == 0 || c < '0' || c > '9') &&
		    (i == 0 || (c != '+' && c != '-' && c != '.')))
			return false;
	}
	return len > 0;
}

static int check_scheme(const char *text, size_t len, char *error)
{
	static const char *const built[] = { "socks5", "socks5h" };
	static const char *const later[] = { "socks4", "socks4a", "http", "https" };
	const char *near;

	for (size_t i = 0; i < sizeof(built) / sizeof(built[0]); i++)
		if (word_is(text, len, built[i]))
			return 0;
	for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++)
		if (word_is(text, len, later[i]))
			return fail(error, -ENOTSUP,
				    "proxy scheme '%s' is not built yet: use socks5 or socks5h",
				    later[i]);
	near = nearest_word(text, len, string_at, built, 2);
	if (near != NULL)
		return fail(error, -EINVAL,
			    "unknown proxy scheme '%s': did you mean '%s'?",
			    shown_word(text, len).text, near);
	return fail(error, -EINVAL,
		    "unknown proxy scheme '%s': use socks5 or socks5h",
		    shown_word(text, len).text);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* RFC 3986 section 2.1.  Returns the length, or -EINVAL with a phrase. */
static int percent_decode(const char *text, size_t len, uint8_t ret[255],
			  const char *what, char *error)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++, n++) {
		int high, low;

		if (n == 255)
			return fail(error, -EINVAL,
				    "the %s is too long: SOCKS allows 255 octets", what);
		ret[n] = (uint8_t)text[i];
		if (text[i] == '/' || text[i] == '?' || text[i] == '#')
			return fail(error, -EINVAL,
				    "bare '%c' in the login: write it as %%%02X",
				    text[i], (unsigned)text[i]);
		if (text[i] != '%')
			continue;
		high = len - i > 2 ? hex_digit(text[i + 1]) : -1;
		low = len - i > 2 ? hex_digit(text[i + 2]) : -1;
		if (high < 0 || low < 0)
			return fail(error, -EINVAL,
				    "'%%' in the %s without two hex digits: write '%%' itself as %%25",
				    what);
		ret[n] = (uint8_t)(high << 4 | low);
		i += 2;
	}
	return (int)n;
}

int login_set(struct proxy *proxy, const void *user, size_t user_len,
	      const void *pass, size_t pass_len, char error[CONFIG_ERROR_SIZE])
{
	if (user_len == 0 || user_len > 255)
		return fail(error, -EINVAL,
			    "the user name is %s: SOCKS allows 1 to 255 octets",
			    user_len == 0 ? "empty" : "too long");
	if (pass_len == 0 || pass_len > 255)
		return fail(error, -EINVAL,
			    "the password is %s: SOCKS allows 1 to 255 octets",
			    pass_len == 0 ? "empty" : "too long");
	memcpy(proxy->login.user, user, user_len);
	memcpy(proxy->login.pass, pass, pass_len);
	proxy->login.user_len = (uint8_t)user_len;
	proxy->login.pass_len = (uint8_t)pass_len;
	proxy->has_login = true;
	return 0;
}

static int parse_login(const char *text, size_t len, struct proxy *proxy,
		       char *error)
{
	const char *colon = memchr(text, ':', len);
	uint8_t user[255], pass[255];
	int user_len, pass_len, err;

	if (colon == NULL || colon == text + len - 1)
		return fail(error, -EINVAL,
			    "the login has no password: write user:password@host, "
			    "or the file's 'user' and 'password-file'");
	user_len = percent_decode(text, (size_t)(colon - text), user,
				  "user name", error);
	if (user_len < 0)
		return user_len;
	pass_len = percent_decode(colon + 1, (size_t)(text + len - colon - 1),
				  pass, "password", error);
	if (pass_len < 0)
		err = pass_len;
	else
		err = login_set(proxy, user, (size_t)user_len, pass,
				(size_t)pass_len, error);
	explicit_bzero(pass, sizeof(pass));
	return err;
}

static int parse_port(const char *text, size_t len, uint16_t *ret, char *error)
{
	unsigned port;

	if (number_parse(text, len, 1, UINT16_MAX, &port) == 0) {
		*ret = (uint16_t)port;
		return 0;
	}
	for (size_t i = 0; i < len; i++)
		if (text[i] < '0' || text[i] > '9' || len > 5)
			return fail(error, -EINVAL,
				    "bad port in the proxy URL: use 1 to 65535");
	return fail(error, -EINVAL, "bad port '%s': use 1 to 65535",
		    shown_word(text, len).text);
}

/* "[v6]" or "[v6]:port" */
static int parse_bracketed(const char *text, size_t len, struct proxy *proxy,
			   char *error)
{
	const char *close = memchr(text, ']', len), *phrase;
	uint16_t port = DEFAULT_PORT;
	size_t inner, after;
	int err;

	if (close == NULL)
		return fail(error, -EINVAL, "the ']' of the proxy address is missing");
	inner = (size_t)(close - text) - 1;
	after = len - inner - 2;
	if (after > 0 && close[1] != ':')
		return fail(error, -EINVAL, "only :port may follow the ']' of the proxy address");
	if (after > 0) {
		err = parse_port(close + 2, after - 1, &port, error);
		if (err < 0)
			return err;
	}
	if (memchr(text + 1, ':', inner) == NULL ||
	    host_parse(text + 1, inner, port, &proxy->address, &phrase) < 0)
		return fail(error, -EINVAL, "no valid IPv6 address in the brackets of the proxy URL");
	return 0;
}

static int parse_host_port(const char *text, size_t len, struct proxy *proxy,
			   char *error)
{
	const char *colon = memchr(text, ':', len), *phrase;
	size_t host_len = colon != NULL ? (size_t)(colon - text) : len;
	uint16_t port = DEFAULT_PORT;
	int err;

	if (len > 0 && text[0] == '[')
		return parse_bracketed(text, len, proxy, error);
	if (colon != NULL) {
		if (memchr(colon + 1, ':', len - host_len - 1) != NULL)
			return fail(error, -EINVAL,
				    "more than one ':' after the login: write an IPv6 address in brackets, "
				    "and a login as user:password@host:port");
		err = parse_port(colon + 1, len - host_len - 1, &port, error);
		if (err < 0)
			return err;
	}
	err = host_parse(text, host_len, port, &proxy->address, &phrase);
	if (err < 0)
		return fail(error, err, "bad proxy host: %s", phrase);
	return 0;
}

static int parse_authority(const char *text, struct proxy *proxy, char *error)
{
	const char *at = strrchr(text, '@');
	size_t len;
	int err;

	if (at != NULL) {
		err = parse_login(text, (size_t)(at - text), proxy, error);
		if (err < 0)
			return err;
		text = at + 1;
	}
	if (strlen(text) > 5 && word_is(text, 6, "unix:/"))
		return fail(error, -ENOTSUP,
			    "a proxy on a unix socket is not built yet: use host:port");
	len = strcspn(text, "/?#");
	if (text[len] != '\0' && strcmp(text + len, "/") != 0)
		return fail(error, -EINVAL,
			    "something follows the host and port of the proxy URL: remove it");
	return parse_host_port(text, len, proxy, error);
}

int proxy_from_url(const char *url, struct proxy *ret,
		   char error[CONFIG_ERROR_SIZE])
{
	struct proxy proxy = { .has_login = false };
	const char *mark = strstr(url, "://");
	int err = 0;

	if (url[0] == '\0')
		return fail(error, -EINVAL, "the proxy URL is empty: write socks5://host:port");
	for (const char *c = url; *c != '\0'; c++)
		if ((unsigned char)*c <= ' ' || *c == 0x7f)
			return fail(error, -EINVAL,
				    "a blank or control character in the proxy URL: write it as %%%02X",
				    (unsigned)(unsigned char)*c);
	if (mark != NULL && is_scheme(url, (size_t)(mark - url))) {
		err = check_scheme(url, (size_t)(mark - url), error);
		url = mark + 3;
	}
	if (err == 0)
		err = parse_authority(url, &proxy, error);
	if (err == 0)
		*ret = proxy;
	explicit_bzero(&proxy.login, sizeof(proxy.login));
	return err;
}
