// SPDX-License-Identifier: Apache-2.0
#include "agent/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BACKLOG 16

static int parse_port(const char *text, in_port_t *port)
{
	char *end;
	unsigned long number = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || !number || number > 65535)
		return -EINVAL;
	*port = htons((uint16_t)number);
	return 0;
}

static int parse_unix(const char *path, struct address *address)
{
	struct sockaddr_un *un = &address->to.un;

	if (*path != '/' || strlen(path) >= sizeof(un->sun_path))
		return -EINVAL;
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, path, strlen(path) + 1);
	address->len = sizeof(*un);
	address->is_local = true;
	return 0;
}

static int parse_inet(const char *host, const char *port, struct address *address)
{
	struct sockaddr_in *in = (struct sockaddr_in *)&address->to.storage;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&address->to.storage;

	if (inet_pton(AF_INET, host, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		address->len = sizeof(*in);
		address->is_local = ntohl(in->sin_addr.s_addr) >> 24 == 127;
		return parse_port(port, &in->sin_port);
	}
	if (inet_pton(AF_INET6, host, &in6->sin6_addr) != 1)
		return -EINVAL;
	in6->sin6_family = AF_INET6;
	address->len = sizeof(*in6);
	address->is_local = IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
	return parse_port(port, &in6->sin6_port);
}

int address_parse(const char *text, struct address *address)
{
	const char *colon = strrchr(text, ':');
	char host[INET6_ADDRSTRLEN] = "";
	size_t len;

	*address = (struct address){ .none = !strcmp(text, "none") };
	if (address->none)
		return 0;
	if (!strncmp(text, "unix:", 5))
		return parse_unix(text + 5, address);
	if (!colon)
		return -EINVAL;
	len = (size_t)(colon - text);
	if (*text == '[') {
		if (len < 2 || text[len - 1] != ']')
			return -EINVAL;
		text++;
		len -= 2;
	}
	if (len >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, len);
	return parse_inet(host, colon + 1, address);
}

/* Is it the socket of somebody who has gone? */
static bool is_stale(const struct address *address)
{
	struct stat st;
	int fd, err;

	if (lstat(address->to.un.sun_path, &st) || !S_ISSOCK(st.st_mode))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	err = connect(fd, &address->to.any, address->len) ? errno : 0;
	close(fd);
	return err == ECONNREFUSED;
}

static int prepare_unix(const struct address *address)
{
	char folder[sizeof(address->to.un.sun_path)];
	char *slash;

	memcpy(folder, address->to.un.sun_path, sizeof(folder));
	slash = strrchr(folder, '/');
	*slash = '\0';
	if (*folder && mkdir(folder, 0755) && errno != EEXIST)
		return -errno;
	if (is_stale(address) && unlink(address->to.un.sun_path))
		return -errno;
	return 0;
}

int address_listen(const struct address *address, gid_t gid)
{
	bool is_unix = address->to.any.sa_family == AF_UNIX;
	int fd, one = 1, err = is_unix ? prepare_unix(address) : 0;

	if (err)
		return err;
	fd = socket(address->to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (!is_unix)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, &address->to.any, address->len))
		goto fail;
	/* Nobody can connect before listen(). Locked in we can't give it away: it is our own then. */
	if (is_unix && (chmod(address->to.un.sun_path, 0660) ||
	                (chown(address->to.un.sun_path, (uid_t)-1, gid) && errno != EPERM)))
		goto fail;
	if (listen(fd, BACKLOG))
		goto fail;
	return fd;
fail:
	err = -errno;
	close(fd);
	return err;
}
