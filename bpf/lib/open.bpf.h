/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which opens are reported (docs/decisions/0013): the cheapest tests come first, and nothing of the event is written before the
 * answer is yes. Who opens, then from the descriptor to its file, what it may do, and only then its path, walked once: the filter judges the
 * same bytes that are reported.
 *
 * Fail direction: what cannot be told is reported. So is a file whose path does not lead to the root of a mount namespace
 * (memfd, pipe, namespace, disconnected tree).
 */
#ifndef HULLGUARD_OPEN_BPF_H
#define HULLGUARD_OPEN_BPF_H

#include "place.bpf.h"

#define O_CREAT 0100
#define O_TMPFILE 020000000
/* 64-bit kernels put it into their copy of openat2's flags, asked for or not. */
#if defined(__TARGET_ARCH_arm64)
#define O_LARGEFILE 0400000 /* arch/arm64/include/uapi/asm/fcntl.h */
#else
#define O_LARGEFILE 0100000 /* include/uapi/asm-generic/fcntl.h */
#endif
#define O_ACCMODE 3
#define FMODE_READ 0x1 /* include/linux/fs.h */
#define FMODE_WRITE 0x2
#define FMODE_CREATED 0x100000

#define OPEN_FLAGS_UNKNOWN (~0ULL) /* they lie in user memory, which may have changed since the kernel read them */

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

/* Is this open of the current task to be reported? `flags`: as asked, or OPEN_FLAGS_UNKNOWN. `raw`: where the program's string of
 * the path lies, 0 if the call had none. */
__noinline int open__is_wanted(__u32 slot, __u32 profile, __s64 result, __u64 flags, __u64 raw)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	const struct map_filter *filter = filter__of(profile);
	struct file *file = NULL;
	enum hg_open_kind kind = HG_OPEN_FAILED;
	__u32 wanted, start, read = 0;

	if (!scratch || !filter)
		return 1;
	if (!user__is_current_wanted(filter, profile, HG_ACT_OPEN))
		return 0;
	if (result >= 0) {
		file = (struct file *)descriptor__file(result);
		if (!file)
			return 1;
		kind = open__kind(KERNEL_READ(file, f_mode));
	}
	wanted = open__classes(kind, flags);
	if (filter->place_classes)
		wanted &= filter->place_classes;
	if (wanted && !file && raw && filter->place_prefixes_count) {
		read = place__read_raw(slot, raw);
		wanted = place__wanted_of_raw(slot, scratch, filter, profile, wanted, read);
	} else if (wanted && file && filter->place_prefixes_count) {
		start = path__walk(slot, (__u64)KERNEL_READ(file, f_path.dentry), (__u64)KERNEL_READ(file, f_path.mnt));
		wanted = place__wanted_of_walked(scratch, filter, profile, wanted, start);
		scratch->walked_file = (__u64)file;
		scratch->walked_start = start;
	}
	if (!wanted || (wanted & OPEN_EVERY_KIND(OPEN_NO_DOTDOT)))
		return wanted != 0;
	if (!read && raw)
		read = place__read_raw(slot, raw);
	return read & RAW_DOTDOT;
}

/* The classes that the open in scratch->call can be of. For opens that are not a call of their own: whether they were given with
 * `..` is not asked. */
static __always_inline __u32 open__classes_of_call(const struct scratch *scratch)
{
	struct file *file = (struct file *)scratch->file;

	if (file)
		return open__classes(open__kind(KERNEL_READ(file, f_mode)), scratch->call.facts[0]);
	if ((scratch->call.flags & HG_CALL_HAS_RESULT) && scratch->call.result < 0)
		return open__classes(HG_OPEN_FAILED, scratch->call.facts[0]);
	return OPEN_EVERY_KIND(OPEN_TRAITS);
}

#endif
