// SPDX-License-Identifier: Apache-2.0
//
// Preloaded into a program: counts its heap calls into the file that HEAP_COUNT names, as
// one 64-bit number that others read while it runs.
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

// glibc's own names of what is replaced here.
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);
void __libc_free(void *old);

static _Atomic unsigned long before_the_file;
static _Atomic unsigned long *count = &before_the_file;

__attribute__((constructor)) static void open_count(void)
{
	const char *path = getenv("HEAP_COUNT");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *file = fd < 0 ? MAP_FAILED
			    : mmap(NULL, sizeof(*count), PROT_READ | PROT_WRITE,
				      MAP_SHARED, fd, 0);
	if (file != MAP_FAILED)
		count = file;
	if (fd >= 0)
		close(fd);
}

void *malloc(size_t size)
{
	atomic_fetch_add(count, 1);
	return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	atomic_fetch_add(count, 1);
	return __libc_calloc(n, size);
}

void *realloc(void *old, size_t size)
{
	atomic_fetch_add(count, 1);
	return __libc_realloc(old, size);
}

void free(void *old)
{
	if (old)
		atomic_fetch_add(count, 1);
	__libc_free(old);
}
