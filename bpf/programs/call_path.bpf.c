/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The one or two paths of a call, into scratch->strings, and the strings that the program gave, into scratch->raw.
 *
 * A path that only the user's string can tell (a name that was removed, an open that failed) is that string joined to its
 * directory, and flagged: it is read after the call, when another thread could have changed it.
 */
#define AT_FDCWD (-100)
#define SUN_PATH_MAX_BYTES 108 /* include/uapi/linux/un.h */

/* Reads a string of the user into half `which` of scratch->raw. Returns its length; 0 when it cannot be read. */
__noinline int call__read_raw(__u32 slot, __u32 which, __u64 address)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	long length;

	if (!scratch || !address)
		return 0;
	length = bpf_probe_read_user_str(&scratch->raw[which ? HG_PATH_MAX_BYTES : 0], HG_PATH_MAX_BYTES,
					 (void *)address);
	if (length < 0) {
		emit__count_unread(&scratch->call.header, HG_KIND_CALL);
		scratch->call.flags |= HG_CALL_PATH_TRUNCATED;
		return 0;
	}
	if (length == HG_PATH_MAX_BYTES)
		scratch->call.flags |= HG_CALL_PATH_TRUNCATED;
	/* Of an empty string 6.1 and 6.12 say 0 and later kernels 1. */
	return length > 1 ? length - 1 : 0;
}

/* Appends at strings[offset] half `which` of scratch->raw, of `length` bytes. Returns how many went there. */
__noinline int call__append_raw(__u32 slot, __u32 offset, __u32 which, __u32 length)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);

	OPAQUE(length);
	OPAQUE(offset);
	if (!scratch || length == 0 || length >= HG_PATH_MAX_BYTES || offset > 4 * HG_PATH_MAX_BYTES)
		return 0;
	bpf_probe_read_kernel(&scratch->strings[offset], length, &scratch->raw[which ? HG_PATH_MAX_BYTES : 0]);
	return length;
}

/* Appends at strings[offset] the string in half `which` of scratch->raw joined to the directory `dirfd`, canonical. */
__noinline int call__append_joined(__u32 slot, __u32 offset, __u32 which, __u32 raw_bytes, __u32 dirfd)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	struct fs_struct *fs = KERNEL_READ(bpf_get_current_task_btf(), fs);
	struct canonicalise work = {.scratch = scratch, .start = offset};
	__u32 length;
	struct file *file;
	int start;

	if (!scratch || offset > HG_PATH_MAX_BYTES)
		return 0;
	scratch->call.flags |= HG_CALL_PATH_UNRESOLVED;
	if (scratch->raw[which ? HG_PATH_MAX_BYTES : 0] == '/') {
		start = path__walk(slot, (__u64)KERNEL_READ(fs, root.dentry), (__u64)KERNEL_READ(fs, root.mnt));
	} else if ((__s32)dirfd == AT_FDCWD) {
		start = path__walk(slot, (__u64)KERNEL_READ(fs, pwd.dentry), (__u64)KERNEL_READ(fs, pwd.mnt));
	} else {
		file = (struct file *)descriptor__file(dirfd);
		if (!file)
			return 0;
		start = path__walk(slot, (__u64)KERNEL_READ(file, f_path.dentry), (__u64)KERNEL_READ(file, f_path.mnt));
	}
	if (start & PATH_TRUNCATED)
		scratch->call.flags |= HG_CALL_PATH_TRUNCATED;
	length = path__append(slot, offset, start);
	OPAQUE(length);
	OPAQUE(offset);
	if (length > HG_PATH_MAX_BYTES || offset > HG_PATH_MAX_BYTES)
		return 0;
	scratch->strings[offset + length] = '/';
	length += 1;
	length += call__append_raw(slot, offset + length, which, raw_bytes);
	canonical__begin(&scratch->canonical);
	bpf_loop(length, process__canonical_step, &work, 0);
	canonical__finish(&scratch->canonical);
	if (scratch->canonical.truncated)
		scratch->call.flags |= HG_CALL_PATH_TRUNCATED;
	length = scratch->canonical.length;
	OPAQUE(length);
	OPAQUE(offset);
	if (length == 0 || length > HG_PATH_MAX_BYTES || offset > HG_PATH_MAX_BYTES)
		return 0;
	bpf_probe_read_kernel(&scratch->strings[offset], length, scratch->canonical.out);
	return length;
}

/* The address that a connect of a unix socket named, which has come to nothing: as the user gave it, from strings[0] on. */
__noinline int call__append_unix_name(__u32 slot)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	__u32 length;
	__u64 name;

	if (!scratch)
		return 0;
	name = scratch->call.args[1] + sizeof(__u16) /* sun_family */;
	length = scratch->call.args[2];
	OPAQUE(length);
	if (length <= sizeof(__u16) || length > sizeof(__u16) + SUN_PATH_MAX_BYTES)
		return 0;
	length -= sizeof(__u16);
	OPAQUE(length);
	if (length > SUN_PATH_MAX_BYTES || bpf_probe_read_user(scratch->strings, length, (void *)name))
		return 0;
	scratch->call.flags |= HG_CALL_USER_MEMORY;
	if (scratch->strings[0] == 0) {
		scratch->strings[0] = '@';
		return length;
	}
	for (__u32 i = 1; i < SUN_PATH_MAX_BYTES; i++)
		if (i >= length || scratch->strings[i] == 0)
			return i;
	return length;
}

/* An empty path with AT_EMPTY_PATH: the call was about the descriptor itself. */
static __always_inline void call__use_dirfd(__u32 slot, struct ev_call *call, const struct map_recipe *recipe)
{
	__u32 fd = call__arg(call, recipe->dirfd_arg);
	__u64 file = descriptor__file(fd);

	call->fd = fd;
	if (file)
		descriptor__read(slot, file, fd);
}

/* What the current task's root directory is now. */
__noinline int call__append_root(__u32 slot)
{
	struct fs_struct *fs = KERNEL_READ(bpf_get_current_task_btf(), fs);
	int start = path__walk(slot, (__u64)KERNEL_READ(fs, root.dentry), (__u64)KERNEL_READ(fs, root.mnt));

	return path__append(slot, 0, start);
}

/* path and path2, with their raw strings in scratch->raw. Returns the bytes of both, or -1. */
__noinline int call__write_paths(__u32 slot, __u32 index)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	struct map_recipe *recipe = bpf_map_lookup_elem(&recipes, &index);
	__u32 dirfd = AT_FDCWD, raw_bytes = 0, length = 0;
	struct ev_call *call;

	if (!scratch || !recipe)
		return -1;
	call = &scratch->call;
	if (recipe->path_arg) {
		raw_bytes = call__read_raw(slot, 0, call__arg(call, recipe->path_arg));
		call->raw_bytes = raw_bytes;
		if (raw_bytes == 0 && (recipe->flags & HG_RECIPE_EMPTY_PATH) && recipe->dirfd_arg && !scratch->file)
			call__use_dirfd(slot, call, recipe);
	}
	if (scratch->file) {
		length = descriptor__append_path(slot, 0);
		if (length == 0 && call->act == HG_ACT_UNIX_CONNECT)
			length = call__append_unix_name(slot);
	} else if (call->act == HG_ACT_CHROOT && call->result == 0) {
		length = call__append_root(slot);
	} else if (raw_bytes && !(recipe->flags & HG_RECIPE_RAW)) {
		if (recipe->dirfd_arg)
			dirfd = call__arg(call, recipe->dirfd_arg);
		length = call__append_joined(slot, 0, 0, raw_bytes, dirfd);
	}
	OPAQUE(length);
	if (length > HG_PATH_MAX_BYTES)
		return -1;
	call->path_bytes = length;
	if (!recipe->path2_arg)
		return length;
	raw_bytes = call__read_raw(slot, 1, call__arg(call, recipe->path2_arg));
	call->raw2_bytes = raw_bytes;
	if (raw_bytes == 0 || (recipe->flags & HG_RECIPE_RAW2))
		return length;
	dirfd = recipe->dirfd2_arg ? call__arg(call, recipe->dirfd2_arg) : AT_FDCWD;
	call->path2_bytes = call__append_joined(slot, length, 1, raw_bytes, dirfd);
	return length + call->path2_bytes;
}
