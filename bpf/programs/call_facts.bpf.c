/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a call is about beyond its paths: its arguments, whether it is one that its act means, and what it left in the kernel's objects
 * (credentials, access of a file, ends of a socket, the traced task). Filled into scratch->call.
 * Fail direction: what cannot be read is left empty.
 */
#define NR_IA32_IPC 117
#define PROT_WRITE 2
#define PROT_EXEC 4
#define MAP_ANONYMOUS 0x20
#define PTRACE_TRACEME 0
#define PTRACED_MAX 32 /* tasks of one tracer that are looked through for the target */

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
	const struct cred *cred = KERNEL_READ(task, cred);

	if (call->act == HG_ACT_SETUID) {
		call->facts[0] = KERNEL_READ(cred, uid.val);
		call->facts[1] = KERNEL_READ(cred, euid.val);
		call->facts[2] = KERNEL_READ(cred, suid.val);
		call->facts[3] = KERNEL_READ(cred, fsuid.val);
	} else if (call->act == HG_ACT_SETGID) {
		call->facts[0] = KERNEL_READ(cred, gid.val);
		call->facts[1] = KERNEL_READ(cred, egid.val);
		call->facts[2] = KERNEL_READ(cred, sgid.val);
		call->facts[3] = KERNEL_READ(cred, fsgid.val);
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

	if ((recipe_flags & (HG_RECIPE_OPEN_HOW | HG_RECIPE_BY_FUNCTION)) == HG_RECIPE_OPEN_HOW) {
		call->flags |= HG_CALL_USER_MEMORY;
		if (bpf_probe_read_user(call->facts, 24, (void *)call->args[2]))
			emit__count_unread(&call->header, HG_KIND_CALL);
	}
	flags = call->facts[0];
	access = open__asked(flags);
	if (scratch->file) {
		file = (struct file *)scratch->file;
		mode = KERNEL_READ(file, f_mode);
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
	__u32 level = KERNEL_READ(task, thread_pid, level), wanted;
	struct list_head *head, *at;

	if (!scratch)
		return 0;
	if (scratch->call.args[0] == PTRACE_TRACEME) {
		traced = KERNEL_READ(task, real_parent, group_leader);
		scratch->call.target_pid = KERNEL_READ(traced, tgid);
		scratch->call.target_start_ns = KERNEL_READ(traced, start_boottime);
		scratch->call.target_cgroup_id = task__cgroup_id(traced);
		return 1;
	}
	wanted = scratch->call.args[1];
	head = (void *)task + bpf_core_field_offset(struct task_struct, ptraced);
	at = KERNEL_READ(head, next);
	for (int i = 0; i < PTRACED_MAX; i++) {
		if (at == head || !at)
			return 0;
		traced = (void *)at - bpf_core_field_offset(struct task_struct, ptrace_entry);
		if (task__pid_at(KERNEL_READ(traced, thread_pid), level) == wanted) {
			scratch->call.target_pid = KERNEL_READ(traced, tgid);
			scratch->call.target_start_ns = KERNEL_READ(traced, group_leader, start_boottime);
			scratch->call.target_cgroup_id = task__cgroup_id(traced);
			return 1;
		}
		at = KERNEL_READ(at, next);
	}
	return 0;
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
