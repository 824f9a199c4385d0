/* SPDX-License-Identifier: ISC */
/* zoo_datagram.c - datagrams, raw and packet sockets, and names. */
#include "zoo.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/ip.h>
#include <resolv.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef IPPROTO_UDPLITE
#define IPPROTO_UDPLITE 136
#endif

#define TO4 (const struct sockaddr *)&target4, sizeof(target4)
#define TO6 (const struct sockaddr *)&target6, sizeof(target6)
#define TEXT "leak", 4

static enum outcome sent(ssize_t n)
{
	return n < 0 ? failed("send") : ZOO_SENT;
}

static int datagram(void)
{
	return socket(AF_INET, SOCK_DGRAM, 0);
}

static enum outcome udp_sendto(void)
{
	return sent(sendto(datagram(), TEXT, 0, TO4));
}

static enum outcome udp_sendto6(void)
{
	return sent(sendto(socket(AF_INET6, SOCK_DGRAM, 0), TEXT, 0, TO6));
}

static struct iovec part = { (void *)(uintptr_t)"leak", 4 };
static struct mmsghdr message(void)
{
	return message_of(&part);
}

static enum outcome udp_sendmsg(void)
{
	struct mmsghdr m = message();

	return sent(sendmsg(datagram(), &m.msg_hdr, 0));
}

static enum outcome udp_sendmmsg(void)
{
	struct mmsghdr m[2] = { message(), message() };

	return sent(sendmmsg(datagram(), m, 2, 0));
}

static enum outcome udp_syscall(void)
{
	return sent(syscall(SYS_sendto, datagram(), TEXT, 0, TO4));
}

static enum outcome udp_sendmmsg_syscall(void)
{
	struct mmsghdr m = message();

	return sent(syscall(SYS_sendmmsg, datagram(), &m, 1, 0));
}

/* Linux takes AF_UNSPEC for AF_INET there. */
static enum outcome udp_unspecified(void)
{
	struct sockaddr_in to = target4;

	to.sin_family = AF_UNSPEC;
	return sent(sendto(datagram(), TEXT, 0, (const struct sockaddr *)&to, sizeof(to)));
}

static enum outcome udp_connect(void)
{
	int fd = datagram();

	return connect(fd, TO4) < 0 ? failed("connect") : sent(send(fd, TEXT, 0));
}

static enum outcome udp_write(void)
{
	int fd = datagram();

	return connect(fd, TO4) < 0 ? failed("connect") : sent(write(fd, TEXT));
}

static enum outcome of(int fd)
{
	return fd < 0 ? ZOO_ABSENT : sent(sendto(fd, "\10\0\0\0\0\0\0\0", 8, 0, TO4));
}

static enum outcome udplite(void)
{
	return of(socket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE));
}

static enum outcome ping(void)
{
	return of(socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP));
}

static enum outcome raw(void)
{
	return of(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
}

static enum outcome raw_tcp(void)
{
	return of(socket(AF_INET, SOCK_RAW, IPPROTO_TCP));
}

static enum outcome raw_connected(void)
{
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_UDP);

	if (fd < 0)
		return ZOO_ABSENT;
	return connect(fd, TO4) < 0 ? failed("connect") : sent(send(fd, "leakleak", 8, 0));
}

static enum outcome raw6(void)
{
	struct sockaddr_in6 to = target6;
	int fd = socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6);

	to.sin6_port = 0;
	if (fd < 0)
		return ZOO_ABSENT;
	return sent(sendto(fd, "\200\0\0\0\0\0\0\0", 8, 0, (const struct sockaddr *)&to, sizeof(to)));
}

static enum outcome raw_header(void)
{
	struct {
		struct iphdr ip;
		uint8_t rest[8];
	} packet = { .ip = { .ihl = 5, .version = 4, .ttl = 9, .protocol = IPPROTO_UDP,
			     .tot_len = htons(sizeof(packet)),
			     .daddr = target4.sin_addr.s_addr } };
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);

	if (fd < 0)
		return ZOO_ABSENT;
	return sent(sendto(fd, &packet, sizeof(packet), 0, TO4));
}

/* A frame with an IP packet in it, for whom it may concern. */
static enum outcome packet(int type, int protocol)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP),
				  .sll_halen = 6, .sll_addr = { 255, 255, 255, 255, 255, 255 } };
	struct iphdr ip = { .ihl = 5, .version = 4, .ttl = 9, .protocol = IPPROTO_UDP,
			    .tot_len = htons(sizeof(ip)), .daddr = target4.sin_addr.s_addr };
	int fd = socket(AF_PACKET, type, htons((uint16_t)protocol));

	if (fd < 0)
		return failed("packet socket");
	for (int i = 1; i < 100; i++) {
		struct ifreq link = { .ifr_ifindex = i };

		if (ioctl(fd, SIOCGIFNAME, &link) < 0 ||
		    ioctl(fd, SIOCGIFFLAGS, &link) < 0 ||
		    (link.ifr_flags & IFF_LOOPBACK) != 0 || (link.ifr_flags & IFF_UP) == 0)
			continue;
		to.sll_ifindex = i;
		return sent(sendto(fd, &ip, sizeof(ip), 0, (const struct sockaddr *)&to, sizeof(to)));
	}
	return failed("no interface");
}

static enum outcome packet_datagram(void)
{
	return packet(SOCK_DGRAM, ETH_P_IP);
}

static enum outcome packet_no_protocol(void)
{
	return packet(SOCK_DGRAM, 0);
}

/* Names: what counts is that nobody was asked but the proxy. */

static enum outcome name_getaddrinfo(void)
{
	struct addrinfo *found = NULL;
	int err = getaddrinfo(host_name, "80", NULL, &found);

	if (err == 0)
		freeaddrinfo(found);
	return err == 0 ? ZOO_SENT : ZOO_FAILED;
}

static enum outcome name_gethostbyname(void)
{
	return gethostbyname(host_name) != NULL ? ZOO_SENT : ZOO_FAILED;
}

static enum outcome name_gethostbyname2(void)
{
	return gethostbyname2(host_name, AF_INET6) != NULL ? ZOO_SENT : ZOO_FAILED;
}

static enum outcome name_res_query(void)
{
	unsigned char answer[512];

	return res_query(host_name, 1, 16 /* TXT */, answer, sizeof(answer)) < 0 ? ZOO_FAILED :
										 ZOO_SENT;
}

static enum outcome name_getnameinfo(void)
{
	char name[256];

	return getnameinfo(TO4, name, sizeof(name), NULL, 0, NI_NAMEREQD) != 0 ? ZOO_FAILED :
									       ZOO_SENT;
}

static enum outcome name_gethostbyaddr(void)
{
	return gethostbyaddr(&target4.sin_addr, 4, AF_INET) != NULL ? ZOO_SENT : ZOO_FAILED;
}

const struct trick datagram_tricks[] = {
	{ "udp-sendto", udp_sendto, false },
	{ "udp-sendto-inet6", udp_sendto6, false },
	{ "udp-sendmsg", udp_sendmsg, false },
	{ "udp-sendmmsg", udp_sendmmsg, false },
	{ "udp-sendto-syscall", udp_syscall, false },
	{ "udp-sendmmsg-syscall", udp_sendmmsg_syscall, false },
	{ "udp-unspecified", udp_unspecified, false },
	{ "udp-connect", udp_connect, false },
	{ "udp-write", udp_write, false },
	{ "udplite", udplite, false },
	{ "icmp-ping", ping, false },
	{ "raw-icmp", raw, false },
	{ "raw-tcp", raw_tcp, false },
	{ "raw-connect", raw_connected, false },
	{ "raw-inet6", raw6, false },
	{ "raw-header", raw_header, false },
	{ "packet", packet_datagram, false },
	{ "packet-no-protocol", packet_no_protocol, false },
	{ "name-getaddrinfo", name_getaddrinfo, false },
	{ "name-gethostbyname", name_gethostbyname, false },
	{ "name-gethostbyname2", name_gethostbyname2, false },
	{ "name-res-query", name_res_query, false },
	{ "name-getnameinfo", name_getnameinfo, false },
	{ "name-gethostbyaddr", name_gethostbyaddr, false },
	{ NULL, NULL, false },
};
