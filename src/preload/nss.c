/* SPDX-License-Identifier: ISC */
/* nss.c - whom libc's own lookups may ask. */
#include <errno.h>
#include <fcntl.h>
#include <nss.h>
#include <stdatomic.h>

#include "names.h"
#include "socksify/nsswitch.h"
#include "socksify/resolve.h"
#include "socksify/sys.h"

/* nsswitch.conf(5); what does not fit is not read. */
static size_t read_file(char *ret, size_t size)
{
	int fd = sys_open("/etc/nsswitch.conf", O_RDONLY | O_CLOEXEC, 0);
	size_t len = 0;
	ssize_t n = 1;

	if (fd < 0)
		return 0;
	while (len < size && n > 0) {
		do
			n = sys_read(fd, ret + len, size - len);
		while (n == -EINTR);
		if (n > 0)
			len += (size_t)n;
	}
	sys_close(fd);
	return len;
}

static void configure(void)
{
	char text[4096], line[256] = "files";

	if (resolve_has_direct_names())
		nsswitch_files_first(text, read_file(text, sizeof(text)), line, sizeof(line));
	/* libc has read the file by itself before, and does not ask nscd for what was set here. */
	(void)__nss_configure_lookup("hosts", line);
	(void)__nss_configure_lookup("networks", "files");
}

/* To set it twice does no harm, so that no thread waits for another. */
void nss_keep_local(void)
{
	static _Atomic bool done;
	int saved = errno;

	if (atomic_load_explicit(&done, memory_order_acquire) || resolve_is_local())
		return;
	configure();
	atomic_store_explicit(&done, true, memory_order_release);
	errno = saved;
}
