// SPDX-License-Identifier: Apache-2.0
//
// Large messages through a proxy: N keep-alive clients and their backend in one thread,
// as in pong. Each client sends a request of UP bytes, gets an answer of DOWN bytes, and
// asks again.
//
//	bulk -p PROXY_PORT -b BACKEND_PORT [-c CONNECTIONS] [-u UP] [-d DOWN] [-k]
//	     [-t SECONDS] [-w WARM_UP_SECONDS] [PID...]
//
// UP and DOWN are rounded up to 64 KiB; -k sends bodies in chunks instead of with their
// length. Where a byte stands is in its value: the first of every read is checked, and
// the length of every message. Prints one line of JSON as pong does: "bytes" are those of
// bodies that arrived, and "requests" are whole messages.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "load.h"

#define UNIT      (64UL << 10)
#define UNIT_TEXT "10000\r\n" // its size as a chunk says it
#define HEAD_MAX  4096

enum part {
	IN_HEAD,
	IN_LENGTH, // a body whose end is known
	IN_SIZE,   // of a chunk
	IN_CHUNK,
	IN_CHUNK_END,
	IN_LAST_LINE,
	IN_NOTHING, // the message is complete
};

struct message {
	char head[256];
	size_t head_length, length; // of all of it
};

struct conn {
	enum { LISTENER, SERVER, CLIENT } role;
	int fd;
	const struct message *out;
	size_t sent;
	enum part part;
	char head[HEAD_MAX];
	size_t n_head;
	size_t left, body; // of the chunk or body; of body bytes that came
	struct conn *next_dead;
};

static struct {
	struct sockaddr_in proxy, backend;
	int n_clients;
	size_t up, down;
	bool chunked;
	double seconds, warm_up;
} options = {.n_clients = 8, .seconds = 3, .warm_up = 0.5};

static struct {
	unsigned long requests, bytes, errors, wrong;
} count;

static struct message request, answer;
static char framed[UNIT + 16], *unit = framed + sizeof(UNIT_TEXT) - 1;
static char input[256 << 10];
static int ep;
static struct conn *dead;

static struct conn *create_conn(int role, int fd)
{
	struct conn *c = calloc(1, sizeof(*c));
	if (!c)
		die("bulk");
	c->role = role;
	c->fd = fd;
	return c;
}

static void watch(struct conn *c)
{
	int one = 1;
	struct epoll_event ev = {.data.ptr = c, .events = EPOLLIN};
	if (c->role != LISTENER) {
		setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		ev.events |= EPOLLOUT | EPOLLRDHUP | EPOLLET;
	}
	if (epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &ev) < 0)
		die("bulk: epoll_ctl");
}

// --- messages ---

static const char *last_line(void)
{
	return options.chunked ? "0\r\n\r\n" : "";
}

static size_t unit_length(void)
{
	return options.chunked ? UNIT + sizeof(UNIT_TEXT) - 1 + 2 : UNIT;
}

static void make_message(struct message *m, const char *first_line, size_t body)
{
	char length[64] = "Transfer-Encoding: chunked";

	if (!options.chunked || !body)
		snprintf(length, sizeof(length), "Content-Length: %zu", body);
	m->head_length = (size_t)snprintf(
		m->head, sizeof(m->head), "%s\r\n%s\r\n\r\n", first_line, length);
	m->length = m->head_length + body / UNIT * unit_length() +
		    (body ? strlen(last_line()) : 0);
}

// What comes next of the message, up to the end of a unit.
static size_t next_piece(const struct conn *c, const char **piece)
{
	const struct message *m = c->out;
	size_t at, units_end = m->length - strlen(last_line());

	if (c->sent < m->head_length) {
		*piece = m->head + c->sent;
		return m->head_length - c->sent;
	}
	if (c->sent >= units_end) {
		*piece = last_line() + (c->sent - units_end);
		return m->length - c->sent;
	}
	at = (c->sent - m->head_length) % unit_length();
	*piece = (options.chunked ? framed : unit) + at;
	return unit_length() - at;
}

// False when the connection is broken.
static bool send_more(struct conn *c)
{
	while (c->out && c->sent < c->out->length) {
		const char *piece;
		size_t n = next_piece(c, &piece);
		ssize_t w = send(c->fd, piece, n, MSG_NOSIGNAL);
		if (w < 0)
			return errno == EAGAIN;
		c->sent += (size_t)w;
	}
	return true;
}

static const char *find_header(const char *head, const char *name)
{
	const char *at = strcasestr(head, name);
	return at ? at + strlen(name) : NULL;
}

static void begin_body(struct conn *c)
{
	const char *length = find_header(c->head, "\ncontent-length:");

	c->body = 0;
	c->left = length ? strtoul(length, NULL, 10) : 0;
	if (find_header(c->head, "\ntransfer-encoding:"))
		c->part = IN_SIZE;
	else
		c->part = c->left ? IN_LENGTH : IN_NOTHING;
}

static size_t take_head(struct conn *c, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n && c->n_head < HEAD_MAX - 1; i++) {
		c->head[c->n_head++] = bytes[i];
		c->head[c->n_head] = '\0';
		if (bytes[i] == '\n' && c->n_head >= 4 &&
			!memcmp(c->head + c->n_head - 4, "\r\n\r\n", 4)) {
			begin_body(c);
			return i + 1;
		}
	}
	return n;
}

static size_t take_body(struct conn *c, const char *bytes, size_t n)
{
	size_t taken = n < c->left ? n : c->left;

	if (*bytes != unit[c->body % UNIT] ||
		bytes[taken - 1] != unit[(c->body + taken - 1) % UNIT])
		count.wrong++;
	c->body += taken;
	c->left -= taken;
	count.bytes += taken;
	if (!c->left)
		c->part = c->part == IN_LENGTH ? IN_NOTHING : IN_CHUNK_END;
	return taken;
}

// One character of a chunk's line; nobody here sends extensions or trailers.
static void take_framing(struct conn *c, char byte)
{
	if (byte == '\r')
		return;
	if (byte != '\n')
		c->left = c->left * 16 +
			  (size_t)(byte <= '9' ? byte - '0' : (byte | 0x20) - 'a' + 10);
	else if (c->part == IN_CHUNK_END)
		c->part = IN_SIZE;
	else if (c->part == IN_LAST_LINE)
		c->part = IN_NOTHING;
	else
		c->part = c->left ? IN_CHUNK : IN_LAST_LINE;
}

static void take(struct conn *c, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n;) {
		if (c->part == IN_HEAD)
			i += take_head(c, bytes + i, n - i);
		else if (c->part == IN_LENGTH || c->part == IN_CHUNK)
			i += take_body(c, bytes + i, n - i);
		else if (c->part != IN_NOTHING)
			take_framing(c, bytes[i++]);
		else {
			count.wrong++; // more than the message
			return;
		}
	}
}

// --- the two ends ---

static void say(struct conn *c, const struct message *m)
{
	c->part = IN_HEAD;
	c->n_head = 0;
	c->out = m;
	c->sent = 0;
}

static void dial(struct conn *c)
{
	say(c, &request);
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (c->fd < 0)
		die("bulk: socket");
	(void)!connect(c->fd, (struct sockaddr *)&options.proxy, sizeof(options.proxy));
	watch(c);
}

static void on_message(struct conn *c)
{
	size_t wanted = c->role == CLIENT ? options.down : options.up;

	count.requests += c->role == CLIENT;
	count.wrong += c->body != wanted ||
		       (c->role == CLIENT && strncmp(c->head, "HTTP/1.1 200", 12));
	if (c->role == CLIENT && find_header(c->head, "\nconnection: close")) {
		close(c->fd); // recycled: the next one takes a new connection
		dial(c);
		return;
	}
	say(c, c->role == CLIENT ? &request : &answer);
}

static void end(struct conn *c)
{
	close(c->fd);
	c->fd = -1;
	if (c->role == CLIENT) {
		count.errors++;
		dial(c);
		return;
	}
	c->next_dead = dead;
	dead = c;
}

static void on_conn(struct conn *c, uint32_t events)
{
	if ((events & EPOLLOUT) && !send_more(c)) {
		end(c);
		return;
	}
	while (events & ~(uint32_t)EPOLLOUT) {
		ssize_t n = read(c->fd, input, sizeof(input));
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			end(c);
			return;
		}
		take(c, input, (size_t)n);
		if (c->part == IN_NOTHING) {
			int fd = c->fd;
			on_message(c);
			if (c->fd != fd)
				return;
			if (!send_more(c)) {
				end(c);
				return;
			}
		}
		if ((size_t)n < sizeof(input) && !(events & (EPOLLRDHUP | EPOLLHUP)))
			return;
	}
}

static void on_listener(const struct conn *listener)
{
	int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK);
	if (fd >= 0)
		watch(create_conn(SERVER, fd));
}

static void start_backend(void)
{
	int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	const struct sockaddr *at = (const struct sockaddr *)&options.backend;
	if (bind(fd, at, sizeof(options.backend)) < 0 || listen(fd, 4096) < 0)
		die("bulk: backend");
	watch(create_conn(LISTENER, fd));
}

// --- the run ---

static void turn(void)
{
	struct epoll_event events[64];
	int n = epoll_wait(ep, events, 64, 100);

	for (int i = 0; i < n; i++) {
		struct conn *c = events[i].data.ptr;
		if (c->fd >= 0 && c->role == LISTENER)
			on_listener(c);
		else if (c->fd >= 0)
			on_conn(c, events[i].events);
	}
	while (dead) {
		struct conn *c = dead;
		dead = c->next_dead;
		free(c);
	}
}

static size_t whole_units(const char *bytes)
{
	return (strtoul(bytes, NULL, 10) + UNIT - 1) / UNIT * UNIT;
}

static void parse_options(int argc, char **argv)
{
	int option;
	while ((option = getopt(argc, argv, "p:b:c:u:d:kt:w:")) != -1) {
		switch (option) {
		case 'p':
			options.proxy = loopback(optarg);
			break;
		case 'b':
			options.backend = loopback(optarg);
			break;
		case 'c':
			options.n_clients = atoi(optarg);
			break;
		case 'u':
			options.up = whole_units(optarg);
			break;
		case 'd':
			options.down = whole_units(optarg);
			break;
		case 'k':
			options.chunked = true;
			break;
		case 't':
			options.seconds = atof(optarg);
			break;
		case 'w':
			options.warm_up = atof(optarg);
			break;
		default:
			exit(2);
		}
	}
	if (!options.proxy.sin_port || !options.backend.sin_port) {
		fprintf(stderr, "usage: bulk -p PROXY_PORT -b BACKEND_PORT [options] "
				"[PID...]\n");
		exit(2);
	}
}

int main(int argc, char **argv)
{
	parse_options(argc, argv);
	memcpy(framed, UNIT_TEXT, sizeof(UNIT_TEXT) - 1);
	for (size_t i = 0; i < UNIT; i++)
		unit[i] = (char)(i % 251);
	memcpy(unit + UNIT, "\r\n", 2);
	make_message(&request, "POST / HTTP/1.1\r\nHost: bench.example", options.up);
	make_message(&answer, "HTTP/1.1 200 OK", options.down);
	ep = epoll_create1(0);
	start_backend();
	for (int i = 0; i < options.n_clients; i++)
		dial(create_conn(CLIENT, -1));

	for (double until = now() + options.warm_up; now() < until;)
		turn();
	unsigned long long cpu = cpu_ns(argv + optind);
	double begin = now();
	count.requests = count.bytes = 0;
	while (now() < begin + options.seconds)
		turn();
	cpu = cpu_ns(argv + optind) - cpu;
	printf("{\"requests\": %lu, \"bytes\": %lu, \"seconds\": %.3f, \"cpu_ns\": %llu, "
	       "\"errors\": %lu, \"wrong\": %lu}\n",
		count.requests, count.bytes, now() - begin, cpu, count.errors,
		count.wrong);
	return 0;
}
