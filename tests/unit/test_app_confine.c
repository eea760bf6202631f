/* SPDX-License-Identifier: Apache-2.0 */
/* What is left to a process that has confined itself; each attempt in one of its own. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "confine.h"

static long open_to_write(void)
{
	return open("/dev/null", O_WRONLY | O_CLOEXEC);
}

static long open_to_read(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static long make_file(void)
{
	return open("/tmp", O_TMPFILE | O_RDWR, 0600);
}

static long remove_file(void)
{
	return unlink("/nonexistent");
}

static long raw_socket(void)
{
	return socket(AF_PACKET, SOCK_RAW, 0);
}

static long tcp_socket(void)
{
	return socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static long listen_anew(void)
{
	return listen(0, 1);
}

static long map(int protection)
{
	void *at = mmap(NULL, 4096, protection,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return at == MAP_FAILED ? -1 : 0;
}

static long map_code(void)
{
	return map(PROT_READ | PROT_EXEC);
}

static long map_data(void)
{
	return map(PROT_READ | PROT_WRITE);
}

static long make_code(void)
{
	static _Alignas(4096) char page[4096];

	return mprotect(page, sizeof(page), PROT_READ | PROT_EXEC);
}

/* clone3 is missing whatever it is asked; a fork is a clone without CLONE_THREAD. */
static long make_process(void)
{
	return syscall(SYS_clone3, NULL, 0);
}

static void *nothing(void *arg)
{
	return arg;
}

static long make_thread(void)
{
	pthread_t thread;

	errno = pthread_create(&thread, NULL, nothing, NULL);
	return errno == 0 ? pthread_join(thread, NULL) : -1;
}

static long change_mode(void)
{
	return chmod("/nonexistent", 0777);
}

static long become_root(void)
{
	return setuid(0);
}

static long run_shell(void)
{
	return execl("/bin/sh", "sh", "-c", "exit 0", NULL);
}

static long new_namespace(void)
{
	return unshare(CLONE_NEWUSER);
}

static const struct attempt {
	const char *name;
	long (*run)(void);
	int error;  /* what it has to give; 0 when it has to work */
	int signal; /* what it has to die of */
} attempts[] = {
	{"open a file to write", open_to_write, ENOSYS, 0},
	{"open a file to read", open_to_read, 0, 0},
	{"make a file", make_file, ENOSYS, 0},
	{"remove a file", remove_file, ENOSYS, 0},
	{"change a file's mode", change_mode, ENOSYS, 0},
	{"a raw socket", raw_socket, ENOSYS, 0},
	{"a TCP socket", tcp_socket, 0, 0},
	{"listen", listen_anew, ENOSYS, 0},
	{"memory for code", map_code, ENOSYS, 0},
	{"memory for data", map_data, 0, 0},
	{"make data code", make_code, ENOSYS, 0},
	{"a new process", make_process, ENOSYS, 0},
	{"a new thread", make_thread, 0, 0},
	{"another user", become_root, ENOSYS, 0},
	{"run a program", run_shell, 0, SIGSYS},
	{"a namespace of its own", new_namespace, 0, SIGSYS},
};

/* Gives the status of a process that confines itself and then makes the attempt. */
static int status_of(const struct attempt *attempt)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		if (confine_rights() != 0 || confine_calls() != 0)
			_exit(255);
		errno = 0;
		_exit(attempt->run() < 0 ? errno : 0);
	}
	cr_assert_gt(pid, 0);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return status;
}

Test(confine, leaves_what_serving_takes)
{
	for (size_t i = 0; i < sizeof(attempts) / sizeof(*attempts); i++) {
		const struct attempt *attempt = &attempts[i];
		int status = status_of(attempt);

		if (attempt->signal)
			cr_expect(WIFSIGNALED(status) &&
					  WTERMSIG(status) == attempt->signal,
				"%s: status %#x", attempt->name, (unsigned)status);
		else
			cr_expect(WIFEXITED(status) &&
					  WEXITSTATUS(status) == attempt->error,
				"%s: status %#x", attempt->name, (unsigned)status);
	}
}

static int pipe_to_thread[2];

static void *open_when_told(void *arg)
{
	char byte;

	(void)arg;
	if (read(pipe_to_thread[0], &byte, 1) != 1)
		return NULL;
	errno = 0;
	open_to_write();
	return (void *)(intptr_t)errno;
}

/* Threads that were there before are confined with the one that asks for it. */
static long old_thread(void)
{
	pthread_t thread;
	void *error = NULL;

	if (pipe(pipe_to_thread) != 0 ||
		pthread_create(&thread, NULL, open_when_told, NULL) != 0 ||
		confine_rights() != 0 || confine_calls() != 0 ||
		write(pipe_to_thread[1], "x", 1) != 1)
		return -1;
	pthread_join(thread, &error);
	return (intptr_t)error;
}

Test(confine, holds_for_threads_that_are_there)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0)
		_exit((int)old_thread());
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == ENOSYS, "status %#x",
		(unsigned)status);
}

Test(confine, can_gain_no_rights)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0)
		_exit(confine_rights() == 0 ? prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)
					    : 255);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 1, "status %#x",
		(unsigned)status);
}
