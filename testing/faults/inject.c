// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * inject [-r FILE] [-c FILE] [-f KIND:ERRNO:N] COMMAND [ARGUMENT]...: run a command, one system
 * call of which fails.
 *
 * A seccomp filter asks this process before each call of the kinds below, from the end of the
 * dynamic loader on. The N-th call of KIND (from 1) is not made, but answered with ERRNO. FILE gets
 * all calls, in order, a line each: the kind, and a number for the way by which the program got to
 * the call, the same one for each repetition in a loop. Without -f all calls are made.
 * -c makes FILE if the command made a call that may have changed something beside the command. Exit
 * status: that of the command; 128 and its signal; 125 if this program failed; 124 if the command
 * made fewer calls of KIND than N and succeeded.
 *
 * Kinds are names of calls; for bpf() with the name of the command, as "bpf.MAP_CREATE".
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof(*(array)))
#define EXIT_TROUBLE	  125
#define EXIT_TOO_FEW	  124

#define CALL(name)                 \
	{                          \
		__NR_##name, #name \
	}
static const struct {
	int number;
	const char *name;
} calls[] = {
	CALL(bpf),	     CALL(openat),	   CALL(mmap),
	CALL(socket),	     CALL(bind),	   CALL(sendto),
	CALL(sendmsg),	     CALL(recvfrom),	   CALL(recvmsg),
	CALL(read),	     CALL(pread64),	   CALL(write),
	CALL(writev),	     CALL(fsync),	   CALL(fdatasync),
	CALL(mkdirat),	     CALL(unlinkat),	   CALL(symlinkat),
	CALL(linkat),	     CALL(renameat2),	   CALL(fchmod),
	CALL(fchmodat),	     CALL(fchown),	   CALL(fchownat),
	CALL(ftruncate),     CALL(flock),	   CALL(fcntl),
	CALL(dup3),	     CALL(ioctl),	   CALL(setsockopt),
	CALL(setns),	     CALL(unshare),	   CALL(mount),
	CALL(umount2),	     CALL(getdents64),	   CALL(statfs),
	CALL(epoll_create1), CALL(timerfd_create), CALL(perf_event_open),
	CALL(clone),	     CALL(munmap),
#ifdef __NR_rename
	CALL(rename),	     CALL(mkdir),	   CALL(unlink),
	CALL(rmdir),	     CALL(symlink),	   CALL(chmod),
	CALL(chown),	     CALL(link),
#endif
#ifdef __NR_newfstatat
	CALL(newfstatat),
#endif
};

#define COMMAND(name) [BPF_##name] = #name
static const char *const commands[] = {
	COMMAND(MAP_CREATE),	    COMMAND(MAP_LOOKUP_ELEM),
	COMMAND(MAP_UPDATE_ELEM),   COMMAND(MAP_DELETE_ELEM),
	COMMAND(MAP_GET_NEXT_KEY),  COMMAND(PROG_LOAD),
	COMMAND(OBJ_PIN),	    COMMAND(OBJ_GET),
	COMMAND(PROG_ATTACH),	    COMMAND(PROG_DETACH),
	COMMAND(PROG_TEST_RUN),	    COMMAND(PROG_GET_NEXT_ID),
	COMMAND(MAP_GET_NEXT_ID),   COMMAND(PROG_GET_FD_BY_ID),
	COMMAND(MAP_GET_FD_BY_ID),  COMMAND(OBJ_GET_INFO_BY_FD),
	COMMAND(PROG_QUERY),	    COMMAND(RAW_TRACEPOINT_OPEN),
	COMMAND(BTF_LOAD),	    COMMAND(BTF_GET_FD_BY_ID),
	COMMAND(TASK_FD_QUERY),	    COMMAND(MAP_LOOKUP_AND_DELETE_ELEM),
	COMMAND(MAP_FREEZE),	    COMMAND(BTF_GET_NEXT_ID),
	COMMAND(MAP_LOOKUP_BATCH),  COMMAND(MAP_LOOKUP_AND_DELETE_BATCH),
	COMMAND(MAP_UPDATE_BATCH),  COMMAND(MAP_DELETE_BATCH),
	COMMAND(LINK_CREATE),	    COMMAND(LINK_UPDATE),
	COMMAND(LINK_GET_FD_BY_ID), COMMAND(LINK_GET_NEXT_ID),
	COMMAND(ENABLE_STATS),	    COMMAND(ITER_CREATE),
	COMMAND(LINK_DETACH),	    COMMAND(PROG_BIND_MAP),
};

/* Calls that change nothing but the command itself. What it writes to, it has opened */
static const int harmless[] = {
	__NR_socket,	    __NR_bind,		 __NR_recvfrom,	       __NR_recvmsg,
	__NR_read,	    __NR_pread64,	 __NR_write,	       __NR_writev,
	__NR_fsync,	    __NR_fdatasync,	 __NR_flock,	       __NR_fcntl,
	__NR_dup3,	    __NR_ioctl,		 __NR_setsockopt,      __NR_setns,
	__NR_unshare,	    __NR_getdents64,	 __NR_statfs,	       __NR_munmap,
	__NR_epoll_create1, __NR_timerfd_create, __NR_perf_event_open, __NR_clone,
#ifdef __NR_newfstatat
	__NR_newfstatat,
#endif
};

static struct sock_filter filter[ARRAY_SIZE(calls) + 3];
static char **command;
static int listener = -1;

static void trouble(const char *what)
{
	fprintf(stderr, "inject: %s: %s\n", what, strerror(errno));
	exit(EXIT_TROUBLE);
}

/* In this process' memory and with its descriptors, until exec() */
static int child(void *unused)
{
	struct sock_fprog prog = {ARRAY_SIZE(filter), filter};

	(void)unused;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	personality(ADDR_NO_RANDOMIZE); /* ways are comparable between runs */
	listener = (int)syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER,
				SECCOMP_FILTER_FLAG_NEW_LISTENER, &prog);
	if (listener >= 0)
		execvp(command[0], command);
	_exit(EXIT_TROUBLE);
}

static void make_filter(void)
{
	const size_t last = ARRAY_SIZE(filter) - 1;

	filter[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						 offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		filter[i + 1] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
							     (unsigned int)calls[i].number,
							     (unsigned char)(last - i - 2), 0);
	}
	filter[last - 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	filter[last] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
}

/* What fails */
static struct {
	char kind[48];
	int error, number, seen;
} fault;

static void name_of(const struct seccomp_data *call, char *name, size_t size)
{
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		if (calls[i].number != call->nr)
			continue;
		if (call->nr != __NR_bpf)
			snprintf(name, size, "%s", calls[i].name);
		else if (call->args[0] < ARRAY_SIZE(commands) && commands[call->args[0]])
			snprintf(name, size, "bpf.%s", commands[call->args[0]]);
		else
			snprintf(name, size, "bpf.%llu", call->args[0]);
	}
}

/* Code of the program. @name: of its file, without directories */
static struct {
	unsigned long long from, to;
	unsigned char *bytes;
	char name[64];
} texts[64];
static size_t texts_count;

/* Memory of the command; zeros where it cannot be read */
static void fetch(pid_t pid, unsigned long long from, void *ret, size_t size)
{
	struct iovec here = {ret, size};
	struct iovec there = {(void *)(uintptr_t)from,
			      size}; /* NOLINT(performance-no-int-to-ptr) */

	memset(ret, 0, size);
	while (size > 1 && process_vm_readv(pid, &here, 1, &there, 1, 0) < 0) {
		size /= 2; /* the page ends */
		here.iov_len = there.iov_len = size;
	}
}

static void texts_read(pid_t pid)
{
	unsigned long long from, to;
	char path[64], line[512], mode[5];
	const char *name;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "re");
	while (maps && texts_count < ARRAY_SIZE(texts) && fgets(line, sizeof(line), maps)) {
		name = strrchr(line, '/');
		if (sscanf(line, "%llx-%llx %4s", &from, &to, mode) != 3 || mode[2] != 'x' || !name)
			continue;
		sscanf(name, "/%63s", texts[texts_count].name);
		texts[texts_count].from = from;
		texts[texts_count].to = to;
		texts[texts_count].bytes = malloc(to - from);
		if (!texts[texts_count].bytes)
			trouble("code");
		fetch(pid, from, texts[texts_count++].bytes, to - from);
	}
	if (maps)
		fclose(maps);
}

/* The same in each program that has this library */
static void address_write(unsigned long long address, size_t text, FILE *record)
{
	fprintf(record, " %s+%llx", texts[text].name, address - texts[text].from);
}

/* Is there a call before this address? @ret: where it is */
static bool is_return(unsigned long long address, size_t *ret)
{
	for (size_t k = 0; k < texts_count; k++) {
		const unsigned char *code;

		if (address < texts[k].from + 8 || address >= texts[k].to)
			continue;
		*ret = k;
		code = texts[k].bytes + (address - texts[k].from);
#ifdef __x86_64__
		if (code[-5] == 0xe8)
			return true;
		for (int size = 2; size <= 7; size++) /* through a register or memory */
			if (code[-size] == 0xff && (code[1 - size] >> 3 & 7) == 2)
				return true;
		return false;
#else
		return true;
#endif
	}
	return false;
}

/*
 * The way by which the program got here: all return addresses on the stack, the last call first.
 * Without unwinding: what only looks like one makes two ways of one, never one of two
 */
static void way_write(pid_t pid, FILE *record)
{
	static unsigned long long stack[1 << 14];
	unsigned long long sp, pc;
	struct iovec here = {stack, sizeof(stack)}, there = {.iov_len = sizeof(stack)};
	char path[64], line[256] = "running";
	size_t text;
	FILE *file;
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/%d/syscall", pid);
	/* on a busy machine it has told of its call, and is about to wait for the answer */
	for (int i = 0; i < 10000 && !strncmp(line, "running", 7); i++) {
		if (i)
			usleep(1000);
		file = fopen(path, "re");
		if (!file || !fgets(line, sizeof(line), file))
			trouble(path);
		fclose(file);
	}
	if (sscanf(line, "%*s %*s %*s %*s %*s %*s %*s %llx %llx", &sp, &pc) != 2)
		trouble(path);
	if (!texts_count)
		texts_read(pid);
	do {						/* not behind the end of the stack */
		there.iov_base = (void *)(uintptr_t)sp; /* NOLINT(performance-no-int-to-ptr) */
		len = process_vm_readv(pid, &here, 1, &there, 1, 0);
	} while (len < 0 && (there.iov_len /= 2) > sizeof(*stack));
	for (text = 0; text < texts_count && (pc < texts[text].from || pc >= texts[text].to);)
		text++;
	if (text < texts_count)
		address_write(pc, text, record);
	else
		fprintf(record, " %llx", pc);
	for (size_t i = 0; i < (len < 0 ? 0 : (size_t)len / sizeof(*stack)); i++)
		if (is_return(stack[i], &text))
			address_write(stack[i], text, record);
}

static bool bpf_changes(unsigned long long cmd)
{
	switch (cmd) {
	case BPF_MAP_CREATE: /* goes with the command, if it is not pinned */
	case BPF_PROG_LOAD:
	case BPF_BTF_LOAD:
	case BPF_MAP_FREEZE:
	case BPF_PROG_BIND_MAP:
	case BPF_MAP_LOOKUP_ELEM:
	case BPF_MAP_LOOKUP_BATCH:
	case BPF_MAP_GET_NEXT_KEY:
	case BPF_OBJ_GET:
	case BPF_OBJ_GET_INFO_BY_FD:
	case BPF_PROG_QUERY:
	case BPF_PROG_GET_NEXT_ID:
	case BPF_MAP_GET_NEXT_ID:
	case BPF_BTF_GET_NEXT_ID:
	case BPF_LINK_GET_NEXT_ID:
	case BPF_PROG_GET_FD_BY_ID:
	case BPF_MAP_GET_FD_BY_ID:
	case BPF_BTF_GET_FD_BY_ID:
	case BPF_LINK_GET_FD_BY_ID:
		return false;
	default:
		return true;
	}
}

/* A message of netlink's that asks, or one to the journal? */
static bool send_asks(pid_t pid, const struct seccomp_data *call)
{
	unsigned long long at = call->args[1];
	struct sockaddr to = {};
	struct nlmsghdr head;
	struct msghdr message;
	struct iovec first;

	if (call->nr == __NR_sendmsg) {
		fetch(pid, at, &message, sizeof(message));
		fetch(pid, (uintptr_t)message.msg_iov, &first, sizeof(first));
		if (message.msg_name)
			fetch(pid, (uintptr_t)message.msg_name, &to, sizeof(to.sa_family));
		at = (uintptr_t)first.iov_base;
	}
	fetch(pid, at, &head, sizeof(head));
	return to.sa_family == AF_UNIX || head.nlmsg_type == RTM_GETLINK ||
	       head.nlmsg_type == RTM_GETADDR || head.nlmsg_type == RTM_GETROUTE ||
	       head.nlmsg_type == RTM_GETQDISC || head.nlmsg_type == RTM_GETTFILTER;
}

/* May this call change something that outlives the command? */
static bool changes(pid_t pid, const struct seccomp_data *call)
{
	char path[256];

	switch (call->nr) {
	case __NR_bpf:
		return bpf_changes(call->args[0]);
	case __NR_openat:
		return call->args[2] & (O_ACCMODE | O_CREAT | O_TRUNC);
	case __NR_mmap:
		return (call->args[2] & PROT_WRITE) && (call->args[3] & MAP_SHARED);
	case __NR_sendto:
	case __NR_sendmsg:
		return !send_asks(pid, call);
#ifdef __NR_mkdir
	case __NR_mkdir:
		fetch(pid, call->args[0], path, sizeof(path) - 1);
		path[sizeof(path) - 1] = '\0';
		return *path != '/' || access(path, F_OK);
#endif
	default:
		for (size_t i = 0; i < ARRAY_SIZE(harmless); i++)
			if (harmless[i] == call->nr)
				return false;
		return true;
	}
}

/* Return: it is to fail */
static bool judge(const struct seccomp_notif *ask, FILE *record)
{
	const struct seccomp_data *call = &ask->data;
	static bool started;
	char name[48] = "";

	if (call->nr == __NR_munmap) { /* first by the loader, which gives back its cache */
		started = true;
		return false;
	}
	if (!started)
		return false;
	if ((call->nr == __NR_write || call->nr == __NR_writev) && call->args[0] == STDERR_FILENO)
		return false;
	name_of(call, name, sizeof(name));
	if (record) {
		fprintf(record, "%s %d", name, changes((pid_t)ask->pid, call));
		way_write((pid_t)ask->pid, record);
		fputc('\n', record);
	}
	return strcmp(name, fault.kind) == 0 && ++fault.seen == fault.number;
}

static void serve(FILE *record, const char *change)
{
	struct pollfd poller = {.fd = listener, .events = POLLIN};
	struct seccomp_notif ask;
	struct seccomp_notif_resp answer;
	bool is_failing;

	while (poll(&poller, 1, -1) >= 0 || errno == EINTR) {
		if (!(poller.revents & POLLIN))
			return; /* nobody is left that could ask */
		memset(&ask, 0, sizeof(ask));
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &ask))
			continue;
		answer = (struct seccomp_notif_resp){.id = ask.id};
		is_failing = judge(&ask, record);
		if (!is_failing && change && changes((pid_t)ask.pid, &ask.data)) {
			close(open(change, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
			change = NULL;
		}
		if (is_failing)
			answer.error = -fault.error;
		else
			answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
		ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
	}
}

int main(int argc, char **argv)
{
	static char stack[1 << 16] __attribute__((aligned(16)));
	const char *change = NULL;
	FILE *record = NULL;
	int option, status;
	pid_t pid;

	while ((option = getopt(argc, argv, "+r:c:f:")) >= 0) {
		if (option == 'r') {
			record = fopen(optarg, "we");
			if (!record)
				trouble(optarg);
		} else if (option == 'c') {
			change = optarg;
		} else if (option != 'f' || sscanf(optarg, "%47[^:]:%d:%d", fault.kind,
						   &fault.error, &fault.number) != 3) {
			return EXIT_TROUBLE;
		}
	}
	if (optind == argc)
		return EXIT_TROUBLE;
	command = argv + optind;
	make_filter();
	pid = clone(child, stack + sizeof(stack), CLONE_VM | CLONE_FILES | CLONE_VFORK | SIGCHLD,
		    NULL);
	if (pid < 0 || listener < 0)
		trouble("seccomp");
	fcntl(listener, F_SETFD, FD_CLOEXEC);
#ifdef SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP
	ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP);
#endif
	serve(record, change);
	if (waitpid(pid, &status, 0) != pid)
		trouble("wait");
	if (record && fclose(record))
		trouble("record");
	status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	return !status && fault.seen < fault.number ? EXIT_TOO_FEW : status;
}
