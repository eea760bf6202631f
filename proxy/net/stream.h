/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A non-blocking TCP socket on a loop, edge-triggered: one event, added once, never
 * changed. The stream remembers what the kernel has told and not yet been used
 * (`readable`, `writable`), and holds the bytes that the socket would not take. It knows
 * nothing of what the bytes mean.
 */
#include <event2/event_struct.h>
#include <stdbool.h>
#include <sys/uio.h>

#include "base/buf.h"
#include "base/str.h"
#include "net/loop.h"

struct stream;
struct sockaddr;

typedef void stream_fn(struct stream *stream);

struct stream {
	struct event event;
	struct loop *loop;
	stream_fn *on_ready; /* something became readable or writable, or failed */
	struct buf *out;     /* bytes that wait for the socket */
	struct list doubt;   /* in loop->doubted */
	uint64_t n_in_a_row; /* bytes read since stream_turn */
	int fd;              /* -1 is none */
	bool readable;       /* a read may give something */
	bool writable;
	bool full;       /* takes nothing now, and `writable` will come: stream_takes */
	bool plenty;     /* far into a large message, and the last read was a full one */
	bool hung_up;    /* the peer has sent FIN: read on to the end */
	bool fin_wanted; /* FIN goes when `out` is empty */
	bool fin_sent;
	bool at_eof;    /* a read gave 0 */
	bool was_reset; /* told already, by something but a read: the kernel says it once
			 */
};

/* Takes the descriptor over on success only. 0 or -errno. What was accepted has
 * TCP_NODELAY from its listener. */
__attribute__((warn_unused_result)) int stream_open(
	struct stream *stream, struct loop *loop, int fd, stream_fn *on_ready);

/*
 * Begins to connect; on_ready comes with `writable` set when that is decided, and
 * stream_take_error tells how. 0 or -errno (then there is nothing to close).
 */
__attribute__((warn_unused_result)) int stream_connect(struct stream *stream,
	struct loop *loop, const struct sockaddr *to, stream_fn *on_ready);

/*
 * 0, or -errno: why there is no connection, or what has broken it, also when bytes that
 * came before that are unread. The kernel tells it once.
 */
__attribute__((warn_unused_result)) int stream_take_error(struct stream *stream);

/* Closes at once; bytes that wait are lost. A closed stream does nothing. */
void stream_close(struct stream *stream);

/* The same, so that the peer sees a reset. */
void stream_reset(struct stream *stream);

/*
 * Reads up to cap bytes. Positive: so many; 0: end of stream; -EAGAIN: nothing now; other
 * negative errno: the connection is gone. Keeps `readable` true where more may be there.
 */
__attribute__((warn_unused_result)) ssize_t stream_read(
	struct stream *stream, char *to, size_t cap);

/*
 * Whoever needs more bytes than the last read gave says so here. A reset that came
 * together with those bytes was told in the same event (libevent does not tell it apart)
 * and would never be told again: the socket is looked at once more within a tick.
 */
void stream_expect_more(struct stream *stream);

/* Does that for all of them; called by the loop. */
void streams_resolve_doubts(struct loop *loop);

/* What a read would say, without taking anything: >0 bytes are there, 0 end, -errno. */
__attribute__((warn_unused_result)) ssize_t stream_peek(struct stream *stream);

/*
 * Writes all of it, in order behind what waits already: what the socket does not take is
 * copied and goes out by stream_flush. 0 or -errno.
 */
__attribute__((warn_unused_result)) int stream_write(
	struct stream *stream, const struct iovec *iov, int n_iov);

/* What is read from here on is another message. */
static inline void stream_turn(struct stream *stream)
{
	stream->n_in_a_row = 0;
	stream->plenty = false;
}

/*
 * Moves at most max bytes to a stream that is not blocked, as stream_read and
 * stream_write do, and says what the read did; *write_error is 0 or -errno. Where there
 * is plenty the bytes do not pass through our memory.
 */
__attribute__((warn_unused_result)) ssize_t stream_move(
	struct stream *from, struct stream *to, size_t max, int *write_error);

/* Writes what waits, when the socket is writable; then FIN if one is wanted. 0 or -errno.
 */
__attribute__((warn_unused_result)) int stream_flush_now(struct stream *stream);

/* The same; nearly always there is nothing to do. */
__attribute__((warn_unused_result)) static inline int stream_flush(struct stream *stream)
{
	return stream->out || stream->fin_wanted ? stream_flush_now(stream) : 0;
}

/* Sends FIN behind what waits. */
void stream_finish(struct stream *stream);

/* True while bytes wait for the socket, or would: whoever feeds the stream has to pause,
 * and on_ready comes when he may go on. */
static inline bool stream_is_blocked(const struct stream *stream)
{
	return stream->out || stream->full;
}

/* Asks the kernel; false makes it blocked. Seldom called, and not to burden those who
 * may call it. */
__attribute__((cold)) bool stream_has_room(struct stream *stream);

/*
 * Whether to read for that stream now. Where memory is short only what its socket takes
 * at once is read for it: the bytes wait in the kernel's queue on the other side, and
 * that makes the sender wait.
 */
static inline bool stream_takes(struct stream *stream)
{
	return !stream_is_blocked(stream) &&
	       (!loop_is_short(stream->loop) || stream_has_room(stream));
}

/*
 * After the peer's FIN (end of stream read): whether the peer's kernel has taken more
 * than the first n_before bytes that were ever written here. False proves that the peer
 * closed before it could see what came behind them. True when it cannot be told.
 */
bool stream_peer_took_any(const struct stream *stream, uint64_t n_before);

/* Whether the peer's kernel has acknowledged all that was written: Linux lets the peer
 * read it even behind a reset. False where that is not known. */
bool stream_peer_has_all(const struct stream *stream);
