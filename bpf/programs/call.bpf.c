/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Acts that are syscalls, at their end: the result is known, and what the call was about is read from the kernel's own objects
 * (docs/decisions/0008). Hooks, attached only while somebody wants an act that they show:
 *   sys_exit: syscall_exit_work() -> trace_sys_exit(), for every syscall of the host; one array lookup when nobody wants it.
 *   signal_generate: __send_signal_locked(), with the sender current and the target at hand.
 * What a syscall is and where its arguments stand is said by `recipes`, which user space fills by name for each ABI.
 *
 * A path that only the user's string can tell (a name that was removed, an open that failed) is that string joined to its
 * directory, and flagged: it is read after the call, when another thread could have changed it.
 * Fail direction: what cannot be read is left empty; an event that finds no room is counted.
 */
#define AT_FDCWD (-100)
#define NR_IA32_SOCKETCALL 102
#define NR_IA32_IPC 117
#define PROT_WRITE 2
#define PROT_EXEC 4
#define MAP_ANONYMOUS 0x20
#define PTRACE_TRACEME 0
#define PTRACED_MAX 32			  /* tasks of one tracer that are looked through for the target */
#define REPEAT_INTERVAL_NS 10000000000ULL /* as for sends: one report in 10 s, with an exact count */
#define SOCKADDR_BYTES 110		  /* sizeof(struct sockaddr_un) */
#define CAP_ACTS (1ULL << HG_ACT_SETUID | 1ULL << HG_ACT_CAPSET | 1ULL << HG_ACT_SETNS | 1ULL << HG_ACT_UNSHARE)

/* Arguments count from 1; 0 has none. */
static __always_inline __u64 call__arg(const struct ev_call *call, __u32 number)
{
	__u32 index = number - 1;

	OPAQUE(index);
	return index < 6 ? call->args[index] : 0;
}

/* Options of prctl(2) that change what the process may do or what it looks like. */
static __always_inline bool call__is_prctl_of_interest(__u32 option)
{
	switch (option) {
	case 4:		 /* PR_SET_DUMPABLE */
	case 15:	 /* PR_SET_NAME */
	case 22:	 /* PR_SET_SECCOMP */
	case 24:	 /* PR_CAPBSET_DROP */
	case 28:	 /* PR_SET_SECUREBITS */
	case 35:	 /* PR_SET_MM */
	case 38:	 /* PR_SET_NO_NEW_PRIVS */
	case 47:	 /* PR_CAP_AMBIENT */
	case 0x59616d61: /* PR_SET_PTRACER */
		return true;
	default:
		return false;
	}
}

/* ia32's ipc(2) is many calls in one: those that get or attach something are meant (include/uapi/linux/ipc.h). */
static __always_inline bool call__is_ipc_of_interest(const struct ev_call *call)
{
	if (call->abi != SYSCALL_IA32 || call->nr != NR_IA32_IPC)
		return true;
	switch (call->args[0] & 0xffff) {
	case 2:	 /* SEMGET */
	case 13: /* MSGGET */
	case 21: /* SHMAT */
	case 23: /* SHMGET */
		return true;
	default:
		return false;
	}
}

/* Is this call one of those that its act means? */
static __always_inline bool call__is_of_interest(const struct ev_call *call)
{
	switch (call->act) {
	case HG_ACT_MMAP:
		return (call->args[2] & PROT_EXEC) && ((call->args[2] & PROT_WRITE) || (call->args[3] & MAP_ANONYMOUS));
	case HG_ACT_MPROTECT:
		return call->args[2] & PROT_EXEC;
	case HG_ACT_PRCTL:
		return call__is_prctl_of_interest(call->args[0]);
	case HG_ACT_IPC:
		return call__is_ipc_of_interest(call);
	case HG_ACT_SIGNAL: /* one that worked is seen at signal_generate */
		return call->result < 0;
	default:
		return true;
	}
}

static __always_inline void call__read_creds(struct ev_call *call, const struct task_struct *task)
{
	const struct cred *cred = BPF_CORE_READ(task, cred);

	if (call->act == HG_ACT_SETUID) {
		call->facts[0] = BPF_CORE_READ(cred, uid.val);
		call->facts[1] = BPF_CORE_READ(cred, euid.val);
		call->facts[2] = BPF_CORE_READ(cred, suid.val);
		call->facts[3] = BPF_CORE_READ(cred, fsuid.val);
	} else if (call->act == HG_ACT_SETGID) {
		call->facts[0] = BPF_CORE_READ(cred, gid.val);
		call->facts[1] = BPF_CORE_READ(cred, egid.val);
		call->facts[2] = BPF_CORE_READ(cred, sgid.val);
		call->facts[3] = BPF_CORE_READ(cred, fsgid.val);
	} else if (call->act == HG_ACT_CAPSET) {
		call->facts[0] = task__read_caps(cred, bpf_core_field_offset(struct cred, cap_effective));
		call->facts[1] = task__read_caps(cred, bpf_core_field_offset(struct cred, cap_permitted));
		call->facts[2] = task__read_caps(cred, bpf_core_field_offset(struct cred, cap_inheritable));
		call->facts[3] = task__read_caps(cred, bpf_core_field_offset(struct cred, cap_ambient));
	}
}

/* What an open asked for, and for one that worked what it got. */
static __always_inline void call__read_access(const struct scratch *scratch, struct ev_call *call, __u32 recipe_flags)
{
	__u32 mode, access;
	struct file *file;
	__u64 flags;

	if (recipe_flags & HG_RECIPE_OPEN_HOW) {
		call->flags |= HG_CALL_USER_MEMORY;
		if (bpf_probe_read_user(call->facts, 24, (void *)call->args[2]))
			emit__count_drop(HG_DROP_HELPER, HG_KIND_CALL);
	}
	flags = call->facts[0];
	access = open__asked(flags);
	if (scratch->file) {
		file = (struct file *)scratch->file;
		mode = BPF_CORE_READ(file, f_mode);
		access |= open__granted(mode);
		if (mode & FMODE_CREATED)
			call->flags |= HG_CALL_CREATED;
	} else {
		if ((flags & O_ACCMODE) != 1)
			access |= HG_ACCESS_READ;
		if (flags & O_ACCMODE)
			access |= HG_ACCESS_WRITE;
	}
	call->access = access;
}

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
		emit__count_drop(HG_DROP_HELPER, HG_KIND_CALL);
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
	struct fs_struct *fs = BPF_CORE_READ(bpf_get_current_task_btf(), fs);
	struct canonicalise work = {.scratch = scratch, .start = offset};
	__u32 length;
	struct file *file;
	int start;

	if (!scratch || offset > HG_PATH_MAX_BYTES)
		return 0;
	scratch->call.flags |= HG_CALL_PATH_UNRESOLVED;
	if (scratch->raw[which ? HG_PATH_MAX_BYTES : 0] == '/') {
		start = path__walk(slot, (__u64)BPF_CORE_READ(fs, root.dentry), (__u64)BPF_CORE_READ(fs, root.mnt));
	} else if ((__s32)dirfd == AT_FDCWD) {
		start = path__walk(slot, (__u64)BPF_CORE_READ(fs, pwd.dentry), (__u64)BPF_CORE_READ(fs, pwd.mnt));
	} else {
		file = (struct file *)descriptor__file(dirfd);
		if (!file)
			return 0;
		start = path__walk(slot, (__u64)BPF_CORE_READ(file, f_path.dentry),
				   (__u64)BPF_CORE_READ(file, f_path.mnt));
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

/* The address that the user gave, for a socket that has none of its own at that end. */
__noinline int call__read_address(__u32 slot, __u64 address, __u32 is_message)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	struct ev_call *call;
	__u64 words[2] = {};
	__u16 family = 0;
	__u32 ipv4;
	__u8 *side;

	if (!scratch || !address)
		return 0;
	call = &scratch->call;
	if (is_message) {
		if (bpf_probe_read_user(words, call->abi ? 4 : 8, (void *)address))
			return 0;
		address = words[0];
	}
	if (bpf_probe_read_user(&family, sizeof(family), (void *)address))
		return 0;
	side = call->act == HG_ACT_BIND ? call->local : call->remote;
	if (family == AF_INET || family == AF_INET6) {
		__u16 port = 0;

		if (family == AF_INET) {
			bpf_probe_read_user(&ipv4, sizeof(ipv4), (void *)(address + 4));
			descriptor__put_ipv4(side, ipv4);
		} else {
			bpf_probe_read_user(side, 16, (void *)(address + 8));
		}
		bpf_probe_read_user(&port, sizeof(port), (void *)(address + 2));
		if (call->act == HG_ACT_BIND)
			call->local_port = bpf_ntohs(port);
		else
			call->remote_port = bpf_ntohs(port);
	}
	call->flags |= HG_CALL_USER_MEMORY;
	return 1;
}

/* Whom ptrace(2) was about: a child of this tracer with that number in the caller's pid namespace. */
__noinline int call__read_traced(__u32 slot)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	struct task_struct *task = bpf_get_current_task_btf(), *traced;
	__u32 level = BPF_CORE_READ(task, thread_pid, level), wanted;
	struct list_head *head, *at;

	if (!scratch)
		return 0;
	if (scratch->call.args[0] == PTRACE_TRACEME) {
		traced = BPF_CORE_READ(task, real_parent, group_leader);
		scratch->call.target_pid = BPF_CORE_READ(traced, tgid);
		scratch->call.target_start_ns = BPF_CORE_READ(traced, start_boottime);
		scratch->call.target_cgroup_id = task__cgroup_id(traced);
		return 1;
	}
	wanted = scratch->call.args[1];
	head = (void *)task + bpf_core_field_offset(struct task_struct, ptraced);
	at = BPF_CORE_READ(head, next);
	for (int i = 0; i < PTRACED_MAX; i++) {
		if (at == head || !at)
			return 0;
		traced = (void *)at - bpf_core_field_offset(struct task_struct, ptrace_entry);
		if (task__pid_at(BPF_CORE_READ(traced, thread_pid), level) == wanted) {
			scratch->call.target_pid = BPF_CORE_READ(traced, tgid);
			scratch->call.target_start_ns = BPF_CORE_READ(traced, group_leader, start_boottime);
			scratch->call.target_cgroup_id = task__cgroup_id(traced);
			return 1;
		}
		at = BPF_CORE_READ(at, next);
	}
	return 0;
}

#define SUN_PATH_MAX_BYTES 108 /* include/uapi/linux/un.h */

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

/* Is this act on this object to be reported now? If not, it is counted for the next report. */
__noinline int call__is_due(__u32 slot)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	struct repeat_key key = {};
	struct repeat_value fresh = {}, *known;
	struct ev_call *call;

	if (!scratch)
		return 1;
	call = &scratch->call;
	if (call->fd_kind == HG_FD_NONE)
		return 1;
	key.pid = call->header.pid;
	key.act = call->act;
	key.detail = (call->access & 0x7f) | (call->result < 0 ? 0x80 : 0);
	if (call->remote_port) {
		__builtin_memcpy(key.object, call->remote, 16);
		key.port = call->remote_port;
	} else if (call->act == HG_ACT_UNIX_CONNECT) {
		if (call->result < 0) /* to which of many names */
			return 1;
		key.object[0] = (__u64)descriptor__unix_address(scratch);
	} else {
		key.object[0] = call->inode;
		key.object[1] = call->dev;
	}
	known = bpf_map_lookup_elem(&repeats, &key);
	if (!known) {
		fresh.reported_ns = call->header.boot_ns;
		bpf_map_update_elem(&repeats, &key, &fresh, BPF_ANY);
		return 1;
	}
	if (call->header.boot_ns - known->reported_ns < REPEAT_INTERVAL_NS) {
		__sync_fetch_and_add(&known->repeats_count, 1);
		emit__count_drop(HG_DROP_REPEAT, HG_KIND_CALL);
		return 0;
	}
	known->reported_ns = call->header.boot_ns;
	call->repeats_count = known->repeats_count;
	known->repeats_count = 0;
	return 1;
}

static __always_inline void call__read_descriptor(__u32 slot, struct scratch *scratch, const struct map_recipe *recipe)
{
	struct ev_call *call = &scratch->call;
	__u64 file = 0;
	__u32 fd;

	scratch->file = 0;
	call->fd = -1;
	if ((recipe->flags & HG_RECIPE_RESULT_FD) && call->result >= 0)
		fd = call->result;
	else if (recipe->fd_arg)
		fd = call__arg(call, recipe->fd_arg);
	else
		return;
	call->fd = fd;
	file = descriptor__file(fd);
	if (file)
		descriptor__read(slot, file, fd);
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
	struct fs_struct *fs = BPF_CORE_READ(bpf_get_current_task_btf(), fs);
	int start = path__walk(slot, (__u64)BPF_CORE_READ(fs, root.dentry), (__u64)BPF_CORE_READ(fs, root.mnt));

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

/* What only this act has. */
static __always_inline void call__read_extras(__u32 slot, struct ev_call *call, const struct map_recipe *recipe)
{
	if (call->act == HG_ACT_MOUNT || (call->act == HG_ACT_PRCTL && call->args[0] == 15 /* PR_SET_NAME */)) {
		/* mount(2)'s third argument is the type; move_mount and fsmount have none */
		__u64 from = call->act == HG_ACT_PRCTL ? call->args[1] : recipe->path2_arg == 1 ? call->args[2] : 0;

		if (from && bpf_probe_read_user_str(call->tag, sizeof(call->tag), (void *)from) < 0)
			call->tag[0] = 0;
		call->flags |= HG_CALL_USER_MEMORY;
	}
	if (recipe->address_arg && call->act != HG_ACT_OPEN && !call->remote_port &&
	    (call->act != HG_ACT_BIND || call->result < 0))
		call__read_address(slot, call__arg(call, recipe->address_arg), recipe->flags & HG_RECIPE_MESSAGE);
	if (call->act == HG_ACT_PTRACE)
		call__read_traced(slot);
}

/* Gives a header that was judged its number and the rest of its facts. */
static __always_inline void call__number(struct ev_header *header, const struct task_struct *task)
{
	struct ev_header judged = *header;

	emit__header(header, HG_KIND_CALL, 0, task);
	header->cgroup_id = judged.cgroup_id;
	header->profile = judged.profile;
	header->program_version = judged.program_version;
	header->phase = judged.phase;
	header->action = judged.action;
	header->rung = judged.rung;
	header->decided = judged.decided;
	header->violated = judged.violated;
}

/* The number is taken only now: what was not wanted leaves no hole. */
static __always_inline void call__output(struct scratch *scratch, const struct task_struct *task, __u32 strings_bytes,
					 const struct map_profile *rules)
{
	struct ev_call *call = &scratch->call;
	__u32 size_bytes;

	call__number(&call->header, task);
	OPAQUE(strings_bytes);
	if (strings_bytes > 4 * HG_PATH_MAX_BYTES) {
		emit__count_drop(HG_DROP_HELPER, HG_KIND_CALL);
		return;
	}
	size_bytes = sizeof(*call) + strings_bytes;
	call->header.size_bytes = size_bytes;
	if (call->flags & HG_CALL_PATH_TRUNCATED)
		emit__count_loss(call->header.cgroup_id, call->header.profile, HG_DROP_TRUNCATED, HG_KIND_CALL);
	emit__output(&call->header, size_bytes,
		     call->header.action || (rules && (rules->acts_urgent & (1ULL << (call->act & 63)))));
}

/* A socket listens that no hook before it could refuse: the process is ended before it is back from the call. */
static __always_inline void call__judge_listen(struct ev_call *call, const struct map_profile *rules)
{
	struct map_cgroup *entry = task__cgroup_entry(call->header.cgroup_id);
	__u32 profile = call->header.profile;
	__u64 judged = verdict__judged(rules, rules->listen_rules, call->header.phase);

	if (!(judged & rules->kill) || call->result != 0 || (call->family != AF_INET && call->family != AF_INET6))
		return;
	call->header.decided = judged;
	call->header.violated =
		connect__violated(&listen_nodes, profile, call->local, call->local_port, IPPROTO_TCP) & judged;
	if (call->header.violated && verdict__may_act(emit__control(), entry, call->header.pid))
		call->header.action = verdict__kill(rules, profile, call->header.violated, entry->root_id);
}

/* The breaker's budget was spent when a hook would have refused this call. */
static __always_inline bool call__was_spared(const struct ev_call *call, struct task_struct *task)
{
	struct deferred *deferred = bpf_task_storage_get(&deferrals, task, 0, 0);

	if (!deferred || deferred->spared_nr != call->nr + 1)
		return false;
	deferred->spared_nr = 0;
	return true;
}

/* scratch->call has its home, profile, result and arguments. */
__noinline int call__report(__u32 slot, __u32 index, __u32 is_aggregated)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	struct map_recipe *recipe = bpf_map_lookup_elem(&recipes, &index);
	struct task_struct *task = bpf_get_current_task_btf();
	struct map_profile *rules;
	struct ev_call *call;
	__u32 profile;
	int length;

	if (!scratch || !recipe)
		return 0;
	call = &scratch->call;
	profile = call->header.profile;
	rules = profile ? bpf_map_lookup_elem(&profiles, &profile) : NULL;
	call__read_descriptor(slot, scratch, recipe);
	if (call->act == HG_ACT_OPEN)
		call__read_access(scratch, call, recipe->flags);
	if (call->act == HG_ACT_UNIX_CONNECT && call->family != AF_UNIX)
		return 0;
	call__read_extras(slot, call, recipe);
	if (is_aggregated && !call__is_due(slot))
		return 0;
	length = call__write_paths(slot, index);
	if (length < 0)
		return 0;
	length += call__append_raw(slot, length, 0, call->raw_bytes);
	length += call__append_raw(slot, length, 1, call->raw2_bytes);
	call__read_creds(call, task);
	if (rules && rules->file_rules && call__was_spared(call, task))
		call->header.action = HG_ACTION_SPARED;
	if (call->act == HG_ACT_LISTEN && rules)
		call__judge_listen(call, rules);
	call__output(scratch, task, length, rules);
	return 1;
}

static __always_inline void call__begin(struct scratch *scratch, const struct task_struct *task,
					const struct task_state *state, __u32 profile, __u32 version)
{
	struct ev_call *call = &scratch->call;

	__builtin_memset(call, 0, sizeof(*call));
	call->header.program_version = version;
	call->header.cgroup_id = state ? state->home : task__cgroup_id(task);
	call->header.phase = state ? state->phase : HG_PHASE_RUN;
	call->header.profile = profile;
	call->header.pid = task->tgid;
	call->header.boot_ns = bpf_ktime_get_boot_ns();
}

#define CREAT_FLAGS (01 | O_CREAT | 01000 /* O_TRUNC */)

/* Where flags and modes stand that are not looked up in user memory. */
static __always_inline void call__place_open_flags(struct ev_call *call, const struct map_recipe *recipe)
{
	if (call->act != HG_ACT_OPEN || (recipe->flags & HG_RECIPE_OPEN_HOW))
		return;
	if (recipe->address_arg) { /* for opens: where the flags stand, if the call has any */
		call->facts[0] = (__u32)call__arg(call, recipe->address_arg);
		call->facts[1] = (__u32)call__arg(call, recipe->address_arg + 1);
	} else { /* creat */
		call->facts[0] = CREAT_FLAGS;
		call->facts[1] = (__u32)call->args[1];
	}
}

/* Is this open to be reported, as far as registers and the kernel's own objects tell? Leaves the arguments in call->args. */
static __always_inline bool call__is_open_wanted(__u32 slot, struct ev_call *call, const struct pt_regs *regs,
						 __u32 abi, const struct map_recipe *recipe, __u32 profile, long result)
{
	__u64 flags;

	syscall__read_args(regs, abi, call->args);
	if (recipe->flags & HG_RECIPE_OPEN_HOW)
		flags = OPEN_FLAGS_UNKNOWN;
	else
		flags = recipe->address_arg ? (__u32)call__arg(call, recipe->address_arg) : CREAT_FLAGS;
	return open__is_wanted(slot, profile, result, flags, call__arg(call, recipe->path_arg));
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_sys_exit, struct pt_regs *regs, long result)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task_btf();
	__u32 slot = bpf_get_smp_processor_id(), nr = syscall__nr(regs), abi = syscall__abi(task, &nr), index;
	struct map_cgroup *entry = NULL;
	struct map_control *settings;
	struct map_recipe *recipe;
	struct task_state *state;
	struct scratch *scratch;
	__u32 profile, version;
	__u64 bit, aggregated;

	if (nr >= HG_SYSCALLS_MAX)
		return 0;
	index = abi * HG_SYSCALLS_MAX + nr;
#if defined(__TARGET_ARCH_x86)
	if (abi == SYSCALL_IA32 && nr == NR_IA32_SOCKETCALL)
		index = HG_ABIS * HG_SYSCALLS_MAX + (regs->bx & 31);
#endif
	recipe = bpf_map_lookup_elem(&recipes, &index);
	if (!recipe || !recipe->act)
		return 0;
	state = task__state(task);
	if (!state && task->pid != task->tgid)
		state = task__state(task->group_leader);
	if (state)
		entry = task__cgroup_entry(state->home);
	settings = emit__control();
	if (!settings)
		return 0;
	bit = 1ULL << (recipe->act & 63);
	if (!((entry ? entry->acts : settings->acts_host) & bit) || task->tgid == settings->agent_pid)
		return 0;
	scratch = bpf_map_lookup_elem(&scratches, &slot);
	if (!scratch) {
		emit__count_drop(HG_DROP_SCRATCH, HG_KIND_CALL);
		return 0;
	}
	scratch->walked_file = 0;
	version = settings->version;
	profile = entry ? task__profile(entry, version) : 0;
	if (recipe->act == HG_ACT_OPEN && profile &&
	    !call__is_open_wanted(slot, &scratch->call, regs, abi, recipe, profile, result))
		return 0;
	call__begin(scratch, task, state, profile, version);
	if (state && (bit & CAP_ACTS))
		scratch->call.cap_gained = task__follow_caps(state, task);
	scratch->call.act = recipe->act;
	scratch->call.nr = nr;
	scratch->call.abi = abi;
	scratch->call.result = result;
	scratch->call.flags = HG_CALL_HAS_RESULT;
	syscall__read_args(regs, abi, scratch->call.args);
	if (recipe->flags & HG_RECIPE_ARGS_POINTER) {
		__u32 words[6] = {};
		__u64 from = nr == NR_IA32_SOCKETCALL ? scratch->call.args[1] : scratch->call.args[0];

		/* Of socketcall, the last ones may lie beyond what the program has: then only the first three are there. */
		if (bpf_probe_read_user(words, sizeof(words), (void *)from) &&
		    bpf_probe_read_user(words, 12, (void *)from))
			emit__count_drop(HG_DROP_HELPER, HG_KIND_CALL);
		scratch->call.facts[3] = nr == NR_IA32_SOCKETCALL ? scratch->call.args[0] : 0;
		for (int i = 0; i < 6; i++)
			scratch->call.args[i] = words[i];
		scratch->call.flags |= HG_CALL_USER_MEMORY;
	}
	if (!call__is_of_interest(&scratch->call))
		return 0;
	call__place_open_flags(&scratch->call, recipe);
	aggregated = entry ? entry->acts_aggregated : settings->acts_host_aggregated;
	call__report(slot, index, !!(aggregated & bit));
	return 0;
}

#define SEND_SIG_PRIV 1 /* include/linux/sched/signal.h: from the kernel, as a value of the pointer */

/* A signal from a process to another. Both the sender's container and the target's may want it. */
SEC("tp_btf/signal_generate")
int BPF_PROG(on_signal, int sig, struct kernel_siginfo *info, struct task_struct *target)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task_btf();
	struct task_state *state, *target_state;
	struct map_cgroup *entry = NULL, *target_entry = NULL;
	struct map_control *settings = emit__control();
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(task);
	__u32 nr = syscall__nr(regs), abi = syscall__abi(task, &nr), index;
	const __u64 bit = 1ULL << HG_ACT_SIGNAL;
	struct map_recipe *recipe;
	struct ev_call event = {};

	if (nr >= HG_SYSCALLS_MAX || !settings || (__u64)info == SEND_SIG_PRIV || target->tgid == task->tgid ||
	    task->tgid == settings->agent_pid)
		return 0;
	if (info && BPF_CORE_READ(info, si_code) > 0)
		return 0;
	/* Whatever else makes signals (timers, a child's end) does not come from within one of these calls. */
	index = abi * HG_SYSCALLS_MAX + nr;
	recipe = bpf_map_lookup_elem(&recipes, &index);
	if (!recipe || recipe->act != HG_ACT_SIGNAL)
		return 0;
	state = task__state(task->group_leader);
	target_state = task__state(target->group_leader);
	if (state)
		entry = task__cgroup_entry(state->home);
	if (target_state)
		target_entry = task__cgroup_entry(target_state->home);
	if (!(((entry ? entry->acts : settings->acts_host) | (target_entry ? target_entry->acts : 0)) & bit))
		return 0;
	emit__header(&event.header, HG_KIND_CALL, sizeof(event), task);
	event.header.cgroup_id = state ? state->home : task__cgroup_id(task);
	event.header.phase = state ? state->phase : HG_PHASE_RUN;
	event.header.profile = entry ? task__profile(entry, event.header.program_version) : 0;
	event.act = HG_ACT_SIGNAL;
	event.nr = nr;
	event.abi = abi;
	event.fd = -1;
	event.flags = HG_CALL_HAS_RESULT;
	syscall__read_args(regs, abi, event.args);
	event.facts[0] = sig;
	event.target_pid = target->tgid;
	event.target_start_ns = BPF_CORE_READ(target, group_leader, start_boottime);
	event.target_cgroup_id = target_state ? target_state->home : task__cgroup_id(target);
	emit__output(&event.header, sizeof(event), false);
	return 0;
}
