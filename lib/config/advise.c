// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The doctor's advice, where a configuration declares the interface. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "config.h"
#include "config/declared.h"
#include "core/finding.h"
#include "core/handle.h"

static bool is_declared(const struct conf_declared *declared, const char *iface)
{
	for (size_t i = 0; i < declared->count; i++)
		if (declared->items[i].by_file && !strcmp(declared->items[i].iface, iface))
			return true;
	return false;
}

/*
 * What a configuration declares is loaded again by who keeps it, or by apply, which has its rules
 * and lists, too, and replaces programs without a gap
 */
static void advise(struct ecbpf_finding *f, bool is_watched)
{
	if (!strcmp(f->code, "other-maps"))
		finding_fix(f, "ecbpf-loader %s", is_watched ? "watch --reload" : "apply");
	else if (*f->unload)
		finding_fix(f, "%s%s", f->unload, is_watched ? "" : " && ecbpf-loader apply");
}

/* Loaded again from the configuration, it is in this mode again */
static void advise_mode(struct ecbpf_finding *f, const char *file)
{
	size_t len = strlen(f->why);

	if (strcmp(f->code, "mode-skb"))
		return;
	snprintf(f->why + len, sizeof(f->why) - len,
		 "; mode = skb is declared in %.80s: remove it there first", file);
	*f->fix = *f->unload = '\0';
}

int ecbpf_declared_advise(struct ecbpf *e, struct ecbpf_finding *findings, size_t count)
{
	struct conf_declared declared = {};
	struct ecbpf_config *config = NULL;
	struct ecbpf_watch_state state = {};
	bool is_watched, has_more = false;
	char file[DECLARED_FILE];
	int err = 0;

	ecbpf_capture(e);
	if (conf_declared_file(e, file))
		err = conf_read_words(e, *file ? file : NULL, &config);
	/* one that cannot be read declares nothing; ecbpf_declared_check() says so */
	err = conf_declared_read(e, err ? NULL : config, &declared);
	/* apply, and --reload, too, would remove what was added besides */
	for (size_t i = 0; i < declared.count; i++)
		has_more |= declared.items[i].is_attached && !declared.items[i].by_file;
	is_watched = !ecbpf_watch_read(e, &state) && state.pid;
	for (size_t i = 0; i < count && !err; i++) {
		if (!is_declared(&declared, findings[i].iface))
			continue;
		if (config && config->mode == ECBPF_MODE_SKB)
			advise_mode(&findings[i], *file ? file : ECBPF_CONFIG_DIR "/ecbpf.conf");
		if (!has_more)
			advise(&findings[i], is_watched);
	}
	ecbpf_watch_state_free(&state);
	ecbpf_config_free(config);
	free(declared.items);
	return err;
}
