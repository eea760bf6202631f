/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses, and sockets that listen on them. */
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/listener.h"
#include "net_fixture.h"

Test(net_address, text)
{
	static const struct {
		const char *ip, *text; /* NULL: no address */
		bool loopback;
	} rows[] = {
		{"1.2.3.4", "1.2.3.4:80", false},
		{"127.0.0.1", "127.0.0.1:80", true},
		{"127.255.0.9", "127.255.0.9:80", true},
		{"128.0.0.1", "128.0.0.1:80", false},
		{"::1", "[::1]:80", true},
		{"::", "[::]:80", false},
		{"FD00::a", "[fd00::a]:80", false},
		{"::ffff:127.0.0.1", "127.0.0.1:80", true},
		{"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
			"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:80", false},
		{"", NULL, false},
		{"localhost", NULL, false},
		{"1.2.3", NULL, false},
		{"1.2.3.4.5", NULL, false},
		{"01.2.3.4", NULL, false},
		{"1.2.3.4 ", NULL, false},
		{"[::1]", NULL, false},
		{"::1%lo", NULL, false},
		{"1:2:3:4:5:6:7:8:9", NULL, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char text[ADDRESS_TEXT_MAX];
		union address address, other;
		bool good = address_parse(rows[i].ip, 80, &address);

		cr_expect(good == !!rows[i].text, "%s", rows[i].ip);
		if (!good)
			continue;
		address_unmap(&address);
		cr_expect(strcmp(address_print(&address, text, sizeof(text)),
				  rows[i].text) == 0,
			"%s", text);
		cr_expect(address_is_loopback(&address) == rows[i].loopback, "%s", text);
		cr_expect(address_port(&address) == 80);
		other = address;
		cr_expect(address_equal(&address, &other));
		other.in.sin_port ^= 1;
		cr_expect(!address_equal(&address, &other), "%s", text);
	}
}

static bool has_family(int family)
{
	union address address;
	socklen_t len;
	int fd = socket(family, SOCK_STREAM, 0);
	bool has;

	address_parse(family == AF_INET ? "127.0.0.1" : "::1", 0, &address);
	len = address_len(&address);
	has = fd >= 0 && bind(fd, &address.sa, len) == 0;
	close(fd);
	return has;
}

static int n_families(void)
{
	return has_family(AF_INET) + has_family(AF_INET6);
}

static int option_of(int fd, int level, int option)
{
	int value = -1;
	socklen_t len = sizeof(value);

	cr_assert(getsockopt(fd, level, option, &value, &len) == 0);
	return value;
}

Test(net_listener, both_families_one_port)
{
	static const char *const hosts[] = {NULL, "localhost"};
	int lowest = lowest_free_fd();

	for (int i = 0; i < 4; i++) {
		struct listen_set set;
		bool shared = i >= 2;

		cr_assert(listen_set_open(&set, hosts[i % 2], 0, shared) == 0);
		cr_expect(set.n == n_families(), "%d", set.n);
		for (int k = 0; k < set.n; k++) {
			cr_expect(address_port(&set.addrs[k]) != 0);
			cr_expect(address_port(&set.addrs[k]) ==
				  address_port(&set.addrs[0]));
			cr_expect(address_is_loopback(&set.addrs[k]) == (i % 2));
			cr_expect(option_of(set.fds[k], SOL_SOCKET, SO_ACCEPTCONN) == 1);
			cr_expect(option_of(set.fds[k], SOL_SOCKET, SO_REUSEPORT) ==
				  shared);
		}
		listen_set_close(&set);
		listen_set_close(&set);
		cr_expect(lowest_free_fd() == lowest);
	}
}

Test(net_listener, one_address)
{
	struct listen_set set;
	int fd;

	cr_assert(listen_set_open(&set, "127.0.0.1", 0, false) == 0);
	cr_expect(set.n == 1 && address_is_loopback(&set.addrs[0]));
	fd = connect_to(&set.addrs[0]);
	cr_expect(fd >= 0);
	close(fd);
	listen_set_close(&set);
	cr_expect(connect_to(&set.addrs[0]) == -ECONNREFUSED);
}

/* Which address is taken, which is asked for, and what comes of it. */
Test(net_listener, in_use)
{
	static const struct {
		const char *taken, *wanted;
		bool taken_shared;
	} rows[] = {
		{"127.0.0.1", "127.0.0.1", false},
		{"127.0.0.1", "127.0.0.1", true},
		{"127.0.0.1", "localhost", true},
		{"127.0.0.1", NULL, true},
		{NULL, "127.0.0.1", true},
		{NULL, NULL, true},
		{NULL, NULL, false},
		{"::1", "localhost", true},
		{"::1", "::1", true},
		{"::", NULL, true},
	};
	int lowest = lowest_free_fd();

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct listen_set taken, set;
		bool is_v6 = rows[i].taken && rows[i].taken[0] == ':';
		uint16_t port;

		if (is_v6 && !has_family(AF_INET6))
			continue;
		cr_assert(listen_set_open(
				  &taken, rows[i].taken, 0, rows[i].taken_shared) == 0);
		port = address_port(&taken.addrs[0]);
		for (int shared = 0; shared < 2; shared++) {
			int err = listen_set_open(&set, rows[i].wanted, port, shared);

			cr_expect(err == -EADDRINUSE && set.n == 0, "%zu, shared %d: %d",
				i, shared, err);
		}
		listen_set_close(&taken);
		cr_expect(lowest_free_fd() == lowest, "%zu", i);
	}
}

Test(net_listener, no_such_address)
{
	static const struct {
		const char *host;
		int err;
	} rows[] = {
		{"", -EINVAL},
		{"nowhere", -EINVAL},
		{"1.2.3", -EINVAL},
		{"[::1]", -EINVAL},
		{"192.0.2.1", -EADDRNOTAVAIL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct listen_set set;
		int err = listen_set_open(&set, rows[i].host, 0, i % 2);

		cr_expect(err == rows[i].err && set.n == 0, "%s: %d", rows[i].host, err);
	}
}

Test(net_listener, again)
{
	struct listen_set first, second, third;

	cr_assert(listen_set_open(&first, NULL, 0, true) == 0);
	cr_assert(listen_set_again(&second, &first) == 0);
	cr_expect(second.n == first.n);
	for (int i = 0; i < first.n; i++)
		cr_expect(address_equal(&first.addrs[i], &second.addrs[i]) &&
			  first.fds[i] != second.fds[i]);
	listen_set_close(&first);
	/* What was not shared cannot be had again. */
	cr_assert(listen_set_open(&first, "127.0.0.1", 0, false) == 0);
	cr_expect(listen_set_again(&third, &first) == -EADDRINUSE && third.n == 0);
	listen_set_close(&first);
	listen_set_close(&second);
}

struct door {
	struct listener listener;
	int n_accepted, most;
};

static bool on_accept(struct listener *listener, int fd, const union address *peer)
{
	struct door *door = (struct door *)listener;
	int no_delay = 0;
	socklen_t len = sizeof(no_delay);

	cr_expect(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &no_delay, &len) == 0 &&
		  no_delay);
	cr_expect(address_is_loopback(peer));
	cr_expect(address_port(peer) != 0);
	close(fd);
	return ++door->n_accepted < door->most;
}

Test(net_listener, pauses_and_resumes)
{
	struct door door = {.most = 2};
	struct listen_set set;
	struct loop loop;
	int fds[5], lowest;

	cr_assert(loop_init(&loop, 100) == 0);
	lowest = lowest_free_fd();
	cr_assert(listen_set_open(&set, "127.0.0.1", 0, true) == 0);
	cr_assert(listener_start(&door.listener, &loop, set.fds[0], on_accept) == 0);
	for (int i = 0; i < 4; i++)
		fds[i] = connect_to(&set.addrs[0]);
	turn(&loop);
	cr_expect(door.n_accepted == 2 && door.listener.paused, "%d", door.n_accepted);
	turn(&loop);
	cr_expect(door.n_accepted == 2);
	door.most = 10;
	listener_pause(&door.listener);
	listener_resume(&door.listener);
	listener_resume(&door.listener);
	turn(&loop);
	cr_expect(door.n_accepted == 4, "%d", door.n_accepted);
	/* Who waits in the queue when it closes is still taken. */
	fds[4] = connect_to(&set.addrs[0]);
	listener_close(&door.listener);
	listener_close(&door.listener);
	cr_expect(door.n_accepted == 5, "%d", door.n_accepted);
	cr_expect(door.listener.fd == -1);
	listener_resume(&door.listener);
	for (int i = 0; i < 5; i++)
		close(fds[i]);
	cr_expect(lowest_free_fd() == lowest);
	loop_fini(&loop);
}
