/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole proxy as one state machine: a worker as it ships, on the simulated kernel
 * (sim.h). The input is a script: an operation is 0xff, a letter and its bytes. What
 * stands before the first one a client sends to the inbound listener. With 0xfe in place
 * of 0xff an operation comes at the same moment as the one before it.
 *
 *	oN      which configuration (only at the beginning)
 *	aN…     a client connects to front N and sends the rest; it is the current one
 *	CN UN   another client or upstream becomes the current one
 *	c… u…   the current client or upstream sends
 *	bN BN   sends N times 12 KiB
 *	sN SN   what is sent from here on comes in pieces
 *	f F     sends FIN
 *	q Q     closes
 *	r R     resets
 *	wN WN   takes N times 64 bytes, without N all
 *	k K     acks are held, or come
 *	p P     is far into a large message
 *	tN      time passes
 *	x…      how the next connects end
 *	X       those that wait succeed
 *	nN      what the DNS answers
 *	y       other endpoints
 *	g       a rebalance
 *	d z     drain, and its end
 *	D       a listener closes
 *	Z       the worker ends in the middle of all
 *
 * Whatever happens: the loop comes to rest, nothing that could go on stands still, no
 * more than 64 KiB are held for a direction, nothing is left when all peers have gone,
 * and what went over the connections is right (transcript.h).
 */
#include "base/clock.h"
#include "flow/client.h"
#include "flow/drain.h"
#include "flow/exchange.h"
#include "flow/target.h"
#include "fuzz.h"
#include "sim.h"
#include "transcript.h"
#include "world.h"

#define TURNS_MAX   20000
#define HELD_MAX    (64 << 10)
#define PLENTY      (4 << 20) /* MOVE_FROM of net/stream.c */
#define FILLER      (12 << 10)
#define SENT_MAX    (640 << 10)
#define PIECES_MAX  150 /* of a whole run: each costs a turn */
#define CLIENTS_MAX 6

static struct {
	struct worker worker;
	struct shared shared;
	struct front fronts[WORLD_FRONTS];
	struct sim_socket *clients[CLIENTS_MAX];
	size_t n_clients, client; /* the current one */
	size_t upstream;          /* the same; SIZE_MAX: the newest */
	size_t piece, n_pieces;   /* how what is sent is cut */
	size_t n_sent;
	unsigned topo;
	bool ends_at_once;
} run;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	world_init();
	return 0;
}

/* --- what must hold at every moment --- */

static void check_held(const struct stream *stream, const struct buf *in)
{
	CHECK(buf_len(stream->out) <= HELD_MAX && buf_len(in) <= HELD_MAX);
}

/* Before it ends: whose bytes are no HTTP. */
static void mark_raw(const struct exchange *exchange)
{
	struct sim_socket *socket = sim_socket_of(exchange->upstream->stream.fd);

	if (socket && (exchange->is_tcp || (exchange->method == METHOD_CONNECT &&
						   exchange->direction == OUTBOUND)))
		socket->is_raw = true;
}

static void check_turn(void)
{
	list_each_safe (node, next, &run.worker.clients) {
		const struct client *client = container_of(node, struct client, node);
		const struct exchange *exchange = client->exchange;

		check_held(&client->stream, client->in);
		if (!exchange)
			continue;
		if (!exchange->upstream)
			continue;
		CHECK(buf_len(exchange->request) +
				buf_len(exchange->upstream->stream.out) <=
			HELD_MAX + 2048);
		check_held(&exchange->upstream->stream, exchange->upstream->in);
		mark_raw(exchange);
	}
}

/* Nobody tells twice: what can be read or written is known to the stream. */
static void check_stream(const struct stream *stream)
{
	const struct sim_socket *socket = sim_socket_of(stream->fd);

	/* A reset is told once, together with what came before it: who wants more bytes
	 * looks again within a tick (stream_expect_more). */
	if (!socket || socket->connecting || socket->dead)
		return;
	if (sim_has_data(socket) || (socket->fin_in && !socket->fin_told))
		CHECK(stream->readable);
	if (socket->room > 0)
		CHECK(!stream->out);
}

static bool is_waiting(const struct stream *from, const struct stream *to)
{
	return from->readable && !from->at_eof && !stream_is_blocked(to);
}

static void check_exchange(const struct exchange *exchange)
{
	const struct stream *down = &exchange->client->stream;
	const struct stream *up;

	if (!exchange->upstream)
		return;
	up = &exchange->upstream->stream;
	check_stream(up);
	if (!exchange->sent)
		return;
	CHECK(!is_waiting(up, down));
	if (exchange->tunnel ||
		(!exchange->request_body.done && !exchange->upload_broken))
		CHECK(!is_waiting(down, up));
}

/* At rest nothing that could go on stands still. */
static void check_rest(void)
{
	list_each_safe (node, next, &run.worker.clients) {
		const struct client *client = container_of(node, struct client, node);
		const struct stream *stream = &client->stream;

		check_stream(stream);
		if (client->exchange)
			check_exchange(client->exchange);
		if (client->state == CLIENT_HEAD)
			CHECK(stream_is_blocked(stream) ||
				(!stream->readable &&
					(!client->in || client->in_is_partial)));
		if (client->state == CLIENT_LINGER)
			CHECK(!stream->readable || stream->at_eof);
	}
}

static void settle(void)
{
	for (int i = 0; !sim_is_idle() || !list_empty(&run.worker.loop.deferred); i++) {
		CHECK(i < TURNS_MAX);
		loop_run(&run.worker.loop);
		check_turn();
	}
	check_rest();
}

/* --- the operations --- */

static struct sim_socket *current_client(void)
{
	return run.n_clients ? run.clients[run.client] : NULL;
}

static struct sim_socket *current_upstream(void)
{
	struct sim_socket *found = NULL;
	size_t n = 0;

	for (size_t i = 0; i < sim.n_sockets; i++) {
		struct sim_socket *socket = &sim.sockets[i];

		if (socket->kind != SIM_UPSTREAM || socket->connecting)
			continue;
		found = socket;
		if (n++ == run.upstream)
			break;
	}
	return found;
}

static void send_pieces(struct sim_socket *socket, struct str bytes)
{
	size_t step = run.piece;

	if (step == 0 || bytes.len / step > PIECES_MAX - run.n_pieces)
		step = bytes.len;
	if (!socket || run.n_sent + bytes.len > SENT_MAX)
		return;
	run.n_sent += bytes.len;
	for (size_t at = 0; at < bytes.len; at += step) {
		if (at > 0)
			settle();
		run.n_pieces += at > 0;
		sim_send(socket, bytes.ptr + at,
			bytes.len - at < step ? bytes.len - at : step);
	}
}

static unsigned digit(struct str *arg)
{
	return fuzz_byte(arg) & 15;
}

static void op_accept(struct str arg)
{
	uint16_t front = (uint16_t)(digit(&arg) % WORLD_FRONTS);
	struct sim_socket *client;

	if (run.n_clients == CLIENTS_MAX)
		return;
	client = sim_dial(front);
	if (!client)
		return;
	client->is_raw = world_fronts[front].protocol == PROTOCOL_TCP;
	run.client = run.n_clients;
	run.clients[run.n_clients++] = client;
	send_pieces(client, arg);
}

static void op_choose(char letter, struct str arg)
{
	unsigned n = digit(&arg);

	if (letter == 'C' && run.n_clients)
		run.client = n % run.n_clients;
	if (letter == 'U')
		run.upstream = n;
}

static void op_time(struct str arg)
{
	static const uint64_t spans[] = {
		10, 50, 300, 1100, 2100, 3500, 5100, 11000, 61000, 301000};
	uint64_t ms = spans[digit(&arg) % 10];

	sim_advance(ms / 2);
	settle();
	sim_advance(ms - ms / 2);
}

static void op_connects(struct str arg)
{
	while (arg.len > 0 && sim.n_connects < 8)
		sim.connects[sim.n_connects++] = (enum sim_connect)(digit(&arg) % 5);
}

static void use_topo(unsigned i)
{
	struct topo *before = run.worker.topo;

	/* As take_topo of worker.c, which takes it from a letter. */
	run.worker.topo = topo_ref(world_topos[i]);
	targets_follow_topo(&run.worker);
	topo_unref(before);
}

static void op_rebalance(void)
{
	struct draw draw = {.from_ms = clock_ms(), .opened_before_ms = clock_ms() + 1};

	clients_draw(&run.worker, &draw);
}

static void op_stream(struct sim_socket *socket, char letter, struct str arg)
{
	static char filler[FILLER];
	static const size_t pieces[] = {0, 1, 2, 3, 7, 61, 1000, 4096, 30000, 61440};

	if (!socket)
		return;
	switch (letter) {
	case 'c':
		send_pieces(socket, arg);
		break;
	case 'f':
		sim_send_fin(socket);
		break;
	case 'q':
		sim_send_fin(socket);
		socket->peer_gone = true;
		break;
	case 'r':
		sim_send_reset(socket);
		break;
	case 'b':
		memset(filler, 'x', sizeof(filler));
		for (unsigned n = digit(&arg) + 1; n > 0; n--)
			send_pieces(socket, (struct str){filler, sizeof(filler)});
		break;
	case 'w':
		sim_set_room(socket, arg.len ? digit(&arg) * 64u : SIM_ROOM);
		break;
	case 'k':
		sim_set_acks(socket, !socket->holds_acks);
		break;
	case 'p':
		if (socket->event && !socket->connecting)
			((struct stream *)socket->event)->n_in_a_row = PLENTY;
		break;
	default:
		run.piece = pieces[digit(&arg) % 10];
		break;
	}
}

static void op_worker(char letter, struct str arg)
{
	struct sim_socket *client = current_client();

	switch (letter) {
	case 'n':
		sim.name_mode = (int)digit(&arg) % 3;
		sim_answer_names();
		break;
	case 'X':
		sim_decide_connects();
		break;
	case 'y':
		use_topo(run.topo ^= 1);
		break;
	case 'g':
		op_rebalance();
		break;
	case 'd':
		drain_begin(&run.worker);
		break;
	case 'z':
		drain_add_status(&run.worker, &(struct drain_status){0});
		drain_cut_off(&run.worker, &(unsigned){0});
		break;
	case 'Z':
		run.ends_at_once = true;
		break;
	default:
		if (!client)
			break;
		atomic_store(&run.fronts[client->front].closed, true);
		drain_close_door(&run.worker, &run.fronts[client->front]);
		break;
	}
}

static void op(char letter, struct str arg)
{
	if (letter == 'a')
		op_accept(arg);
	else if (letter == 'C' || letter == 'U')
		op_choose(letter, arg);
	else if (letter == 't')
		op_time(arg);
	else if (letter == 'x')
		op_connects(arg);
	else if (letter == 'u')
		op_stream(current_upstream(), 'c', arg);
	else if (strchr("cfqrbwkps", letter))
		op_stream(current_client(), letter, arg);
	else if (strchr("FQRBWKPS", letter))
		op_stream(current_upstream(), ascii_lower(letter), arg);
	else if (strchr("nXygdDzZ", letter))
		op_worker(letter, arg);
}

/* --- a run --- */

static void begin(unsigned options)
{
	sim_reset();
	sim.runs = true;
	run.shared.policy = world_policy;
	run.shared.config = &world_configs[options & 1];
	run.shared.max_downstream = options & 4 ? 2 : 100;
	run.shared.discovery = options & 2 ? &world_discovery : NULL;
	run.shared.draining = false;
	run.shared.fronts = run.fronts;
	run.shared.n_fronts = WORLD_FRONTS;
	atomic_store(&run.shared.n_downstream, 0);
	atomic_store(&run.shared.flow_ids, 0);
	for (uint16_t i = 0; i < WORLD_FRONTS; i++) {
		struct listen_set *set = &run.fronts[i].listen;

		run.fronts[i] = world_fronts[i];
		set->fds[0] = sim_listen(i);
		set->n = 1;
		address_parse("127.0.0.1", (uint16_t)(15080 + i), &set->addrs[0]);
	}
	run.n_clients = run.client = run.n_sent = run.piece = run.n_pieces = run.topo = 0;
	run.upstream = SIZE_MAX;
	run.ends_at_once = false;
	CHECK(worker_init(&run.worker, &run.shared, 0) == 0);
	rng_init(&run.worker.loop.rng, 1);
	run.worker.loop.stop = true; /* loop_run is one turn then */
	run.worker.topo = topo_ref(world_topos[0]);
}

/* Upstreams go first, so that a response that ends with its connection is whole. */
static void all_peers_leave(void)
{
	sim.n_connects = 0;
	sim.refuses = true;
	for (int kind = SIM_UPSTREAM; kind >= SIM_CLIENT; kind--) {
		sim_decide_connects();
		sim.name_mode = 1;
		sim_answer_names();
		settle();
		for (size_t i = 0; i < sim.n_sockets; i++) {
			struct sim_socket *socket = &sim.sockets[i];

			if ((int)socket->kind < kind)
				continue;
			sim_set_acks(socket, false);
			sim_set_room(socket, SIM_ROOM);
			settle();
			if ((int)socket->kind != kind || socket->closed)
				continue;
			sim_send_fin(socket);
			settle();
			socket->peer_gone = true;
		}
	}
	for (int i = 0; i < 8 && (sim.n_objects > 0 || i == 0); i++) {
		sim_answer_names();
		sim_advance(40000);
		settle();
	}
}

static void check_nothing_left(void)
{
	const struct gauges *gauges = &run.worker.gauges;
	static const struct gauges none;

	CHECK(list_empty(&run.worker.clients));
	CHECK(memcmp(gauges, &none, sizeof(none)) == 0);
	CHECK(sim.n_objects == 0);
	CHECK(atomic_load(&run.shared.n_downstream) == 0);
	for (size_t i = 0; i < sim.n_sockets; i++)
		if (sim.sockets[i].kind >= SIM_CLIENT)
			CHECK(sim.sockets[i].closed);
}

static void end(void)
{
	worker_fini(&run.worker);
	for (size_t i = 0; i < sim.n_sockets; i++)
		CHECK(sim.sockets[i].closed);
	sim.runs = false;
}

/* Up to the next operation. */
static struct str take_bytes(struct str *input)
{
	size_t n = 0;

	while (n < input->len && (uint8_t)input->ptr[n] < 0xfe)
		n++;
	struct str bytes = {input->ptr, n};

	input->ptr += n;
	input->len -= n;
	return bytes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str input = {(const char *)data, size}, bytes;
	unsigned options = 0;

	if (size >= 3 && data[0] == 0xff && data[1] == 'o') {
		options = data[2] & 7;
		input = (struct str){input.ptr + 3, input.len - 3};
	}
	begin(options);
	bytes = take_bytes(&input);
	if (bytes.len > 0) {
		op('a', STR("0"));
		send_pieces(current_client(), bytes);
	}
	while (input.len > 0 && !run.ends_at_once) {
		bool is_same_moment = fuzz_byte(&input) == 0xfe;
		char letter = (char)fuzz_byte(&input);

		if (!is_same_moment)
			settle();
		if (letter)
			op(letter, take_bytes(&input));
	}
	if (!run.ends_at_once) {
		settle();
		all_peers_leave();
		check_nothing_left();
	}
	end();
	transcript_check();
	return 0;
}
