/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Paths as the kernel holds them: a walk from a dentry up through its mounts to the root of the mount namespace (not the
 * task's root: a chroot does not shorten a path). Written from the end of a scratch buffer backwards.
 *
 * Scratch lives in an array indexed by CPU: only hooks that cannot be preempted may use slot = CPU number (tracepoints run with
 * preemption off); iterators have cfg_iterator_scratch, and user space runs one iterator at a time; hooks of the LSM, which can be
 * preempted, claim one of those behind it (lsm__claim()).
 */
#ifndef HULLGUARD_PATH_BPF_H
#define HULLGUARD_PATH_BPF_H

#include "emit.bpf.h"
#include "canonical.h"

#define PATH_STEPS_MAX 2048 /* PATH_MAX / 2: every component has at least one byte and a slash */
#define NAME_MAX_BYTES 255  /* linux/limits.h */
#define PATH_SLACK_BYTES 256
#define APPLET_BYTES 64		  /* a power of two; the longest applet name of busybox has 17 bytes */
#define PATH_TRUNCATED 0x40000000 /* flags beside a start: the front is missing */
#define PATH_ROOTED 0x20000000	  /* the walk ended at the root of a mount namespace */
#define PATH_FLAGS (PATH_TRUNCATED | PATH_ROOTED)
#define SCRATCH_CPUS_MAX                                                                                               \
	512 /* cfg: of each CPU one, one of iterators, and where the LSM is used one more of each CPU */
#define EXEC_STRINGS_MAX_BYTES (3 * HG_PATH_MAX_BYTES + HG_ARGS_MAX_BYTES + HG_ENV_MAX_BYTES)

struct path_buffer {
	char bytes[HG_PATH_MAX_BYTES + PATH_SLACK_BYTES];
};

/* What a step reads of a dentry and of a mount: fields that lie side by side in every kernel so far, so that one call can read all. */
struct dentry_head {
	struct dentry *parent;
	__u32 hash;
	__u32 name_bytes;
	const unsigned char *name;
};

struct mount_head {
	struct mount *parent;
	struct dentry *mountpoint;
	struct dentry *root;
};

/* Where a walk is. Beside the buffer, not on the stack: the calls that lead here have little of it left. */
struct walk {
	__u64 dentry; /* struct dentry * */
	__u64 mount;  /* struct mount * */
	struct mount_head mount_head;
	__u32 position; /* first byte of the path in walk.bytes */
	__u32 flags;	/* PATH_TRUNCATED, PATH_ROOTED */
};

/* An act on files that a hook asks about. Kernel addresses as numbers: they cross calls that take only scalars. */
struct file_question {
	__u64 dentry;
	__u64 mnt;
	__u64 other_dentry; /* 0: the act has one path */
	__u64 other_mnt;
	__u64 inode;	    /* 0: none yet */
	__u32 act;	    /* enum hg_act */
	__u32 access;	    /* enum hg_file_access */
	__u32 is_uncertain; /* whether it will happen is not known yet: see file__defer() */
	__u32 open_flags;
};

/* What most opens need lies together: from the end of a path to the arguments of its call. */
struct scratch {
	char raw[2 * HG_PATH_MAX_BYTES]; /* two strings of a call, as the user gave them */
	struct canonical canonical;
	struct map_exec_key key;
	struct map_exec_prefix_key prefix;
	struct map_exec_result result;
	struct file_question question;
	__u64 said;		   /* set of what entries say of the act that is judged */
	char applet[APPLET_BYTES]; /* not terminated */
	struct path_buffer walk;
	struct walk walk_state;
	__u64 walked_file;  /* struct file * whose path stands in `walk`, 0 when it may be another's */
	__u32 walked_start; /* as path__walk() returned it */
	__u64 file;	    /* struct file * that a call is about, 0 none */
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

static __always_inline bool path__is_memfd(struct inode *inode, struct dentry *dentry)
{
	const unsigned char *name = KERNEL_READ(dentry, d_name.name);
	char start[6] = {};

	if (KERNEL_READ(inode, i_nlink) != 0)
		return false;
	bpf_probe_read_kernel(start, sizeof(start), name);
	return start[0] == 'm' && start[1] == 'e' && start[2] == 'm' && start[3] == 'f' && start[4] == 'd' &&
	       start[5] == ':';
}

static __always_inline struct mount *path__mount_of(struct vfsmount *mnt)
{
	return (void *)mnt - bpf_core_field_offset(struct mount, mnt);
}

/* By single reads where those are loads, or a kernel has moved the fields apart: decided when the program is loaded. */
static __always_inline void path__read_dentry(struct dentry_head *out, const struct dentry *dentry)
{
	const __u32 start = bpf_core_field_offset(struct dentry, d_parent);

	if (!cfg_can_cast &&
	    bpf_core_field_offset(struct dentry, d_name) == start + offsetof(struct dentry_head, hash) &&
	    bpf_core_field_offset(struct qstr, len) == 4 && bpf_core_field_offset(struct qstr, name) == 8) {
		bpf_probe_read_kernel(out, sizeof(*out), (void *)dentry + start);
		return;
	}
	out->parent = KERNEL_READ(dentry, d_parent);
	out->name_bytes = KERNEL_READ(dentry, d_name.len);
	out->name = KERNEL_READ(dentry, d_name.name);
}

static __always_inline void path__read_mount(struct mount_head *out, const struct mount *mount)
{
	const __u32 start = bpf_core_field_offset(struct mount, mnt_parent);

	if (!cfg_can_cast &&
	    bpf_core_field_offset(struct mount, mnt_mountpoint) == start + offsetof(struct mount_head, mountpoint) &&
	    bpf_core_field_offset(struct mount, mnt) == start + offsetof(struct mount_head, root) &&
	    bpf_core_field_offset(struct vfsmount, mnt_root) == 0) {
		bpf_probe_read_kernel(out, sizeof(*out), (void *)mount + start);
		return;
	}
	out->parent = KERNEL_READ(mount, mnt_parent);
	out->mountpoint = KERNEL_READ(mount, mnt_mountpoint);
	out->root = KERNEL_READ(mount, mnt.mnt_root);
}

static long path__step(__u32 index, void *context)
{
	struct scratch *scratch = *(struct scratch **)context;
	struct walk *walk = &scratch->walk_state;
	struct dentry *dentry = (struct dentry *)walk->dentry;
	struct dentry_head head = {};
	__u32 length, position;
	char first = 0;

	if (dentry == walk->mount_head.root) {
		if ((__u64)walk->mount_head.parent == walk->mount) {
			walk->flags |= PATH_ROOTED;
			return 1;
		}
		walk->dentry = (__u64)walk->mount_head.mountpoint;
		walk->mount = (__u64)walk->mount_head.parent;
		path__read_mount(&walk->mount_head, (struct mount *)walk->mount);
		return 0;
	}
	path__read_dentry(&head, dentry);
	length = head.name_bytes;
	if (dentry == head.parent) {
		/* In no tree: the root of a file system out of reach ("/"), or a file without a place (memfd), which has a name. */
		bpf_probe_read_kernel(&first, sizeof(first), head.name);
		if (first == '/')
			return 1;
	}
	position = walk->position;
	if (length > NAME_MAX_BYTES || position < length + 1 || position > HG_PATH_MAX_BYTES) {
		walk->flags |= PATH_TRUNCATED;
		return 1;
	}
	position -= length;
	if (position >= HG_PATH_MAX_BYTES)
		return 1;
	bpf_probe_read_kernel(&scratch->walk.bytes[position], length & NAME_MAX_BYTES, head.name);
	position -= 1;
	if (position >= HG_PATH_MAX_BYTES)
		return 1;
	scratch->walk.bytes[position] = '/';
	walk->position = position;
	walk->dentry = (__u64)head.parent;
	return dentry == head.parent;
}

#define SHORT_STEPS_MAX 16
#define SHORT_NAME_MAX_BYTES 24

/*
 * As many steps as can be made without a call: of names that are short. Copies whole words, from the end of a name to its front:
 * what it writes too much lies before the name, where the next one goes. True: the walk has ended.
 */
static __always_inline bool path__walk_short(struct scratch *scratch)
{
	struct walk *walk = &scratch->walk_state;
	struct dentry *dentry = (struct dentry *)walk->dentry, *parent;
	__u32 position = walk->position, length;
	__u64 end;

#pragma clang loop unroll(disable)
	for (int step = 0; step < SHORT_STEPS_MAX; step++) {
		if (dentry == walk->mount_head.root) {
			if ((__u64)walk->mount_head.parent == walk->mount) {
				walk->flags |= PATH_ROOTED;
				walk->position = position;
				return true;
			}
			dentry = walk->mount_head.mountpoint;
			walk->mount = (__u64)walk->mount_head.parent;
			path__read_mount(&walk->mount_head, (struct mount *)walk->mount);
			continue;
		}
		parent = KERNEL_READ(dentry, d_parent);
		length = KERNEL_READ(dentry, d_name.len);
		OPAQUE(position);
		if (dentry == parent || length > SHORT_NAME_MAX_BYTES || position > HG_PATH_MAX_BYTES ||
		    position < SHORT_NAME_MAX_BYTES + 1)
			break;
		end = (__u64)KERNEL_READ(dentry, d_name.name) + length;
		*(__u64 *)&scratch->walk.bytes[position - 8] = KERNEL_READ_8(end - 8);
		if (length > 8)
			*(__u64 *)&scratch->walk.bytes[position - 16] = KERNEL_READ_8(end - 16);
		if (length > 16)
			*(__u64 *)&scratch->walk.bytes[position - 24] = KERNEL_READ_8(end - 24);
		position -= length + 1;
		OPAQUE(position);
		if (position >= HG_PATH_MAX_BYTES)
			break;
		scratch->walk.bytes[position] = '/';
		dentry = parent;
	}
	walk->dentry = (__u64)dentry;
	walk->position = position;
	return false;
}

/* The functions below are global on purpose: the verifier checks each once, by itself, instead of once per path that leads to
 * it. They take the scratch slot and kernel addresses as numbers, because only scalars cross such a call unchecked. */

/* Leaves the path in walk.bytes[start, HG_PATH_MAX_BYTES); the namespace's root is "/". Returns start with flags, or a negative
 * number. */
__noinline int path__walk(__u32 slot, __u64 dentry, __u64 mnt)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	__u32 start;

	if (!scratch)
		return -1;
	scratch->walked_file = 0;
	scratch->walk_state.dentry = dentry;
	scratch->walk_state.mount = (__u64)path__mount_of((struct vfsmount *)mnt);
	scratch->walk_state.position = HG_PATH_MAX_BYTES;
	scratch->walk_state.flags = 0;
	path__read_mount(&scratch->walk_state.mount_head, (struct mount *)scratch->walk_state.mount);
	if (!cfg_can_cast || !path__walk_short(scratch))
		bpf_loop(PATH_STEPS_MAX, path__step, &scratch, 0);
	start = scratch->walk_state.position;
	if (start == HG_PATH_MAX_BYTES) {
		start = HG_PATH_MAX_BYTES - 1;
		scratch->walk.bytes[HG_PATH_MAX_BYTES - 1] = '/';
	}
	return start | scratch->walk_state.flags;
}

/* Appends the walked path at strings[offset]. Returns its length in bytes; 0 when it did not fit. */
__noinline int path__append(__u32 slot, __u32 offset, __u32 start)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	__u32 length;

	start &= ~PATH_FLAGS;
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
