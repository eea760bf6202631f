/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preloaded into nigh: lets calls fail that otherwise never do, when and how the test
 * says so through a page of shared memory, and counts the blocks of memory that are in
 * use. faults.py is the other end of that page.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include <unwind.h>

#define EXPORT __attribute__((visibility("default")))

#define FUNCTIONS(X)                                                                     \
	X(malloc)                                                                        \
	X(calloc)                                                                        \
	X(realloc)                                                                       \
	X(posix_memalign)                                                                \
	X(mmap)                                                                          \
	X(socket)                                                                        \
	X(connect)                                                                       \
	X(accept4)                                                                       \
	X(send)                                                                          \
	X(sendmsg)                                                                       \
	X(recv)                                                                          \
	X(setsockopt)                                                                    \
	X(getsockopt)                                                                    \
	X(epoll_ctl)                                                                     \
	X(pipe2)                                                                         \
	X(splice)                                                                        \
	X(open)                                                                          \
	X(read)                                                                          \
	X(write)

enum function {
#define ROW(name) FN_##name,
	FUNCTIONS(ROW)
#undef ROW
		FN_COUNT,
};

#define FRAMES 24

/* As faults.py reads it. */
struct page {
	_Atomic uint32_t armed;   /* a bit for each function */
	_Atomic int32_t error;    /* errno of a failure */
	_Atomic int64_t skip;     /* calls that go well before the first failure */
	_Atomic int64_t times;    /* failures after that */
	_Atomic int64_t seen;     /* calls of armed functions */
	_Atomic int64_t failed;   /* of them */
	_Atomic int64_t n_blocks; /* of memory in use */
	_Atomic int64_t clock_ms; /* added to the wall clock */
	_Atomic int32_t who;      /* the function that failed last */
	_Atomic int32_t n_frames;
	uint64_t frames[FRAMES]; /* its callers */
};

static struct page nowhere, *page = &nowhere;

/* dlsym may allocate before it has found what allocates. */
static char early[16384];
static size_t n_early;

static __thread bool inside __attribute__((tls_model("initial-exec")));

static bool is_early(const void *block)
{
	return (const char *)block >= early &&
	       (const char *)block < early + sizeof(early);
}

static void *early_alloc(size_t n)
{
	void *block = early + n_early;

	n_early += (n + 15) & ~(size_t)15;
	if (n_early > sizeof(early))
		abort();
	return block;
}

/* What we stand before. */
static struct {
#define ROW(name) __typeof__(&name) name;
	FUNCTIONS(ROW)
	ROW(free)
	ROW(clock_gettime)
	ROW(gettimeofday)
	ROW(time)
	ROW(pthread_getattr_np)
#undef ROW
	bool known;
} next;

static void find_next(void)
{
	inside = true;
#define ROW(name) next.name = (__typeof__(&name))dlsym(RTLD_NEXT, #name);
	FUNCTIONS(ROW)
	ROW(free)
	ROW(clock_gettime)
	ROW(gettimeofday)
	ROW(time)
	ROW(pthread_getattr_np)
#undef ROW
	next.known = true;
	inside = false;
}

/* False within dlsym, which may call what it looks for. */
static bool is_ready(void)
{
	if (!next.known && !inside)
		find_next();
	return next.known;
}

__attribute__((constructor)) static void start(void)
{
	const char *path = getenv("FAULTS_PAGE");
	int fd;

	is_ready();
	fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	if (fd < 0)
		return;
	page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (page == MAP_FAILED)
		abort();
	atomic_fetch_add(&page->n_blocks, nowhere.n_blocks);
}

static _Unwind_Reason_Code note_frame(struct _Unwind_Context *context, void *arg)
{
	(void)arg;
	if (page->n_frames == FRAMES)
		return _URC_END_OF_STACK;
	page->frames[page->n_frames++] = _Unwind_GetIP(context);
	return _URC_NO_REASON;
}

static void note(enum function fn)
{
	inside = true;
	page->who = (int32_t)fn;
	page->n_frames = 0;
	_Unwind_Backtrace(note_frame, NULL);
	inside = false;
}

/* Whether this call is to fail; errno is set then. */
static bool fails(enum function fn)
{
	int64_t at;

	if (inside || !(page->armed & 1u << fn))
		return false;
	at = atomic_fetch_add(&page->seen, 1) - page->skip;
	if (at < 0 || at >= page->times)
		return false;
	if (at == 0)
		note(fn);
	atomic_fetch_add(&page->failed, 1);
	errno = page->error;
	return true;
}

static void *count(void *block)
{
	if (block)
		atomic_fetch_add(&page->n_blocks, 1);
	return block;
}

EXPORT void *malloc(size_t n)
{
	if (!is_ready())
		return early_alloc(n);
	return fails(FN_malloc) ? NULL : count(next.malloc(n));
}

EXPORT void *calloc(size_t n, size_t size)
{
	if (!is_ready())
		return early_alloc(n * size);
	return fails(FN_calloc) ? NULL : count(next.calloc(n, size));
}

EXPORT void *realloc(void *old, size_t n)
{
	void *block;

	is_ready();
	if (is_early(old)) {
		block = malloc(n);
		return block ? memcpy(block, old, n) : NULL; /* may copy too much */
	}
	if (fails(FN_realloc))
		return NULL;
	block = next.realloc(old, n);
	if (!old)
		count(block);
	else if (!block && n == 0)
		atomic_fetch_sub(&page->n_blocks, 1);
	return block;
}

EXPORT int posix_memalign(void **block, size_t alignment, size_t n)
{
	int err;

	is_ready();
	if (fails(FN_posix_memalign))
		return ENOMEM;
	err = next.posix_memalign(block, alignment, n);
	if (err == 0)
		count(*block);
	return err;
}

EXPORT void free(void *block)
{
	int err = errno;

	if (!block || is_early(block) || !is_ready())
		return;
	atomic_fetch_sub(&page->n_blocks, 1);
	next.free(block);
	errno = err;
}

EXPORT void *mmap(void *at, size_t n, int prot, int flags, int fd, off_t offset)
{
	is_ready();
	return fails(FN_mmap) ? MAP_FAILED : next.mmap(at, n, prot, flags, fd, offset);
}

/* Calls that fail with -1 and otherwise do what they do. */
#define PASS(type, name, parameters, arguments)                                          \
	EXPORT type name parameters                                                      \
	{                                                                                \
		is_ready();                                                              \
		return fails(FN_##name) ? -1 : next.name arguments;                      \
	}

PASS(int, socket, (int family, int type, int protocol), (family, type, protocol))
PASS(int, connect, (int fd, const struct sockaddr *to, socklen_t len), (fd, to, len))
PASS(int, accept4, (int fd, struct sockaddr *from, socklen_t *len, int flags),
	(fd, from, len, flags))
PASS(ssize_t, send, (int fd, const void *from, size_t n, int flags), (fd, from, n, flags))
PASS(ssize_t, sendmsg, (int fd, const struct msghdr *msg, int flags), (fd, msg, flags))
PASS(ssize_t, recv, (int fd, void *to, size_t n, int flags), (fd, to, n, flags))
PASS(int, setsockopt, (int fd, int level, int name, const void *value, socklen_t len),
	(fd, level, name, value, len))
PASS(int, getsockopt, (int fd, int level, int name, void *value, socklen_t *len),
	(fd, level, name, value, len))
PASS(int, epoll_ctl, (int fd, int op, int of, struct epoll_event *event),
	(fd, op, of, event))
PASS(int, pipe2, (int fds[2], int flags), (fds, flags))
PASS(ssize_t, splice,
	(int from, off64_t *at, int to, off64_t *to_at, size_t n, unsigned flags),
	(from, at, to, to_at, n, flags))
PASS(ssize_t, read, (int fd, void *to, size_t n), (fd, to, n))
PASS(ssize_t, write, (int fd, const void *from, size_t n), (fd, from, n))

EXPORT int open(const char *path, int flags, ...)
{
	va_list args;
	mode_t mode = 0;

	is_ready();
	va_start(args, flags);
	if (flags & O_CREAT)
		mode = va_arg(args, mode_t);
	va_end(args);
	return fails(FN_open) ? -1 : next.open(path, flags, mode);
}

/* How the address sanitizer begins a thread, which it does not survive without memory. */
EXPORT int pthread_getattr_np(pthread_t thread, pthread_attr_t *attributes)
{
	int err;

	is_ready();
	inside = true;
	err = next.pthread_getattr_np(thread, attributes);
	inside = false;
	return err;
}

/* The wall clock jumps; the monotonic one cannot. */

EXPORT int clock_gettime(clockid_t id, struct timespec *now)
{
	int err;
	int64_t ms = page->clock_ms;

	is_ready();
	err = next.clock_gettime(id, now);
	if (err == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
		now->tv_sec += ms / 1000;
	return err;
}

EXPORT int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	int err;

	is_ready();
	err = next.gettimeofday(now, zone);
	if (err == 0)
		now->tv_sec += page->clock_ms / 1000;
	return err;
}

EXPORT time_t time(time_t *to)
{
	time_t now;

	is_ready();
	now = next.time(NULL) + (time_t)(page->clock_ms / 1000);
	if (to)
		*to = now;
	return now;
}
