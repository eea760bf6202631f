/* SPDX-License-Identifier: Apache-2.0 */
#include "net_fixture.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

void turn(struct loop *loop)
{
	event_base_loop(loop->base, EVLOOP_NONBLOCK);
	loop->stop = true;
	loop_run(loop);
	loop->stop = false;
}

void wait_readable(int fd)
{
	struct pollfd one = {.fd = fd, .events = POLLIN};

	cr_assert(poll(&one, 1, 5000) == 1);
}

int listen_on_loopback(union address *address)
{
	socklen_t len = sizeof(*address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	cr_assert(address_parse("127.0.0.1", 0, address));
	cr_assert(
		bind(fd, &address->sa, address_len(address)) == 0 && listen(fd, 16) == 0);
	cr_assert(getsockname(fd, &address->sa, &len) == 0);
	return fd;
}

void tcp_pair(int fds[2])
{
	union address address;
	int listening = listen_on_loopback(&address);

	fds[1] = connect_to(&address);
	fds[0] = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	cr_assert(fds[0] >= 0 && fds[1] >= 0);
	close(listening);
}

int lowest_free_fd(void)
{
	int fd = dup(2);

	close(fd);
	return fd;
}

void close_with_reset(int fd)
{
	static const struct linger now = {.l_onoff = 1};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(fd);
}

int connect_to(const union address *address)
{
	int fd = socket(address->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), err;

	if (connect(fd, &address->sa, address_len(address)) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}
