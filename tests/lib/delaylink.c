/* SPDX-License-Identifier: ISC */
/*
 * delaylink.c - a link with a fixed delay between two network namespaces.
 *
 *     delaylink NETNS-A NETNS-B NAME MICROSECONDS
 *
 * Makes a tun device of that name in both (paths of namespaces, as in
 * /run/netns) and carries each packet of one to the other that much later.
 * Says "ready" when both devices are there; they go away when it ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define PACKETS	   4096 /* in flight; what comes on top is lost, as on a wire */
#define PACKET_MAX 2048 /* more than the 1500 bytes of a tun device */
#define NS_PER_S   1000000000ULL

struct packet {
	uint64_t due;
	size_t length;
	unsigned char bytes[PACKET_MAX];
};

/* One delay for all, so the first to come in is the first to go out. */
struct direction {
	int in, out;
	size_t first, count;
	struct packet *ring;
};

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static int give_up(const char *what)
{
	fprintf(stderr, "delaylink: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* A tun device belongs to the namespace in which its file was opened. */
static int tun_open(const char *netns, const char *name)
{
	struct ifreq request = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	int ns = open(netns, O_RDONLY | O_CLOEXEC), fd;

	if (ns < 0 || setns(ns, CLONE_NEWNET) < 0)
		give_up(netns);
	close(ns);
	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		give_up("/dev/net/tun");
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (ioctl(fd, TUNSETIFF, &request) < 0)
		give_up(name);
	return fd;
}

static void take_in(struct direction *d, uint64_t delay)
{
	static unsigned char surplus[PACKET_MAX];
	ssize_t n;

	do {
		struct packet *p = &d->ring[(d->first + d->count) % PACKETS];
		unsigned char *to = d->count < PACKETS ? p->bytes : surplus;

		n = read(d->in, to, PACKET_MAX);
		if (n > 0 && to == p->bytes) {
			p->due = now() + delay;
			p->length = (size_t)n;
			d->count++;
		}
	} while (n > 0);
}

/* Returns when the next one is due, 0 when none waits. */
static uint64_t let_out(struct direction *d)
{
	for (; d->count > 0; d->count--, d->first = (d->first + 1) % PACKETS) {
		const struct packet *p = &d->ring[d->first];

		if (p->due > now())
			return p->due;
		/* a device that is down loses the packet, as a wire would */
		if (write(d->out, p->bytes, p->length) < 0)
			continue;
	}
	return 0;
}

static void timer_set(int timer, uint64_t due)
{
	struct itimerspec at = { .it_value = { .tv_sec = (time_t)(due / NS_PER_S),
					       .tv_nsec = (long)(due % NS_PER_S) } };

	timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL);
}

static void carry(struct direction way[2], uint64_t delay)
{
	int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	struct pollfd ready[] = {
		{ .fd = way[0].in, .events = POLLIN },
		{ .fd = way[1].in, .events = POLLIN },
		{ .fd = timer, .events = POLLIN },
	};
	uint64_t due[2];

	while (poll(ready, 3, -1) > 0) {
		for (int i = 0; i < 2; i++) {
			take_in(&way[i], delay);
			due[i] = let_out(&way[i]);
		}
		/* setting it also takes back that it ran out; 0 stops it */
		if (due[0] == 0 || (due[1] != 0 && due[1] < due[0]))
			due[0] = due[1];
		timer_set(timer, due[0]);
	}
	give_up("poll");
}

int main(int argc, char **argv)
{
	struct direction way[2] = { 0 };
	uint64_t delay;

	if (argc != 5) {
		fprintf(stderr, "usage: delaylink NETNS-A NETNS-B NAME MICROSECONDS\n");
		return 2;
	}
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	prctl(PR_SET_TIMERSLACK, 1);
	delay = strtoull(argv[4], NULL, 10) * 1000;
	way[0].in = way[1].out = tun_open(argv[1], argv[3]);
	way[1].in = way[0].out = tun_open(argv[2], argv[3]);
	for (int i = 0; i < 2; i++) {
		way[i].ring = calloc(PACKETS, sizeof(struct packet));
		if (way[i].ring == NULL)
			give_up("memory");
	}
	puts("ready");
	fflush(stdout);
	carry(way, delay);
}
