/* SPDX-License-Identifier: ISC */
/* dns_wire.h - the header's flags (RFC 1035 section 4.1.1, RFC 4035) and OPT's (RFC 6891). */
#ifndef SOCKSIFY_DNS_WIRE_H
#define SOCKSIFY_DNS_WIRE_H

#include "socksify/dns_msg.h"

/*
 *	  0  1  2  3  4  5  6  7  8  9 10 11 12 13 14 15
 *	+--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+
 *	|                      ID                       |
 *	|QR|   Opcode  |AA|TC|RD|RA| Z|AD|CD|   RCODE   |
 *	|                    QDCOUNT                    |
 *	|                    ANCOUNT                    |
 *	|                    NSCOUNT                    |
 *	|                    ARCOUNT                    |
 *	+--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+--+
 */
#define DNS_QR 0x8000u
#define DNS_OPCODE 0x7800u
#define DNS_OPCODE_SHIFT 11
#define DNS_TC 0x0200u
#define DNS_RD 0x0100u
#define DNS_RA 0x0080u
#define DNS_CD 0x0010u
#define DNS_RCODE 0x000fu

#define DNS_OPT_DO 0x80		/* in the third octet of an OPT record's TTL */

#endif
