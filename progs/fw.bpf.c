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

/*
 * For user space that tries packets: the word of the rule that decided goes into `fw_decided`, and
 * time stands still, so that limits give what they have once
 */
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
#define FW_GENERATIONS(name, size, entries)                              \
	struct {                                                         \
		__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);                \
		__uint(max_entries, 2);                                  \
		__type(key, __u32);                                      \
		__uint(pinning, LIBBPF_PIN_BY_NAME);                     \
		__array(                                                 \
			values, struct {                                 \
				__uint(type, BPF_MAP_TYPE_ARRAY);        \
				__uint(max_entries, entries);            \
				__uint(map_flags, BPF_F_MMAPABLE);       \
				__uint(key_size, 4);                     \
				__uint(value_size, sizeof(struct size)); \
			});                                              \
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
	__uint(map_flags, BPF_F_MMAPABLE);
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
			__uint(key_size, sizeof(__u32));
			__uint(value_size, sizeof(struct ecbpf_fw_page));
		});
} fw_text SEC(".maps");

/* --- the packet ----------------------------------------------------------------------------- */

/*
 * Values that are looked up. They are computed without branches where that can be: what the
 * verifier has to walk doubles with each. And when they are needed: what is kept for later goes to
 * the stack, which is small.
 */

/* By IPv6, protocol */
static const __u8 fw_l4_table[2][256] = {
	[0][IPPROTO_TCP] = ECBPF_FW_L4_TCP,   [0][IPPROTO_UDP] = ECBPF_FW_L4_UDP,
	[0][IPPROTO_ICMP] = ECBPF_FW_L4_ICMP, [1][IPPROTO_TCP] = ECBPF_FW_L4_TCP,
	[1][IPPROTO_UDP] = ECBPF_FW_L4_UDP,   [1][IPPROTO_ICMPV6] = ECBPF_FW_L4_ICMP6,
};

static __always_inline __u32 fw_is_ip6(const struct ecbpf_record *rec)
{
	return rec->version >> 1 & 1;
}

static __always_inline __u32 fw_l4(const struct ecbpf_record *rec)
{
	__u32 has_l4 = (rec->l4_off + 0xffffU) >> 16;

	return fw_l4_table[fw_is_ip6(rec)][rec->proto] | has_l4 * ECBPF_FW_L4_THERE;
}

static __always_inline __u32 fw_kind(const struct ecbpf_record *rec)
{
	__u32 options = (rec->flags & ECBPF_IP_OPTIONS) | (rec->ext_count + 7) >> 3;

	_Static_assert(ECBPF_IP_OPTIONS == 1 && ECBPF_IP6_EXT_MAX <= 8, "options");
	return rec->proto | (__u32)rec->frag << ECBPF_FW_KIND_FRAG |
	       options << ECBPF_FW_KIND_OPTIONS | fw_is_ip6(rec) << ECBPF_FW_KIND_IP6;
}

static __always_inline __u32 fw_length(const struct ecbpf_record *rec)
{
	__u32 is_long = (65535 - (__s64)rec->frame_len) >> 63; /* all bits */

	return (rec->frame_len & ~is_long & 65535) | (is_long & ECBPF_FW_LENGTH_LONG);
}

static __always_inline __u32 fw_vlan(const struct ecbpf_record *rec)
{
	__u32 has_none = ((__s32)rec->vlan_count - 1) >> 31;

	return (rec->vlan_tci[0] & 0xfff) | (has_none & ECBPF_FW_VLAN_NONE);
}

static __always_inline __u32 fw_ttl(struct xdp_md *ctx, const struct ecbpf_record *rec)
{
	/* both families have it in the first 20 bytes */
	const __u8 *ip = ecbpf_header(ctx, rec->l3_off, sizeof(struct iphdr));

	if (!ip)
		return 0;
	return rec->version == 4 ? ip[8] : ip[7] | 1 << 8;
}

/* TCP window, in network order, or code of ICMP */
static __always_inline __u32 fw_code(struct xdp_md *ctx, const struct ecbpf_record *rec)
{
	const struct tcphdr *tcp;

	if (rec->proto != IPPROTO_TCP || !rec->l4_off)
		return rec->icmp_code;
	tcp = ecbpf_header(ctx, rec->l4_off, sizeof(*tcp));
	return tcp ? tcp->window : 0;
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
	if (!s)
		return NULL;
	barrier_var(s); /* no arithmetic before the check */
	return (const void *)&s[ECBPF_FW_TABLES_SLOT];
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

/*
 * Where a rule is done, in one number: which generation is active from bit 16 on, whether the
 * packet is IPv6 in bit 15, where its IP header begins from bit 8 on, and which word of rules, or
 * side (0: source, 1: destination), it is about
 */
#define FW_WHERE(active, rec) ((active) << 16 | fw_is_ip6(rec) << 15 | ((rec)->l3_off & 0x7f) << 8)
#define FW_WHERE_L3(where)    ((where) >> 8 & 0x7f)
#define FW_WHERE_IP6	      0x8000

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

/*
 * A class is always read from memory, also that of what is not looked at, and on each way by a load
 * of its own: the verifier then sees the same on all ways, and walks what follows once.
 */
static __always_inline __u32 fw_load(const __u16 *at)
{
	__u32 class = *at;

	barrier_var(class);
	return class;
}

/* As fw_lpm4() */
static __always_inline __u32 fw_lpm6(const __u32 *words, __u32 mask, __u32 root, __u64 high,
				     __u64 low)
{
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
	return word & 0xffff;
}

/*
 * Class of an IPv6 address; @where: with the side. Global, like others below: the verifier walks it
 * once, and not for each way that leads there; so it can be given numbers only.
 */
__noinline __u32 fw_class6(struct xdp_md *ctx, __u32 where)
{
	__u32 side = where & 1, active = where >> 16, mask = ECBPF_FW_SLOTS * 16 - 1;
	const __be32 *addr = ecbpf_header(ctx, FW_WHERE_L3(where) + 8 + side * 16, 16);
	const struct ecbpf_fw_tables *t = fw_tables(active);
	const struct ecbpf_fw_small *small;
	const union ecbpf_fw_slot *slots;
	__u64 high, low;

	if (!addr || !t)
		return ECBPF_FW_ANY;
	high = (__u64)bpf_ntohl(addr[0]) << 32 | bpf_ntohl(addr[1]);
	low = (__u64)bpf_ntohl(addr[2]) << 32 | bpf_ntohl(addr[3]);
	if ((active & ~ECBPF_FW_PLACE) == ECBPF_FW_SMALL) {
		small = fw_small_get(active);
		if (!small)
			return ECBPF_FW_ANY;
		return fw_lpm6(small->words, ECBPF_FW_SMALL_WORDS - 1, t->roots[side][1], high,
			       low);
	}
	slots = (active & ~ECBPF_FW_PLACE) == ECBPF_FW_MEDIUM
			? fw_medium_get(active)
			: fw_large_get(active, ECBPF_FW_SRC + side);
	return slots ? fw_lpm6(slots->words, mask, t->roots[side][1], high, low) : ECBPF_FW_ANY;
}

/* @side: 0: source, 1: destination; @words: of the dimension, as many as @mask + 1 */
static __always_inline __u32 fw_class_addr(struct xdp_md *ctx, __u32 active,
					   const struct ecbpf_record *rec,
					   const struct ecbpf_fw_tables *t, __u32 side,
					   const __u32 *words, __u32 mask)
{
	const struct iphdr *ip;

	if (!(t->used & 1 << (ECBPF_FW_SRC + side)))
		return fw_load(&t->any);
	if (rec->version != 4)
		return fw_class6(ctx, FW_WHERE(active, rec) | side);
	ip = ecbpf_header(ctx, rec->l3_off, sizeof(*ip));
	if (!ip)
		return fw_load(&t->any);
	return fw_lpm4(words, mask, t->roots[side][0], bpf_ntohl(side ? ip->daddr : ip->saddr));
}

static __always_inline __u32 fw_class_field(const struct ecbpf_fw_tables *t, enum ecbpf_fw_dim dim,
					    __u32 l4, __u32 value)
{
	const struct ecbpf_fw_field *field;
	__u64 index = l4, off;

	/* or clang leaves out the mask, as it knows fw_l4_table, which 6.1's verifier does not */
	barrier_var(index);
	field = &t->fields[dim][index & (ECBPF_FW_L4_MAX - 1)];
	off = field->off + ((value & field->mask) << 1);

	return *(const __u16 *)((const void *)t + (off & (ECBPF_FW_TABLES_SIZE - 2)));
}

/* The class of the packet in dimension @dim, a constant */
static __always_inline __u32 fw_class(struct xdp_md *ctx, __u32 active,
				      const struct ecbpf_record *rec,
				      const struct ecbpf_fw_tables *t, enum ecbpf_fw_dim dim,
				      const __u32 *words, __u32 mask)
{
	__u32 value = 0;

	switch (dim) {
	case ECBPF_FW_KIND:
		return t->kind[fw_kind(rec) & (ECBPF_FW_KINDS - 1)];
	case ECBPF_FW_SRC:
	case ECBPF_FW_DST:
		return fw_class_addr(ctx, active, rec, t, dim - ECBPF_FW_SRC, words, mask);
	case ECBPF_FW_LENGTH:
		value = fw_length(rec);
		break;
	case ECBPF_FW_VLAN:
		value = fw_vlan(rec);
		break;
	case ECBPF_FW_TTL:
		value = fw_ttl(ctx, rec);
		break;
	case ECBPF_FW_SPORT:
		value = rec->sport;
		break;
	case ECBPF_FW_DPORT:
		value = rec->dport;
		break;
	case ECBPF_FW_TYPE:
		value = rec->tcp_flags | rec->icmp_type;
		break;
	case ECBPF_FW_CODE:
		value = fw_code(ctx, rec);
		break;
	default:
		break;
	}
	return fw_class_field(t, dim, fw_l4(rec), value);
}

/* --- sets ----------------------------------------------------------------------------------- */

/* Return: 1 if the address is in the set; @use: ecbpf_fw_tables.uses */
__noinline int fw_set_has(struct xdp_md *ctx, __u32 use, __u32 l3_off)
{
	__u32 id = use & 0xffff;
	const struct ecbpf_trie_head *head = bpf_map_lookup_elem(&fw_sets, &id);
	__u32 is_dst = use >> 31; /* ECBPF_FW_USE_DST */
	const void *addr;
	__u64 roots;

	if (!head)
		return 0;
	roots = *(const volatile __u64 *)&head->roots;
	if (use & ECBPF_FW_USE_IP6) {
		addr = ecbpf_header(ctx, l3_off + 8 + is_dst * 16, 16);
		return addr && ecbpf_trie_lookup6(&fw_set_pool, roots, addr);
	}
	addr = ecbpf_header(ctx, l3_off + 12 + is_dst * 4, 4);
	return addr && ecbpf_trie_lookup4(&fw_set_pool, roots, *(const __be32 *)addr);
}

/* Return: a bit for each use of a set that the packet is in; @where: FW_WHERE() */
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
		if (!(use & ECBPF_FW_USE_IP6) != !(where & FW_WHERE_IP6))
			continue;
		if (fw_set_has(ctx, use, FW_WHERE_L3(where)))
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

static __always_inline void fw_count(const struct ecbpf_fw_tables *t, __u64 index, __u32 bytes,
				     bool is_over)
{
	struct ecbpf_fw_counter *counter;
	__u32 key;

	barrier_var(index); /* or it is the rule's word that is compared, and the bound is lost */
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
static __always_inline __u32 fw_bucket_of(struct xdp_md *ctx, const struct ecbpf_fw_limit *limit,
					  __u32 where)
{
	__u64 high = 0, low = 0;

	if (where & FW_WHERE_IP6) {
		const struct ipv6hdr *ip6 = ecbpf_header(ctx, FW_WHERE_L3(where), sizeof(*ip6));

		if (ip6) {
			const __u32 *word = ip6->saddr.in6_u.u6_addr32;

			high = (__u64)bpf_ntohl(word[0]) << 32 | bpf_ntohl(word[1]);
			low = (__u64)bpf_ntohl(word[2]) << 32 | bpf_ntohl(word[3]);
		}
	} else {
		const struct iphdr *ip = ecbpf_header(ctx, FW_WHERE_L3(where), sizeof(*ip));

		if (ip)
			low = bpf_ntohl(ip->saddr);
	}
	high &= limit->mask[0];
	low &= limit->mask[1];
	return ECBPF_FW_HASH(high, low, limit->seed) >> limit->shift;
}

/* Return: 1 if the budget has no room for the packet */
__noinline int fw_limit_over(struct xdp_md *ctx, __u32 id, __u32 bytes, __u32 where)
{
	struct ecbpf_fw_limit *limit = bpf_map_lookup_elem(&fw_limits, &id);
	struct ecbpf_bucket *bucket;
	__u32 key;

	if (!limit)
		return 0;
	key = limit->bucket;
	if (limit->is_per_src)
		key += fw_bucket_of(ctx, limit, where);
	bucket = bpf_map_lookup_elem(&fw_buckets, &key);
	return bucket && !ecbpf_bucket_take_at(bucket, &limit->rate, limit->is_bytes ? bytes : 1,
					       fw_tell ? 1 : bpf_jiffies64());
}

/*
 * Do the rules @bits of a word, which do not end the search, for as far as they come before the
 * rule
 * @decided. Return: the word of the one that ended it after all, else 0
 */
__noinline int fw_pending(struct xdp_md *ctx, __u32 where, __u64 bits, __u32 decided, __u32 bytes)
{
	const struct ecbpf_fw_tables *t = fw_tables(where >> 16);
	__u32 block = where & 0xff;

	if (!t || block >= ECBPF_FW_BLOCKS)
		return 0;
	for (int i = 0; i < 64; i++) {
		__u32 rule, action;
		__u64 index;
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
		barrier_var(index); /* as in fw_count() */
		if (index >= ECBPF_FW_RULES_MAX)
			break;
		is_over = fw_limit_over(ctx, t->limits[index], bytes, where);
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

/*
 * All of these return the word of the rule that decides, or FW_UNDECIDED. They are global, so they
 * take no pointer but the context (5.10), and parse once more: cheaper than to have the verifier
 * walk them for all packets that lead there, and the stack that they need is not the stage's.
 */
#define FW_UNDECIDED 0xffffffffU

static __always_inline void fw_parse(struct xdp_md *ctx, struct ecbpf_record *rec)
{
	if (!ecbpf_parse_plain(ctx, (void *)(long)ctx->data, (void *)(long)ctx->data_end, rec))
		ecbpf_parse_rare(ctx, rec);
}

__noinline __u32 fw_match_small(struct xdp_md *ctx, __u32 active)
{
	const struct ecbpf_fw_small *small = fw_small_get(active);
	__u32 rule = FW_UNDECIDED, ended;
	__u64 bits = ~0ULL, pending;
	struct ecbpf_record rec;

	if (!small)
		return FW_UNDECIDED;
	fw_parse(ctx, &rec);
#pragma unroll
	for (int dim = 0; dim < ECBPF_FW_DIMS; dim++) {
		__u32 class = fw_class(ctx, active, &rec, &small->tables, dim, small->words,
				       ECBPF_FW_SMALL_WORDS - 1);

		bits &= small->rows[dim][class & (ECBPF_FW_SMALL_CLASSES - 1)];
	}
	if (bits && small->tables.uses_count)
		bits &= fw_sets_word(active, 0, fw_sets_of(ctx, active, FW_WHERE(active, &rec)));
	pending = bits & ~small->tables.deciding[0];
	bits &= small->tables.deciding[0];
	if (bits)
		rule = small->tables.rules[fw_lowest(bits)];
	if (pending) {
		ended = fw_pending(ctx, FW_WHERE(active, &rec), pending, rule, rec.frame_len);
		if (ended)
			rule = ended;
	}
	return rule;
}

/* Memory of a dimension; @map: of the generation */
static __always_inline const union ecbpf_fw_slot *fw_base(void *map, __u32 *key, __u32 dim,
							  bool is_large)
{
	const struct ecbpf_fw_slots *slots;

	*key = is_large ? dim : 0;
	slots = bpf_map_lookup_elem(map, key);
	return slots ? slots->slots : NULL;
}

/*
 * What is known of the packet, in memory: the verifier takes all that is read from there for
 * unknown, so that it walks what follows once, and not for each way that it came to be; and
 * the stack is too small for it. Programs of a CPU run one at a time.
 */
struct fw_scratch {
	struct ecbpf_record rec;
	__u64 sums[ECBPF_FW_SUMS];
	__u64 found; /* fw_sets_of() */
	__u32 where; /* FW_WHERE() */
	__u32 rule;  /* that decides so far */
	__u16 sum;   /* that is looked at */
	__u16 class[ECBPF_FW_DIMS];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct fw_scratch);
} fw_scratch SEC(".maps");

static __always_inline __u32 fw_match_slots(struct xdp_md *ctx, __u32 active, void *map,
					    const bool is_large)
{
	const __u32 blocks = is_large ? ECBPF_FW_BLOCKS : ECBPF_FW_MEDIUM_RULES / 64;
	const __u32 sums_count = is_large ? ECBPF_FW_SUMS : 1;
	volatile struct fw_scratch *scratch;
	const union ecbpf_fw_slot *base;
	const struct ecbpf_fw_tables *t;
	struct ecbpf_record *rec;
	__u32 key = 0;

	scratch = bpf_map_lookup_elem(&fw_scratch, &key);
	t = fw_slots_tables(fw_base(map, &key, ECBPF_FW_LARGE_TABLES, is_large));
	if (!scratch || !t)
		return FW_UNDECIDED;
	rec = (struct ecbpf_record *)&scratch->rec;
	fw_parse(ctx, rec);
	barrier(); /* nothing is kept on the stack, neither here nor below */
	scratch->where = FW_WHERE(active, rec);
	scratch->rule = FW_UNDECIDED;
	scratch->found = 0;
	scratch->sum = 0;
#pragma unroll
	for (__u32 i = 0; i < sums_count; i++)
		scratch->sums[i] = ~0ULL;
#pragma unroll
	for (int dim = 0; dim < ECBPF_FW_DIMS; dim++) {
		const struct ecbpf_fw_row *row;
		__u32 class;

		base = fw_base(map, &key, dim, is_large);
		if (!base)
			return FW_UNDECIDED;
		scratch->class[dim] =
			fw_class(ctx, active, rec, t, dim, base->words, ECBPF_FW_SLOTS * 16 - 1);
		class = scratch->class[dim];
		row = &base[class].row;
#pragma unroll
		for (__u32 i = 0; i < sums_count; i++)
			scratch->sums[i] &= row->sums[i];
		barrier();
	}
	if (t->uses_count)
		scratch->found = fw_sets_of(ctx, active, scratch->where);

	for (__u32 i = 0; i < blocks + sums_count; i++) {
		__u64 bits = ~0ULL, pending, sum;
		__u32 block, rule;

		block = scratch->sum;
		if (block >= sums_count)
			break;
		sum = scratch->sums[block];
		if (!sum) {
			scratch->sum = block + 1;
			continue;
		}
		scratch->sums[block] = sum & (sum - 1);
		block = block * 64 + fw_lowest(sum);
		if (block >= blocks)
			break;
		if (t->first[block] >= scratch->rule >> ECBPF_FW_RULE_INDEX)
			continue;
#pragma unroll
		for (int dim = 0; dim < ECBPF_FW_DIMS; dim++) {
			__u32 slot = scratch->class[dim];

			base = fw_base(map, &key, dim, is_large);
			if (!base)
				return FW_UNDECIDED;
			slot = base[slot].row.chunks[block / ECBPF_FW_CHUNK];
			bits &= base[slot].chunk[block % ECBPF_FW_CHUNK];
		}
		if (bits && t->uses_count)
			bits &= fw_sets_word(active, block, scratch->found);
		pending = bits & ~t->deciding[block];
		bits &= t->deciding[block];
		if (bits) {
			rule = t->rules[block * 64 + fw_lowest(bits)];
			if (rule < scratch->rule)
				scratch->rule = rule;
		}
		if (pending) {
			rule = fw_pending(ctx, scratch->where | block, pending, scratch->rule,
					  rec->frame_len);
			if (rule)
				return rule;
		}
	}
	return scratch->rule;
}

__noinline __u32 fw_match_medium(struct xdp_md *ctx, __u32 active)
{
	__u32 place = active & ECBPF_FW_PLACE;
	void *map = bpf_map_lookup_elem(&fw_medium, &place);

	return map ? fw_match_slots(ctx, active, map, false) : FW_UNDECIDED;
}

__noinline __u32 fw_match_large(struct xdp_md *ctx, __u32 active)
{
	__u32 place = active & ECBPF_FW_PLACE;
	void *map = bpf_map_lookup_elem(&fw_large, &place);

	return map ? fw_match_slots(ctx, active, map, true) : FW_UNDECIDED;
}

static __always_inline __u32 fw_stage(struct xdp_md *ctx, const struct ecbpf_record *rec)
{
	const struct ecbpf_fw_tables *t;
	__u32 zero = 0, rule, active, index, *at;

	if (rec->reason)
		return ecbpf_malformed(rec);
	if (!rec->version)
		return ECBPF_VERDICT(XDP_PASS, ECBPF_REASON_NONE);
	at = bpf_map_lookup_elem(&fw_active, &zero);
	active = at ? *(volatile __u32 *)at : ECBPF_FW_NONE;
	switch (active & ~ECBPF_FW_PLACE) {
	case ECBPF_FW_SMALL:
		rule = fw_match_small(ctx, active);
		break;
	case ECBPF_FW_MEDIUM:
		rule = fw_match_medium(ctx, active);
		break;
	case ECBPF_FW_LARGE:
		rule = fw_match_large(ctx, active);
		break;
	default:
		rule = FW_UNDECIDED;
	}
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
	t = fw_tables(active);
	if (t)
		fw_count(t, index, rec->frame_len, false);
	if ((rule & ECBPF_FW_RULE_ACTION) == ECBPF_FW_RULE_PASS)
		return ECBPF_VERDICT_RULE(XDP_PASS, ECBPF_REASON_NONE, index + 1);
	return ECBPF_VERDICT_RULE(XDP_DROP, ECBPF_REASON_FW_DROP, index + 1);
}

ECBPF_STAGE_PROGRAM(fw, FW);
