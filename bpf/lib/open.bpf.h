/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which opens are reported (docs/decisions/0013): the cheapest tests come first, and nothing of the event is written before the
 * answer is yes. From the descriptor to its file, what it may do, and only then its path, walked once: the filter judges the
 * same bytes that are reported.
 *
 * Fail direction: what cannot be told is reported. So is a file whose path does not lead to the root of a mount namespace
 * (memfd, pipe, namespace, disconnected tree).
 */
#ifndef HULLGUARD_OPEN_BPF_H
#define HULLGUARD_OPEN_BPF_H

#include "descriptor.bpf.h"

#define O_CREAT 0100
#define O_TMPFILE 020000000
#define O_ACCMODE 3
#define FMODE_READ 0x1 /* include/linux/fs.h */
#define FMODE_WRITE 0x2
#define FMODE_CREATED 0x100000

#define OPEN_FLAGS_UNKNOWN (~0ULL) /* they lie in user memory, which may have changed since the kernel read them */

/* What stands before a path to make it a key of `open_prefixes`. */
#define OPEN_KEY_HEAD_BYTES offsetof(struct map_open_prefix_key, path)

/* Did the flags ask for a file to be made? */
static __always_inline __u32 open__asked(__u64 flags)
{
	return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE ? HG_ACCESS_CREATE : 0;
}

/* What a file that is open can be used for. */
static __always_inline __u32 open__granted(__u32 mode)
{
	return (mode & FMODE_READ ? HG_ACCESS_READ : 0) | (mode & FMODE_WRITE ? HG_ACCESS_WRITE : 0);
}

#define OPEN_TRAITS 0xfU    /* the classes of one kind */
#define OPEN_CREATES 0xcU   /* … those that asked for creation */
#define OPEN_NO_DOTDOT 0x5U /* … those without `..` */
#define OPEN_EVERY_KIND(set) ((set)*0x11111U)

/* The classes that an open can be of, before the string of the program is looked at. */
static __always_inline __u32 open__classes(enum hg_open_kind kind, __u64 flags)
{
	__u32 traits = flags == OPEN_FLAGS_UNKNOWN ? OPEN_TRAITS :
		       open__asked(flags)	   ? OPEN_CREATES :
						     OPEN_TRAITS & ~OPEN_CREATES;

	return traits << (kind * 4);
}

static __always_inline enum hg_open_kind open__kind(__u32 mode)
{
	if (mode & FMODE_WRITE)
		return mode & FMODE_READ ? HG_OPEN_READ_WRITE : HG_OPEN_WRITE;
	return mode & FMODE_READ ? HG_OPEN_READ : HG_OPEN_NEITHER;
}

#define RAW_STEPS_MAX 64
#define RAW_DOTDOT 1	  /* the string holds `..` */
#define RAW_ODD 2	  /* … a slash before a slash or a dot: it may not be canonical */
#define RAW_BYTES_SHIFT 8 /* its length stands above the flags */
#define RAW_UNKNOWN (RAW_DOTDOT | RAW_ODD)
#define EACH_BYTE(byte) ((byte)*0x0101010101010101ULL)

/* The high bit of each byte of `word` that is `byte`, exactly. */
static __always_inline __u64 open__bytes_equal(__u64 word, __u8 byte)
{
	word ^= EACH_BYTE((__u64)byte);
	return ~(((word & EACH_BYTE(0x7f)) + EACH_BYTE(0x7f)) | word | EACH_BYTE(0x7f));
}

/* Reads the string of the program at `address` into scratch->raw and says what it holds. Unknown: it cannot be read, or is longer
 * than the steps reach. Eight bytes at a time, seven further each time: every pair of neighbours is in one of them. */
__noinline int open__read_raw(__u32 slot, __u64 address)
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
		dots = open__bytes_equal(word, '.');
		slashes = open__bytes_equal(word, '/');
		if (dots & (dots >> 8))
			flags |= RAW_DOTDOT;
		if (slashes & ((dots | slashes) >> 8))
			flags |= RAW_ODD;
	}
	return RAW_UNKNOWN;
}

/* Of `wanted` classes, those that opens of the path in walk.bytes from `start` on are reported for. The key is made in place: its
 * head is written before the path, and what lies behind the path is not looked at. */
static __always_inline __u32 open__wanted_of_path(struct scratch *scratch, __u32 profile, __u32 wanted, __u32 start)
{
	struct map_open_prefix_key *key;
	__u32 length, *found;

	if ((start & PATH_FLAGS) != PATH_ROOTED)
		return wanted;
	start = (start & ~PATH_FLAGS) - OPEN_KEY_HEAD_BYTES;
	OPAQUE(start); /* one bound on one register: 6.1 knows no other */
	if (start >= HG_PATH_MAX_BYTES - OPEN_KEY_HEAD_BYTES)
		return wanted;
	length = HG_PATH_MAX_BYTES - OPEN_KEY_HEAD_BYTES - start;
	if (length > HG_KEY_PATH_BYTES)
		length = HG_KEY_PATH_BYTES;
	key = (void *)&scratch->walk.bytes[start];
	key->prefix_bits = (sizeof(key->profile) + length) * 8;
	key->profile = profile;
	found = bpf_map_lookup_elem(&open_prefixes, key);
	return found ? *found & wanted : 0;
}

/* The same of opens of the path at `text`, of `length` bytes. */
static __always_inline __u32 open__wanted_of_text(struct scratch *scratch, __u32 profile, __u32 wanted,
						  const char *text, __u32 length)
{
	__u32 *found;

	OPAQUE(length);
	if (length > HG_KEY_PATH_BYTES)
		length = HG_KEY_PATH_BYTES;
	bpf_probe_read_kernel(scratch->prefix.path, length, text);
	scratch->prefix.prefix_bits = (sizeof(scratch->prefix.profile) + length) * 8;
	scratch->prefix.profile = profile;
	found = bpf_map_lookup_elem(&open_prefixes, &scratch->prefix);
	return found ? *found & wanted : 0;
}

/* The same of one that failed: its path is the string in scratch->raw, of which `read` says what open__read_raw() said, where that is
 * absolute and canonical and the task's root is the namespace's. Of any other nothing is known before the strings are joined. */
static __always_inline __u32 open__wanted_of_failed(__u32 slot, struct scratch *scratch, __u32 profile, __u32 wanted,
						    __u32 read)
{
	struct fs_struct *fs = ((struct task_struct *)bpf_get_current_task_btf())->fs;
	struct path root = {};

	if ((read & RAW_ODD) || scratch->raw[0] != '/')
		return wanted;
	bpf_core_read(&root, sizeof(root), &fs->root);
	if (path__walk(slot, (__u64)root.dentry, (__u64)root.mnt) != ((HG_PATH_MAX_BYTES - 1) | PATH_ROOTED))
		return wanted;
	return open__wanted_of_text(scratch, profile, wanted, scratch->raw, read >> RAW_BYTES_SHIFT);
}

/* Is this open of the current task to be reported? `flags`: as asked, or OPEN_FLAGS_UNKNOWN. `raw`: where the program's string of
 * the path lies, 0 if the call had none. */
__noinline int open__is_wanted(__u32 slot, __u32 profile, __s64 result, __u64 flags, __u64 raw)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	struct map_profile *rules = bpf_map_lookup_elem(&profiles, &profile);
	struct file *file = NULL;
	enum hg_open_kind kind = HG_OPEN_FAILED;
	struct path path = {};
	__u32 wanted, start, read = 0;

	if (!scratch || !rules)
		return 1;
	if (result >= 0) {
		file = (struct file *)descriptor__file(result);
		if (!file)
			return 1;
		kind = open__kind(BPF_CORE_READ(file, f_mode));
	}
	wanted = open__classes(kind, flags);
	if (rules->open_classes)
		wanted &= rules->open_classes;
	if (wanted && !file && raw && rules->open_prefixes_count) {
		read = open__read_raw(slot, raw);
		wanted = open__wanted_of_failed(slot, scratch, profile, wanted, read);
	} else if (wanted && file && rules->open_prefixes_count) {
		bpf_core_read(&path, sizeof(path), &file->f_path);
		start = path__walk(slot, (__u64)path.dentry, (__u64)path.mnt);
		wanted = open__wanted_of_path(scratch, profile, wanted, start);
		scratch->walked_file = (__u64)file;
		scratch->walked_start = start;
	}
	if (!wanted || (wanted & OPEN_EVERY_KIND(OPEN_NO_DOTDOT)))
		return wanted != 0;
	if (!read && raw)
		read = open__read_raw(slot, raw);
	return read & RAW_DOTDOT;
}

/* Is the open in scratch->call to be reported, with its path in scratch->strings? For opens that are not a call of their own: whether
 * they were given with `..` is not asked. */
__noinline int open__is_written_wanted(__u32 slot, __u32 profile)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	struct map_profile *rules = bpf_map_lookup_elem(&profiles, &profile);
	struct file *file;
	__u32 wanted = OPEN_EVERY_KIND(OPEN_TRAITS), length;

	if (!scratch || !rules)
		return 1;
	file = (struct file *)scratch->file;
	if (file)
		wanted = open__classes(open__kind(BPF_CORE_READ(file, f_mode)), scratch->call.facts[0]);
	else if ((scratch->call.flags & HG_CALL_HAS_RESULT) && scratch->call.result < 0)
		wanted = open__classes(HG_OPEN_FAILED, scratch->call.facts[0]);
	if (rules->open_classes)
		wanted &= rules->open_classes;
	length = scratch->call.path_bytes;
	if (!wanted || !rules->open_prefixes_count || !length || (scratch->call.flags & HG_CALL_PATH_TRUNCATED))
		return wanted != 0;
	return open__wanted_of_text(scratch, profile, wanted, scratch->strings, length) != 0;
}

#endif
