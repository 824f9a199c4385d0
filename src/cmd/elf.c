/* SPDX-License-Identifier: ISC */
/* elf.c - can a preloaded library enter this program? */
#include "elf.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#define DEPTH_MAX 4	/* of "#!" interpreters; the kernel's own limit is near */
#define LINE_MAX_SIZE 256 /* BINPRM_BUF_SIZE: the kernel reads no more of a "#!" line */
#define HEADERS_MAX 512	/* program headers; real programs have a dozen */
#define DYNAMIC_MAX 4096 /* entries of the dynamic section; real ones have fifty */

/* Our own header says what this build is; the linker defines the symbol. */
extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

/* All @size bytes at @offset: 0, or -EIO for a short file or a read error. */
static int read_at(int fd, void *buf, size_t size, uint64_t offset)
{
	char *to = buf;

	while (size > 0) {
		ssize_t n;

		if (offset > INT64_MAX - size)
			return -EIO;
		n = pread(fd, to, size, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -EIO;
		to += n;
		size -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

/* Would the kernel set AT_SECURE?  Then the loader drops LD_PRELOAD. */
static enum inspection_verdict inspect_privileges(int fd, const struct stat *st)
{
	bool honoured = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1;
	uid_t uid = geteuid();
	gid_t gid = getegid();
	struct statvfs fs;

	if (honoured && fstatvfs(fd, &fs) == 0 && (fs.f_flag & ST_NOSUID) != 0)
		honoured = false;
	if (honoured && (st->st_mode & S_ISUID) != 0)
		uid = st->st_uid;
	if (honoured && (st->st_mode & S_ISGID) != 0 &&
	    (st->st_mode & S_IXGRP) != 0)
		gid = st->st_gid;
	if (uid != getuid() || gid != getgid())
		return INSPECTION_SETID;

	/* Real root has them anyway: capabilities(7), secure execution. */
	if (honoured && getuid() != 0) {
		if (fgetxattr(fd, "security.capability", NULL, 0) >= 0)
			return INSPECTION_CAPABILITIES;
		if (errno != ENODATA && errno != ENOTSUP)
			return INSPECTION_UNREADABLE;
	}
	return INSPECTION_ENTERABLE;
}

static const char *file_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

/* The names glibc's loader goes by on the architectures it supports. */
static bool is_glibc_loader(const char *path)
{
	static const char *const prefixes[] = {
		"ld-linux", "ld64.so", "ld.so", "ld-lsb", "ld-2."
	};
	const char *name = file_name(path);

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return false;
}

/* PT_INTERP: the loader.  @ph has been read from @fd. */
static enum inspection_verdict inspect_loader(int fd, const ElfW(Phdr) *ph)
{
	char loader[PATH_MAX];

	if (ph->p_filesz < 2 || ph->p_filesz > sizeof(loader) ||
	    read_at(fd, loader, (size_t)ph->p_filesz, ph->p_offset) < 0 ||
	    loader[ph->p_filesz - 1] != '\0')
		return INSPECTION_MALFORMED;
	return is_glibc_loader(loader) ? INSPECTION_ENTERABLE :
					 INSPECTION_LOADER;
}

/* Has the dynamic section a DT_SONAME, as libraries have and static PIE has not? */
static bool has_soname(int fd, const ElfW(Phdr) *ph)
{
	ElfW(Dyn) entry;

	for (size_t i = 0; i < DYNAMIC_MAX &&
			   (i + 1) * sizeof(entry) <= ph->p_filesz; i++) {
		if (read_at(fd, &entry, sizeof(entry),
			    ph->p_offset + i * sizeof(entry)) < 0 ||
		    entry.d_tag == DT_NULL)
			return false;
		if (entry.d_tag == DT_SONAME)
			return true;
	}
	return false;
}

/* Is the file an ELF object for this build?  @ret is written if so. */
static enum inspection_verdict read_header(int fd, ElfW(Ehdr) *ret)
{
	unsigned char head[20];	/* e_ident, e_type, e_machine: the same in both classes */
	uint16_t machine;

	if (read_at(fd, head, sizeof(head), 0) < 0)
		return INSPECTION_MALFORMED;
	memcpy(&machine, head + 18, sizeof(machine));
	if (head[EI_CLASS] != __ehdr_start.e_ident[EI_CLASS] ||
	    head[EI_DATA] != __ehdr_start.e_ident[EI_DATA] ||
	    machine != __ehdr_start.e_machine)
		return INSPECTION_FOREIGN;
	if (read_at(fd, ret, sizeof(*ret), 0) < 0 ||
	    ret->e_phentsize != sizeof(ElfW(Phdr)) || ret->e_phnum == 0 ||
	    ret->e_phnum > HEADERS_MAX)
		return INSPECTION_MALFORMED;
	return INSPECTION_ENTERABLE;
}

static enum inspection_verdict inspect_elf(int fd, const char *path)
{
	enum inspection_verdict verdict;
	bool soname = false;
	ElfW(Ehdr) eh;
	ElfW(Phdr) ph;

	verdict = read_header(fd, &eh);
	if (verdict != INSPECTION_ENTERABLE)
		return verdict;
	if (eh.e_type != ET_EXEC && eh.e_type != ET_DYN)
		return INSPECTION_MALFORMED;
	for (size_t i = 0; i < eh.e_phnum; i++) {
		if (read_at(fd, &ph, sizeof(ph),
			    eh.e_phoff + i * sizeof(ph)) < 0)
			return INSPECTION_MALFORMED;
		if (ph.p_type == PT_INTERP)
			return inspect_loader(fd, &ph);
		if (ph.p_type == PT_DYNAMIC)
			soname = has_soname(fd, &ph);
	}
	if (eh.e_type != ET_DYN || !soname)
		return INSPECTION_STATIC;

	/* The loader, run by hand, preloads as it does when the kernel runs it. */
	return is_glibc_loader(path) ? INSPECTION_ENTERABLE :
				       INSPECTION_LIBRARY;
}

/* "#!" line of @len bytes: the interpreter into @ret, as the kernel reads it. */
static int parse_interpreter(const char *line, size_t len, char ret[PATH_MAX])
{
	size_t start = 2;
	size_t end;

	while (start < len && (line[start] == ' ' || line[start] == '\t'))
		start++;
	end = start;
	while (end < len && line[end] != ' ' && line[end] != '\t' &&
	       line[end] != '\n' && line[end] != '\0')
		end++;
	if (end == start || end == LINE_MAX_SIZE)
		return -EINVAL;
	memcpy(ret, line + start, end - start);
	ret[end - start] = '\0';
	return 0;
}

static ssize_t read_head(int fd, char head[LINE_MAX_SIZE])
{
	ssize_t n;

	do {
		n = pread(fd, head, LINE_MAX_SIZE, 0);
	} while (n < 0 && errno == EINTR);
	return n;
}

/* Verdict on an open file; for "#!" @interpreter is set, else it is "". */
static enum inspection_verdict inspect_file(int fd, const char *path,
					    char interpreter[PATH_MAX])
{
	enum inspection_verdict verdict;
	char head[LINE_MAX_SIZE];
	struct stat st;
	ssize_t n;

	interpreter[0] = '\0';
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return INSPECTION_UNREADABLE;
	n = read_head(fd, head);
	if (n < 0)
		return INSPECTION_UNREADABLE;
	if (n >= 2 && memcmp(head, "#!", 2) == 0)
		return parse_interpreter(head, (size_t)n, interpreter) < 0 ?
			       INSPECTION_MALFORMED : INSPECTION_ENTERABLE;
	if (n < SELFMAG || memcmp(head, ELFMAG, SELFMAG) != 0)
		return memchr(head, '\0', (size_t)n) != NULL ?
			       INSPECTION_MALFORMED : INSPECTION_SHELL_TEXT;
	verdict = inspect_privileges(fd, &st);
	return verdict != INSPECTION_ENTERABLE ? verdict :
						 inspect_elf(fd, path);
}

int inspect_program(const char *path, struct inspection *ret)
{
	char next[PATH_MAX];

	ret->verdict = INSPECTION_UNREADABLE;
	ret->path[0] = '\0';
	if (strlen(path) >= sizeof(ret->path))
		return -EACCES;
	strcpy(ret->path, path);
	for (int depth = 0; depth <= DEPTH_MAX; depth++) {
		/* O_NONBLOCK: a FIFO must not stop us. */
		int fd = open(ret->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

		if (fd < 0) {
			ret->verdict = errno == ENOENT && depth > 0 ?
					       INSPECTION_MISSING :
					       INSPECTION_UNREADABLE;
			return -EACCES;
		}
		ret->verdict = inspect_file(fd, ret->path, next);
		close(fd);
		if (ret->verdict == INSPECTION_SHELL_TEXT)
			/* execve(2) refuses it as an interpreter */
			return depth == 0 ? 0 : -EACCES;
		if (ret->verdict != INSPECTION_ENTERABLE)
			return -EACCES;
		if (next[0] == '\0')
			return 0;
		strcpy(ret->path, next);
	}
	ret->verdict = INSPECTION_TOO_DEEP;
	return -EACCES;
}

int inspect_library(const char *path, struct inspection *ret)
{
	char magic[SELFMAG];
	ElfW(Ehdr) eh;
	int fd;

	ret->verdict = INSPECTION_UNREADABLE;
	ret->path[0] = '\0';
	if (strlen(path) >= sizeof(ret->path))
		return -EACCES;
	strcpy(ret->path, path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -EACCES;
	ret->verdict = INSPECTION_MALFORMED;
	if (read_at(fd, magic, sizeof(magic), 0) == 0 &&
	    memcmp(magic, ELFMAG, SELFMAG) == 0) {
		ret->verdict = read_header(fd, &eh);
		if (ret->verdict == INSPECTION_ENTERABLE && eh.e_type != ET_DYN)
			ret->verdict = INSPECTION_MALFORMED;
	}
	close(fd);
	return ret->verdict == INSPECTION_ENTERABLE ? 0 : -EACCES;
}

const char *inspection_text(enum inspection_verdict verdict)
{
	switch (verdict) {
	case INSPECTION_ENTERABLE:
		return "can be proxied: run it";
	case INSPECTION_SHELL_TEXT:
		return "is text without a #! line: "
		       "run it with its interpreter, as in socksify sh FILE";
	case INSPECTION_STATIC:
		return "is statically linked, a preloaded library cannot enter it: "
		       "use the program's own proxy setting, or a dynamically linked build";
	case INSPECTION_LIBRARY:
		return "is a shared library and not a program: "
		       "name the program that uses it";
	case INSPECTION_LOADER:
		return "is linked against another C library than glibc (such as musl), "
		       "which cannot load ours: "
		       "use the program's own proxy setting, or a build for glibc";
	case INSPECTION_FOREIGN:
		return "is for another machine or word size than this socksify: "
		       "use the program's build for this machine, "
		       "or a socksify built for that one";
	case INSPECTION_SETID:
		return "changes its user or group when it starts (setuid, setgid), "
		       "so the system drops preloaded libraries: "
		       "run it as that user, or use a copy without the setuid and setgid bits";
	case INSPECTION_CAPABILITIES:
		return "has file capabilities, so the system drops preloaded libraries: "
		       "use a copy without them (cp does not keep them), or run it as root";
	case INSPECTION_UNREADABLE:
		return "cannot be read, so nobody can tell whether it can be proxied: "
		       "make it readable, or use a readable copy";
	case INSPECTION_MISSING:
		return "does not exist, but the script's #! line names it: "
		       "install it, or correct that line";
	case INSPECTION_TOO_DEEP:
		return "ends a chain of too many #! interpreters: "
		       "name the last interpreter in the script";
	case INSPECTION_MALFORMED:
		return "is neither a program nor a script that can be understood: "
		       "check the file";
	}
	return "cannot be judged: check the file";
}
