/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Paths as the kernel holds them: a walk from a dentry up through its mounts to the root of the mount namespace (not the
 * task's root: a chroot does not shorten a path). Written from the end of a scratch buffer backwards.
 *
 * Scratch lives in an array indexed by CPU: only hooks that cannot be preempted may use slot = CPU number (the sched
 * tracepoints run with preemption off); iterators have the last slot, and user space runs one iterator at a time.
 */
#ifndef HULLGUARD_PATH_BPF_H
#define HULLGUARD_PATH_BPF_H

#include "emit.bpf.h"
#include "canonical.h"

#define PATH_STEPS_MAX 2048 /* PATH_MAX / 2: every component has at least one byte and a slash */
#define NAME_MAX_BYTES 255  /* linux/limits.h */
#define PATH_SLACK_BYTES 256
#define APPLET_BYTES 64	     /* a power of two; the longest applet name of busybox has 17 bytes */
#define SCRATCH_CPUS_MAX 512 /* cfg: CPUs + 1 */
#define EXEC_STRINGS_MAX_BYTES (3 * HG_PATH_MAX_BYTES + HG_ARGS_MAX_BYTES + HG_ENV_MAX_BYTES)

struct path_buffer {
	char bytes[HG_PATH_MAX_BYTES + PATH_SLACK_BYTES];
};

struct scratch {
	char raw[2 * HG_PATH_MAX_BYTES]; /* two strings of a call, as the user gave them */
	__u64 file;			 /* struct file * that a call is about, 0 none */
	struct path_buffer walk;
	struct canonical canonical;
	struct map_exec_key key;
	struct map_exec_prefix_key prefix;
	struct map_exec_result result;
	char applet[APPLET_BYTES]; /* not terminated */
	/* Either stands right before its strings. */
	union {
		struct ev_call call;
		struct {
			char unused[sizeof(struct ev_call) - sizeof(struct ev_exec)];
			struct ev_exec event;
		};
	};
	char strings[EXEC_STRINGS_MAX_BYTES + HG_PATH_MAX_BYTES];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SCRATCH_CPUS_MAX);
	__type(key, __u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

const volatile __u32 cfg_iterator_scratch = SCRATCH_CPUS_MAX - 1;

struct walk {
	struct dentry *dentry;
	struct mount *mount;
	struct scratch *scratch;
	__u32 position; /* first byte of the path in walk.bytes */
	bool truncated;
};

static __always_inline bool path__is_memfd(struct inode *inode, struct dentry *dentry)
{
	const unsigned char *name = BPF_CORE_READ(dentry, d_name.name);
	char start[6] = {};

	if (BPF_CORE_READ(inode, i_nlink) != 0)
		return false;
	bpf_probe_read_kernel(start, sizeof(start), name);
	return start[0] == 'm' && start[1] == 'e' && start[2] == 'm' && start[3] == 'f' && start[4] == 'd' &&
	       start[5] == ':';
}

static __always_inline struct mount *path__mount_of(struct vfsmount *mnt)
{
	return (void *)mnt - bpf_core_field_offset(struct mount, mnt);
}

static long path__step(__u32 index, void *context)
{
	struct walk *walk = context;
	struct dentry *dentry = walk->dentry;
	struct mount *mount = walk->mount;
	struct dentry *parent = BPF_CORE_READ(dentry, d_parent);
	struct mount *above;
	const unsigned char *name;
	__u32 length, position;
	char first = 0;

	if (dentry == BPF_CORE_READ(mount, mnt.mnt_root)) {
		above = BPF_CORE_READ(mount, mnt_parent);
		if (above == mount)
			return 1;
		walk->dentry = BPF_CORE_READ(mount, mnt_mountpoint);
		walk->mount = above;
		return 0;
	}
	length = BPF_CORE_READ(dentry, d_name.len);
	name = BPF_CORE_READ(dentry, d_name.name);
	if (dentry == parent) {
		/* In no tree: the root of a file system out of reach ("/"), or a file without a place (memfd), which has a name. */
		bpf_probe_read_kernel(&first, sizeof(first), name);
		if (first == '/')
			return 1;
	}
	position = walk->position;
	if (length > NAME_MAX_BYTES || position < length + 1 || position > HG_PATH_MAX_BYTES) {
		walk->truncated = true;
		return 1;
	}
	position -= length;
	if (position >= HG_PATH_MAX_BYTES)
		return 1;
	bpf_probe_read_kernel(&walk->scratch->walk.bytes[position], length & NAME_MAX_BYTES, name);
	position -= 1;
	if (position >= HG_PATH_MAX_BYTES)
		return 1;
	walk->scratch->walk.bytes[position] = '/';
	walk->position = position;
	walk->dentry = parent;
	return dentry == parent;
}

/* The functions below are global on purpose: the verifier checks each once, by itself, instead of once per path that leads to
 * it. They take the scratch slot and kernel addresses as numbers, because only scalars cross such a call unchecked. */

#define PATH_TRUNCATED 0x40000000

/* Leaves the path in walk.bytes[start, HG_PATH_MAX_BYTES); the namespace's root is "/". Returns start, with PATH_TRUNCATED when
 * the front is missing, or a negative number. */
__noinline int path__walk(__u32 slot, __u64 dentry, __u64 mnt)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	struct walk walk = {
		.dentry = (struct dentry *)dentry,
		.mount = path__mount_of((struct vfsmount *)mnt),
		.scratch = scratch,
		.position = HG_PATH_MAX_BYTES,
	};
	__u32 start;

	if (!scratch)
		return -1;
	bpf_loop(PATH_STEPS_MAX, path__step, &walk, 0);
	start = walk.position;
	if (start == HG_PATH_MAX_BYTES) {
		start = HG_PATH_MAX_BYTES - 1;
		scratch->walk.bytes[HG_PATH_MAX_BYTES - 1] = '/';
	}
	return start | (walk.truncated ? PATH_TRUNCATED : 0);
}

/* Appends the walked path at strings[offset]. Returns its length in bytes; 0 when it did not fit. */
__noinline int path__append(__u32 slot, __u32 offset, __u32 start)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	__u32 length;

	start &= ~PATH_TRUNCATED;
	if (!scratch || start >= HG_PATH_MAX_BYTES || offset > EXEC_STRINGS_MAX_BYTES)
		return 0;
	length = HG_PATH_MAX_BYTES - start;
	OPAQUE(length);
	if (length > HG_PATH_MAX_BYTES)
		return 0;
	if (bpf_probe_read_kernel(&scratch->strings[offset], length, &scratch->walk.bytes[start]))
		return 0;
	return length;
}

#endif
