// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The handle, errors, log, and the names of numbers.
 */
#include <errno.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/bpf.h>
#include <xdp/libxdp.h>
#include "config.h"
#include "core/internal.h"

/* libbpf and libxdp have one print function for the process; it serves the handle last used */
static struct ecbpf *capturing;

int ecbpf_new(struct ecbpf **ret_e)
{
	struct ecbpf *e = calloc(1, sizeof(*e));

	if (!e)
		return -ENOMEM;
	e->detail = calloc(1, ECBPF_DETAIL_SIZE);
	if (!e->detail) {
		free(e);
		return -ENOMEM;
	}
	e->freplace = 1;
	e->frags = 1;
	*ret_e = e;
	return 0;
}

void ecbpf_free(struct ecbpf *e)
{
	if (!e)
		return;
	if (capturing == e)
		capturing = NULL;
	free(e->detail);
	free(e);
}

void cleanup_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

const char *ecbpf_error(const struct ecbpf *e)
{
	return e->error;
}

const char *ecbpf_error_detail(const struct ecbpf *e)
{
	return e->detail;
}

void ecbpf_set_log(struct ecbpf *e, ecbpf_log_fn fn, void *data)
{
	e->log_fn = fn;
	e->log_data = data;
}

int ecbpf_fail(struct ecbpf *e, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(e->error, sizeof(e->error), format, args);
	va_end(args);
	return err;
}

static void log_line(struct ecbpf *e, enum ecbpf_log_level level, const char *format, va_list args)
{
	static const char extack[] = "Kernel error message: ";
	char line[4096], *end;
	const char *message;

	vsnprintf(line, sizeof(line), format, args);
	end = line + strlen(line);
	while (end > line && end[-1] == '\n')
		*--end = '\0';
	message = strstr(line, extack);
	if (message)
		snprintf(e->kernel_message, sizeof(e->kernel_message), "%s",
			 message + sizeof(extack) - 1);
	if (e->log_fn && *line)
		e->log_fn(e->log_data, level, line);
}

void ecbpf_log(struct ecbpf *e, enum ecbpf_log_level level, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	log_line(e, level, format, args);
	va_end(args);
}

__attribute__((format(printf, 2, 0))) static int libbpf_line(enum libbpf_print_level level,
							     const char *format, va_list args)
{
	(void)level;
	if (capturing)
		log_line(capturing, ECBPF_LOG_DEBUG, format, args);
	return 0;
}

__attribute__((format(printf, 2, 0))) static int libxdp_line(enum libxdp_print_level level,
							     const char *format, va_list args)
{
	(void)level;
	if (capturing)
		log_line(capturing, ECBPF_LOG_DEBUG, format, args);
	return 0;
}

void ecbpf_capture(struct ecbpf *e)
{
	capturing = e;
	e->kernel_message[0] = '\0';
	libbpf_set_print(libbpf_line);
	libxdp_set_print(libxdp_line);
}

int ecbpf_iface_index(struct ecbpf *e, const char *iface)
{
	int ifindex = if_nametoindex(iface);

	if (!ifindex)
		return ecbpf_fail(e, -ENOENT, "%s: no such interface", iface);
	return ifindex;
}

int ecbpf_iface_mtu(const char *iface)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = {};

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", iface);
	return fd < 0 || ioctl(fd, SIOCGIFMTU, &request) ? 0 : request.ifr_mtu;
}

const char *ecbpf_version(void)
{
	return PACKAGE_VERSION;
}

const char *ecbpf_reason_name(__u32 reason)
{
	switch (reason) {
#define X(value, NAME, name, text) \
	case value:                \
		return name;
		ECBPF_REASONS(X)
#undef X
	default:
		return NULL;
	}
}

const char *ecbpf_reason_text(__u32 reason)
{
	switch (reason) {
#define X(value, NAME, name, text) \
	case value:                \
		return text;
		ECBPF_REASONS(X)
#undef X
	default:
		return NULL;
	}
}

const char *ecbpf_stage_name(__u32 stage)
{
	switch (stage) {
#define X(value, NAME, name, prio, text) \
	case value:                      \
		return #name;
		ECBPF_STAGES(X)
#undef X
	default:
		return NULL;
	}
}

const char *ecbpf_stage_text(__u32 stage)
{
	switch (stage) {
#define X(value, NAME, name, prio, text) \
	case value:                      \
		return text;
		ECBPF_STAGES(X)
#undef X
	default:
		return NULL;
	}
}

const char *ecbpf_count_name(__u32 class)
{
	switch (class) {
#define X(value, NAME, name) \
	case value:          \
		return name;
		ECBPF_COUNT_CLASSES(X)
#undef X
	default:
		return NULL;
	}
}

const char *ecbpf_action_name(__u32 action)
{
	static const char *const names[] = {
		[XDP_ABORTED] = "XDP_ABORTED",	 [XDP_DROP] = "XDP_DROP",
		[XDP_PASS] = "XDP_PASS",	 [XDP_TX] = "XDP_TX",
		[XDP_REDIRECT] = "XDP_REDIRECT", [ECBPF_ACTION_INVALID] = "invalid",
	};

	return action < ARRAY_SIZE(names) ? names[action] : NULL;
}
