// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Stage filter: settings, addresses, interfaces.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>
#include "core/internal.h"
#include <ecbpf/libecbpf-filter.h>
#include "core/routes.h"

#define PPS_MAX 1000000000

/* The maps that are pinned, and settings mapped */
struct filter_maps {
	struct bpf_object *obj;
	struct ecbpf_filter *filter;
	int addrs_fd;
	int lock;
};

static int map_fd(struct ecbpf *e, const struct bpf_object *obj, const char *name)
{
	int fd = bpf_object__find_map_fd_by_name(obj, name);

	return fd < 0 ? ecbpf_fail(e, -EPROTO, "filter: no map %s", name) : fd;
}

static void filter_maps_close(struct filter_maps *maps)
{
	if (maps->filter)
		munmap(maps->filter, sizeof(*maps->filter));
	bpf_object__close(maps->obj);
	cleanup_close(&maps->lock);
}
#define cleanup_maps __attribute__((cleanup(filter_maps_close)))
#define FILTER_MAPS_INIT   \
	{                  \
		.lock = -1 \
	}

/* Find them, or make them; nobody else changes them until they are closed. To be closed in any case
 */
static int filter_maps_open(struct ecbpf *e, struct filter_maps *maps)
{
	void *filter;
	int fd, err;

	ecbpf_capture(e);
	err = ecbpf_bpffs_open(e, true);
	if (err)
		return err;
	maps->lock = ecbpf_lock(e);
	if (maps->lock < 0)
		return maps->lock;
	err = ecbpf_stage_maps(e, "filter", &maps->obj);
	if (err)
		return err;
	maps->addrs_fd = map_fd(e, maps->obj, "filter_addrs");
	if (maps->addrs_fd < 0)
		return maps->addrs_fd;
	fd = map_fd(e, maps->obj, "filter_settings");
	if (fd < 0)
		return fd;
	filter = mmap(NULL, sizeof(*maps->filter), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (filter == MAP_FAILED)
		return ecbpf_fail(e, -errno, "filter_settings: %s", strerror(errno));
	maps->filter = filter;
	return 0;
}

/* --- settings ------------------------------------------------------------------------------- */

static const char *const frags_names[] = {
	[ECBPF_FILTER_FRAGS_PASS] = "pass",
	[ECBPF_FILTER_FRAGS_DROP] = "drop",
	[ECBPF_FILTER_FRAGS_PTB] = "ptb",
};

const char *ecbpf_filter_check_name(__u32 number)
{
	switch (number) {
#define X(bit, NAME, key, is_dropped) \
	case bit:                     \
		return key;
		ECBPF_FILTER_CHECKS(X)
#undef X
	default:
		return NULL;
	}
}

static void config_of(const struct ecbpf_filter_settings *settings,
		      struct ecbpf_filter_config *config)
{
	config->frags = settings->frags;
	config->frags6 = settings->frags6;
	config->ptb_max_pps = settings->ptb_max_pps ?: ECBPF_FILTER_PTB_MAX_PPS;
	config->ptb_per_source_pps =
		settings->ptb_per_source_pps ?: ECBPF_FILTER_PTB_PER_SOURCE_PPS;
	config->drop = settings->drop_flip ^ ECBPF_FILTER_DROP_DEFAULT;
	config->count = settings->count & ~config->drop;
}

static int config_apply(struct ecbpf *e, const struct ecbpf_filter_config *config,
			struct ecbpf_filter_settings *settings)
{
	__u32 hz = ecbpf_hz();

	if (!hz)
		return ecbpf_fail(e, -EIO, "cannot find out how long the kernel's jiffies are");
	settings->frags = config->frags;
	settings->frags6 = config->frags6;
	settings->ptb_max_pps = config->ptb_max_pps;
	settings->ptb_per_source_pps = config->ptb_per_source_pps;
	settings->ptb_rate = ecbpf_rate_cap(config->ptb_max_pps, hz);
	settings->ptb_source_rate = ecbpf_rate_cap(config->ptb_per_source_pps, hz);
	settings->drop_flip = config->drop ^ ECBPF_FILTER_DROP_DEFAULT;
	settings->count = config->count;
	if (!settings->hash_seed &&
	    getrandom(&settings->hash_seed, sizeof(settings->hash_seed), 0) < 0)
		return ecbpf_fail(e, -errno, "getrandom: %s", strerror(errno));
	return 0;
}

/* The generation that packets do not look at, then the switch; see struct ecbpf_filter */
static int config_store(struct ecbpf *e, struct ecbpf_filter *filter,
			const struct ecbpf_filter_config *config)
{
	__u32 next = !(filter->active & 1);
	struct ecbpf_filter_settings settings = filter->settings[!next];
	int err;

	err = config_apply(e, config, &settings);
	if (err)
		return err;
	filter->settings[next] = settings;
	__atomic_store_n(&filter->active, next, __ATOMIC_RELEASE);
	ecbpf_wait_for_packets(e);
	return 0;
}

int ecbpf_filter_config_get(struct ecbpf *e, struct ecbpf_filter_config *ret_config)
{
	_cleanup_close_ int fd = -1, lock = -1;
	struct ecbpf_filter filter = {};
	char path[PATH_MAX];
	__u32 key = 0;
	int err;

	ecbpf_capture(e);
	err = ecbpf_bpffs_open(e, true);
	if (err)
		return err;
	lock = ecbpf_lock(e); /* or settings may be written while they are read */
	if (lock < 0)
		return lock;
	err = ecbpf_pin_path(e, path, sizeof(path), "filter_settings");
	if (!err)
		err = ecbpf_pinned_map_check(e, path, NULL);
	if (err)
		return err;
	fd = bpf_obj_get(path);
	if (fd < 0 && errno != ENOENT)
		return ecbpf_fail(e, -errno, "%s: %s", path, strerror(errno));
	if (fd >= 0 && bpf_map_lookup_elem(fd, &key, &filter))
		return ecbpf_fail(e, -errno, "%s: %s", path, strerror(errno));
	config_of(&filter.settings[filter.active & 1], ret_config);
	return 0;
}

static int set_frags(struct ecbpf *e, const char *key, const char *value, __u32 *frags)
{
	for (size_t i = 0; i < ARRAY_SIZE(frags_names); i++) {
		if (!strcmp(value, frags_names[i])) {
			*frags = i;
			return 0;
		}
	}
	return ecbpf_fail(e, -EINVAL, "%s: '%s' is not pass, drop or ptb", key, value);
}

static int set_pps(struct ecbpf *e, const char *key, const char *value, __u32 *pps)
{
	unsigned long long number;
	char *end;

	errno = 0;
	number = strtoull(value, &end, 10);
	if (value[0] < '0' || value[0] > '9' || errno || *end || !number || number > PPS_MAX)
		return ecbpf_fail(e, -EINVAL, "%s: '%s' is not a number from 1 to %d", key, value,
				  PPS_MAX);
	*pps = number;
	return 0;
}

static int set_checks(struct ecbpf *e, const char *key, const char *value, __u32 checks,
		      struct ecbpf_filter_config *config)
{
	bool is_drop = !strcmp(value, "drop"), is_count = !strcmp(value, "count");

	if (!is_drop && !is_count && strcmp(value, "off"))
		return ecbpf_fail(e, -EINVAL, "%s: '%s' is not off, count or drop", key, value);
	config->drop = (config->drop & ~checks) | (is_drop ? checks : 0);
	config->count = (config->count & ~checks) | (is_count ? checks : 0);
	return 0;
}

int ecbpf_filter_setting(struct ecbpf *e, const char *key, const char *value,
			 struct ecbpf_filter_config *config)
{
	__u32 all = 0;

	if (!strcmp(key, "frags"))
		return set_frags(e, key, value, &config->frags);
	if (!strcmp(key, "frags6"))
		return set_frags(e, key, value, &config->frags6);
	if (!strcmp(key, "ptb-max-pps"))
		return set_pps(e, key, value, &config->ptb_max_pps);
	if (!strcmp(key, "ptb-per-source-pps"))
		return set_pps(e, key, value, &config->ptb_per_source_pps);
	for (__u32 i = 0; ecbpf_filter_check_name(i); i++) {
		if (!strcmp(key, ecbpf_filter_check_name(i)))
			return set_checks(e, key, value, 1U << i, config);
		all |= 1U << i;
	}
	if (!strcmp(key, "checks"))
		return set_checks(e, key, value, all, config);
	return ecbpf_fail(e, -EINVAL,
			  "no setting '%s'; there are frags, frags6, ptb-max-pps, "
			  "ptb-per-source-pps, checks"
#define X(bit, NAME, key, is_dropped) ", " key
			  ECBPF_FILTER_CHECKS(X)
#undef X
				  ,
			  key);
}

static int set_all(struct ecbpf *e, const char *const *settings, size_t count,
		   struct ecbpf_filter_config *config)
{
	for (size_t i = 0; i < count; i++) {
		const char *equals = strchr(settings[i], '=');
		char key[64];
		int err;

		if (!equals || equals == settings[i])
			return ecbpf_fail(e, -EINVAL, "'%s' is not KEY=VALUE", settings[i]);
		snprintf(key, sizeof(key), "%.*s", (int)(equals - settings[i]), settings[i]);
		err = ecbpf_filter_setting(e, key, equals + 1, config);
		if (err)
			return err;
	}
	return 0;
}

static int addrs_write(struct ecbpf *e, int fd, struct ecbpf_route *vips, size_t vips_count);
static int addrs_refresh(struct ecbpf *e, int fd);

int ecbpf_filter_set(struct ecbpf *e, const char *const *settings, size_t count)
{
	struct filter_maps maps cleanup_maps = FILTER_MAPS_INIT;
	struct ecbpf_filter_config config = {};
	int err;

	err = set_all(e, settings, count, &config); /* before anything is made */
	if (!err)
		err = filter_maps_open(e, &maps);
	if (err)
		return err;
	config_of(&maps.filter->settings[maps.filter->active & 1], &config);
	err = set_all(e, settings, count, &config);
	if (!err)
		err = addrs_refresh(e, maps.addrs_fd);
	return err ? err : config_store(e, maps.filter, &config);
}

/* --- addresses ------------------------------------------------------------------------------ */

static int route_compare(const void *a, const void *b)
{
	const struct ecbpf_route *x = a, *y = b;
	int cmp = memcmp(&x->prefix, &y->prefix, sizeof(x->prefix));

	return cmp ? cmp : (int)x->kind - (int)y->kind;
}

static bool prefix_has(const struct ecbpf_filter_addr *outer, const struct ecbpf_filter_addr *inner)
{
	__u32 bytes = outer->prefix_len / 8, bits = outer->prefix_len % 8;

	return outer->prefix_len <= inner->prefix_len && !memcmp(outer->addr, inner->addr, bytes) &&
	       (!bits || !((outer->addr[bytes] ^ inner->addr[bytes]) >> (8 - bits)));
}

static void prefix_mask(struct ecbpf_filter_addr *prefix)
{
	for (__u32 i = 0; i < 16; i++) {
		__u32 bits = prefix->prefix_len > i * 8 ? prefix->prefix_len - i * 8 : 0;

		if (bits < 8)
			prefix->addr[i] &= 0xff << (8 - bits);
	}
}

/* "203.0.113.80", "203.0.113.0/24", "2001:db8::/32" */
static int prefix_parse(struct ecbpf *e, const char *text, struct ecbpf_filter_addr *ret)
{
	struct ecbpf_filter_addr prefix = {};
	const char *slash = strchrnul(text, '/');
	char addr[INET6_ADDRSTRLEN], *end = "";
	unsigned long len;
	__u32 max;

	/* what is cut is no address any more: it has all the characters that the longest one has */
	snprintf(addr, sizeof(addr), "%.*s", (int)(slash - text), text);
	if (inet_pton(AF_INET6, addr, prefix.addr) == 1) {
		max = 128;
	} else if (inet_pton(AF_INET, addr, prefix.addr + 12) == 1) {
		memset(prefix.addr, 0, 10);
		memset(prefix.addr + 10, 0xff, 2);
		max = 32;
	} else {
		max = 0;
	}
	if (!max)
		return ecbpf_fail(e, -EINVAL,
				  "'%s' is neither an IPv4 nor an IPv6 address or prefix", text);
	len = *slash ? strtoul(slash + 1, &end, 10) : max;
	if ((*slash && (slash[1] < '0' || slash[1] > '9')) || *end || len > max)
		return ecbpf_fail(e, -EINVAL, "'%s': the length of the prefix is not 0 to %u", text,
				  max);
	prefix.prefix_len = 128 - max + len;
	prefix_mask(&prefix);
	*ret = prefix;
	return 0;
}

static void prefix_format(const struct ecbpf_filter_addr *prefix, char *ret, size_t size)
{
	static const __u8 mapped[12] = {[10] = 0xff, [11] = 0xff};
	bool is_ip4 = prefix->prefix_len >= 96 && !memcmp(prefix->addr, mapped, sizeof(mapped));
	__u32 len = prefix->prefix_len - (is_ip4 ? 96 : 0);
	char addr[INET6_ADDRSTRLEN];

	inet_ntop(is_ip4 ? AF_INET : AF_INET6, prefix->addr + (is_ip4 ? 12 : 0), addr,
		  sizeof(addr));
	if (len == (is_ip4 ? 32 : 128))
		snprintf(ret, size, "%s", addr);
	else
		snprintf(ret, size, "%s/%u", addr, len);
}

int ecbpf_filter_vip_format(struct ecbpf *e, const char *text, char *ret, size_t size)
{
	struct ecbpf_filter_addr prefix;
	int err;

	err = prefix_parse(e, text, &prefix);
	if (!err)
		prefix_format(&prefix, ret, size);
	return err;
}

/* All of filter_addrs. @ret: for free() */
static int addrs_read(struct ecbpf *e, int fd, struct ecbpf_route **ret, size_t *ret_count)
{
	_cleanup_free_ struct ecbpf_route *addrs = NULL;
	struct ecbpf_filter_addr key;
	size_t count = 0;
	void *last = NULL;

	addrs = calloc(ECBPF_FILTER_ADDRS_MAX, sizeof(*addrs));
	if (!addrs)
		return ecbpf_fail(e, -ENOMEM, "out of memory");
	while (count < ECBPF_FILTER_ADDRS_MAX && !bpf_map_get_next_key(fd, last, &key)) {
		addrs[count].prefix = key;
		last = &key;
		if (!bpf_map_lookup_elem(fd, &key, &addrs[count].kind))
			count++;
	}
	*ret = addrs;
	*ret_count = count;
	addrs = NULL;
	return 0;
}

static int vips_read(struct ecbpf *e, int fd, struct ecbpf_route **ret, size_t *ret_count)
{
	size_t count = 0, kept = 0;
	int err;

	err = addrs_read(e, fd, ret, &count);
	if (err)
		return err;
	for (size_t i = 0; i < count; i++)
		if ((*ret)[i].kind == ECBPF_FILTER_ADDR_VIP)
			(*ret)[kept++] = (*ret)[i];
	*ret_count = kept;
	return 0;
}

static bool is_in_vips(const struct ecbpf_route *vips, size_t count,
		       const struct ecbpf_filter_addr *prefix)
{
	for (size_t i = 0; i < count; i++)
		if (prefix_has(&vips[i].prefix, prefix))
			return true;
	return false;
}

/*
 * Make filter_addrs these VIPs, and what is local now but for addresses of VIPs. New entries come
 * first, so that no fragment meets a table without either.
 */
static int addrs_write(struct ecbpf *e, int fd, struct ecbpf_route *vips, size_t vips_count)
{
	_cleanup_free_ struct ecbpf_route *routes = NULL, *old = NULL, *all = NULL;
	size_t routes_count = 0, old_count = 0, count = 0;
	int err;

	err = ecbpf_routes_read(e, &routes, &routes_count);
	if (!err)
		err = addrs_read(e, fd, &old, &old_count);
	if (err)
		return err;
	all = calloc(vips_count + routes_count + 1, sizeof(*all));
	if (!all)
		return ecbpf_fail(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < vips_count; i++)
		all[count++] = vips[i];
	for (size_t i = 0; i < routes_count; i++)
		if (!is_in_vips(vips, vips_count, &routes[i].prefix))
			all[count++] = routes[i];
	if (count > ECBPF_FILTER_ADDRS_MAX)
		return ecbpf_fail(e, -E2BIG, "%zu local addresses and VIPs: more than %d", count,
				  ECBPF_FILTER_ADDRS_MAX);
	for (size_t i = 0; i < count; i++)
		if (bpf_map_update_elem(fd, &all[i].prefix, &all[i].kind, BPF_ANY))
			return ecbpf_fail(e, -errno, "filter_addrs: %s", strerror(errno));
	qsort(all, count, sizeof(*all), route_compare);
	for (size_t i = 0; i < old_count; i++) {
		struct ecbpf_route *same = NULL;

		for (__u32 kind = 1; kind <= ECBPF_FILTER_ADDR_BROADCAST && !same; kind++) {
			struct ecbpf_route wanted = {.prefix = old[i].prefix, .kind = kind};

			same = bsearch(&wanted, all, count, sizeof(*all), route_compare);
		}
		if (!same && bpf_map_delete_elem(fd, &old[i].prefix) && errno != ENOENT)
			return ecbpf_fail(e, -errno, "filter_addrs: %s", strerror(errno));
	}
	return 0;
}

static int addrs_refresh(struct ecbpf *e, int fd)
{
	_cleanup_free_ struct ecbpf_route *vips = NULL;
	size_t count = 0;
	int err;

	err = vips_read(e, fd, &vips, &count);
	return err ? err : addrs_write(e, fd, vips, count);
}

int ecbpf_filter_refresh(struct ecbpf *e)
{
	struct filter_maps maps cleanup_maps = FILTER_MAPS_INIT;
	int err;

	err = filter_maps_open(e, &maps);
	return err ? err : addrs_refresh(e, maps.addrs_fd);
}

/* --- VIPs ----------------------------------------------------------------------------------- */

static struct ecbpf_route *vip_find(struct ecbpf_route *vips, size_t count,
				    const struct ecbpf_filter_addr *prefix)
{
	for (size_t i = 0; i < count; i++)
		if (!memcmp(&vips[i].prefix, prefix, sizeof(*prefix)))
			return &vips[i];
	return NULL;
}

static int vips_change(struct ecbpf *e, const char *const *texts, size_t count, bool is_add,
		       bool is_flush)
{
	struct filter_maps maps cleanup_maps = FILTER_MAPS_INIT;
	_cleanup_free_ struct ecbpf_filter_addr *prefixes = NULL;
	_cleanup_free_ struct ecbpf_route *vips = NULL;
	size_t vips_count = 0;
	int err = 0;

	prefixes = calloc(count + 1, sizeof(*prefixes));
	if (!prefixes)
		return ecbpf_fail(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < count && !err; i++)
		err = prefix_parse(e, texts[i], &prefixes[i]);
	if (!err)
		err = filter_maps_open(e, &maps);
	if (!err)
		err = vips_read(e, maps.addrs_fd, &vips, &vips_count);
	if (err)
		return err;
	for (size_t i = 0; i < count; i++) {
		struct ecbpf_route *vip = vip_find(vips, vips_count, &prefixes[i]);

		if (is_add && vips_count == ECBPF_FILTER_ADDRS_MAX)
			return ecbpf_fail(e, -E2BIG, "more than %d VIPs", ECBPF_FILTER_ADDRS_MAX);
		if (is_add && !vip)
			vips[vips_count++] = (struct ecbpf_route){.prefix = prefixes[i],
								  .kind = ECBPF_FILTER_ADDR_VIP};
		if (!is_add && !vip)
			return ecbpf_fail(e, -ENOENT, "'%s' is not listed", texts[i]);
		if (!is_add)
			*vip = vips[--vips_count];
	}
	return addrs_write(e, maps.addrs_fd, vips, is_flush ? 0 : vips_count);
}

int ecbpf_filter_vip_add(struct ecbpf *e, const char *const *vips, size_t count)
{
	return vips_change(e, vips, count, true, false);
}

int ecbpf_filter_vip_delete(struct ecbpf *e, const char *const *vips, size_t count)
{
	return vips_change(e, vips, count, false, false);
}

int ecbpf_filter_vip_flush(struct ecbpf *e)
{
	return vips_change(e, NULL, 0, false, true);
}

int ecbpf_filter_vip_list(struct ecbpf *e, struct ecbpf_filter_vip **ret_vips, size_t *ret_count)
{
	struct filter_maps maps cleanup_maps = FILTER_MAPS_INIT;
	_cleanup_free_ struct ecbpf_route *vips = NULL;
	struct ecbpf_filter_vip *texts;
	size_t count = 0;
	int err;

	err = filter_maps_open(e, &maps);
	if (!err)
		err = vips_read(e, maps.addrs_fd, &vips, &count);
	if (err)
		return err;
	texts = calloc(count + 1, sizeof(*texts));
	if (!texts)
		return ecbpf_fail(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < count; i++)
		prefix_format(&vips[i].prefix, texts[i].text, sizeof(texts[i].text));
	*ret_vips = texts;
	*ret_count = count;
	return 0;
}

/* --- interfaces ----------------------------------------------------------------------------- */

int ecbpf_filter_status_get(struct ecbpf *e, const char *iface, struct ecbpf_filter_status *ret)
{
	struct ecbpf_filter_status status = {};
	struct ecbpf_chain *chain;
	int err;

	err = ecbpf_chain_get(e, iface, &chain);
	if (err)
		return err;
	status.mode = chain->mode;
	for (size_t i = 0; i < chain->members_count; i++) {
		const struct ecbpf_member *member = &chain->members[i];

		for (size_t slot = 0; slot < member->stages_count; slot++) {
			const __u64 *from = (const void *)&member->stages[slot].counters;
			__u64 *to = (void *)&status.counters;

			if (member->stages[slot].stage != ECBPF_STAGE_FILTER)
				continue;
			status.is_loaded = true;
			status.is_fused |= !strcmp(member->name, "ecbpf_fused");
			for (size_t n = 0; n < sizeof(status.counters) / sizeof(*to); n++)
				to[n] += from[n];
		}
	}
	ecbpf_chain_free(chain);
	*ret = status;
	return 0;
}

int ecbpf_filter_status_clear(struct ecbpf *e, const char *iface)
{
	return ecbpf_counters_clear_stage(e, iface, ECBPF_STAGE_FILTER);
}

int ecbpf_filter_load(struct ecbpf *e, const char *const *ifaces, size_t count,
		      enum ecbpf_mode mode, bool fused)
{
	int err;

	for (size_t i = 0; i < count; i++) {
		struct ecbpf_filter_status status;

		err = ecbpf_filter_status_get(e, ifaces[i], &status);
		if (err)
			return err;
		if (status.is_loaded)
			return ecbpf_fail(e, -EEXIST, "%s: the filter is loaded already",
					  ifaces[i]);
	}
	err = ecbpf_filter_refresh(e);
	if (err)
		return err;
	return ecbpf_chain_load_stage(e, ifaces, count, ECBPF_STAGE_FILTER, fused, mode);
}

int ecbpf_filter_unload(struct ecbpf *e, const char *const *ifaces, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct ecbpf_filter_status status;
		int err;

		err = ecbpf_filter_status_get(e, ifaces[i], &status);
		if (err)
			return err;
		if (!status.is_loaded)
			return ecbpf_fail(e, -ENOENT, "%s: the filter is not loaded", ifaces[i]);
	}
	return ecbpf_chain_unload_stage(e, ifaces, count, ECBPF_STAGE_FILTER);
}
