/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a descriptor of the current task stands for, into scratch->call. The kernel's own objects are read, after the call: when
 * another thread has closed or exchanged the descriptor in between, it is what is there now that is told.
 */
#ifndef HULLGUARD_DESCRIPTOR_BPF_H
#define HULLGUARD_DESCRIPTOR_BPF_H

#include "path.bpf.h"
#include "task.bpf.h"

#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10

#define S_IFMT 0170000 /* include/uapi/linux/stat.h */
#define S_IFSOCK 0140000
#define S_IFLNK 0120000
#define S_IFREG 0100000
#define S_IFBLK 0060000
#define S_IFDIR 0040000
#define S_IFCHR 0020000
#define S_IFIFO 0010000

#define ANON_INODE_FS_MAGIC 0x09041934 /* include/uapi/linux/magic.h */
#define NSFS_MAGIC 0x6e736673
#define PIDFS_MAGIC 0x50494446
#define PIPEFS_MAGIC 0x50495045

/* struct file * of a descriptor of the current task, 0 when it is not open. */
static __always_inline __u64 descriptor__file(__u32 fd)
{
	struct fdtable *table = ((struct task_struct *)bpf_get_current_task_btf())->files->fdt;

	if (fd >= table->max_fds)
		return 0;
	return (__u64)KERNEL_READ((struct hlist_head *)&table->fd[fd], first); /* a type that begins with a pointer */
}

static __always_inline __u8 descriptor__kind(__u32 mode, __u64 magic)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return magic == NSFS_MAGIC ? HG_FD_NAMESPACE : magic == PIDFS_MAGIC ? HG_FD_ANON : HG_FD_FILE;
	case S_IFDIR:
		return HG_FD_DIRECTORY;
	case S_IFIFO:
		return HG_FD_FIFO;
	case S_IFCHR:
		return HG_FD_CHAR_DEVICE;
	case S_IFBLK:
		return HG_FD_BLOCK_DEVICE;
	case S_IFSOCK:
		return HG_FD_SOCKET;
	case S_IFLNK:
		return HG_FD_SYMLINK;
	default:
		return HG_FD_ANON;
	}
}

static __always_inline void descriptor__put_ipv4(__u8 *out, __u32 address)
{
	__builtin_memset(out, 0, 10);
	out[10] = 0xff;
	out[11] = 0xff;
	__builtin_memcpy(&out[12], &address, 4);
}

/* Both ends of an IPv4 or IPv6 socket; the far one only when it has one. */
static __always_inline void descriptor__read_ends(struct ev_call *call, const struct sock *sk)
{
	call->local_port = KERNEL_READ(sk, __sk_common.skc_num);
	call->remote_port = bpf_ntohs(KERNEL_READ(sk, __sk_common.skc_dport));
	if (call->family == AF_INET) {
		descriptor__put_ipv4(call->local, KERNEL_READ(sk, __sk_common.skc_rcv_saddr));
		if (call->remote_port)
			descriptor__put_ipv4(call->remote, KERNEL_READ(sk, __sk_common.skc_daddr));
		return;
	}
	bpf_probe_read_kernel(call->local, 16,
			      (void *)sk + bpf_core_field_offset(struct sock_common, skc_v6_rcv_saddr));
	if (call->remote_port)
		bpf_probe_read_kernel(call->remote, 16,
				      (void *)sk + bpf_core_field_offset(struct sock_common, skc_v6_daddr));
}

/* The process that a struct pid stands for, while it lives: the socket holds on to the struct pid, so a number that is used again
 * is never taken for it. */
static __always_inline void descriptor__read_target(struct ev_call *call, const struct pid *pid)
{
	struct hlist_node *first = KERNEL_READ(pid, tasks[PIDTYPE_TGID].first);
	struct task_struct *task;

	call->target_pid = task__pid_at(pid, 0);
	if (!first)
		return;
	task = (void *)first - bpf_core_field_offset(struct task_struct, pid_links) -
	       PIDTYPE_TGID * bpf_core_type_size(struct hlist_node);
	if (KERNEL_READ(task, tgid) != call->target_pid)
		return;
	call->target_start_ns = KERNEL_READ(task, group_leader, start_boottime);
	call->target_cgroup_id = task__cgroup_id(task);
}

/* The process and the container at the other end of a unix socket: of a stream the process that listens, else (it has ended, or
 * these are datagrams) the cgroup in which the other socket was made, on hosts where sockets know one. */
static __always_inline void descriptor__read_peer(struct ev_call *call, const struct sock *sk)
{
	struct pid *pid = KERNEL_READ(sk, sk_peer_pid);
	struct sock *peer;

	if (pid)
		descriptor__read_target(call, pid);
	if (call->target_cgroup_id || cfg_use_memory_css || cfg_hierarchy_id ||
	    !bpf_core_field_exists(struct unix_sock, peer))
		return;
	peer = KERNEL_READ((struct unix_sock *)sk, peer);
	if (peer && bpf_core_field_exists(struct sock_cgroup_data, cgroup))
		call->target_cgroup_id = KERNEL_READ(peer, sk_cgrp_data.cgroup, kn, id);
}

/* Reads the file at address `file` (not 0) as descriptor `fd`; leaves its address in scratch->file. */
__noinline int descriptor__read(__u32 slot, __u64 address, __u32 fd)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	struct file *file = (struct file *)address;
	struct inode *inode = KERNEL_READ(file, f_inode);
	struct ev_call *call;
	struct socket *sock;
	struct sock *sk;
	__u64 magic;

	if (!scratch || !inode)
		return -1;
	call = &scratch->call;
	scratch->file = address;
	call->fd = fd;
	call->inode = KERNEL_READ(inode, i_ino);
	call->dev = task__encode_dev(KERNEL_READ(inode, i_sb, s_dev));
	call->mode = KERNEL_READ(inode, i_mode);
	magic = KERNEL_READ(inode, i_sb, s_magic);
	call->fd_kind = magic == ANON_INODE_FS_MAGIC ? HG_FD_ANON : descriptor__kind(call->mode, magic);
	if (call->act == HG_ACT_OPEN && (call->fd_kind == HG_FD_CHAR_DEVICE || call->fd_kind == HG_FD_BLOCK_DEVICE))
		call->facts[3] = task__encode_dev(KERNEL_READ(inode, i_rdev));
	if (call->fd_kind == HG_FD_FILE || call->fd_kind == HG_FD_DIRECTORY) {
		if (task__is_upper_layer(inode))
			call->flags |= HG_CALL_UPPER_LAYER;
		if (KERNEL_READ(inode, i_nlink) == 0)
			call->flags |= path__is_memfd(inode, KERNEL_READ(file, f_path.dentry)) ? HG_CALL_MEMFD :
												 HG_CALL_DELETED;
		return 0;
	}
	if (call->fd_kind != HG_FD_SOCKET)
		return 0;
	sock = KERNEL_READ(file, private_data);
	sk = KERNEL_READ(sock, sk);
	call->socket_type = KERNEL_READ(sock, type);
	if (!sk)
		return 0;
	call->family = KERNEL_READ(sk, __sk_common.skc_family);
	call->proto = KERNEL_READ(sk, sk_protocol);
	if (call->family == AF_INET || call->family == AF_INET6)
		descriptor__read_ends(call, sk);
	else if (call->family == AF_UNIX)
		descriptor__read_peer(call, sk);
	return 0;
}

/* The address of the unix socket in scratch->file, or else of its peer; of a connect the peer's alone. Sockets that were accepted
 * share it with the one that listens. */
static __always_inline struct unix_address *descriptor__unix_address(const struct scratch *scratch)
{
	struct file *file = (struct file *)scratch->file;
	struct socket *sock = KERNEL_READ(file, private_data);
	struct sock *sk = KERNEL_READ(sock, sk), *peer;
	struct unix_address *address = NULL;

	if (scratch->call.act != HG_ACT_UNIX_CONNECT)
		address = KERNEL_READ((struct unix_sock *)sk, addr);
	if (address)
		return address;
	peer = KERNEL_READ((struct unix_sock *)sk, peer);
	return peer ? KERNEL_READ((struct unix_sock *)peer, addr) : NULL;
}

/* Appends that address: a path, or `@` and an abstract name. */
__noinline int descriptor__append_unix(__u32 slot, __u32 offset)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	struct unix_address *address;
	__u32 length;
	char *name;

	if (!scratch || !scratch->file || offset > 3 * HG_PATH_MAX_BYTES ||
	    !bpf_core_field_exists(struct unix_sock, addr))
		return 0;
	address = descriptor__unix_address(scratch);
	if (!address)
		return 0;
	length = KERNEL_READ(address, len) - 2; /* without sun_family */
	OPAQUE(length);
	OPAQUE(offset);
	if (length == 0 || length > 108 || offset > 3 * HG_PATH_MAX_BYTES)
		return 0;
	name = (char *)address + bpf_core_field_offset(struct unix_address, name) + 2;
	if (bpf_probe_read_kernel(&scratch->strings[offset], length, name))
		return 0;
	if (scratch->strings[offset] == 0)
		scratch->strings[offset] = '@';
	else if (length > 1) /* a path ends in a NUL that is counted */
		length -= 1;
	return length;
}

/* Appends the kernel's name of a namespace, as readlink(2) shows it: `uts:[4026531838]`. */
__noinline int descriptor__append_namespace(__u32 slot, __u32 offset, __u64 namespace)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	const struct ns_common *common = (const struct ns_common *)namespace;
	char type[16] = {};
	long length;

	OPAQUE(offset);
	if (!scratch || !common || offset > 3 * HG_PATH_MAX_BYTES)
		return 0;
	bpf_probe_read_kernel_str(type, sizeof(type), KERNEL_READ(common, ops, name));
	length = BPF_SNPRINTF(&scratch->strings[offset], NAME_MAX_BYTES, "%s:[%u]", type, KERNEL_READ(common, inum));
	return length > 1 && length < NAME_MAX_BYTES ? length - 1 : 0;
}

/* Has the file in scratch->file a place in a tree of mounts? A socket or a namespace does where its path was opened (O_PATH, a
 * bind mount), not where it came from a call of its own. */
static __always_inline bool descriptor__has_place(const struct scratch *scratch, struct file *file,
						  const struct dentry *dentry)
{
	switch (scratch->call.fd_kind) {
	case HG_FD_SOCKET:
		return !KERNEL_READ(file, private_data);
	case HG_FD_ANON:
	case HG_FD_NAMESPACE:
		return dentry == KERNEL_READ(file, f_path.mnt, mnt_root);
	default:
		return true;
	}
}

/* Appends the name of the file in scratch->file: its path, or for a file in no file system the kernel's name of it. */
__noinline int descriptor__append_path(__u32 slot, __u32 offset)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	struct dentry *dentry;
	struct file *file;
	__u64 magic;
	long length;
	int start;

	if (!scratch || !scratch->file || offset > 3 * HG_PATH_MAX_BYTES)
		return 0;
	file = (struct file *)scratch->file;
	dentry = KERNEL_READ(file, f_path.dentry);
	if (!descriptor__has_place(scratch, file, dentry)) {
		if (scratch->call.fd_kind == HG_FD_SOCKET)
			return scratch->call.family == AF_UNIX ? descriptor__append_unix(slot, offset) : 0;
		if (scratch->call.fd_kind == HG_FD_NAMESPACE)
			return descriptor__append_namespace(slot, offset, (__u64)KERNEL_READ(file, f_inode, i_private));
		OPAQUE(offset);
		if (offset > 3 * HG_PATH_MAX_BYTES)
			return 0;
		length = bpf_probe_read_kernel_str(&scratch->strings[offset], NAME_MAX_BYTES,
						   KERNEL_READ(dentry, d_name.name));
		return length > 1 ? length - 1 : 0;
	}
	magic = KERNEL_READ(file, f_inode, i_sb, s_magic);
	if (magic == PIPEFS_MAGIC)
		return 0;
	start = scratch->walked_file == scratch->file ?
			scratch->walked_start :
			path__walk(slot, (__u64)dentry, (__u64)KERNEL_READ(file, f_path.mnt));
	if (start & PATH_TRUNCATED)
		scratch->call.flags |= HG_CALL_PATH_TRUNCATED;
	return path__append(slot, offset, start);
}

#endif
