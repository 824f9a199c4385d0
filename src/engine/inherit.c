/* SPDX-License-Identifier: ISC */
/* inherit.c - the settings of this process in the environment of the programs that it starts. */
#include "socksify/inherit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NOTES_MAX 48	/* bits of a look, and more names than there are settings */
#define RUNNER "/socksify-run"
#define ASAN_WORD "verify_asan_link_order"
#define ASAN_SETTING ASAN_WORD "=0"

enum note_kind {
	NOTE_SETTING,	/* given back when it is missing */
	NOTE_SOURCE,	/* says which proxies there are: only with all of its kind */
	NOTE_HOME,	/* given back when HOME is another */
	NOTE_RUNTIME,	/* when XDG_RUNTIME_DIR is */
};

struct note {
	enum note_kind kind;
	size_t name;		/* octets of "NAME=" */
	const char *entry;	/* "NAME=value" */
};

/* Written once, by inherit_setup(). */
static struct note notes[NOTES_MAX];
static size_t note_count;
static bool is_on;
static const char *library;	/* its path */
static const char *preload;	/* how LD_PRELOAD named it */
static const char *runner;

/* The value of @name, which ends with '=', in an entry; NULL for another one. */
static const char *value_in(const char *entry, const char *name)
{
	while (*name != '\0' && *entry == *name) {
		entry++;
		name++;
	}
	return *name == '\0' ? entry : NULL; /* most differ in the first octet: no call */
}

static const char *value_of(char *const env[], const char *name)
{
	for (; env != NULL && *env != NULL; env++) {
		const char *value = value_in(*env, name);

		if (value != NULL)
			return value;
	}
	return NULL;
}

bool inherit_is_disabled(char *const env[])
{
	const char *value = value_of(env, "SOCKSIFY_DISABLE=");

	return value != NULL && value[0] != '\0' && strcmp(value, "0") != 0;
}

static bool is_noted(const char *entry, size_t name)
{
	for (size_t i = 0; i < note_count; i++)
		if (notes[i].name == name && memcmp(notes[i].entry, entry, name) == 0)
			return true;
	return false;
}

/* @name ends with '='; the first one of a name counts. */
static int note(enum note_kind kind, const char *name, const char *value)
{
	size_t n = strlen(name), size = strlen(value) + 1;
	char *entry;

	if (is_noted(name, n))
		return 0;
	entry = note_count < NOTES_MAX ? malloc(n + size) : NULL;
	if (entry == NULL)
		return -ENOMEM;
	memcpy(entry, name, n);
	memcpy(entry + n, value, size);
	notes[note_count++] = (struct note){ kind, n, entry };
	return 0;
}

static int note_variable(enum note_kind kind, char *const env[], const char *name)
{
	const char *value = value_of(env, name);

	return value != NULL ? note(kind, name, value) : 0;
}

/* Those that say which proxies there are and how to speak to them. */
static const char *const source_names[] = {
	"SOCKSIFY_PROXY=", "SOCKSIFY_CONF=", "SOCKSIFY_PROXY_ADDRESS=",
	"SOCKSIFY_HANDSHAKE=", "SOCKSIFY_FASTOPEN=",
};

/* What they are when a proxy came from the variables that other programs know, too. */
static const char *const foreign_names[] = {
	"ALL_PROXY=", "all_proxy=", "SOCKS5_SERVER=", "SOCKS_SERVER=",
	"SOCKS_USERNAME=", "SOCKS_PASSWORD=", "NO_PROXY=", "no_proxy=",
};

static bool is_foreign(const char *origin)
{
	for (size_t i = 0; origin != NULL && i < 4; i++)
		if (strncmp(origin, foreign_names[i], strlen(origin)) == 0)
			return true;
	return false;
}

static int note_sources(char *const env[], const struct config *config)
{
	int err = 0;

	for (size_t i = 0; err == 0 && i < sizeof(source_names) / sizeof(source_names[0]); i++)
		err = note_variable(NOTE_SOURCE, env, source_names[i]);
	if (err < 0 || config == NULL)
		return err;
	/* The file that was found, wherever the program's home will be. */
	err = note(NOTE_SOURCE, "SOCKSIFY_CONF=", config->file != NULL ? config->file : "none");
	for (size_t i = 0; err == 0 && is_foreign(config->origin) &&
			   i < sizeof(foreign_names) / sizeof(foreign_names[0]); i++)
		err = note_variable(NOTE_SOURCE, env, foreign_names[i]);
	return err;
}

/* What concerns only this start of a program. */
static bool is_passing(const char *entry)
{
	return value_in(entry, "SOCKSIFY_DISABLE=") != NULL ||
	       value_in(entry, "SOCKSIFY_PRELOAD=") != NULL;
}

static int note_settings(char *const env[])
{
	char name[64];
	int err = 0;

	for (char *const *e = env; e != NULL && *e != NULL && err == 0; e++) {
		size_t n;

		if (value_in(*e, "SOCKSIFY_") == NULL || is_passing(*e))
			continue;
		n = strspn(*e, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") + 1;
		if (n >= sizeof(name) || (*e)[n - 1] != '=')
			continue;
		memcpy(name, *e, n);
		name[n] = '\0';
		err = note(NOTE_SETTING, name, *e + n);
	}
	if (err == 0)
		err = note(NOTE_SETTING, "SOCKSIFY_LIBRARY=", library);
	return err;
}

/* Places that the settings are about, under names that programs leave alone. */
static int note_places(char *const env[])
{
	const char *home = value_of(env, "HOME=");
	const char *runtime = value_of(env, "XDG_RUNTIME_DIR=");
	int err = 0;

	if (home != NULL)
		err = note(NOTE_HOME, "SOCKSIFY_HOME=", home);
	if (err == 0 && runtime != NULL)
		err = note(NOTE_RUNTIME, "SOCKSIFY_RUNTIME_DIR=", runtime);
	return err;
}

/* The part of a list of LD_PRELOAD at *@at; moves on.  0 at the end. */
static size_t next_item(const char **at)
{
	*at += strspn(*at, ": "); /* ld.so(8): either */
	return strcspn(*at, ": ");
}

static const char *base_name(const char *path, size_t len)
{
	const char *slash = memrchr(path, '/', len);

	return slash != NULL ? slash + 1 : path;
}

/* How LD_PRELOAD names the library, when that is an absolute path ("$LIB" is the loader's). */
static const char *preload_text(char *const env[])
{
	const char *at = value_of(env, "LD_PRELOAD="), *own = base_name(library, strlen(library));

	for (size_t n; at != NULL && (n = next_item(&at)) > 0; at += n) {
		const char *base = base_name(at, n);
		size_t len = n - (size_t)(base - at);

		if (at[0] == '/' && len == strlen(own) && memcmp(base, own, len) == 0)
			return strndup(at, n);
	}
	return library;
}

static const char *runner_path(char *const env[])
{
	const char *dir = value_of(env, "SOCKSIFY_LIBEXECDIR=");
	char *path;
	size_t n;

	if (dir == NULL || dir[0] != '/')
		dir = PKGLIBEXECDIR;
	n = strlen(dir);
	path = malloc(n + sizeof(RUNNER));
	if (path == NULL)
		return NULL;
	memcpy(path, dir, n);
	memcpy(path + n, RUNNER, sizeof(RUNNER));
	return path;
}

int inherit_setup(char *const env[], const char *path, const struct config *config)
{
	int err;

	is_on = true;
	library = strdup(path);
	if (library == NULL)
		return -ENOMEM;
	preload = preload_text(env);
	if (preload == NULL)
		return -ENOMEM;
	err = note_sources(env, config);
	if (err == 0)
		err = note_settings(env);
	if (err == 0)
		err = note_places(env);
	if (err == 0)
		runner = runner_path(env);
	return err < 0 || runner != NULL ? err : -ENOMEM;
}

bool inherit_is_on(void)
{
	return is_on;
}

const char *inherit_runner(void)
{
	return runner;
}

const char *inherit_library(void)
{
	return library;
}

static bool names_library(const char *list)
{
	for (size_t n; list != NULL && (n = next_item(&list)) > 0; list += n)
		if ((n == strlen(preload) && memcmp(list, preload, n) == 0) ||
		    (n == strlen(library) && memcmp(list, library, n) == 0))
			return true;
	return false;
}

/* What was seen in an environment. */
struct sight {
	uint64_t present, same;
	bool changed;	/* it names another proxy or configuration than ours */
	bool same_home, same_runtime;
};

static bool names_proxies(const char *entry)
{
	return value_in(entry, "SOCKSIFY_PROXY=") != NULL ||
	       value_in(entry, "SOCKSIFY_CONF=") != NULL;
}

static void see_note(const char *entry, struct sight *sight)
{
	bool same = false;

	for (size_t i = 0; i < note_count; i++) {
		if (strncmp(entry, notes[i].entry, notes[i].name) != 0)
			continue;
		sight->present |= UINT64_C(1) << i;
		same = strcmp(entry, notes[i].entry) == 0;
	}
	sight->changed = sight->changed || (names_proxies(entry) && !same);
}

/* Is a place the one that was noted under @name? */
static bool is_place(const char *name, const char *value)
{
	for (size_t i = 0; i < note_count; i++)
		if (value_in(notes[i].entry, name) != NULL)
			return strcmp(notes[i].entry + notes[i].name, value) == 0;
	return false;
}

static void see(const char *entry, struct inherit_look *look, struct sight *sight)
{
	const char *value;

	if ((value = value_in(entry, "LD_PRELOAD=")) != NULL && look->preload == NULL)
		look->preload = value;
	else if ((value = value_in(entry, "ASAN_OPTIONS=")) != NULL && look->asan == NULL)
		look->asan = value;
	else if ((value = value_in(entry, "HOME=")) != NULL)
		sight->same_home = is_place("SOCKSIFY_HOME=", value);
	else if ((value = value_in(entry, "XDG_RUNTIME_DIR=")) != NULL)
		sight->same_runtime = is_place("SOCKSIFY_RUNTIME_DIR=", value);
	see_note(entry, sight);
}

static bool is_missing(size_t i, const struct sight *sight)
{
	if ((sight->present >> i & 1) != 0)
		return false;
	switch (notes[i].kind) {
	case NOTE_SETTING:
		return true;
	case NOTE_SOURCE:
		return !sight->changed;
	case NOTE_HOME:
		return !sight->same_home;
	case NOTE_RUNTIME:
		return !sight->same_runtime;
	}
	return true;
}

/* One variable to set: NAME=FIRST, or NAME=FIRST:REST. */
struct addition {
	const char *name, *first, *rest;
};

/*
 * The additions by number, which are these few and then the missing notes.
 * Returns false when there is no such one for this start.
 */
enum { ADD_PRELOAD, ADD_ASAN, ADD_RUN_PRELOAD, ADD_RUN_DISABLE, ADD_NOTES };

static bool addition_at(const struct inherit_look *look, size_t i, struct addition *ret)
{
	const char *before = look->preload != NULL && look->preload[0] != '\0' ? look->preload : NULL;

	switch (i) {
	case ADD_PRELOAD:
		*ret = (struct addition){ "LD_PRELOAD=", preload, before };
		return look->way != INHERIT_RUN && !look->has_library;
	case ADD_ASAN:
		*ret = (struct addition){ "ASAN_OPTIONS=", ASAN_SETTING, look->asan };
		return look->way == INHERIT_PRELOAD_LATE && !look->has_asan;
	case ADD_RUN_PRELOAD:
		*ret = (struct addition){ "SOCKSIFY_PRELOAD=", before != NULL ? before : "", NULL };
		return look->way == INHERIT_RUN;
	case ADD_RUN_DISABLE:
		*ret = (struct addition){ "SOCKSIFY_DISABLE=", "1", NULL };
		return look->way == INHERIT_RUN;
	default:
		*ret = (struct addition){ "", notes[i - ADD_NOTES].entry, NULL };
		return (look->missing >> (i - ADD_NOTES) & 1) != 0;
	}
}

static size_t addition_size(const struct addition *a)
{
	return strlen(a->name) + strlen(a->first) + (a->rest != NULL ? 1 + strlen(a->rest) : 0) + 1;
}

static char *put(char *to, const char *text)
{
	size_t n = strlen(text);

	memcpy(to, text, n + 1);
	return to + n;
}

static char *put_addition(char *to, const struct addition *a)
{
	to = put(put(to, a->name), a->first);
	if (a->rest != NULL)
		to = put(put(to, ":"), a->rest);
	return to;
}

static size_t addition_end(void)
{
	return ADD_NOTES + note_count;
}

size_t inherit_look(char *const env[], enum inherit_way way, struct inherit_look *ret)
{
	struct inherit_look look = { .env = env, .way = way };
	struct sight sight = { .present = 0 };
	size_t text = 0, more = 0;
	struct addition a;

	*ret = look;
	if (!is_on || inherit_is_disabled(env))
		return 0;
	for (; env != NULL && env[look.count] != NULL; look.count++)
		see(env[look.count], &look, &sight);
	look.has_library = names_library(look.preload);
	look.has_asan = look.asan != NULL && strstr(look.asan, ASAN_WORD) != NULL;
	for (size_t i = 0; i < note_count; i++)
		if (is_missing(i, &sight))
			look.missing |= UINT64_C(1) << i;
	for (size_t i = 0; i < addition_end(); i++) {
		if (!addition_at(&look, i, &a))
			continue;
		more++;
		text += addition_size(&a);
	}
	*ret = look;
	return more > 0 ? (look.count + more + 1) * sizeof(char *) + text : 0;
}

/* Does an addition, or the way, take the place of this entry? */
static bool is_replaced(const struct inherit_look *look, const char *entry)
{
	struct addition a;

	if (look->way == INHERIT_RUN && value_in(entry, "LD_PRELOAD=") != NULL)
		return true;
	for (size_t i = 0; i < ADD_NOTES; i++)
		if (addition_at(look, i, &a) && value_in(entry, a.name) != NULL)
			return true;
	return false;
}

char **inherit_build(const struct inherit_look *look, void *room)
{
	char **to = room, *text;
	size_t more = 0, count = 0;
	struct addition a;

	for (size_t i = 0; i < addition_end(); i++)
		more += addition_at(look, i, &a);
	text = (char *)(to + look->count + more + 1);
	for (size_t i = 0; i < look->count; i++)
		if (!is_replaced(look, look->env[i]))
			to[count++] = look->env[i];
	for (size_t i = 0; i < addition_end(); i++) {
		if (!addition_at(look, i, &a))
			continue;
		to[count++] = text;
		text = put_addition(text, &a) + 1;
	}
	to[count] = NULL;
	return to;
}

/* Words for a shell, or only their size. */
struct script {
	char *at;	/* NULL: measure */
	size_t size;
};

static void add(struct script *s, const char *text, size_t n)
{
	if (s->at != NULL)
		s->at = mempcpy(s->at, text, n);
	s->size += n;
}

static void add_text(struct script *s, const char *text)
{
	add(s, text, strlen(text));
}

/* Between quotes; a quote in it ends them, is itself quoted, and begins them again. */
static void add_quoted(struct script *s, const char *text)
{
	while (*text != '\0') {
		size_t n = strcspn(text, "'");

		add(s, text, n);
		text += n;
		if (*text == '\'') {
			add_text(s, "'\\''");
			text++;
		}
	}
}

static void add_export(struct script *s, const struct addition *a)
{
	/* A note is an entry with its own name. */
	const char *name = a->name[0] != '\0' ? a->name : a->first;
	size_t n = strcspn(name, "=") + 1;

	add_text(s, "export ");
	add(s, name, n);
	add_text(s, "'");
	add_quoted(s, a->name[0] != '\0' ? a->first : a->first + n);
	if (a->rest != NULL) {
		add_text(s, ":");
		add_quoted(s, a->rest);
	}
	add_text(s, "'; ");
}

size_t inherit_script(const struct inherit_look *look, const char *command, char *room)
{
	struct script s = { .at = room };
	struct addition a;

	for (size_t i = 0; i < addition_end(); i++)
		if (addition_at(look, i, &a))
			add_export(&s, &a);
	if (look->way == INHERIT_RUN) {
		add_text(&s, "unset LD_PRELOAD; exec '");
		add_quoted(&s, runner);
		add_text(&s, "' --exec /bin/sh sh -c -- '");
		add_quoted(&s, command);
		add_text(&s, "'");
	} else {
		/* $0 is what libc makes it */
		add_text(&s, "exec /bin/sh -c -- '");
		add_quoted(&s, command);
		add_text(&s, "' sh");
	}
	add(&s, "", 1);
	return s.size;
}
