/* SPDX-License-Identifier: Apache-2.0 */
/*
 * address.h - where to listen: "unix:/run/pitviper/agent.sock", "127.0.0.1:9547", "[::1]:9547", or "none".
 * No names: they would have to be looked up.
 */
#ifndef PV_AGENT_ADDRESS_H
#define PV_AGENT_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

struct address {
	bool none;
	bool is_local; /* nobody from beyond this host can get there */
	socklen_t len;
	union {
		struct sockaddr any;
		struct sockaddr_un un;
		struct sockaddr_storage storage;
	} to;
};

/* -EINVAL: not such an address. */
int address_parse(const char *text, struct address *address);
/*
 * A socket that listens there. A socket file that nobody answers at is replaced; the new one, mode 0660,
 * belongs to @gid where we may give it away, (gid_t)-1: to ours. The directory is made if it is not there. Negative errno.
 */
int address_listen(const struct address *address, gid_t gid);

#endif
