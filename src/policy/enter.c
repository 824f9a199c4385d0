/* SPDX-License-Identifier: ISC */
/* enter.c - can a preloaded library enter this program? */
#include "socksify/enter.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#define DEPTH_MAX 4	/* of "#!" interpreters; the kernel's own limit is near */
#define HEADERS_MAX 512	/* program headers; real programs have a dozen */
#define NOTES_MAX 64	/* of a segment; real ones have three */
#define GO_BUILD_MAX 65536 /* where Go's own tools look, too */
#define DYNAMIC_MAX 4096 /* entries of the dynamic section; real ones have fifty */
#define DYNAMIC_ROOM 32	/* of them looked at in one go */
#define LOADER_SIZE 256	/* a path that is longer is no loader that we know */

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

/* Does the kernel look at setuid bits and capabilities of this file at all? */
static bool are_honoured(int fd)
{
	struct statvfs fs;

	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 &&
	       !(fstatvfs(fd, &fs) == 0 && (fs.f_flag & ST_NOSUID) != 0);
}

/* Would the kernel set AT_SECURE?  Then the loader drops LD_PRELOAD. */
static enum inspection_verdict inspect_privileges(int fd, const struct stat *st)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();

	if ((st->st_mode & S_ISUID) != 0 && st->st_uid != uid && are_honoured(fd))
		uid = st->st_uid;
	if ((st->st_mode & S_ISGID) != 0 && (st->st_mode & S_IXGRP) != 0 &&
	    st->st_gid != gid && are_honoured(fd))
		gid = st->st_gid;
	if (uid != getuid() || gid != getgid())
		return INSPECTION_SETID;

	/* Real root has them anyway: capabilities(7), secure execution. */
	if (getuid() == 0)
		return INSPECTION_ENTERABLE;
	if (fgetxattr(fd, "security.capability", NULL, 0) >= 0)
		return are_honoured(fd) ? INSPECTION_CAPABILITIES : INSPECTION_ENTERABLE;
	return errno == ENODATA || errno == ENOTSUP ? INSPECTION_ENTERABLE :
						      INSPECTION_UNREADABLE;
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

/* Program headers, of which most files have a dozen: so one read finds them all. */
#define HEADERS_ROOM 16

struct headers {
	int fd;
	ElfW(Ehdr) eh;
	size_t first, count;	/* what is in ph */
	ElfW(Phdr) ph[HEADERS_ROOM];
};

/* Number @i, below e_phnum; NULL: the file ends before. */
static const ElfW(Phdr) *program_header(struct headers *h, size_t i)
{
	size_t n = h->eh.e_phnum - i;

	if (i < h->first || i >= h->first + h->count) {
		if (n > HEADERS_ROOM)
			n = HEADERS_ROOM;
		h->count = 0;
		if (read_at(h->fd, h->ph, n * sizeof(h->ph[0]),
			    h->eh.e_phoff + i * sizeof(h->ph[0])) < 0)
			return NULL;
		h->first = i;
		h->count = n;
	}
	return &h->ph[i - h->first];
}

/* PT_INTERP: the loader.  @ph has been read from @fd. */
static enum inspection_verdict inspect_loader(int fd, const ElfW(Phdr) *ph)
{
	char loader[LOADER_SIZE];

	if (ph->p_filesz < 2 || ph->p_filesz > PATH_MAX)
		return INSPECTION_MALFORMED;
	if (ph->p_filesz > sizeof(loader))
		return INSPECTION_LOADER;
	if (read_at(fd, loader, (size_t)ph->p_filesz, ph->p_offset) < 0 ||
	    loader[ph->p_filesz - 1] != '\0')
		return INSPECTION_MALFORMED;
	return is_glibc_loader(loader) ? INSPECTION_ENTERABLE :
					 INSPECTION_LOADER;
}

/* What matters of a dynamic section. */
struct dynamic {
	bool has_soname;	/* as libraries have and static PIE has not */
	bool needs_any;
	uint64_t strings;	/* DT_STRTAB: an address */
	uint64_t first_needed;	/* DT_NEEDED: within the strings */
};

static struct dynamic read_dynamic(int fd, const ElfW(Phdr) *ph)
{
	struct dynamic d = { .has_soname = false };
	ElfW(Dyn) entries[DYNAMIC_ROOM];

	for (size_t i = 0, n; i < DYNAMIC_MAX; i += n) {
		n = ph->p_filesz / sizeof(entries[0]) - i;
		if (n > DYNAMIC_ROOM)
			n = DYNAMIC_ROOM;
		if (n == 0 || read_at(fd, entries, n * sizeof(entries[0]),
				      ph->p_offset + i * sizeof(entries[0])) < 0)
			return d;
		for (size_t k = 0; k < n; k++) {
			switch (entries[k].d_tag) {
			case DT_NULL:
				return d;
			case DT_SONAME:
				d.has_soname = true;
				break;
			case DT_STRTAB:
				d.strings = entries[k].d_un.d_ptr;
				break;
			case DT_NEEDED:
				if (!d.needs_any)
					d.first_needed = entries[k].d_un.d_val;
				d.needs_any = true;
				break;
			default:
				break;
			}
		}
	}
	return d;
}

/*
 * AddressSanitizer's runtime ends a program in which another library comes
 * before it.  The compiler makes it the first that is needed.
 */
static bool needs_to_be_first(struct headers *h, const struct dynamic *d)
{
	static const char *const runtimes[] = { "libasan.so", "libclang_rt.asan" };
	char name[24] = "";

	for (size_t i = 0; d->needs_any && i < h->eh.e_phnum; i++) {
		const ElfW(Phdr) *ph = program_header(h, i);

		if (ph == NULL)
			return false;
		if (ph->p_type != PT_LOAD || d->strings < ph->p_vaddr ||
		    d->strings - ph->p_vaddr >= ph->p_filesz)
			continue;
		if (read_at(h->fd, name, sizeof(name) - 1,
			    d->strings - ph->p_vaddr + ph->p_offset + d->first_needed) < 0)
			return false;
		break;
	}
	for (size_t i = 0; i < sizeof(runtimes) / sizeof(runtimes[0]); i++)
		if (strncmp(name, runtimes[i], strlen(runtimes[i])) == 0)
			return true;
	return false;
}

/*
 * Go's linker writes its build identifier as a note of the owner "Go" (elf(5)),
 * which stripping leaves.  A program built without one has no such note, but
 * its data segment begins with the build information, on 16 octets aligned
 * (debug/buildinfo).
 */
static bool has_go_note(int fd, const ElfW(Phdr) *ph)
{
	static const char owner[4] = "Go";
	ElfW(Nhdr) note;
	char name[sizeof(owner)];
	uint64_t at = 0;

	for (int i = 0; i < NOTES_MAX && at + sizeof(note) + sizeof(name) <= ph->p_filesz; i++) {
		if (read_at(fd, &note, sizeof(note), ph->p_offset + at) < 0 ||
		    read_at(fd, name, sizeof(name), ph->p_offset + at + sizeof(note)) < 0)
			return false;
		if (note.n_namesz == sizeof(owner) && memcmp(name, owner, sizeof(owner)) == 0)
			return true;
		at += sizeof(note) + (((uint64_t)note.n_namesz + 3) & ~UINT64_C(3)) +
		      (((uint64_t)note.n_descsz + 3) & ~UINT64_C(3));
	}
	return false;
}

static bool has_go_build(int fd, const ElfW(Phdr) *ph)
{
	static const char magic[] = "\xff Go buildinf:";
	char block[4096];
	uint64_t end = ph->p_filesz < GO_BUILD_MAX ? ph->p_filesz : GO_BUILD_MAX;

	for (uint64_t at = 0; at + sizeof(magic) - 1 <= end; at += sizeof(block)) {
		size_t size = end - at < sizeof(block) ? (size_t)(end - at) : sizeof(block);

		if (read_at(fd, block, size, ph->p_offset + at) < 0)
			return false;
		for (size_t i = 0; i + sizeof(magic) - 1 <= size; i += 16)
			if (memcmp(block + i, magic, sizeof(magic) - 1) == 0)
				return true;
	}
	return false;
}

static bool is_go(int fd, const ElfW(Phdr) *ph)
{
	if (ph->p_type == PT_NOTE)
		return has_go_note(fd, ph);
	return ph->p_type == PT_LOAD && (ph->p_flags & (PF_W | PF_X)) == PF_W &&
	       has_go_build(fd, ph);
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

static enum inspection_verdict inspect_elf(int fd, struct inspection *seen)
{
	enum inspection_verdict verdict;
	bool has_loader = false, go = false;
	struct dynamic dynamic = { .has_soname = false };
	struct headers h = { .fd = fd, .count = 0 };

	verdict = read_header(fd, &h.eh);
	if (verdict != INSPECTION_ENTERABLE)
		return verdict;
	if (h.eh.e_type != ET_EXEC && h.eh.e_type != ET_DYN)
		return INSPECTION_MALFORMED;
	for (size_t i = 0; i < h.eh.e_phnum; i++) {
		const ElfW(Phdr) *ph = program_header(&h, i);

		if (ph == NULL)
			return INSPECTION_MALFORMED;
		if (ph->p_type == PT_INTERP && !has_loader) {
			verdict = inspect_loader(fd, ph);
			if (verdict != INSPECTION_ENTERABLE)
				return verdict;
			has_loader = true;
		}
		if (ph->p_type == PT_DYNAMIC)
			dynamic = read_dynamic(fd, ph);
		go = go || is_go(fd, ph);
	}
	seen->needs_to_be_first = has_loader && needs_to_be_first(&h, &dynamic);
	if (has_loader)
		return go ? INSPECTION_GO : INSPECTION_ENTERABLE;
	if (h.eh.e_type != ET_DYN || !dynamic.has_soname)
		return INSPECTION_STATIC;

	/* The loader, run by hand, preloads as it does when the kernel runs it. */
	return is_glibc_loader(seen->path) ? INSPECTION_ENTERABLE :
					     INSPECTION_LIBRARY;
}

/* "#!" line of @len bytes: the interpreter into @ret, as the kernel reads it. */
static int parse_interpreter(const char *line, size_t len, char ret[INSPECTION_LINE_SIZE])
{
	size_t start = 2;
	size_t end;

	while (start < len && (line[start] == ' ' || line[start] == '\t'))
		start++;
	end = start;
	while (end < len && line[end] != ' ' && line[end] != '\t' &&
	       line[end] != '\n' && line[end] != '\0')
		end++;
	if (end == start || end == INSPECTION_LINE_SIZE)
		return -EINVAL;
	memcpy(ret, line + start, end - start);
	ret[end - start] = '\0';
	return 0;
}

static ssize_t read_head(int fd, char head[INSPECTION_LINE_SIZE])
{
	ssize_t n;

	do {
		n = pread(fd, head, INSPECTION_LINE_SIZE, 0);
	} while (n < 0 && errno == EINTR);
	return n;
}

/* Verdict on an open file; for "#!" @interpreter is set, else it is "". */
static enum inspection_verdict inspect_file(int fd, struct inspection *seen,
					    char interpreter[INSPECTION_LINE_SIZE])
{
	enum inspection_verdict verdict;
	char head[INSPECTION_LINE_SIZE];
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
			       INSPECTION_UNKNOWN : INSPECTION_ENTERABLE;
	if (n < SELFMAG || memcmp(head, ELFMAG, SELFMAG) != 0)
		return memchr(head, '\0', (size_t)n) != NULL ?
			       INSPECTION_UNKNOWN : INSPECTION_SHELL_TEXT;
	verdict = inspect_privileges(fd, &st);
	return verdict != INSPECTION_ENTERABLE ? verdict : inspect_elf(fd, seen);
}

/* O_NONBLOCK: a FIFO must not stop us. */
static int open_to_look(int dir, const char *path)
{
	return openat(dir, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

/* Follows the interpreters of the open file @fd, which is closed; @ret->path is set. */
static int inspect_from(int fd, struct inspection *ret)
{
	char next[INSPECTION_LINE_SIZE];

	ret->needs_to_be_first = false;
	for (int depth = 0; depth <= DEPTH_MAX; depth++) {
		if (depth > 0)
			fd = open_to_look(AT_FDCWD, ret->path);
		if (fd < 0) {
			ret->verdict = errno == ENOENT && depth > 0 ?
					       INSPECTION_MISSING :
					       INSPECTION_UNREADABLE;
			return -EACCES;
		}
		ret->verdict = inspect_file(fd, ret, next);
		close(fd);
		if (ret->verdict == INSPECTION_SHELL_TEXT)
			/* execve(2) refuses it as an interpreter */
			return depth == 0 ? 0 : -EACCES;
		if (ret->verdict != INSPECTION_ENTERABLE)
			return -EACCES;
		if (next[0] == '\0')
			return 0;
		strcpy(ret->interpreter, next);
		ret->path = ret->interpreter;
	}
	ret->verdict = INSPECTION_TOO_DEEP;
	return -EACCES;
}

int inspect_program(const char *path, struct inspection *ret)
{
	ret->path = path;
	return inspect_from(open_to_look(AT_FDCWD, path), ret);
}

char *inspection_fd_path(int fd, char ret[INSPECTION_FD_PATH_SIZE])
{
	char digits[3 * sizeof(fd)];
	size_t n = 0, at = strlen("/proc/self/fd/");

	memcpy(ret, "/proc/self/fd/", at);
	do {
		digits[n++] = (char)('0' + fd % 10);
		fd /= 10;
	} while (fd > 0);
	while (n > 0)
		ret[at++] = digits[--n];
	ret[at] = '\0';
	return ret;
}

int inspect_program_at(int dir, const char *path, struct inspection *ret)
{
	char link[INSPECTION_FD_PATH_SIZE];

	ret->path = path;
	if (path[0] != '\0')
		return inspect_from(open_to_look(dir, path), ret);
	/* An fd of O_PATH cannot be read, so it is opened anew. */
	return inspect_from(open_to_look(AT_FDCWD, inspection_fd_path(dir, link)), ret);
}

int inspect_library(const char *path, struct inspection *ret)
{
	char magic[SELFMAG];
	ElfW(Ehdr) eh;
	int fd;

	ret->verdict = INSPECTION_UNREADABLE;
	ret->path = path;
	ret->needs_to_be_first = false;
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
	case INSPECTION_GO:
		return "is written in Go and makes its system calls itself, past a preloaded library: "
		       "use the program's own proxy setting";
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
	case INSPECTION_UNKNOWN:
		return "is neither a program nor a script that can be understood: "
		       "check the file";
	}
	return "cannot be judged: check the file";
}
