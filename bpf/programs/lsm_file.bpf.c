/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Acts on files, refused before they happen: hooks of the BPF LSM, each attached only while a rule that refuses or kills is about
 * its access. Their callers, and what is certain there:
 *   file_open            do_dentry_open(), the file is looked up and, with O_CREAT, made
 *   path_unlink, _rmdir  do_unlinkat(), do_rmdir(), the name exists
 *   path_rename, _link   do_renameat2(), do_linkat(), both names are looked up
 *   path_mkdir, _symlink,
 *   path_mknod           do_mkdirat(), do_symlinkat(), do_mknodat(), unix_bind_bsd(): the name does not exist
 *   path_mknod           also lookup_open() with O_CREAT, and there mostly before the directory is asked whether the name
 *                        exists: file__defer()
 *   path_truncate        do_truncate() by name; file_truncate (v6.2) by descriptor, before that path_truncate for both
 *   path_chmod, _chown   chmod_common(), chown_common()
 * A file system that works on another one's files (overlayfs) opens those through mounts in no namespace: they are not judged.
 *
 * What is not answered here passes and is found after the act (decision.bpf.c).
 */
#define FMODE_NOACCOUNT 0x20000000 /* include/linux/fs.h: a file behind another one */
#define FMODE_EXEC_FLAG 0x20	   /* __FMODE_EXEC in f_flags: an exec's, which exec rules judge */
#define MAX_ERRNO 4095

/* A macro before v6.15 (DCACHE_PAR_LOOKUP, include/linux/dcache.h); the value is relocated. */
enum dentry_flags { DCACHE_PAR_LOOKUP = 1 << 28 };

/* The last component of the path strings[offset, offset + length), as the key of `file_base`; false: none that fits. */
static __always_inline bool file__load_base(struct scratch *scratch, __u32 profile, __u32 offset, __u32 length)
{
	struct base_search search = {.path = scratch->key.path};
	__u32 tail = length < HG_KEY_PATH_BYTES ? length : HG_KEY_PATH_BYTES, from, base_length;

	OPAQUE(tail);
	from = offset + length - tail;
	OPAQUE(from);
	if (tail == 0 || tail > HG_KEY_PATH_BYTES || from > EXEC_STRINGS_MAX_BYTES)
		return false;
	__builtin_memset(&scratch->key, 0, sizeof(scratch->key));
	bpf_probe_read_kernel(scratch->prefix.path, tail, &scratch->strings[from]);
	search.path = scratch->prefix.path;
	bpf_loop(tail, verdict__find_base, &search, 0);
	/* No slash: the name alone is longer than a key. */
	if (search.start == 0 || search.start >= tail || search.start >= HG_KEY_PATH_BYTES)
		return false;
	from = search.start;
	base_length = tail - from;
	OPAQUE(base_length);
	OPAQUE(from);
	if (base_length == 0 || base_length >= HG_KEY_PATH_BYTES || from >= HG_KEY_PATH_BYTES)
		return false;
	scratch->key.profile = profile;
	scratch->key.length_bytes = base_length;
	bpf_probe_read_kernel(scratch->key.path, base_length, &scratch->prefix.path[from]);
	return true;
}

/* Stands where no entry does: the compiler moves arithmetic on a pointer before its test, which the verifier refuses. */
const volatile struct map_file_result cfg_nothing_decided = {};

/* Adds to scratch->result.violated the rules that these accesses to the path strings[offset, offset + length) violate. */
__noinline int file__judge_path(__u32 slot, __u32 offset, __u32 length)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	const volatile struct map_file_result *rooted = NULL, *base = NULL;
	__u32 profile, access;
	struct map_profile *rules;
	__u64 violated = 0;

	if (!scratch)
		return 0;
	profile = scratch->call.header.profile;
	access = scratch->question.access;
	rules = bpf_map_lookup_elem(&profiles, &profile);
	if (!rules || !verdict__load_keys(scratch, profile, offset, length))
		return 0;
	OPAQUE(length);
	if (length < HG_KEY_PATH_BYTES) {
		rooted = bpf_map_lookup_elem(&file_exact, &scratch->key);
		scratch->prefix.path[length] = '/'; /* `DIR/` is also about DIR itself */
		scratch->prefix.prefix_bits += 8;
	}
	if (!rooted)
		rooted = bpf_map_lookup_elem(&file_prefix, &scratch->prefix);
	if (rules->file_bases_count && file__load_base(scratch, profile, offset, length))
		base = bpf_map_lookup_elem(&file_base, &scratch->key);
	if (!rooted)
		rooted = &cfg_nothing_decided;
	if (!base)
		base = &cfg_nothing_decided;
	for (__u32 bit = 0; bit < HG_FILE_ACCESSES; bit++) {
		__u64 decided;

		if (!(access >> bit & 1))
			continue;
		decided = rooted->decided[bit];
		violated |= rooted->violated[bit] | (base->violated[bit] & ~decided);
		decided |= base->decided[bit];
		violated |= rules->file_default[bit] & ~decided;
	}
	scratch->result.violated |= violated;
	return 1;
}

/* The opcode by which an io_uring does this act: what a ring does is no syscall of its own. */
static __always_inline __u32 file__ring_opcode(__u32 act)
{
	switch (act) {
	case HG_ACT_OPEN:
		return HG_RING_OPENAT;
	case HG_ACT_RENAME:
		return HG_RING_RENAMEAT;
	case HG_ACT_UNLINK:
	case HG_ACT_RMDIR:
		return HG_RING_UNLINKAT;
	case HG_ACT_MKDIR:
		return HG_RING_MKDIRAT;
	case HG_ACT_SYMLINK:
		return HG_RING_SYMLINKAT;
	case HG_ACT_LINK:
		return HG_RING_LINKAT;
	default:
		return HG_RING_FTRUNCATE;
	}
}

/* The facts of a refused act beyond its verdict and paths. */
static __always_inline void file__fill(struct ev_call *call, const struct file_question *question,
				       struct task_struct *task)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(task);
	struct inode *inode = (struct inode *)question->inode;
	__u32 nr = syscall__nr(regs), abi = syscall__abi(task, &nr);

	call->act = question->act;
	call->fd = -1;
	call->flags |= HG_CALL_DECISION;
	if (syscall__is_of_ring(task, regs, nr)) {
		call->flags |= HG_CALL_IO_URING;
		call->nr = file__ring_opcode(question->act);
	} else {
		call->abi = abi;
		call->nr = nr;
		syscall__read_args(regs, call->abi, call->args);
	}
	if (question->act == HG_ACT_OPEN) {
		call->access = question->access & (HG_ACCESS_READ | HG_ACCESS_WRITE | HG_ACCESS_CREATE);
		call->facts[0] = question->open_flags;
	}
	if (!inode)
		return;
	call->inode = KERNEL_READ(inode, i_ino);
	call->dev = task__encode_dev(KERNEL_READ(inode, i_sb, s_dev));
	call->mode = KERNEL_READ(inode, i_mode);
	call->fd_kind = descriptor__kind(call->mode, KERNEL_READ(inode, i_sb, s_magic));
	if (task__is_upper_layer(inode))
		call->flags |= HG_CALL_UPPER_LAYER;
}

/* lookup_open() asks before it looks the name up, and takes the refusal back when the file is there. So the refusal is given here,
 * and told, charged to the budget and followed by the kill at the end of the open (on_open_end), where the result is known. */
static __always_inline int file__defer(struct scratch *scratch, const struct map_profile *rules, __u64 acting,
				       __u64 root_id)
{
	struct dentry *dentry = (struct dentry *)scratch->question.dentry;
	struct ev_call *call = &scratch->call;
	__u32 length = call->path_bytes;
	struct deferred *deferred;

	if (!verdict__budget(rules, call->header.profile, acting, root_id, false)) {
		decision__note_spared(call);
		return 0;
	}
	deferred = decision__deferred(call);
	if (!deferred)
		return 0;
	OPAQUE(length);
	if (length > HG_PATH_MAX_BYTES)
		return 0;
	__builtin_memcpy(&deferred->call, call, sizeof(*call));
	bpf_probe_read_kernel(deferred->strings, length, scratch->strings);
	deferred->strings_bytes = length;
	deferred->dentry = (__u64)dentry;
	deferred->parent = (__u64)KERNEL_READ(dentry, d_parent);
	deferred->name_hash = KERNEL_READ(dentry, d_name.hash);
	deferred->is_waiting = 1;
	return 1;
}

/* Did the name turn out to be there? Then the open failed for a reason of its own (an append-only or immutable file, O_NOATIME on
 * another's). One that somebody else makes at this moment passes for such: its refusal is told as a failed open only. */
static __always_inline bool file__was_there(const struct deferred *deferred)
{
	struct dentry *dentry = (struct dentry *)deferred->dentry;

	return (__u64)KERNEL_READ(dentry, d_parent) == deferred->parent &&
	       KERNEL_READ(dentry, d_name.hash) == deferred->name_hash && KERNEL_READ(dentry, d_inode);
}

/* The open has got as far as its file: there was nothing to make. */
static __always_inline void file__forget_deferral(void)
{
	struct deferred *deferred;

	if (!any_act_deferred)
		return;
	deferred = bpf_task_storage_get(&deferrals, bpf_get_current_task_btf(), 0, 0);
	if (deferred)
		deferred->is_waiting = 0;
}

/* Is the act of scratch->question refused? Then it is reported. scratch->call was begun. */
__noinline int file__judge(__u32 slot)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	struct task_struct *task = bpf_get_current_task_btf();
	struct file_question *question;
	__u32 profile, strings_bytes;
	struct map_profile *rules;
	struct map_cgroup *entry;
	struct ev_call *call;
	__u64 acting;

	if (!scratch)
		return 0;
	question = &scratch->question;
	call = &scratch->call;
	profile = call->header.profile;
	rules = bpf_map_lookup_elem(&profiles, &profile);
	entry = task__cgroup_entry(call->header.cgroup_id);
	if (!rules || !entry)
		return 0;
	scratch->result.violated = 0;
	call->path_bytes = decision__append_path(slot, call, 0, question->dentry, question->mnt);
	strings_bytes = call->path_bytes;
	if (question->other_dentry) {
		call->path2_bytes =
			decision__append_path(slot, call, strings_bytes, question->other_dentry, question->other_mnt);
		strings_bytes += call->path2_bytes;
	}
	if (call->flags & HG_CALL_PATH_TRUNCATED)
		return 0;
	file__judge_path(slot, 0, call->path_bytes);
	if (question->other_dentry)
		file__judge_path(slot, call->path_bytes, call->path2_bytes);
	acting = decision__weigh(&call->header, rules, rules->file_rules, scratch->result.violated);
	if (!acting)
		return 0;
	file__fill(call, question, task);
	if (question->is_uncertain)
		return file__defer(scratch, rules, acting, entry->root_id);
	if (!decision__act(call, verdict__refuse(rules, profile, acting, entry->root_id)))
		return 0;
	call__output(slot, strings_bytes);
	return 1;
}

/* A mount that is in no namespace is the kernel's own. */
static __always_inline bool file__is_internal(__u64 mnt)
{
	struct mount *mount = path__mount_of((struct vfsmount *)mnt);
	__u64 mnt_ns = (__u64)KERNEL_READ(mount, mnt_ns);

	return mnt_ns >= (__u64)-MAX_ERRNO; /* MNT_NS_INTERNAL */
}

/* The cheap tests first; what is answered with 0 passes. */
static __always_inline int file__ask(const struct file_question *question)
{
	struct decision decision;
	struct scratch *scratch;
	__u32 slot;

	if (!decision__find(&decision) || !(decision.rules->file_access & question->access) ||
	    !decision__may_act(&decision, decision.rules->file_rules) || file__is_internal(question->mnt))
		return 0;
	slot = decision__begin(&decision);
	if (!slot)
		return 0;
	scratch = bpf_map_lookup_elem(&scratches, &slot);
	if (scratch)
		scratch->question = *question;
	return decision__end(slot, file__judge(slot));
}

/* An act on one name. */
static __always_inline int file__ask_name(__u32 act, __u32 access, const struct vfsmount *mnt, struct dentry *dentry)
{
	struct file_question question = {.act = act, .access = access};

	question.dentry = (__u64)dentry;
	question.mnt = (__u64)mnt;
	question.inode = (__u64)KERNEL_READ(dentry, d_inode);
	return file__ask(&question);
}

SEC("lsm/file_open")
int BPF_PROG(on_file_open, struct file *file, int ret)
{
	struct file_question question = {.act = HG_ACT_OPEN};
	__u32 mode = file->f_mode;

	if (ret)
		return ret;
	if ((mode & FMODE_NOACCOUNT) || (file->f_flags & FMODE_EXEC_FLAG))
		return 0;
	file__forget_deferral();
	question.access = mode & (FMODE_READ | FMODE_WRITE); /* the same bits */
	question.dentry = (__u64)file->f_path.dentry;
	question.mnt = (__u64)file->f_path.mnt;
	question.inode = (__u64)file->f_inode;
	question.open_flags = file->f_flags & ~FMODE_EXEC_FLAG;
	return file__ask(&question);
}

SEC("lsm/path_unlink")
int BPF_PROG(on_path_unlink, const struct path *dir, struct dentry *dentry, int ret)
{
	return ret ? ret : file__ask_name(HG_ACT_UNLINK, HG_FILE_DELETE, dir->mnt, dentry);
}

SEC("lsm/path_rmdir")
int BPF_PROG(on_path_rmdir, const struct path *dir, struct dentry *dentry, int ret)
{
	return ret ? ret : file__ask_name(HG_ACT_RMDIR, HG_FILE_DELETE, dir->mnt, dentry);
}

SEC("lsm/path_mkdir")
int BPF_PROG(on_path_mkdir, const struct path *dir, struct dentry *dentry, unsigned short mode, int ret)
{
	return ret ? ret : file__ask_name(HG_ACT_MKDIR, HG_FILE_CREATE, dir->mnt, dentry);
}

SEC("lsm/path_symlink")
int BPF_PROG(on_path_symlink, const struct path *dir, struct dentry *dentry, const char *target, int ret)
{
	return ret ? ret : file__ask_name(HG_ACT_SYMLINK, HG_FILE_CREATE, dir->mnt, dentry);
}

SEC("lsm/path_mknod")
int BPF_PROG(on_path_mknod, const struct path *dir, struct dentry *dentry, unsigned short mode, unsigned int dev,
	     int ret)
{
	struct file_question question = {.act = HG_ACT_OPEN, .access = HG_FILE_CREATE};
	__u32 in_lookup = 1 << 28;

	if (ret)
		return ret;
	if (bpf_core_enum_value_exists(enum dentry_flags, DCACHE_PAR_LOOKUP))
		in_lookup = bpf_core_enum_value(enum dentry_flags, DCACHE_PAR_LOOKUP);
	question.dentry = (__u64)dentry;
	question.mnt = (__u64)dir->mnt;
	question.is_uncertain = !!(dentry->d_flags & in_lookup);
	return file__ask(&question);
}

SEC("lsm/path_link")
int BPF_PROG(on_path_link, struct dentry *old, const struct path *dir, struct dentry *dentry, int ret)
{
	struct file_question question = {.act = HG_ACT_LINK, .access = HG_FILE_LINK};

	if (ret)
		return ret;
	question.dentry = (__u64)old;
	question.mnt = (__u64)dir->mnt; /* both are on one mount: do_linkat() */
	question.inode = (__u64)KERNEL_READ(old, d_inode);
	question.other_dentry = (__u64)dentry;
	question.other_mnt = (__u64)dir->mnt;
	return file__ask(&question);
}

SEC("lsm/path_rename")
int BPF_PROG(on_path_rename, const struct path *old_dir, struct dentry *old, const struct path *dir,
	     struct dentry *dentry, unsigned int flags, int ret)
{
	struct file_question question = {.act = HG_ACT_RENAME, .access = HG_FILE_RENAME};

	if (ret)
		return ret;
	question.dentry = (__u64)old;
	question.mnt = (__u64)old_dir->mnt;
	question.inode = (__u64)KERNEL_READ(old, d_inode);
	question.other_dentry = (__u64)dentry;
	question.other_mnt = (__u64)dir->mnt;
	return file__ask(&question);
}

SEC("lsm/path_truncate")
int BPF_PROG(on_path_truncate, const struct path *path, int ret)
{
	return ret ? ret : file__ask_name(HG_ACT_TRUNCATE, HG_FILE_WRITE, path->mnt, path->dentry);
}

SEC("lsm/file_truncate")
int BPF_PROG(on_file_truncate, struct file *file, int ret)
{
	return ret ? ret : file__ask_name(HG_ACT_TRUNCATE, HG_FILE_WRITE, file->f_path.mnt, file->f_path.dentry);
}

SEC("lsm/path_chmod")
int BPF_PROG(on_path_chmod, const struct path *path, unsigned short mode, int ret)
{
	return ret ? ret : file__ask_name(HG_ACT_CHMOD, HG_FILE_CHMOD, path->mnt, path->dentry);
}

SEC("lsm/path_chown")
int BPF_PROG(on_path_chown, const struct path *path, unsigned int uid, unsigned int gid, int ret)
{
	return ret ? ret : file__ask_name(HG_ACT_CHOWN, HG_FILE_CHOWN, path->mnt, path->dentry);
}

/* Ends what file__defer() began. */
SEC("fexit/do_filp_open")
int BPF_PROG(on_open_end, int dirfd, void *name, const void *flags, struct file *opened)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct deferred *deferred = bpf_task_storage_get(&deferrals, task, 0, 0);
	struct map_profile *rules;
	struct map_cgroup *entry;
	struct ev_header *header;
	__u32 profile, length;
	__u8 action;

	if (!deferred || !deferred->is_waiting)
		return 0;
	deferred->is_waiting = 0;
	if ((long)opened != -EPERM || file__was_there(deferred))
		return 0;
	header = &deferred->call.header;
	profile = header->profile;
	rules = bpf_map_lookup_elem(&profiles, &profile);
	entry = task__cgroup_entry(header->cgroup_id);
	action = rules && entry ? verdict__refuse(rules, profile, header->violated, entry->root_id) : HG_ACTION_DENIED;
	/* It was refused, whatever has become of the budget since. */
	header->action = verdict__is_refusal(action) ? action : HG_ACTION_DENIED;
	call__number(header, task);
	length = deferred->strings_bytes;
	OPAQUE(length);
	if (length > HG_PATH_MAX_BYTES)
		return 0;
	header->size_bytes = sizeof(deferred->call) + length;
	emit__output(header, sizeof(deferred->call) + length, true);
	return 0;
}
