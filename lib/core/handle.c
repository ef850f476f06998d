// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The handle: what one caller of the library has, its errors and its log. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/libbpf.h>
#include <xdp/libxdp.h>
#include "config.h"
#include "core/handle.h"

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

bool ecbpf_is_misled(const struct ecbpf *e)
{
	return e->is_misled;
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

static void explain(struct ecbpf *e)
{
	int saved = errno;

	e->explain_fn(e);
	errno = saved;
}

int ecbpf_fail(struct ecbpf *e, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(e->error, sizeof(e->error), format, args);
	va_end(args);
	if (err == -EPERM && e->explain_fn && strstr(e->error, strerror(EPERM)))
		explain(e);
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
	if (capturing && capturing->libbpf_fn)
		capturing->libbpf_fn(capturing, format);
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

void ecbpf_changed(const struct ecbpf *e, struct ecbpf_changed *ret)
{
	*ret = e->changed;
}

const char *ecbpf_version(void)
{
	return PACKAGE_VERSION;
}
