/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What trie.bpf.c and trierun.c share */
#ifndef TEST_TRIE_H
#define TEST_TRIE_H

#include <linux/types.h>

#define TRIE_QUESTIONS (1 << 17)
#define TRIE_ANSWERS   (1 << 19)
#define TRIE_CPUS      2

struct trie_question {
	__u32 family;
	__be32 addr[4]; /* IPv4: the first */
	__u32 pad;	/* entries of an array map are multiples of 8 */
};

/* The state of the table lies between two counts of changes: done before, begun after the lookup */
struct trie_answer {
	__u32 question;
	__u32 done;
	__u32 begun;
	__u32 value;
};

struct trie_clock {
	__u32 begun;
	__u32 done;
	__u32 questions;	  /* how many there are */
	__u32 answers[TRIE_CPUS]; /* given so far */
};

#endif /* TEST_TRIE_H */
