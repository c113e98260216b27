/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a profile wants of paths: the look-ups in `place_prefixes` that the filters of acts on files share (open.bpf.h,
 * file_act.bpf.h), and what can be told of a path from the string that the program gave.
 *
 * Fail direction: what cannot be told is wanted.
 */
#ifndef HULLGUARD_PLACE_BPF_H
#define HULLGUARD_PLACE_BPF_H

#include "descriptor.bpf.h"
#include "user.bpf.h"

/* What stands before a path to make it a key of `place_prefixes`. */
#define PLACE_KEY_HEAD_BYTES offsetof(struct map_place_prefix_key, path)

#define RAW_STEPS_MAX 64
#define RAW_DOTDOT 1	  /* the string holds `..` */
#define RAW_ODD 2	  /* … a slash before a slash or a dot: it may not be canonical */
#define RAW_BYTES_SHIFT 8 /* its length stands above the flags */
#define RAW_UNKNOWN (RAW_DOTDOT | RAW_ODD)
#define EACH_BYTE(byte) ((byte)*0x0101010101010101ULL)

/* The high bit of each byte of `word` that is `byte`, exactly. */
static __always_inline __u64 place__bytes_equal(__u64 word, __u8 byte)
{
	word ^= EACH_BYTE((__u64)byte);
	return ~(((word & EACH_BYTE(0x7f)) + EACH_BYTE(0x7f)) | word | EACH_BYTE(0x7f));
}

/* Reads the string of the program at `address` into scratch->raw and says what it holds. Unknown: it cannot be read, or is longer
 * than the steps reach. Eight bytes at a time, seven further each time: every pair of neighbours is in one of them. */
__noinline int place__read_raw(__u32 slot, __u64 address)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	__u64 word, dots, slashes;
	__u32 at, flags = 0;
	long length;

	if (!scratch)
		return RAW_UNKNOWN;
	length = bpf_probe_read_user_str(scratch->raw, HG_PATH_MAX_BYTES, (void *)address);
	OPAQUE(length);
	if (length <= 0 || length >= HG_PATH_MAX_BYTES)
		return RAW_UNKNOWN;
	__builtin_memset(&scratch->raw[length], 0, sizeof(word));
#pragma clang loop unroll(disable)
	for (__u32 step = 0; step < RAW_STEPS_MAX; step++) {
		at = step * (sizeof(word) - 1);
		if (at >= length)
			return flags | (length - 1) << RAW_BYTES_SHIFT;
		word = *(__u64 *)&scratch->raw[at];
		dots = place__bytes_equal(word, '.');
		slashes = place__bytes_equal(word, '/');
		if (dots & (dots >> 8))
			flags |= RAW_DOTDOT;
		if (slashes & ((dots | slashes) >> 8))
			flags |= RAW_ODD;
	}
	return RAW_UNKNOWN;
}

/* Of `wanted` classes, those that acts on the path of the key, of `length` bytes, are reported for. Most paths are elsewhere than all entries,
 * which the first bytes tell. */
static __always_inline __u32 place__wanted_of_key(const struct map_filter *filter,
						  const struct map_place_prefix_key *key, __u32 length, __u32 wanted)
{
	__u32 first = *(const __u32 *)key->path, top = (first * HG_TOP_FACTOR) >> 24, *found;

	if (length >= HG_TOP_BYTES && (first & 0xff) == '/' &&
	    !(filter->place_tops[top >> 6 & (HG_TOP_WORDS - 1)] >> (top & 63) & 1))
		return wanted & filter->place_elsewhere;
	found = bpf_map_lookup_elem(&place_prefixes, key);
	return found ? *found & wanted : 0;
}

/* The same of acts on the path in walk.bytes from `start` on. The key is made in place: its head is written before the path, and what lies
 * behind the path is not looked at. */
static __always_inline __u32 place__wanted_of_walked(struct scratch *scratch, const struct map_filter *filter,
						     __u32 profile, __u32 wanted, __u32 start)
{
	struct map_place_prefix_key *key;
	__u32 length;

	if ((start & PATH_FLAGS) != PATH_ROOTED)
		return wanted;
	start = (start & ~PATH_FLAGS) - PLACE_KEY_HEAD_BYTES;
	OPAQUE(start); /* one bound on one register: 6.1 knows no other */
	if (start >= HG_PATH_MAX_BYTES - PLACE_KEY_HEAD_BYTES)
		return wanted;
	length = HG_PATH_MAX_BYTES - PLACE_KEY_HEAD_BYTES - start;
	if (length > HG_KEY_PATH_BYTES)
		length = HG_KEY_PATH_BYTES;
	key = (void *)&scratch->walk.bytes[start];
	key->prefix_bits = (sizeof(key->profile) + length) * 8;
	key->profile = profile;
	return place__wanted_of_key(filter, key, length, wanted);
}

/* The same of acts on the path at `text`, of `length` bytes. */
static __always_inline __u32 place__wanted_of_text(struct scratch *scratch, const struct map_filter *filter,
						   __u32 profile, __u32 wanted, const char *text, __u32 length)
{
	struct map_place_prefix_key *key = (void *)&scratch->prefix;

	OPAQUE(length);
	if (length > HG_KEY_PATH_BYTES)
		length = HG_KEY_PATH_BYTES;
	bpf_probe_read_kernel(scratch->prefix.path, length, text);
	scratch->prefix.prefix_bits = (sizeof(scratch->prefix.profile) + length) * 8;
	scratch->prefix.profile = profile;
	return place__wanted_of_key(filter, key, length, wanted);
}

/* The same of an act whose path is the string in scratch->raw, of which `read` says what place__read_raw() said, where that is
 * absolute and canonical and the task's root is the namespace's. Of any other nothing is known before the strings are joined. */
static __always_inline __u32 place__wanted_of_raw(__u32 slot, struct scratch *scratch, const struct map_filter *filter,
						  __u32 profile, __u32 wanted, __u32 read)
{
	struct fs_struct *fs = ((struct task_struct *)bpf_get_current_task_btf())->fs;
	__u32 length = read >> RAW_BYTES_SHIFT, last = length - 1, start;

	if ((read & RAW_ODD) || scratch->raw[0] != '/')
		return wanted;
	OPAQUE(last); /* one bound on one register: 6.1 knows no other */
	if (last < HG_PATH_MAX_BYTES && scratch->raw[last] == '/' && last) /* the path that is told has none there */
		length = last;
	start = path__walk(slot, (__u64)KERNEL_READ(fs, root.dentry), (__u64)KERNEL_READ(fs, root.mnt));
	if (start != ((HG_PATH_MAX_BYTES - 1) | PATH_ROOTED))
		return wanted;
	return place__wanted_of_text(scratch, filter, profile, wanted, scratch->raw, length);
}

#endif
