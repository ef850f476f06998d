// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Options of `ecbpf-sampler run`, from the command line and from a file */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <string.h>
#include <unistd.h>
#include "tools/sampler/options.h"

enum {
	OPT_BIND = TOOL_LONG_ONLY,
	OPT_CONNECT,
	OPT_KEY,
	OPT_SERVER_KEY,
	OPT_ALLOW,
	OPT_INSECURE,
	OPT_HWM,
	OPT_RING,
	OPT_STATSD,
	OPT_HOST,
};

const struct tool_option sampler_run_options[] = {
	{'f', "file", "FILE",
	 "also read options from FILE, one on each line,\n"
	 "without dashes; SIGHUP reads it again"},
	{OPT_BIND, "bind", "ENDPOINT",
	 "publish at this address; " TOOL_REPEATED "\n"
	 "(default: " BUS_ENDPOINT ")"},
	{OPT_CONNECT, "connect", "ENDPOINT",
	 "publish to the subscriber bound to this address;\n" TOOL_REPEATED},
	{OPT_KEY, "key", "FILE", "secret CURVE key of this daemon, see keygen"},
	{OPT_SERVER_KEY, "server-key", "FILE", "public key of the subscriber at --connect"},
	{OPT_ALLOW, "allow", "FILE",
	 "public keys of allowed subscribers (default:\n"
	 "any subscriber that has this daemon's public key)"},
	{OPT_INSECURE, "insecure", NULL, "allow samples to leave the host unencrypted"},
	{OPT_HWM, "hwm", "N",
	 "longest queue for a subscriber, in samples\n"
	 "(default: 5000)"},
	{OPT_RING, "ring", "KIB",
	 "size of each CPU's ring, a power of two\n"
	 "(default: 512)"},
	{OPT_STATSD, "statsd", "HOST:PORT", "send counters to statsd every second"},
	{OPT_HOST, "host", "NAME", "host name in samples (default: the host's name)"},
	TOOL_COMMON_OPTIONS,
};

void sampler_options_free(struct sampler_options *o)
{
	tool_list_free(&o->bus.bind);
	tool_list_free(&o->bus.connect);
	tool_list_free(&o->texts);
	bus_files_close(&o->files);
}

static const char *keep(struct sampler_options *o, const char *text)
{
	tool_list_add(&o->texts, text);
	return o->texts.items[o->texts.count - 1];
}

static int option_apply(struct sampler_options *o, int id, const char *arg)
{
	__u64 value;

	switch (id) {
	case 'f':
		o->file = keep(o, arg);
		return 0;
	case OPT_BIND:
		tool_list_add(&o->bus.bind, arg);
		return 0;
	case OPT_CONNECT:
		tool_list_add(&o->bus.connect, arg);
		return 0;
	case OPT_KEY:
		o->bus.key = keep(o, arg);
		return 0;
	case OPT_SERVER_KEY:
		o->bus.server_key = keep(o, arg);
		return 0;
	case OPT_ALLOW:
		o->bus.allow = keep(o, arg);
		return 0;
	case OPT_INSECURE:
		o->bus.insecure = true;
		return 0;
	case OPT_HWM:
		if (tool_parse_number("--hwm", arg, 1, 10000000, &value))
			return TOOL_USAGE;
		o->bus.hwm = value;
		return 0;
	case OPT_RING:
		if (tool_parse_number("--ring", arg, 4, 1 << 20, &value))
			return TOOL_USAGE;
		if (value & (value - 1))
			return tool_usage("--ring: '%s' is not a power of two", arg);
		o->ring_bytes = value << 10;
		return 0;
	case OPT_STATSD:
		o->statsd = keep(o, arg);
		return 0;
	case OPT_HOST:
		o->host = keep(o, arg);
		return 0;
	}
	return TOOL_USAGE; /* with a message printed */
}

/* A line "NAME [ARGUMENT]" of the options file */
static int line_apply(struct sampler_options *o, const char *file, int number, char *line)
{
	const struct tool_option *option = sampler_run_options;
	char *arg = line + strcspn(line, " \t");
	int err;

	if (*arg) {
		*arg++ = '\0';
		arg += strspn(arg, " \t");
	}
	while (option->name && strcmp(option->name, line))
		option++;
	if (!option->name || option->id == 'f' || option->id < OPT_BIND)
		return tool_usage("%s:%d: '%s' is not an option for a file", file, number, line);
	if (option->arg ? !*arg : *arg)
		return tool_usage("%s:%d: %s %s", file, number, line,
				  option->arg ? "needs an argument" : "takes no argument");
	tool_usage_at(file, number);
	err = option_apply(o, option->id, arg);
	tool_usage_at(NULL, 0);
	return err;
}

static FILE *open_file(const char *path, int fd)
{
	FILE *file;

	if (fd < 0)
		return fopen(path, "re");
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	file = fd < 0 || lseek(fd, 0, SEEK_SET) ? NULL : fdopen(fd, "r");
	if (!file && fd >= 0)
		close(fd);
	return file;
}

static int file_apply(struct sampler_options *o, const char *path, int fd)
{
	int number = 0, err = 0;
	char line[1024];
	FILE *file;

	file = open_file(path, fd);
	if (!file)
		return tool_fail("%s: %s", path, strerror(errno));
	while (!err && fgets(line, sizeof(line), file)) {
		size_t len = strcspn(line, "\r\n");

		number++;
		if (!line[len] && !feof(file)) {
			err = tool_usage("%s:%d: line too long", path, number);
			break;
		}
		while (len && (line[len - 1] == ' ' || line[len - 1] == '\t'))
			len--;
		line[len] = '\0';
		if (*line && *line != '#')
			err = line_apply(o, path, number, line);
	}
	fclose(file);
	return err;
}

int sampler_options_parse(struct tool *tool, int argc, char **argv, int file,
			  struct sampler_options *ret)
{
	struct sampler_options o = {.bus.hwm = 5000,
				    .ring_bytes = 512 << 10,
				    .files = {.key = -1, .server_key = -1, .allow = -1}};
	int id, err = 0;

	optind = 0; /* SIGHUP: all over again */
	while (!err && (id = tool_getopt(tool, argc, argv)) != -1)
		err = option_apply(&o, id, optarg);
	if (!err && optind < argc)
		err = tool_usage("'%s': takes options only", argv[optind]);
	if (!err && o.file)
		err = file_apply(&o, o.file, file);
	if (!err && !o.bus.bind.count && !o.bus.connect.count)
		tool_list_add(&o.bus.bind, BUS_ENDPOINT);
	if (!err)
		err = bus_check(&o.bus);
	if (err)
		sampler_options_free(&o);
	else
		*ret = o;
	return err;
}
