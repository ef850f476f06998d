// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Stage fw: a firewall. Rules become tables in user space (lib/fw-compile.c, laid out in fw.h); a
 * packet's fields are looked up in them, whatever the number of rules. Malformed packets are not
 * judged here, and what is not IP passes.
 * Place: early, behind the filter (default priority 20).
 */
#include <ecbpf/stage.bpf.h>
#include <ecbpf/bucket.bpf.h>
#include <ecbpf/trie.bpf.h>
#include <ecbpf/fw.h>

/* For user space that tries packets: the word of the rule that decided goes into `fw_decided` */
const volatile bool fw_tell = false;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} fw_decided SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} fw_active SEC(".maps");

/* Generations by size; at most one of all places is live */
#define FW_GENERATIONS(name, size, entries)                       \
	struct {                                                  \
		__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);         \
		__uint(max_entries, 2);                           \
		__type(key, __u32);                               \
		__uint(pinning, LIBBPF_PIN_BY_NAME);              \
		__array(                                          \
			values, struct {                          \
				__uint(type, BPF_MAP_TYPE_ARRAY); \
				__uint(max_entries, entries);     \
				__uint(map_flags, BPF_F_MMAPABLE); \
				__type(key, __u32);               \
				__type(value, struct size);       \
			});                                       \
	} name SEC(".maps")

FW_GENERATIONS(fw_small, ecbpf_fw_small, 1);
FW_GENERATIONS(fw_medium, ecbpf_fw_slots, 1);
FW_GENERATIONS(fw_large, ecbpf_fw_slots, ECBPF_FW_LARGE_COUNT);

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, ECBPF_FW_COUNTERS);
	__type(key, __u32);
	__type(value, struct ecbpf_fw_counter);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} fw_counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, ECBPF_FW_LIMITS);
	__type(key, __u32);
	__type(value, struct ecbpf_fw_limit);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} fw_limits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, ECBPF_FW_BUCKETS);
	__type(key, __u32);
	__type(value, struct ecbpf_bucket);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} fw_buckets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, ECBPF_FW_SETS);
	__type(key, __u32);
	__type(value, struct ecbpf_trie_head);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} fw_sets SEC(".maps");

ECBPF_TRIE_POOL(fw_set_pool);

/* For user space only: the text of the generations, see lib/fw.c */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__type(key, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__array(
		values, struct {
			__uint(type, BPF_MAP_TYPE_ARRAY);
			__uint(max_entries, 1);
			__uint(map_flags, BPF_F_MMAPABLE | BPF_F_INNER_MAP);
			__type(key, __u32);
			__type(value, struct ecbpf_fw_page);
		});
} fw_text SEC(".maps");

/* --- the packet ----------------------------------------------------------------------------- */

/* What is looked up; addresses in host order, IPv4 in [0] */
struct fw_key {
	__u64 addr[2][2]; /* src, dst: high, low */
	__u32 length;
	__u16 kind;
	__u16 vlan;
	__u16 sport; /* network order, like the next two */
	__u16 dport;
	__u16 window;
	__u8 type; /* TCP flags or type of ICMP */
	__u8 code;
	__u8 ttl;
	__u8 l4; /* enum ecbpf_fw_l4 */
	__u8 has_l4;
	__u8 has_vlan;
	__u8 is_ip6;
	__u8 l3_off;
};

static __always_inline __u8 fw_l4(const struct ecbpf_record *rec)
{
	if (rec->proto == IPPROTO_TCP)
		return ECBPF_FW_L4_TCP;
	if (rec->proto == IPPROTO_UDP)
		return ECBPF_FW_L4_UDP;
	if (rec->version == 4)
		return rec->proto == IPPROTO_ICMP ? ECBPF_FW_L4_ICMP : ECBPF_FW_L4_OTHER;
	return rec->proto == IPPROTO_ICMPV6 ? ECBPF_FW_L4_ICMP6 : ECBPF_FW_L4_OTHER;
}

static __always_inline bool fw_addresses(struct xdp_md *ctx, const struct ecbpf_record *rec,
					 struct fw_key *key)
{
	if (rec->version == 4) {
		const struct iphdr *ip = ecbpf_header(ctx, rec->l3_off, sizeof(*ip));

		if (!ip)
			return false;
		key->addr[0][0] = bpf_ntohl(ip->saddr);
		key->addr[1][0] = bpf_ntohl(ip->daddr);
		key->addr[0][1] = 0;
		key->addr[1][1] = 0;
		key->ttl = ip->ttl;
	} else {
		const struct ipv6hdr *ip6 = ecbpf_header(ctx, rec->l3_off, sizeof(*ip6));
		const __u32 *word;

		if (!ip6)
			return false;
		word = ip6->saddr.in6_u.u6_addr32;
		key->addr[0][0] = (__u64)bpf_ntohl(word[0]) << 32 | bpf_ntohl(word[1]);
		key->addr[0][1] = (__u64)bpf_ntohl(word[2]) << 32 | bpf_ntohl(word[3]);
		key->addr[1][0] = (__u64)bpf_ntohl(word[4]) << 32 | bpf_ntohl(word[5]);
		key->addr[1][1] = (__u64)bpf_ntohl(word[6]) << 32 | bpf_ntohl(word[7]);
		key->ttl = ip6->hop_limit;
	}
	return true;
}

/* Return: false if the record is not the packet's, which cannot be */
static __always_inline bool fw_key_fill(struct xdp_md *ctx, const struct ecbpf_record *rec,
					struct fw_key *key)
{
	bool is_ip6 = rec->version == 6;

	key->l3_off = rec->l3_off;
	key->is_ip6 = is_ip6;
	key->kind = rec->proto | (__u16)rec->frag << ECBPF_FW_KIND_FRAG |
		    (rec->flags & ECBPF_IP_OPTIONS || rec->ext_count ? 1 << ECBPF_FW_KIND_OPTIONS
								     : 0) |
		    (__u16)is_ip6 << ECBPF_FW_KIND_IP6;
	key->length = rec->frame_len;
	key->has_vlan = rec->vlan_count;
	key->vlan = rec->vlan_tci[0] & 0xfff;
	key->l4 = fw_l4(rec);
	key->has_l4 = rec->l4_off && key->l4 != ECBPF_FW_L4_OTHER;
	key->sport = rec->sport;
	key->dport = rec->dport;
	key->type = key->l4 == ECBPF_FW_L4_TCP ? rec->tcp_flags : rec->icmp_type;
	key->code = rec->icmp_code;
	key->window = 0;
	if (key->l4 == ECBPF_FW_L4_TCP && rec->l4_off) {
		const struct tcphdr *tcp = ecbpf_header(ctx, rec->l4_off, sizeof(*tcp));

		if (!tcp)
			return false;
		key->window = tcp->window;
	}
	return fw_addresses(ctx, rec, key);
}

/* --- classes -------------------------------------------------------------------------------- */

/* See ECBPF_FW_LPM_ROOT. Return: the class of the address */
static __always_inline __u16 fw_lpm4(const __u32 *words, __u32 mask, __u32 root, __u32 addr)
{
	__u32 word = words[(root + (addr >> (32 - ECBPF_FW_LPM_ROOT))) & mask];

	for (int i = 0; i < ECBPF_FW_LPM_STEPS4; i++) {
		if (!(word & ECBPF_FW_LPM_REFERENCE))
			break;
		if (word & ECBPF_FW_LPM_LEAF) {
			const __u32 *leaf = &words[word << 2 & mask];

			word = (addr ^ leaf[0]) & leaf[1] ? leaf[3] : leaf[2];
		} else {
			__u32 shift = word >> (ECBPF_FW_LPM_SHIFT - 2) & 0x1c;

			word = words[(word << 4 | (addr >> shift & 15)) & mask];
		}
	}
	return word;
}

static __always_inline __u16 fw_lpm6(const __u32 *words, __u32 mask, __u32 root,
				     const __u64 *addr)
{
	__u64 high = addr[0], low = addr[1];
	__u32 word = words[(root + (high >> (64 - ECBPF_FW_LPM_ROOT))) & mask];

	for (int i = 0; i < ECBPF_FW_LPM_STEPS6; i++) {
		if (!(word & ECBPF_FW_LPM_REFERENCE))
			break;
		if (word & ECBPF_FW_LPM_LEAF) {
			const __u32 *leaf = &words[word << 4 & mask];
			const __u64 *wide = (const __u64 *)leaf;

			word = ((high ^ wide[0]) & wide[2]) | ((low ^ wide[1]) & wide[3]) ? leaf[9]
											   : leaf[8];
		} else {
			__u32 shift = word >> (ECBPF_FW_LPM_SHIFT - 2) & 0x7c;
			__u32 index = (shift & 64 ? high : low) >> (shift & 63) & 15;

			word = words[(word << 4 | index) & mask];
		}
	}
	return word;
}

static __always_inline __u16 fw_class_addr(const struct ecbpf_fw_tables *t, const __u32 *words,
					   __u32 mask, __u32 side, const struct fw_key *key)
{
	if (!(t->used & 1 << (ECBPF_FW_SRC + side)))
		return ECBPF_FW_ANY;
	if (key->is_ip6)
		return fw_lpm6(words, mask, t->roots[side][1], key->addr[side]);
	return fw_lpm4(words, mask, t->roots[side][0], key->addr[side][0]);
}

/* All but the two of addresses, which need more memory */
static __always_inline void fw_classify(const struct ecbpf_fw_tables *t, const struct fw_key *key,
					__u16 *class)
{
	__u32 used = t->used, l4 = key->l4 & (ECBPF_FW_L4_MAX - 1);
	bool has_l4 = key->has_l4;

	class[ECBPF_FW_KIND] = t->kind[key->kind & (ECBPF_FW_KINDS - 1)];
	class[ECBPF_FW_LENGTH] = ECBPF_FW_ANY;
	if (used & 1 << ECBPF_FW_LENGTH)
		class[ECBPF_FW_LENGTH] = key->length < 65536 ? t->length[key->length]
							     : t->absent[ECBPF_FW_LENGTH][0];
	class[ECBPF_FW_VLAN] = ECBPF_FW_ANY;
	if (used & 1 << ECBPF_FW_VLAN)
		class[ECBPF_FW_VLAN] = key->has_vlan ? t->vlan[key->vlan & 4095]
						     : t->absent[ECBPF_FW_VLAN][0];
	class[ECBPF_FW_TTL] = ECBPF_FW_ANY;
	if (used & 1 << ECBPF_FW_TTL)
		class[ECBPF_FW_TTL] = t->ttl[key->is_ip6 & 1][key->ttl];
	class[ECBPF_FW_SPORT] = ECBPF_FW_ANY;
	if (used & 1 << ECBPF_FW_SPORT)
		class[ECBPF_FW_SPORT] = has_l4 && l4 <= ECBPF_FW_L4_UDP
						? t->sport[l4 == ECBPF_FW_L4_UDP][key->sport]
						: t->absent[ECBPF_FW_SPORT][l4];
	class[ECBPF_FW_DPORT] = ECBPF_FW_ANY;
	if (used & 1 << ECBPF_FW_DPORT)
		class[ECBPF_FW_DPORT] = has_l4 && l4 <= ECBPF_FW_L4_UDP
						? t->dport[l4 == ECBPF_FW_L4_UDP][key->dport]
						: t->absent[ECBPF_FW_DPORT][l4];
	class[ECBPF_FW_TYPE] = ECBPF_FW_ANY;
	if (used & 1 << ECBPF_FW_TYPE)
		class[ECBPF_FW_TYPE] = has_l4 && l4 != ECBPF_FW_L4_UDP
					       ? t->type[(l4 - 1) & 3][key->type]
					       : t->absent[ECBPF_FW_TYPE][l4];
	class[ECBPF_FW_CODE] = ECBPF_FW_ANY;
	if (used & 1 << ECBPF_FW_CODE) {
		if (!has_l4 || l4 == ECBPF_FW_L4_UDP)
			class[ECBPF_FW_CODE] = t->absent[ECBPF_FW_CODE][l4];
		else if (l4 == ECBPF_FW_L4_TCP)
			class[ECBPF_FW_CODE] = t->window[key->window];
		else
			class[ECBPF_FW_CODE] = t->code[(l4 - 1) & 3][key->code];
	}
}

/* --- generations ---------------------------------------------------------------------------- */

static __always_inline const struct ecbpf_fw_small *fw_small_get(__u32 active)
{
	__u32 place = active & ECBPF_FW_PLACE, key = 0;
	void *map = bpf_map_lookup_elem(&fw_small, &place);

	return map ? bpf_map_lookup_elem(map, &key) : NULL;
}

static __always_inline const union ecbpf_fw_slot *fw_slots(void *map, __u32 entry)
{
	const struct ecbpf_fw_slots *slots = bpf_map_lookup_elem(map, &entry);

	return slots ? slots->slots : NULL;
}

static __always_inline const union ecbpf_fw_slot *fw_medium_get(__u32 active)
{
	__u32 place = active & ECBPF_FW_PLACE;
	void *map = bpf_map_lookup_elem(&fw_medium, &place);

	return map ? fw_slots(map, 0) : NULL;
}

static __always_inline const union ecbpf_fw_slot *fw_large_get(__u32 active, __u32 entry)
{
	__u32 place = active & ECBPF_FW_PLACE;
	void *map = bpf_map_lookup_elem(&fw_large, &place);

	return map ? fw_slots(map, entry) : NULL;
}

static __always_inline const struct ecbpf_fw_tables *fw_slots_tables(const union ecbpf_fw_slot *s)
{
	return s ? (const void *)&s[ECBPF_FW_TABLES_SLOT] : NULL;
}

static __always_inline const struct ecbpf_fw_tables *fw_tables(__u32 active)
{
	switch (active & ~ECBPF_FW_PLACE) {
	case ECBPF_FW_SMALL: {
		const struct ecbpf_fw_small *small = fw_small_get(active);

		return small ? &small->tables : NULL;
	}
	case ECBPF_FW_MEDIUM:
		return fw_slots_tables(fw_medium_get(active));
	case ECBPF_FW_LARGE:
		return fw_slots_tables(fw_large_get(active, ECBPF_FW_LARGE_TABLES));
	default:
		return NULL;
	}
}

/* Number of the lowest bit that is set; there is one */
static __always_inline __u32 fw_lowest(__u64 bits)
{
	static const __u8 number[64] = {
		0,  1,	2,  53, 3,  7,	54, 27, 4,  38, 41, 8,	34, 55, 48, 28,
		62, 5,	39, 46, 44, 42, 22, 9,	24, 35, 59, 56, 49, 18, 29, 11,
		63, 52, 6,  26, 37, 40, 33, 47, 61, 45, 43, 21, 23, 58, 17, 10,
		51, 25, 36, 32, 60, 20, 57, 16, 50, 31, 19, 15, 30, 14, 13, 12,
	};

	return number[(bits & -bits) * 0x022fdd63cc95386dULL >> 58] & 63;
}

/* --- sets ----------------------------------------------------------------------------------- */

/* Global, like the others below: the verifier walks them once, not for each way that leads there */

/* Return: 1 if the address is in the set; @use: ecbpf_fw_tables.uses */
__noinline int fw_set_has(struct xdp_md *ctx, __u32 use, __u32 l3_off)
{
	__u32 id = use & 0xffff;
	const struct ecbpf_trie_head *head = bpf_map_lookup_elem(&fw_sets, &id);
	const struct ipv6hdr *ip6;
	const struct iphdr *ip;
	__u64 roots;

	if (!head)
		return 0;
	roots = *(const volatile __u64 *)&head->roots;
	if (use & ECBPF_FW_USE_IP6) {
		ip6 = ecbpf_header(ctx, l3_off, sizeof(*ip6));
		if (!ip6)
			return 0;
		return ecbpf_trie_lookup6(&fw_set_pool, roots,
					  use & ECBPF_FW_USE_DST ? &ip6->daddr : &ip6->saddr) != 0;
	}
	ip = ecbpf_header(ctx, l3_off, sizeof(*ip));
	if (!ip)
		return 0;
	return ecbpf_trie_lookup4(&fw_set_pool, roots,
				  use & ECBPF_FW_USE_DST ? ip->daddr : ip->saddr) != 0;
}

/* Return: a bit for each use of a set that the packet is in; @where: l3_off, and bit 31: IPv6 */
__noinline __u64 fw_sets_of(struct xdp_md *ctx, __u32 active, __u32 where)
{
	const struct ecbpf_fw_tables *t = fw_tables(active);
	__u64 found = 0;

	if (!t)
		return 0;
	for (__u32 i = 0; i < ECBPF_FW_USES_MAX; i++) {
		__u32 use;

		if (i >= t->uses_count)
			break;
		use = t->uses[i];
		if (!(use & ECBPF_FW_USE_IP6) != !(where >> 31))
			continue;
		if (fw_set_has(ctx, use, where & 0xffff))
			found |= 1ULL << i;
	}
	return found;
}

/* Return: the rules in word @block that do not mind in which sets the packet is */
__noinline __u64 fw_sets_word(__u32 active, __u32 block, __u64 found)
{
	const struct ecbpf_fw_tables *t = fw_tables(active);
	const struct ecbpf_fw_small *small = NULL;
	const union ecbpf_fw_slot *slots = NULL;
	__u64 bits = ~0ULL;

	if (!t || block >= ECBPF_FW_BLOCKS)
		return 0;
	if ((active & ~ECBPF_FW_PLACE) == ECBPF_FW_SMALL) {
		small = fw_small_get(active);
		if (!small)
			return 0;
		for (__u32 i = 0; i < ECBPF_FW_USES_MAX; i++) {
			if (i >= t->uses_count)
				break;
			bits &= small->use_rows[i * 2 + (found >> i & 1)];
		}
		return bits;
	}
	slots = (active & ~ECBPF_FW_PLACE) == ECBPF_FW_MEDIUM
			? fw_medium_get(active)
			: fw_large_get(active, ECBPF_FW_LARGE_SETS);
	if (!slots)
		return 0;
	for (__u32 i = 0; i < ECBPF_FW_USES_MAX; i++) {
		__u32 slot;

		if (i >= t->uses_count)
			break;
		slot = t->use_rows[i][found >> i & 1];
		slot = slots[slot].row.chunks[block / ECBPF_FW_CHUNK];
		bits &= slots[slot].chunk[block % ECBPF_FW_CHUNK];
	}
	return bits;
}

/* --- what rules do -------------------------------------------------------------------------- */

static __always_inline void fw_count(const struct ecbpf_fw_tables *t, __u32 index, __u32 bytes,
				     bool is_over)
{
	struct ecbpf_fw_counter *counter;
	__u32 key;

	if (index >= ECBPF_FW_RULES_MAX)
		return;
	key = t->counters[index];
	counter = bpf_map_lookup_elem(&fw_counters, &key);
	if (!counter)
		return;
	counter->packets++;
	counter->bytes += bytes;
	counter->over += is_over;
}

/*
 * The bucket of the packet's source: buckets of a limit are chosen by a hash, so that sources which
 * share one have one budget together, and never more than that.
 */
static __always_inline __u32 fw_bucket_of(struct xdp_md *ctx, const struct ecbpf_fw_limit *limit)
{
	struct ecbpf_record rec;
	__u64 high = 0, low = 0;

	ecbpf_parse_rare(ctx, &rec);
	if (rec.version == 4) {
		const struct iphdr *ip = ecbpf_header(ctx, rec.l3_off, sizeof(*ip));

		if (ip)
			low = bpf_ntohl(ip->saddr) & limit->mask[1];
	} else {
		const struct ipv6hdr *ip6 = ecbpf_header(ctx, rec.l3_off, sizeof(*ip6));

		if (ip6) {
			const __u32 *word = ip6->saddr.in6_u.u6_addr32;

			high = ((__u64)bpf_ntohl(word[0]) << 32 | bpf_ntohl(word[1])) &
			       limit->mask[0];
			low = ((__u64)bpf_ntohl(word[2]) << 32 | bpf_ntohl(word[3])) &
			      limit->mask[1];
		}
	}
	return ECBPF_FW_HASH(high, low, limit->seed) >> limit->shift;
}

/* Return: true if the budget has room for the packet */
static __always_inline bool fw_limit_take(struct xdp_md *ctx, __u32 id, __u32 bytes)
{
	struct ecbpf_fw_limit *limit = bpf_map_lookup_elem(&fw_limits, &id);
	struct ecbpf_bucket *bucket;
	__u32 key;

	if (!limit)
		return true;
	key = limit->bucket;
	if (limit->is_per_src)
		key += fw_bucket_of(ctx, limit);
	bucket = bpf_map_lookup_elem(&fw_buckets, &key);
	if (!bucket)
		return true;
	return ecbpf_bucket_take(bucket, &limit->rate, limit->is_bytes ? bytes : 1);
}

/*
 * Do the rules @bits of word @where (and `active` from bit 16 on), which do not end the search, for
 * as far as they come before the rule @decided. Return: the word of the one that ended it after
 * all, else 0
 */
__noinline int fw_pending(struct xdp_md *ctx, __u32 where, __u64 bits, __u32 decided, __u32 bytes)
{
	const struct ecbpf_fw_tables *t = fw_tables(where >> 16);
	__u32 block = where & 0xff;

	if (!t || block >= ECBPF_FW_BLOCKS)
		return 0;
	for (int i = 0; i < 64; i++) {
		__u32 rule, index, action;
		bool is_over;

		if (!bits)
			break;
		rule = t->rules[block * 64 + fw_lowest(bits)];
		bits &= bits - 1;
		if (rule >= decided)
			break;
		index = rule >> ECBPF_FW_RULE_INDEX;
		action = rule & ECBPF_FW_RULE_ACTION;
		if (action != ECBPF_FW_RULE_LIMIT) {
			fw_count(t, index, bytes, false);
			continue;
		}
		if (index >= ECBPF_FW_RULES_MAX)
			break;
		is_over = !fw_limit_take(ctx, t->limits[index], bytes);
		if (!(rule & ECBPF_FW_RULE_DRY)) {
			fw_count(t, index, bytes, is_over);
			if (is_over)
				return rule;
		} else if (is_over) {
			fw_count(t, index, bytes, true);
		}
	}
	return 0;
}

/* --- matching ------------------------------------------------------------------------------- */

/* All of these return the word of the rule that decides, or FW_UNDECIDED */
#define FW_UNDECIDED 0xffffffffU

static __always_inline __u32 fw_match_small(struct xdp_md *ctx, const struct fw_key *key,
					    __u32 active, const struct ecbpf_fw_tables **ret_tables)
{
	const struct ecbpf_fw_small *small = fw_small_get(active);
	__u16 class[ECBPF_FW_DIMS];
	__u32 rule = FW_UNDECIDED;
	__u64 bits, pending;

	if (!small)
		return FW_UNDECIDED;
	*ret_tables = &small->tables;
	fw_classify(&small->tables, key, class);
	class[ECBPF_FW_SRC] = fw_class_addr(&small->tables, small->words, ECBPF_FW_SMALL_WORDS - 1,
					    0, key);
	class[ECBPF_FW_DST] = fw_class_addr(&small->tables, small->words, ECBPF_FW_SMALL_WORDS - 1,
					    1, key);
	bits = ~0ULL;
#pragma unroll
	for (int dim = 0; dim < ECBPF_FW_DIMS; dim++)
		bits &= small->rows[dim][class[dim] & (ECBPF_FW_SMALL_CLASSES - 1)];
	if (bits && small->tables.uses_count)
		bits &= fw_sets_word(active, 0,
				     fw_sets_of(ctx, active,
						key->l3_off | (__u32)key->is_ip6 << 31));
	pending = bits & ~small->tables.deciding[0];
	bits &= small->tables.deciding[0];
	if (bits)
		rule = small->tables.rules[fw_lowest(bits)];
	if (pending) {
		__u32 ended = fw_pending(ctx, active << 16, pending, rule, key->length);

		if (ended)
			rule = ended;
	}
	return rule;
}

static __always_inline __u32 fw_match_slots(struct xdp_md *ctx, const struct fw_key *key,
					    __u32 active, const bool is_large)
{
	const union ecbpf_fw_slot *base[ECBPF_FW_DIMS];
	const struct ecbpf_fw_tables *t;
	__u16 class[ECBPF_FW_DIMS];
	__u32 rule = FW_UNDECIDED;
	__u64 sums[ECBPF_FW_SUMS] = {~0ULL, ~0ULL, ~0ULL}, found = 0;
	const int sums_count = is_large ? ECBPF_FW_SUMS : 1;

	if (is_large) {
		__u32 place = active & ECBPF_FW_PLACE;
		void *map = bpf_map_lookup_elem(&fw_large, &place);

		if (!map)
			return FW_UNDECIDED;
#pragma unroll
		for (__u32 dim = 0; dim < ECBPF_FW_DIMS; dim++) {
			base[dim] = fw_slots(map, dim);
			if (!base[dim])
				return FW_UNDECIDED;
		}
		t = fw_slots_tables(fw_slots(map, ECBPF_FW_LARGE_TABLES));
	} else {
		base[0] = fw_medium_get(active);
		if (!base[0])
			return FW_UNDECIDED;
#pragma unroll
		for (int dim = 1; dim < ECBPF_FW_DIMS; dim++)
			base[dim] = base[0];
		t = fw_slots_tables(base[0]);
	}
	if (!t)
		return FW_UNDECIDED;
	fw_classify(t, key, class);
	class[ECBPF_FW_SRC] = fw_class_addr(t, base[ECBPF_FW_SRC]->words, ECBPF_FW_SLOTS * 16 - 1,
					    0, key);
	class[ECBPF_FW_DST] = fw_class_addr(t, base[ECBPF_FW_DST]->words, ECBPF_FW_SLOTS * 16 - 1,
					    1, key);
#pragma unroll
	for (int dim = 0; dim < ECBPF_FW_DIMS; dim++) {
		const struct ecbpf_fw_row *row = &base[dim][class[dim]].row;

#pragma unroll
		for (int i = 0; i < sums_count; i++)
			sums[i] &= row->sums[i];
	}
	if (t->uses_count)
		found = fw_sets_of(ctx, active, key->l3_off | (__u32)key->is_ip6 << 31);

#pragma unroll
	for (int i = 0; i < sums_count; i++) {
		for (int j = 0; j < 64; j++) {
			__u32 block;
			__u64 bits = ~0ULL, pending;

			if (!sums[i])
				break;
			block = fw_lowest(sums[i]);
			sums[i] &= sums[i] - 1;
			block = i * 64 + (i == 2 ? block & 31 : block);
			if (t->first[block] >= rule >> ECBPF_FW_RULE_INDEX)
				continue;
#pragma unroll
			for (int dim = 0; dim < ECBPF_FW_DIMS; dim++) {
				const struct ecbpf_fw_row *row = &base[dim][class[dim]].row;
				__u16 slot = row->chunks[block / ECBPF_FW_CHUNK];

				bits &= base[dim][slot].chunk[block % ECBPF_FW_CHUNK];
			}
			if (bits && t->uses_count)
				bits &= fw_sets_word(active, block, found);
			pending = bits & ~t->deciding[block];
			bits &= t->deciding[block];
			if (bits) {
				__u32 found_rule = t->rules[block * 64 + fw_lowest(bits)];

				if (found_rule < rule)
					rule = found_rule;
			}
			if (pending) {
				__u32 ended = fw_pending(ctx, active << 16 | block, pending, rule,
							 key->length);

				if (ended)
					return ended;
			}
		}
	}
	return rule;
}

static __noinline __u32 fw_match_medium(struct xdp_md *ctx, const struct fw_key *key, __u32 active)
{
	return fw_match_slots(ctx, key, active, false);
}

static __noinline __u32 fw_match_large(struct xdp_md *ctx, const struct fw_key *key, __u32 active)
{
	return fw_match_slots(ctx, key, active, true);
}

static __always_inline __u32 fw_stage(struct xdp_md *ctx, const struct ecbpf_record *rec)
{
	const struct ecbpf_fw_tables *t = NULL;
	__u32 zero = 0, rule, active, index, *at;
	struct fw_key key;

	if (rec->reason)
		return ecbpf_malformed(rec);
	if (!rec->version)
		return ECBPF_VERDICT(XDP_PASS, ECBPF_REASON_NONE);
	at = bpf_map_lookup_elem(&fw_active, &zero);
	if (!at || !*at || !fw_key_fill(ctx, rec, &key))
		return ECBPF_VERDICT(XDP_PASS, ECBPF_REASON_NONE);
	active = *(volatile __u32 *)at;
	if ((active & ~ECBPF_FW_PLACE) == ECBPF_FW_SMALL)
		rule = fw_match_small(ctx, &key, active, &t);
	else if ((active & ~ECBPF_FW_PLACE) == ECBPF_FW_MEDIUM)
		rule = fw_match_medium(ctx, &key, active);
	else
		rule = fw_match_large(ctx, &key, active);
	if (fw_tell) {
		at = bpf_map_lookup_elem(&fw_decided, &zero);
		if (at)
			*at = rule;
	}
	if (rule == FW_UNDECIDED)
		return ECBPF_VERDICT(XDP_PASS, ECBPF_REASON_NONE);
	index = rule >> ECBPF_FW_RULE_INDEX;
	if ((rule & ECBPF_FW_RULE_ACTION) == ECBPF_FW_RULE_LIMIT) /* counted there */
		return ECBPF_VERDICT_RULE(XDP_DROP, ECBPF_REASON_FW_LIMIT, index + 1);
	if (!t)
		t = fw_tables(active);
	if (t)
		fw_count(t, index, rec->frame_len, false);
	if ((rule & ECBPF_FW_RULE_ACTION) == ECBPF_FW_RULE_PASS)
		return ECBPF_VERDICT_RULE(XDP_PASS, ECBPF_REASON_NONE, index + 1);
	return ECBPF_VERDICT_RULE(XDP_DROP, ECBPF_REASON_FW_DROP, index + 1);
}

ECBPF_STAGE_PROGRAM(fw, FW);
