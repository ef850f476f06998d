// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Stage fw: a firewall. Rules become tables in user space (lib/fw/compile.c, laid out in fw.h); a
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

/* For user space only: the text of the generations, see lib/fw/fw.c */
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
 * What rules look at, of the packet at work, and how far its search is. In memory, for functions
 * that are global take numbers only (5.10): the verifier walks them once, and not for each way
 * that leads there; and the stack is too small.
 *
 * No XDP program interrupts another one that a packet came in with. One that is tried by
 * BPF_PROG_TEST_RUN may be interrupted, on older kernels, and then gives the answer of that packet.
 */
struct fw_packet {
	__be32 addr[2][4];	    /* source, destination; of IPv4 the first word */
	__u32 value[ECBPF_FW_DIMS]; /* of fields */
	__u16 class[ECBPF_FW_DIMS];
	__u32 frame_len;
	__u32 l4; /* enum ecbpf_fw_l4 */
	__u32 is_ip6;
	__u32 rule; /* that decides so far */
	__u32 sum;  /* that is looked at */
	__u32 pending_count;
	__u64 sums[ECBPF_FW_SUMS];
	__u64 found; /* of small rulesets the rules, by fw_match_small(); else fw_sets_find() */
	__u64 pending[ECBPF_FW_BLOCKS]; /* words of rules that match and do not end the search */
	__u16 pending_block[ECBPF_FW_BLOCKS]; /* which ones */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct fw_packet);
} fw_packet_at SEC(".maps");

static __always_inline struct fw_packet *fw_packet(void)
{
	__u32 key = 0;

	return bpf_map_lookup_elem(&fw_packet_at, &key);
}

/* By IPv6, protocol */
static const __u8 fw_l4_table[2][256] = {
	[0][IPPROTO_TCP] = ECBPF_FW_L4_TCP,   [0][IPPROTO_UDP] = ECBPF_FW_L4_UDP,
	[0][IPPROTO_ICMP] = ECBPF_FW_L4_ICMP, [1][IPPROTO_TCP] = ECBPF_FW_L4_TCP,
	[1][IPPROTO_UDP] = ECBPF_FW_L4_UDP,   [1][IPPROTO_ICMPV6] = ECBPF_FW_L4_ICMP6,
};

/* Values are computed without branches where that can be: each doubles what the verifier walks */

static __always_inline __u32 fw_is_ip6(const struct ecbpf_record *rec)
{
	return rec->version >> 1 & 1;
}

static __always_inline __u32 fw_l4(const struct ecbpf_record *rec)
{
	__u32 has_l4 = (rec->l4_off + 0xffffU) >> 16;

	return fw_l4_table[fw_is_ip6(rec)][rec->proto] | has_l4 * ECBPF_FW_L4_THERE;
}

/*
 * @ip: its IP header. What IPv4 has there is read again: the record tells the verifier that much of
 * what plain packets can be, that it would walk all that follows for each
 */
static __always_inline __u32 fw_kind(const struct ecbpf_record *rec, const __u8 *ip)
{
	__u32 kind = (__u32)rec->frag << ECBPF_FW_KIND_FRAG;

	_Static_assert(ECBPF_IP6_EXT_MAX <= 8, "a flag");
	if (rec->version == 4) /* the flag: the header has more than 5 words */
		return kind | ((const struct iphdr *)ip)->protocol |
		       ((ip[0] & 15) + 10) >> 4 << ECBPF_FW_KIND_OPTIONS;
	return kind | rec->proto | (rec->ext_count + 7) >> 3 << ECBPF_FW_KIND_OPTIONS |
	       1 << ECBPF_FW_KIND_IP6;
}

static __always_inline __u32 fw_length(__u32 frame_len)
{
	__u32 is_long = (65535 - (__s64)frame_len) >> 63; /* all bits */

	return (frame_len & ~is_long & 65535) | (is_long & ECBPF_FW_LENGTH_LONG);
}

static __always_inline __u32 fw_ttl(const struct ecbpf_record *rec, const __u8 *ip)
{
	return rec->version == 4 ? ip[8] : ip[7] | 1 << 8;
}

static __always_inline __u32 fw_vlan(const struct ecbpf_record *rec)
{
	__u32 has_none = ((__s32)rec->vlan_count - 1) >> 31;

	return (rec->vlan_tci[0] & 0xfff) | (has_none & ECBPF_FW_VLAN_NONE);
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

/* The packet's value in dimension @dim, a constant; @ip: its IP header */
static __always_inline __u32 fw_value(struct xdp_md *ctx, const struct ecbpf_record *rec,
				      const __u8 *ip, enum ecbpf_fw_dim dim)
{
	switch (dim) {
	case ECBPF_FW_KIND:
		return fw_kind(rec, ip);
	case ECBPF_FW_LENGTH:
		return fw_length(rec->frame_len);
	case ECBPF_FW_VLAN:
		return fw_vlan(rec);
	case ECBPF_FW_TTL:
		return fw_ttl(rec, ip);
	case ECBPF_FW_SPORT:
		return rec->sport;
	case ECBPF_FW_DPORT:
		return rec->dport;
	case ECBPF_FW_TYPE:
		return rec->tcp_flags | rec->icmp_type;
	case ECBPF_FW_CODE:
		return fw_code(ctx, rec);
	default:
		return 0;
	}
}

/* Return: the packet at work in memory; NULL is for the verifier */
static __always_inline struct fw_packet *fw_packet_set(struct xdp_md *ctx,
						       const struct ecbpf_record *rec)
{
	const __u8 *ip = ecbpf_header(ctx, rec->l3_off, sizeof(struct iphdr));
	struct fw_packet *p = fw_packet();

	if (!p || !ip)
		return NULL;
#pragma unroll
	for (int dim = 0; dim < ECBPF_FW_DIMS; dim++)
		p->value[dim] = fw_value(ctx, rec, ip, dim);
	p->frame_len = rec->frame_len;
	p->l4 = fw_l4(rec);
	p->is_ip6 = fw_is_ip6(rec);
	if (rec->version == 4) {
		p->addr[0][0] = ((const struct iphdr *)ip)->saddr;
		p->addr[1][0] = ((const struct iphdr *)ip)->daddr;
	} else {
		const struct ipv6hdr *ip6 = ecbpf_header(ctx, rec->l3_off, sizeof(*ip6));

		if (!ip6)
			return NULL;
		__builtin_memcpy(p->addr, &ip6->saddr, sizeof(p->addr));
	}
	return p;
}

/* --- generations ---------------------------------------------------------------------------- */

/*
 * The place, as a branch: the processor foresees it, and needs not wait for fw_active with all that
 * is read from there
 */
static __always_inline __u32 fw_place(__u32 active)
{
	__u32 place = 0;

	if (active & ECBPF_FW_PLACE) {
		place = 1;
		barrier_var(place);
	}
	return place;
}

static __always_inline const struct ecbpf_fw_small *fw_small_get(__u32 active)
{
	__u32 place = fw_place(active), key = 0;
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

/*
 * Is an index in bounds? It is one number of 64 bits, and nothing is made of it before: kernels
 * before 6.6 do not see the bound of what is.
 */
#define FW_IS_BELOW(index, max)                    \
	({                                         \
		bool is_below;                     \
		barrier_var(index);                \
		is_below = (index) < (__u64)(max); \
		if (is_below)                      \
			barrier_var(index);        \
		is_below;                          \
	})

/* Which chunk of a row has word @block, as a number whose bound is seen */
static __always_inline __u64 fw_chunk(__u64 block)
{
	__u64 chunk = block / ECBPF_FW_CHUNK;

	barrier_var(chunk);
	return chunk;
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

/* The rule of the lowest bit of word @block. Masked: 6.1 does not see the bound of an or */
static __always_inline __u32 fw_rule_at(const struct ecbpf_fw_tables *t, __u64 block, __u64 bits)
{
	__u64 position = block * 64 + fw_lowest(bits);

	_Static_assert(ECBPF_FW_RULES_MAX <= 16384, "position");
	barrier_var(position);
	return t->rules[position & 16383];
}

/* --- classes -------------------------------------------------------------------------------- */

/*
 * An index into words is one number of 64 bits, cut right before it is used: kernels before 6.6
 * lose the bounds of halves and of sums.
 */
static __always_inline __u32 fw_word(const __u32 *words, __u64 index, __u64 mask)
{
	barrier_var(index);
	return words[index & mask];
}

static __always_inline const __u32 *fw_leaf(const __u32 *words, __u64 index, __u64 mask)
{
	barrier_var(index);
	return &words[index & mask];
}

/* Bits of an address that choose a word of a node: 8 or 4 */
static __always_inline __u32 fw_node_bits(__u32 node)
{
	_Static_assert(ECBPF_FW_LPM_WIDE == 1U << 27, "the sign, of what is shifted by 4");
	return ((__s32)(node << 4) >> 31 & 0xf0) | 0xf;
}

/* One step behind a word that is a reference */
static __always_inline __u32 fw_lpm4_step(const __u32 *words, __u64 mask, __u32 word, __u32 addr)
{
	const __u32 *leaf;

	if (!(word & ECBPF_FW_LPM_LEAF))
		/* what is above the place is cut off */
		return fw_word(words,
			       (word << 4) + (addr >> (word >> ECBPF_FW_LPM_SHIFT & 31) &
					      fw_node_bits(word)),
			       mask);
	leaf = fw_leaf(words, word << 2, mask & ~3);
	return (addr ^ leaf[0]) & leaf[1] ? leaf[3] : leaf[2];
}

/* See ecbpf_fw_root. Return: the class of the address */
static __always_inline __u32 fw_lpm4(const __u32 *words, __u64 mask,
				     const struct ecbpf_fw_root *root, __u32 addr)
{
	__u32 word =
		fw_word(words, root->at + (addr >> (32 - ECBPF_FW_LPM_ROOT4) & root->mask), mask);

	for (int i = 0; i < ECBPF_FW_LPM_STEPS4; i++) {
		if (!(word & ECBPF_FW_LPM_REFERENCE))
			break;
		word = fw_lpm4_step(words, mask, word, addr);
	}
	return word;
}

/* As fw_lpm4() */
static __always_inline __u32 fw_lpm6(const __u32 *words, __u64 mask,
				     const struct ecbpf_fw_root *root, __u64 high, __u64 low)
{
	__u64 word =
		fw_word(words, root->at + (high >> (64 - ECBPF_FW_LPM_ROOT6) & root->mask), mask);

	for (int i = 0; i < ECBPF_FW_LPM_STEPS6; i++) {
		if (!(word & ECBPF_FW_LPM_REFERENCE))
			break;
		if (word & ECBPF_FW_LPM_LEAF) {
			const __u32 *leaf = fw_leaf(words, word << 4, mask & ~15);
			const __u64 *wide = (const __u64 *)leaf;

			word = ((high ^ wide[0]) & wide[2]) | ((low ^ wide[1]) & wide[3]) ? leaf[9]
											  : leaf[8];
		} else {
			__u32 shift = word >> ECBPF_FW_LPM_SHIFT & 127;
			__u64 half = shift & 64 ? high : low;

			word = fw_word(words,
				       (word << 4) + (half >> (shift & 63) & fw_node_bits(word)),
				       mask);
		}
	}
	return word;
}

/* The class of an IPv6 address; @side: 0: source, 1: destination */
__noinline __u32 fw_class6(__u32 active, __u64 side, __u64 high, __u64 low)
{
	const struct ecbpf_fw_tables *t = fw_tables(active);
	const struct ecbpf_fw_small *small;
	const union ecbpf_fw_slot *slots;
	const struct ecbpf_fw_root *root;

	if (!t)
		return ECBPF_FW_ANY;
	barrier_var(side);
	root = &t->roots[side & 1][1];
	if ((active & ~ECBPF_FW_PLACE) == ECBPF_FW_SMALL) {
		small = fw_small_get(active);
		return small ? fw_lpm6(small->words, ECBPF_FW_SMALL_WORDS - 1, root, high, low) : 0;
	}
	slots = (active & ~ECBPF_FW_PLACE) == ECBPF_FW_MEDIUM
			? fw_medium_get(active)
			: fw_large_get(active, ECBPF_FW_SRC + side);
	return slots ? fw_lpm6(slots->words, ECBPF_FW_SLOTS * 16 - 1, root, high, low) : 0;
}

static __always_inline __u32 fw_class6_of(__u32 active, __u32 side, const __be32 *addr)
{
	__u64 high = (__u64)bpf_ntohl(addr[0]) << 32 | bpf_ntohl(addr[1]);
	__u64 low = (__u64)bpf_ntohl(addr[2]) << 32 | bpf_ntohl(addr[3]);

	return fw_class6(active, side, high, low);
}

/* The class of a value in dimension @dim; @fields: those for such packets */
static __always_inline __u32 fw_class(const struct ecbpf_fw_tables *t,
				      const struct ecbpf_fw_field *fields, enum ecbpf_fw_dim dim,
				      __u32 value)
{
	__u64 off = fields[dim].off + ((value & fields[dim].mask) << 1);

	barrier_var(off); /* as in fw_word() */
	return *(const __u16 *)((const void *)t + (off & (ECBPF_FW_TABLES_SIZE - 2)));
}

static __always_inline const struct ecbpf_fw_field *fw_fields(const struct ecbpf_fw_tables *t,
							      __u64 l4)
{
	barrier_var(l4); /* or clang knows fw_l4_table, and leaves out the mask */
	return t->fields[l4 & (ECBPF_FW_L4_MAX - 1)];
}

/* --- sets ----------------------------------------------------------------------------------- */

/* Return: 1 if the packet's address is in the set, else 0; @use: ecbpf_fw_tables.uses */
__noinline int fw_set_has(__u32 use)
{
	__u32 id = use & 0xffff;
	const struct ecbpf_trie_head *head = bpf_map_lookup_elem(&fw_sets, &id);
	struct fw_packet *p = fw_packet();
	const __be32 *addr;
	__u64 roots;

	if (!head || !p || !(use & ECBPF_FW_USE_IP6) != !p->is_ip6)
		return 0;
	roots = *(const volatile __u64 *)&head->roots;
	addr = use & ECBPF_FW_USE_DST ? p->addr[1] : p->addr[0];
	if (use & ECBPF_FW_USE_IP6)
		return !!ecbpf_trie_lookup6(&fw_set_pool, roots, addr);
	return !!ecbpf_trie_lookup4(&fw_set_pool, roots, *addr);
}

/*
 * Into memory: a bit for each use of a set that the packet is in. Kernels before 6.3 take a number
 * that they know for another one than what they know no number of, and would walk all subsets.
 */
__noinline int fw_sets_find(__u32 active)
{
	const struct ecbpf_fw_tables *t = fw_tables(active);
	volatile struct fw_packet *p = fw_packet();

	if (!t || !p)
		return 0;
	p->found = 0;
	for (__u32 i = 0; i < ECBPF_FW_USES_MAX; i++) {
		__u32 use;

		if (i >= t->uses_count)
			break;
		use = t->uses[i];
		if (fw_set_has(use))
			p->found |= 1ULL << i;
	}
	return 0;
}

/* Return: the rules in word @block, of a larger ruleset, that do not mind in which sets it is */
__noinline __u64 fw_sets_word(__u32 active, __u64 block)
{
	const struct ecbpf_fw_tables *t = fw_tables(active);
	const union ecbpf_fw_slot *slots;
	struct fw_packet *p = fw_packet();
	__u64 bits = ~0ULL, found;

	if (!t || !p)
		return 0;
	found = p->found;
	slots = (active & ~ECBPF_FW_PLACE) == ECBPF_FW_MEDIUM
			? fw_medium_get(active)
			: fw_large_get(active, ECBPF_FW_LARGE_SETS);
	if (!slots)
		return 0;
	for (__u32 i = 0; i < ECBPF_FW_USES_MAX; i++) {
		__u64 slot;

		if (i >= t->uses_count || !FW_IS_BELOW(block, ECBPF_FW_BLOCKS))
			break;
		slot = t->use_rows[i][found >> i & 1];
		slot = slots[slot].row.chunks[fw_chunk(block)];
		bits &= slots[slot].chunk[block % ECBPF_FW_CHUNK];
	}
	return bits;
}

#define FW_UNDECIDED 0xffffffffU /* no rule matched */

/* --- what rules do -------------------------------------------------------------------------- */

/* @key: in fw_counters */
static __always_inline void fw_count_at(__u32 key, __u32 bytes, __u32 is_over)
{
	struct ecbpf_fw_counter *counter = bpf_map_lookup_elem(&fw_counters, &key);

	if (!counter)
		return;
	counter->packets++;
	counter->bytes += bytes;
	if (is_over)
		counter->over++;
}

static __always_inline void fw_count(const struct ecbpf_fw_tables *t, __u64 index, __u32 bytes,
				     __u32 is_over)
{
	if (FW_IS_BELOW(index, ECBPF_FW_RULES_MAX))
		fw_count_at(t->counters[index], bytes, is_over);
}

/*
 * The bucket of the packet's source: buckets of a limit are chosen by a hash, so that sources which
 * share one have one budget together, and never more than that.
 */
static __always_inline __u32 fw_bucket_of(const struct fw_packet *p,
					  const struct ecbpf_fw_limit *limit)
{
	const __be32 *addr = p->addr[0];
	__u64 high = 0, low = bpf_ntohl(addr[0]);

	if (p->is_ip6) {
		high = low << 32 | bpf_ntohl(addr[1]);
		low = (__u64)bpf_ntohl(addr[2]) << 32 | bpf_ntohl(addr[3]);
	}
	high &= limit->mask[0];
	low &= limit->mask[1];
	return ECBPF_FW_HASH(high, low, limit->seed) >> limit->shift;
}

/* Return: the budget has no room for the packet */
static __always_inline bool fw_is_over(const struct fw_packet *p, __u32 id)
{
	struct ecbpf_fw_limit *limit = bpf_map_lookup_elem(&fw_limits, &id);
	struct ecbpf_bucket *bucket;
	__u32 key;

	if (!limit)
		return false;
	key = limit->bucket;
	if (limit->is_per_src)
		key += fw_bucket_of(p, limit);
	bucket = bpf_map_lookup_elem(&fw_buckets, &key);
	return bucket &&
	       !ecbpf_bucket_take_at(bucket, &limit->rate, limit->is_bytes ? p->frame_len : 1,
				     fw_tell ? 1 : bpf_jiffies64());
}

/*
 * Do a rule, which may not end the search. Return: 1 if it does after all; @counter, @limit: its
 * entries of fw_counters, fw_limits
 */
__noinline int fw_do(__u32 rule, __u32 counter, __u32 limit)
{
	struct fw_packet *p = fw_packet();
	bool is_over = false;

	if (!p)
		return 0;
	if ((rule & ECBPF_FW_RULE_ACTION) == ECBPF_FW_RULE_LIMIT) {
		is_over = fw_is_over(p, limit);
		if (rule & ECBPF_FW_RULE_DRY && !is_over)
			return 0;
	}
	fw_count_at(counter, p->frame_len, is_over);
	return is_over && !(rule & ECBPF_FW_RULE_DRY);
}

/*
 * Do the rules of word @word of those that are pending, for as far as they come before the rule
 * @decided. Return: the word of the one that ended it after all, else 0
 */
__noinline __u32 fw_pending_word(__u32 active, __u64 word, __u32 decided)
{
	const struct ecbpf_fw_tables *t = fw_tables(active);
	struct fw_packet *p = fw_packet();
	__u64 bits, block;

	if (!t || !p || !FW_IS_BELOW(word, ECBPF_FW_BLOCKS))
		return 0;
	bits = p->pending[word];
	block = p->pending_block[word];
	for (int i = 0; i < 64; i++) {
		__u64 index;
		__u32 rule;

		if (!bits || !FW_IS_BELOW(block, ECBPF_FW_BLOCKS))
			break;
		rule = fw_rule_at(t, block, bits);
		if (rule >= decided)
			break;
		index = rule >> ECBPF_FW_RULE_INDEX;
		if (!FW_IS_BELOW(index, ECBPF_FW_RULES_MAX))
			break;
		if (fw_do(rule, t->counters[index], t->limits[index]))
			return rule;
		bits &= bits - 1;
	}
	return 0;
}

/* --- matching ------------------------------------------------------------------------------- */

/* For user space that tries packets */
static __always_inline void fw_decide(__u32 rule)
{
	__u32 key = 0, *at;

	if (!fw_tell)
		return;
	at = bpf_map_lookup_elem(&fw_decided, &key);
	if (at)
		*at = rule;
}

/* A rule decided, or FW_UNDECIDED. Return: it */
static __always_inline __u32 fw_end(const struct ecbpf_fw_tables *t, __u32 rule, __u32 bytes)
{
	fw_decide(rule);
	if (rule != FW_UNDECIDED && (rule & ECBPF_FW_RULE_ACTION) != ECBPF_FW_RULE_LIMIT)
		fw_count(t, rule >> ECBPF_FW_RULE_INDEX, bytes, 0);
	return rule; /* that of a limit is counted where it is done */
}

/*
 * Rules that do not end the search: what comes before the one that @decided. Not where they match:
 * that has its own on the stack. Return: the one that ended it
 */
__noinline __u32 fw_pending(__u32 active, __u32 decided)
{
	const struct ecbpf_fw_tables *t = fw_tables(active);
	struct fw_packet *p = fw_packet();
	__u32 ended;

	if (!t || !p)
		return decided;
	for (__u32 i = 0; i < ECBPF_FW_BLOCKS; i++) {
		if (i >= p->pending_count)
			break;
		ended = fw_pending_word(active, i, decided);
		if (ended) {
			decided = ended;
			break;
		}
	}
	return fw_end(t, decided, p->frame_len);
}

/* Classes of the addresses, into memory; @src, @dst: words of the dimensions, @mask + 1 of them */
static __always_inline void fw_class_addrs(__u32 active, struct fw_packet *p,
					   const struct ecbpf_fw_tables *t, const __u32 *src,
					   const __u32 *dst, __u64 mask)
{
	if (p->is_ip6) {
		p->class[ECBPF_FW_SRC] = fw_class6_of(active, 0, p->addr[0]);
		p->class[ECBPF_FW_DST] = fw_class6_of(active, 1, p->addr[1]);
	} else {
		p->class[ECBPF_FW_SRC] =
			fw_lpm4(src, mask, &t->roots[0][0], bpf_ntohl(p->addr[0][0]));
		p->class[ECBPF_FW_DST] =
			fw_lpm4(dst, mask, &t->roots[1][0], bpf_ntohl(p->addr[1][0]));
	}
	barrier(); /* the verifier takes for unknown what is read from there */
}

/* --- small ---------------------------------------------------------------------------------- */

/* What rules look at, in two numbers, for one function that all packets take: shifts */
#define FW_TTL	 12 /* behind the kind; 9 bits */
#define FW_VLAN	 21
#define FW_DPORT 16 /* behind the source port */
#define FW_CODE	 32
#define FW_TYPE	 48

/* Of fw_match_small(): that is for fw_match_small_slow() */
#define FW_SLOW 0

static __always_inline __u64 fw_row(const __u64 *rows, __u64 index, __u64 mask)
{
	barrier_var(index); /* as in fw_word() */
	return rows[index & mask];
}

static __always_inline __u64 fw_small_row(const struct ecbpf_fw_small *small, __u32 class)
{
	return fw_row(small->rows, class, ECBPF_FW_SMALL_CLASSES - 1);
}

/*
 * @addrs: source, destination; of IPv6 their classes
 * @facts, @l4: see FW_TTL and FW_DPORT
 *
 * Return: the rules that accept the packet, but for what they say of sets.
 */
static __always_inline __u64 fw_small_bits(const struct ecbpf_fw_small *small, __u64 addrs,
					   __u64 facts, __u64 l4, __u32 frame_len)
{
	__u32 src = addrs >> 32, dst = addrs, class;
	const struct ecbpf_fw_tables *t = &small->tables;
	const struct ecbpf_fw_small_kind *kind;
	const struct ecbpf_fw_field *fields;
	__u64 index = facts, bits;

	barrier_var(index);
	kind = &small->kind[index & (ECBPF_FW_KINDS - 1)];
	bits = kind->row;
	fields = fw_fields(t, kind->l4);
	if (!(facts >> ECBPF_FW_KIND_IP6 & 1)) {
		src = fw_lpm4(small->words, ECBPF_FW_SMALL_WORDS - 1, &t->roots[0][0], src);
		dst = fw_lpm4(small->words, ECBPF_FW_SMALL_WORDS - 1, &t->roots[1][0], dst);
	}
	bits &= fw_small_row(small, src);
	bits &= fw_small_row(small, dst);
	bits &= fw_row(small->ttl, facts >> FW_TTL, 511);
	bits &= fw_row(small->vlan, facts >> FW_VLAN, 2 * ECBPF_FW_VLAN_NONE - 1);
	bits &= fw_row(small->type, kind->l4 << 8 | l4 >> FW_TYPE, ECBPF_FW_L4_MAX * 256 - 1);
	class = fw_class(t, fields, ECBPF_FW_LENGTH, fw_length(frame_len));
	bits &= fw_small_row(small, class);
	if (kind->l4 == (ECBPF_FW_L4_TCP | ECBPF_FW_L4_THERE)) { /* tables that are known at once */
		bits &= fw_small_row(small, t->sport[0][l4 & 0xffff]);
		bits &= fw_small_row(small, t->dport[0][l4 >> FW_DPORT & 0xffff]);
		return bits & fw_small_row(small, t->window[l4 >> FW_CODE & 0xffff]);
	}
	bits &= fw_small_row(small, fw_class(t, fields, ECBPF_FW_SPORT, l4 & 0xffff));
	bits &= fw_small_row(small, fw_class(t, fields, ECBPF_FW_DPORT, l4 >> FW_DPORT & 0xffff));
	return bits &
	       fw_small_row(small, fw_class(t, fields, ECBPF_FW_CODE, l4 >> FW_CODE & 0xffff));
}

/* The rule of the lowest of @bits, which are not 0 */
static __always_inline const struct ecbpf_fw_small_rule *
fw_small_rule(const struct ecbpf_fw_small *small, __u64 bits)
{
	__u64 number = ECBPF_FW_SMALL_RULE(bits & -bits);

	barrier_var(number);
	return &small->by_bit[number & 63];
}

/* The rules of @bits, which all end the search, match. Return: ECBPF_VERDICT() */
static __always_inline __u32 fw_small_end(const struct ecbpf_fw_small *small, __u64 bits,
					  __u32 frame_len)
{
	const struct ecbpf_fw_small_rule *rule;

	if (!bits) {
		fw_decide(FW_UNDECIDED);
		return ECBPF_VERDICT(XDP_PASS, ECBPF_REASON_NONE);
	}
	rule = fw_small_rule(small, bits);
	fw_decide(rule->rule);
	fw_count_at(rule->counter, frame_len, 0);
	return rule->verdict;
}

/* Arguments as of fw_small_bits(). Return: ECBPF_VERDICT(), or FW_SLOW */
__noinline __u32 fw_match_small(__u32 active, __u64 addrs, __u64 facts, __u64 l4, __u32 frame_len)
{
	const struct ecbpf_fw_small *small = fw_small_get(active);
	struct fw_packet *p;
	__u64 bits;

	if (!small)
		return ECBPF_VERDICT(XDP_PASS, ECBPF_REASON_NONE);
	bits = fw_small_bits(small, addrs, facts, l4, frame_len);
	if (bits & small->slow) {
		p = fw_packet();
		if (!p)
			return ECBPF_VERDICT(XDP_PASS, ECBPF_REASON_NONE);
		p->found = bits;
		p->frame_len = frame_len;
		p->is_ip6 = facts >> ECBPF_FW_KIND_IP6 & 1;
		if (!p->is_ip6) {
			p->addr[0][0] = bpf_htonl(addrs >> 32);
			p->addr[1][0] = bpf_htonl(addrs);
		}
		return FW_SLOW;
	}
	return fw_small_end(small, bits, frame_len);
}

static __always_inline __u32 fw_small_try(struct xdp_md *ctx, const struct ecbpf_record *rec,
					  __u32 active)
{
	const __u8 *ip = ecbpf_header(ctx, rec->l3_off, sizeof(struct iphdr));
	__u64 addrs, facts, l4;

	if (!ip)
		return ECBPF_VERDICT(XDP_PASS, ECBPF_REASON_NONE);
	facts = fw_kind(rec, ip) | fw_ttl(rec, ip) << FW_TTL | (__u64)fw_vlan(rec) << FW_VLAN;
	if (rec->version == 4) {
		addrs = (__u64)bpf_ntohl(((const struct iphdr *)ip)->saddr) << 32 |
			bpf_ntohl(((const struct iphdr *)ip)->daddr);
	} else {
		const struct ipv6hdr *ip6 = ecbpf_header(ctx, rec->l3_off, sizeof(*ip6));
		struct fw_packet *p = fw_packet();

		if (!ip6 || !p)
			return ECBPF_VERDICT(XDP_PASS, ECBPF_REASON_NONE);
		__builtin_memcpy(p->addr, &ip6->saddr, sizeof(p->addr));
		addrs = (__u64)fw_class6_of(active, 0, (const __be32 *)&ip6->saddr) << 32;
		ip6 = ecbpf_header(ctx, rec->l3_off, sizeof(*ip6));
		if (ip6)
			addrs |= fw_class6_of(active, 1, (const __be32 *)&ip6->daddr);
	}
	l4 = rec->ports | (__u64)fw_code(ctx, rec) << FW_CODE |
	     (__u64)(rec->tcp_flags | rec->icmp_type) << FW_TYPE;
	return fw_match_small(active, addrs, facts, l4, rec->frame_len);
}

/*
 * What fw_match_small() left: rules that ask for a set, or do not end the search. Return:
 * ECBPF_VERDICT()
 */
__noinline __u32 fw_match_small_slow(__u32 active)
{
	const struct ecbpf_fw_small *small = fw_small_get(active);
	struct fw_packet *p = fw_packet();
	__u64 bits, pending;
	__u32 end;

	if (!small || !p)
		return ECBPF_VERDICT(XDP_PASS, ECBPF_REASON_NONE);
	bits = p->found;
	for (__u32 i = 0; i < ECBPF_FW_USES_MAX; i++) {
		__u64 has;

		if (i >= small->tables.uses_count)
			break;
		has = fw_set_has(small->tables.uses[i]);
		bits &= fw_row(small->use_rows, i * 2 + has, ECBPF_FW_USES_MAX * 2 - 1);
	}
	pending = bits & ~small->tables.deciding[0];
	bits ^= pending;
	end = bits ? fw_small_rule(small, bits)->rule : FW_UNDECIDED;
	for (int i = 0; i < ECBPF_FW_SMALL_RULES; i++) {
		const struct ecbpf_fw_small_rule *rule;

		if (!pending)
			break;
		rule = fw_small_rule(small, pending);
		if (rule->rule >= end)
			break;
		if (fw_do(rule->rule, rule->counter, rule->limit)) {
			fw_decide(rule->rule);
			return rule->verdict;
		}
		pending &= pending - 1;
	}
	return fw_small_end(small, bits, p->frame_len);
}

/* --- medium, large -------------------------------------------------------------------------- */

/* Memory of a dimension; @map: of the generation */
static __always_inline const union ecbpf_fw_slot *fw_base(void *map, __u32 *key, __u32 dim,
							  bool is_large)
{
	const struct ecbpf_fw_slots *slots;

	*key = is_large ? dim : 0;
	slots = bpf_map_lookup_elem(map, key);
	return slots ? slots->slots : NULL;
}

static __always_inline __u32 fw_match_slots(__u32 active, void *map, const bool is_large)
{
	const __u32 blocks = is_large ? ECBPF_FW_BLOCKS : ECBPF_FW_MEDIUM_RULES / 64;
	const __u32 sums_count = is_large ? ECBPF_FW_SUMS : 1;
	const union ecbpf_fw_slot *base, *dst;
	const struct ecbpf_fw_field *fields;
	const struct ecbpf_fw_tables *t;
	volatile struct fw_packet *p = fw_packet();
	__u32 key = 0;

	t = fw_slots_tables(fw_base(map, &key, ECBPF_FW_LARGE_TABLES, is_large));
	base = fw_base(map, &key, ECBPF_FW_SRC, is_large);
	dst = is_large ? fw_base(map, &key, ECBPF_FW_DST, is_large) : base;
	if (!p || !t || !base || !dst)
		return FW_UNDECIDED;
	fw_class_addrs(active, (struct fw_packet *)p, t, base->words, dst->words,
		       ECBPF_FW_SLOTS * 16 - 1);
	fields = fw_fields(t, p->l4);
	p->rule = FW_UNDECIDED;
	p->sum = 0;
	p->pending_count = 0;
#pragma unroll
	for (__u32 i = 0; i < sums_count; i++)
		p->sums[i] = ~0ULL;
#pragma unroll
	for (int dim = 0; dim < ECBPF_FW_DIMS; dim++) {
		const struct ecbpf_fw_row *row;
		__u64 class;

		if (is_large)
			base = fw_base(map, &key, dim, is_large);
		if (!base)
			return FW_UNDECIDED;
		if (dim == ECBPF_FW_SRC || dim == ECBPF_FW_DST) {
			class = p->class[dim];
		} else {
			class = fw_class(t, fields, dim, p->value[dim]);
			p->class[dim] = class;
		}
		barrier_var(class);
		row = &base[class & (ECBPF_FW_SLOTS - 1)].row;
#pragma unroll
		for (__u32 i = 0; i < sums_count; i++)
			p->sums[i] &= row->sums[i];
		barrier(); /* nothing is kept on the stack, neither here nor below */
	}
	if (t->uses_count && !is_large)
		fw_sets_find(active);

	for (__u32 i = 0; i < blocks + sums_count; i++) {
		__u64 bits = ~0ULL, pending, sum, block, at;
		__u32 rule;

		/* or addresses of their parts are computed beforehand, and kept on the stack */
		barrier_var(p);
		barrier_var(t);
		block = p->sum;
		if (!FW_IS_BELOW(block, sums_count))
			break;
		sum = p->sums[block];
		if (!sum) {
			p->sum = block + 1;
			continue;
		}
		p->sums[block] = sum & (sum - 1);
		block = block * 64 + fw_lowest(sum);
		if (!FW_IS_BELOW(block, blocks))
			break;
		if (t->first[block] >= p->rule >> ECBPF_FW_RULE_INDEX)
			continue;
#pragma unroll
		for (int dim = 0; dim < ECBPF_FW_DIMS; dim++) {
			__u64 slot = p->class[dim];

			if (is_large)
				base = fw_base(map, &key, dim, is_large);
			if (!base)
				return FW_UNDECIDED;
			slot = base[slot].row.chunks[fw_chunk(block)];
			bits &= base[slot].chunk[block % ECBPF_FW_CHUNK];
		}
		if (bits && t->uses_count)
			bits &= fw_sets_word(active, block);
		pending = bits & ~t->deciding[block];
		bits &= t->deciding[block];
		if (bits) {
			rule = fw_rule_at(t, block, bits);
			if (rule < p->rule)
				p->rule = rule;
		}
		if (pending) {
			at = p->pending_count;
			if (!FW_IS_BELOW(at, blocks))
				break;
			p->pending[at] = pending;
			p->pending_block[at] = block;
			p->pending_count = at + 1;
		}
	}
	return p->pending_count ? p->rule : fw_end(t, p->rule, p->frame_len);
}

__noinline __u32 fw_match_medium(__u32 active)
{
	__u32 place = active & ECBPF_FW_PLACE;
	void *map = bpf_map_lookup_elem(&fw_medium, &place);

	return map ? fw_match_slots(active, map, false) : FW_UNDECIDED;
}

__noinline __u32 fw_match_large(__u32 active)
{
	__u32 place = active & ECBPF_FW_PLACE;
	void *map = bpf_map_lookup_elem(&fw_large, &place);

	return map ? fw_match_slots(active, map, true) : FW_UNDECIDED;
}

static __always_inline __u32 fw_match(__u32 active)
{
	if ((active & ~ECBPF_FW_PLACE) == ECBPF_FW_MEDIUM)
		return fw_match_medium(active);
	/* here, not from there: with ecbpf_fused, frames are 512 bytes at most */
	fw_sets_find(active);
	return fw_match_large(active);
}

static __always_inline __u32 fw_verdict(__u32 rule)
{
	__u32 rank = (rule >> ECBPF_FW_RULE_INDEX) + 1;

	if (rule == FW_UNDECIDED)
		return ECBPF_VERDICT(XDP_PASS, ECBPF_REASON_NONE);
	switch (rule & ECBPF_FW_RULE_ACTION) {
	case ECBPF_FW_RULE_PASS:
		return ECBPF_VERDICT_RULE(XDP_PASS, ECBPF_REASON_NONE, rank);
	case ECBPF_FW_RULE_LIMIT:
		return ECBPF_VERDICT_RULE(XDP_DROP, ECBPF_REASON_FW_LIMIT, rank);
	default:
		return ECBPF_VERDICT_RULE(XDP_DROP, ECBPF_REASON_FW_DROP, rank);
	}
}

static __always_inline __u32 fw_stage(struct xdp_md *ctx, const struct ecbpf_record *rec)
{
	__u32 zero = 0, live, rule, verdict, *active;
	struct fw_packet *p;

	if (rec->reason)
		return ecbpf_malformed(rec);
	if (!rec->version)
		return ECBPF_VERDICT(XDP_PASS, ECBPF_REASON_NONE);
	active = bpf_map_lookup_elem(&fw_active, &zero);
	live = active ? *(volatile __u32 *)active : ECBPF_FW_NONE;
	if (!live)
		return ECBPF_VERDICT(XDP_PASS, ECBPF_REASON_NONE);
	if ((live & ~ECBPF_FW_PLACE) == ECBPF_FW_SMALL) {
		verdict = fw_small_try(ctx, rec, live);
		return verdict == FW_SLOW ? fw_match_small_slow(live) : verdict;
	}
	p = fw_packet_set(ctx, rec);
	if (!p)
		return ECBPF_VERDICT(XDP_PASS, ECBPF_REASON_NONE);
	rule = fw_match(live);
	if (p->pending_count)
		rule = fw_pending(live, rule);
	return fw_verdict(rule);
}

ECBPF_STAGE_PROGRAM(fw, FW);
