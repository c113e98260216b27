/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which acts on files other than opens are reported (docs/decisions/0013): first by who did it, by what was done and whether it failed, then by the
 * path where that is known without being worked out (a descriptor's file, a string that is a whole path), and at last by the
 * paths as they were written for the event. Of an act with two paths it is enough that one of them is wanted.
 *
 * Fail direction: what cannot be told is reported; and so is an act that a hook would have refused.
 */
#ifndef HULLGUARD_FILE_ACT_BPF_H
#define HULLGUARD_FILE_ACT_BPF_H

#include "open.bpf.h"

static __always_inline bool file_act__is_one(__u32 act)
{
	return act >= HG_ACT_OPEN && act <= HG_ACT_TRUNCATE;
}

/* The classes that the act in scratch->call, no open, can be of. */
static __always_inline __u32 file_act__classes(const struct ev_call *call)
{
	__u32 done = 1U << ((HG_PLACE_DONE + call->act - HG_ACT_UNLINK) & 31), failed = 1U << HG_PLACE_FAILED;

	if (!(call->flags & HG_CALL_HAS_RESULT))
		return done | failed;
	return call->result < 0 ? failed : done;
}

/* Is the act in scratch->call, on the descriptor `fd`, to be reported? */
__noinline int file_act__is_wanted_of_fd(__u32 slot, __u32 profile, __u32 fd)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	const struct map_filter *filter = filter__of(profile);
	struct file *file;
	__u32 wanted, start;

	if (!scratch || !filter)
		return 1;
	if (!user__is_current_wanted(filter, profile, scratch->call.act))
		return 0;
	wanted = file_act__classes(&scratch->call);
	if (filter->place_classes)
		wanted &= filter->place_classes;
	file = (struct file *)descriptor__file(fd);
	if (wanted && file && filter->place_prefixes_count) {
		start = path__walk(slot, (__u64)KERNEL_READ(file, f_path.dentry), (__u64)KERNEL_READ(file, f_path.mnt));
		wanted = place__wanted_of_walked(scratch, filter, profile, wanted, start);
		scratch->walked_file = (__u64)file;
		scratch->walked_start = start;
	}
	return wanted != 0;
}

/* The same of one by name. `raw`, `raw2`: where the program's strings of its paths lie; 0: it has no second one. */
__noinline int file_act__is_wanted(__u32 slot, __u32 profile, __u64 raw, __u64 raw2)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	const struct map_filter *filter = filter__of(profile);
	__u32 wanted, found;

	if (!scratch || !filter)
		return 1;
	if (!user__is_current_wanted(filter, profile, scratch->call.act))
		return 0;
	wanted = file_act__classes(&scratch->call);
	if (filter->place_classes)
		wanted &= filter->place_classes;
	if (wanted && filter->place_prefixes_count) {
		found = place__wanted_of_raw(slot, scratch, filter, profile, wanted, place__read_raw(slot, raw));
		if (!found && raw2)
			found = place__wanted_of_raw(slot, scratch, filter, profile, wanted,
						     place__read_raw(slot, raw2));
		wanted = found;
	}
	return wanted != 0;
}

/* Of `wanted` classes, those that acts on the path strings[offset, offset + length) are reported for. */
__noinline int file_act__wanted_of_written(__u32 slot, __u32 profile, __u32 wanted, __u32 offset, __u32 length)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	const struct map_filter *filter = filter__of(profile);

	OPAQUE(offset);
	if (!scratch || !filter || !length || offset > HG_PATH_MAX_BYTES)
		return wanted;
	return place__wanted_of_text(scratch, filter, profile, wanted, &scratch->strings[offset], length);
}

/* Is the act in scratch->call, an open too, to be reported, with its paths in scratch->strings? */
__noinline int file_act__is_written_wanted(__u32 slot, __u32 profile)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	const struct map_filter *filter = filter__of(profile);
	__u32 wanted, first_bytes;
	struct ev_call *call;

	if (!scratch || !filter)
		return 1;
	call = &scratch->call;
	if (call->header.action == HG_ACTION_SPARED)
		return 1;
	wanted = call->act == HG_ACT_OPEN ? open__classes_of_call(scratch) : file_act__classes(call);
	if (filter->place_classes)
		wanted &= filter->place_classes;
	if (!wanted || !filter->place_prefixes_count || (call->flags & HG_CALL_PATH_TRUNCATED))
		return wanted != 0;
	first_bytes = call->path_bytes;
	if (file_act__wanted_of_written(slot, profile, wanted, 0, first_bytes))
		return 1;
	return (call->act == HG_ACT_RENAME || call->act == HG_ACT_LINK) &&
	       file_act__wanted_of_written(slot, profile, wanted, first_bytes, call->path2_bytes);
}

#endif
