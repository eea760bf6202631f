// SPDX-License-Identifier: Apache-2.0
//
// Both ends of a proxy in one small thread: N keep-alive clients that each send the next
// request when the answer to the last one is complete (a closed loop), and the backend
// that answers them. One thread, so that a core of its own is enough for both.
//
//	pong -p PROXY_PORT -b BACKEND_PORT [-c CONNECTIONS] [-t SECONDS]
//	     [-w WARM_UP_SECONDS] [-n] [-r RATE] [PID...]
//
// -n: every request says `Connection: close` and the next one takes a new connection.
// -r: an open loop instead: so many requests a second, each at its own time whatever
// became of those before, and its latency counts from that time on, also while it had to
// wait for a connection (so nothing is omitted that a slow proxy would have delayed).
// -a: the backend listens on every address of this machine.
//
// Each request carries a number; its answer must be 200 with that number and 1 KiB of the
// right bytes. Prints one line of JSON about the time after the warm-up. The CPU time of
// the processes named is read at both ends of that time, here, so that nobody has to be
// scheduled in between.
//
// "reconnects" are connections that ended after an answer which said `Connection: close`:
// the clients dial again, as any client does. "errors" are requests without their answer;
// "wrong" are answers that are not the right one; "stuck" are connections that got none,
// in an open loop none to the last request for a second.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "load.h"

#define BODY_BYTES     1024
#define ID_DIGITS      8
#define LATENCY_MAX_US 2000000
#define DIAL_SECONDS   30
#define STUCK_SECONDS  1
#define BUFFER_SIZE    4096 // one head and one body, with room for what a proxy adds

#define REQUEST_TAIL                                                                     \
	" HTTP/1.1\r\nHost: bench.example\r\nUser-Agent: pong\r\n"                       \
	"Accept: */*\r\n"
static const char *request_end = "\r\n";
static const char answer_head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
				  "Content-Length: 1024\r\n\r\n";
static const char answer_head_close[] =
	"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
	"Connection: close\r\nContent-Length: 1024\r\n\r\n";

enum role {
	ROLE_LISTENER,
	ROLE_SERVER,
	ROLE_CLIENT,
};

struct conn {
	enum role role;
	int fd;
	bool asked;         // client: a request is out
	bool served;        // client: it has had an answer
	bool resting;       // client: on the list of those that wait for the next request
	double due;         // client: when that request was to go out
	unsigned id;        // client: the number of that request
	unsigned n_answers; // client: since the warm-up, over all its connections
	size_t have;
	struct conn *next_dead, *next_resting;
	char buffer[BUFFER_SIZE];
};

static struct {
	struct sockaddr_in proxy, backend;
	int n_clients;
	double seconds, warm_up;
	double rate; // requests a second; 0 is a closed loop
	char **pids;
} options = {.n_clients = 64, .seconds = 3, .warm_up = 0.5};

static struct {
	unsigned long requests, reconnects, errors, wrong;
} count;

static int ep;
static unsigned next_id;
static int n_served;
static bool dialling; // in turn: who has been served once waits until all are connected
static double next_due;
static struct conn *resting;
static unsigned latencies[LATENCY_MAX_US + 1]; // how many took so many microseconds
static struct conn *dead; // servers closed in this turn: later events may still name them
static char body_rest[BODY_BYTES - ID_DIGITS];

static void watch(struct conn *c)
{
	struct epoll_event ev = {.data.ptr = c};
	ev.events = EPOLLIN;
	if (c->role != ROLE_LISTENER)
		ev.events |= EPOLLRDHUP | EPOLLET;
	if (c->role == ROLE_CLIENT)
		ev.events |= EPOLLOUT; // tells that the connection is made
	if (epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &ev) < 0)
		die("pong: epoll_ctl");
}

static struct conn *create_conn(enum role role, int fd)
{
	struct conn *c = malloc(sizeof(*c));
	if (!c)
		die("pong");
	c->role = role;
	c->fd = fd;
	c->asked = c->resting = c->served = false;
	c->n_answers = 0;
	c->have = 0;
	return c;
}

// --- HTTP, as little of it as the two ends need ---

static size_t head_length(const char *bytes, size_t n)
{
	const char *end = memmem(bytes, n, "\r\n\r\n", 4);
	return end ? (size_t)(end - bytes) + 4 : 0;
}

// The value of a header, or NULL; `name` with its colon, in lower case.
static const char *find_header(const char *head, size_t n, const char *name)
{
	size_t name_length = strlen(name);
	const char *end = head + n, *line = head;

	while ((line = memchr(line, '\n', (size_t)(end - line))) != NULL) {
		line++;
		if ((size_t)(end - line) < name_length)
			return NULL;
		if ((*line | 0x20) == *name && !strncasecmp(line, name, name_length)) {
			line += name_length;
			return line + strspn(line, " ");
		}
	}
	return NULL;
}

static bool says_close(const char *head, size_t n)
{
	const char *value = find_header(head, n, "connection:");
	return value && !strncasecmp(value, "close", 5);
}

// --- the backend ---

static void close_server(struct conn *c)
{
	close(c->fd);
	c->fd = -1;
	c->next_dead = dead;
	dead = c;
}

static void free_dead(void)
{
	while (dead) {
		struct conn *c = dead;
		dead = c->next_dead;
		free(c);
	}
}

static bool answer(struct conn *c, size_t head)
{
	bool last = says_close(c->buffer, head);
	const char *start = last ? answer_head_close : answer_head;
	size_t n = last ? sizeof(answer_head_close) - 1 : sizeof(answer_head) - 1;
	char out[256 + BODY_BYTES];

	memcpy(out, start, n);
	memcpy(out + n, c->buffer + strlen("GET /"), ID_DIGITS);
	memcpy(out + n + ID_DIGITS, body_rest, sizeof(body_rest));
	return write(c->fd, out, n + BODY_BYTES) == (ssize_t)(n + BODY_BYTES) && !last;
}

static void on_server(struct conn *c)
{
	ssize_t n = read(c->fd, c->buffer + c->have, sizeof(c->buffer) - c->have);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		close_server(c);
		return;
	}
	c->have += (size_t)n;
	size_t head = head_length(c->buffer, c->have);
	if (!head)
		return;
	c->have = 0; // our clients do not pipeline: a head is all there is
	if (!answer(c, head))
		close_server(c);
}

static void on_listener(struct conn *listener)
{
	int one = 1, fd;
	while ((fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		watch(create_conn(ROLE_SERVER, fd));
	}
}

static struct conn *start_backend(void)
{
	int one = 1;
	struct conn *c = create_conn(ROLE_LISTENER, -1);
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	setsockopt(c->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	const struct sockaddr *at = (const struct sockaddr *)&options.backend;
	if (bind(c->fd, at, sizeof(options.backend)) < 0 || listen(c->fd, 4096) < 0)
		die("pong: backend");
	watch(c);
	return c;
}

// --- the clients ---

static void dial(struct conn *c)
{
	int one = 1;
	c->have = 0;
	c->asked = false;
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (c->fd < 0)
		die("pong: socket");
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	// A refusal comes back as an event with an error to read.
	(void)!connect(c->fd, (struct sockaddr *)&options.proxy, sizeof(options.proxy));
	watch(c);
}

static void redial(struct conn *c)
{
	close(c->fd);
	dial(c);
}

static void ask(struct conn *c)
{
	char out[256];
	c->id = next_id++ % 100000000;
	int n = snprintf(
		out, sizeof(out), "GET /%08u" REQUEST_TAIL "%s", c->id, request_end);
	c->asked = write(c->fd, out, (size_t)n) == n;
	if (!c->asked) {
		count.errors++;
		redial(c);
	}
}

// The next request, at once or when it is due.
static void go_on(struct conn *c)
{
	c->have = 0;
	if (dialling && c->served)
		return;
	if (options.rate == 0) {
		ask(c);
	} else if (!c->resting) {
		c->resting = true;
		c->next_resting = resting;
		resting = c;
	}
}

static void ask_who_rest(void)
{
	for (double t = now(); options.rate > 0 && resting && next_due <= t;) {
		struct conn *c = resting;
		resting = c->next_resting;
		c->resting = false;
		c->due = next_due;
		next_due += 1 / options.rate;
		ask(c);
	}
}

static void count_latency(const struct conn *c)
{
	double us = (now() - c->due) * 1e6;
	latencies[us < LATENCY_MAX_US ? (size_t)us : LATENCY_MAX_US]++;
}

static size_t percentile(double share)
{
	unsigned long sum = 0;
	size_t us = 0;
	while (us < LATENCY_MAX_US &&
		(sum += latencies[us]) < share * (double)count.requests)
		us++;
	return us;
}

static bool is_right(const struct conn *c, size_t head)
{
	char id[ID_DIGITS + 1];
	const char *body = c->buffer + head;

	snprintf(id, sizeof(id), "%08u", c->id);
	return !memcmp(c->buffer, "HTTP/1.1 200 ", 13) && !memcmp(body, id, ID_DIGITS) &&
	       !memcmp(body + ID_DIGITS, body_rest, sizeof(body_rest));
}

// When the answer is complete: judge it, count it, ask again.
static void take_answer(struct conn *c)
{
	size_t head = head_length(c->buffer, c->have);
	if (!head)
		return;
	const char *length = find_header(c->buffer, head, "content-length:");
	size_t body = length ? strtoul(length, NULL, 10) : 0;
	if (length && c->have < head + body && head + body <= sizeof(c->buffer))
		return;

	count.requests++;
	c->n_answers++;
	n_served += !c->served;
	c->served = true;
	c->asked = false;
	if (options.rate > 0)
		count_latency(c);
	if (body != BODY_BYTES || c->have != head + body || !is_right(c, head)) {
		count.wrong++;
		redial(c);
	} else if (says_close(c->buffer, head)) {
		count.reconnects++;
		redial(c);
	} else {
		go_on(c);
	}
}

static void on_client(struct conn *c, uint32_t events)
{
	if (!c->asked && (events & EPOLLOUT) && !(events & ~(uint32_t)EPOLLOUT)) {
		go_on(c);
		return;
	}
	ssize_t n = read(c->fd, c->buffer + c->have, sizeof(c->buffer) - c->have);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		count.errors++;
		redial(c);
		return;
	}
	c->have += (size_t)n;
	take_answer(c);
	// More than the answer has come with it: an end that no answer announced.
	if (c->asked && (events & (EPOLLRDHUP | EPOLLHUP)) && c->have == 0)
		on_client(c, EPOLLIN);
}

// --- the run ---

static void turn(void)
{
	struct epoll_event events[256];
	ask_who_rest();
	int n = epoll_wait(ep, events, 256, options.rate > 0 ? 0 : 100);

	for (int i = 0; i < n; i++) {
		struct conn *c = events[i].data.ptr;
		if (c->fd < 0)
			continue;
		if (c->role == ROLE_CLIENT)
			on_client(c, events[i].events);
		else if (c->role == ROLE_SERVER)
			on_server(c);
		else
			on_listener(c);
	}
	free_dead();
}

static void parse_options(int argc, char **argv)
{
	int option;
	while ((option = getopt(argc, argv, "p:b:c:t:w:r:na")) != -1) {
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
		case 't':
			options.seconds = atof(optarg);
			break;
		case 'w':
			options.warm_up = atof(optarg);
			break;
		case 'r':
			options.rate = atof(optarg);
			break;
		case 'n':
			request_end = "Connection: close\r\n\r\n";
			break;
		case 'a':
			options.backend.sin_addr.s_addr = htonl(INADDR_ANY);
			break;
		default:
			exit(2);
		}
	}
	options.pids = argv + optind;
	if (!options.proxy.sin_port || !options.backend.sin_port) {
		fprintf(stderr, "usage: pong -p PROXY_PORT -b BACKEND_PORT [options] "
				"[PID...]\n");
		exit(2);
	}
}

static void raise_descriptor_limit(void)
{
	struct rlimit limit;
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv)
{
	parse_options(argc, argv);
	raise_descriptor_limit();
	memset(body_rest, 'x', sizeof(body_rest));
	ep = epoll_create1(0);
	start_backend();

	struct conn **clients = calloc((size_t)options.n_clients, sizeof(*clients));
	if (!clients)
		die("pong");
	double give_up = now() + DIAL_SECONDS;
	dialling = options.rate == 0;
	for (int i = 0; i < options.n_clients; i++) {
		dial(clients[i] = create_conn(ROLE_CLIENT, -1));
		// No more at once than a queue holds, or some would be lost in it.
		while (dialling && i - n_served >= 64 && now() < give_up)
			turn();
	}
	dialling = false;
	for (int i = 0; options.rate == 0 && i < options.n_clients; i++)
		if (clients[i]->served && !clients[i]->asked)
			ask(clients[i]);

	next_due = now();
	for (double end = now() + options.warm_up; now() < end;)
		turn();
	unsigned long long cpu = cpu_ns(options.pids);
	double begin = now(), end = begin + options.seconds;
	count.requests = count.reconnects = 0; // errors count from the first byte on
	memset(latencies, 0, sizeof(latencies));
	for (int i = 0; i < options.n_clients; i++)
		clients[i]->n_answers = 0;
	while (now() < end)
		turn();
	cpu = cpu_ns(options.pids) - cpu;

	int n_stuck = 0;
	for (int i = 0; i < options.n_clients; i++)
		n_stuck += options.rate == 0
				   ? clients[i]->n_answers == 0
				   : clients[i]->asked &&
					     now() - clients[i]->due > STUCK_SECONDS;
	printf("{\"requests\": %lu, \"seconds\": %.3f, \"cpu_ns\": %llu, "
	       "\"reconnects\": %lu, \"errors\": %lu, \"wrong\": %lu, \"stuck\": %d, "
	       "\"p50_us\": %zu, \"p99_us\": %zu, \"p999_us\": %zu}\n",
		count.requests, now() - begin, cpu, count.reconnects, count.errors,
		count.wrong, n_stuck, percentile(0.5), percentile(0.99),
		percentile(0.999));
	return 0;
}
