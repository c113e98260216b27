/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * exec, fork, exit. Hooks (all after the fact is certain, in the acting task, preemption off):
 *   sched_process_exec: begin_new_exec() has passed the point of no return, the new mm is in place, the first instruction
 *     of the new program has not run (fs/exec.c exec_binprm() -> trace_sched_process_exec()). A kill here has no effect to undo.
 *   sched_process_fork: kernel_clone() after copy_process(): the child is complete and not yet running.
 *   sched_process_exit: do_exit() after exit_code is set.
 * Fail direction: an event that finds no room is lost and counted; a verdict that cannot be reached leaves the process alone.
 */
#define SIGNAL_GROUP_EXIT 0x00000004 /* include/linux/sched/signal.h */

/* Judges the names in strings by the profile's exec tables; sets decided, violated, action of scratch->event. Returns 1 when
 * user space has to look at the event at once. */
__noinline int process__judge(__u32 slot, __u32 file_offset)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	struct map_exec_result invoked, file;
	__u64 judged, violated, uncovered;
	struct map_profile *rules;
	struct map_cgroup *entry;
	__u32 profile, is_urgent;

	if (!scratch)
		return 0;
	profile = scratch->event.header.profile;
	rules = bpf_map_lookup_elem(&profiles, &profile);
	entry = task__cgroup_entry(scratch->event.header.cgroup_id);
	if (!rules || !profile || !entry)
		return 0;
	is_urgent = !!(rules->urgent & HG_WANT_PROCESS);
	judged = verdict__judged(rules, rules->exec_rules, scratch->event.header.phase);
	if (!judged)
		return is_urgent;
	if (scratch->event.invoked_bytes >= HG_KEY_PATH_BYTES || scratch->event.file_bytes >= HG_KEY_PATH_BYTES)
		scratch->event.flags |= HG_EXEC_KERNEL_UNDECIDED;
	verdict__name(slot, profile, 0, scratch->event.invoked_bytes);
	invoked = scratch->result;
	verdict__name(slot, profile, file_offset, scratch->event.file_bytes);
	file = scratch->result;

	violated = (invoked.violated | file.violated) & judged;
	if (scratch->event.flags & (HG_EXEC_KERNEL_UNDECIDED | HG_EXEC_FOREIGN_ROOT)) {
		/* Only an explicit deny is certain; whether an allow entry covers such a name is for user space to say. */
		scratch->event.header.decided = violated;
		is_urgent |= (judged & rules->exec_allow & rules->kill) != 0;
	} else {
		uncovered = rules->exec_allow & ~invoked.decided;
		if (scratch->event.flags & HG_EXEC_SCRIPT)
			uncovered |= rules->exec_allow & ~file.decided;
		violated |= uncovered & judged;
		scratch->event.header.decided = judged;
	}
	scratch->event.header.violated = violated;
	if (violated && verdict__may_act(emit__control(), entry, scratch->event.header.pid))
		scratch->event.header.action = scratch->event.flags & HG_EXEC_REFUSED ?
						       verdict__refuse(rules, profile, violated, entry->root_id) :
						       verdict__kill(rules, profile, violated, entry->root_id);
	return is_urgent || violated || (scratch->event.flags & HG_EXEC_KERNEL_UNDECIDED);
}

/* The container's own root and mount namespace are those of its first exec. */
static __always_inline bool process__foreign_root(const struct map_cgroup *entry, const struct task_struct *task)
{
	struct map_container *container = bpf_map_lookup_elem(&containers, &entry->root_id);
	__u64 root = (__u64)KERNEL_READ(task, fs, root.dentry);
	__u32 mnt_ns = task__mnt_ns(task);

	if (!container)
		return true;
	if (container->mnt_ns == 0) {
		container->mnt_ns = mnt_ns;
		container->root_dentry = root;
		return false;
	}
	return container->mnt_ns != mnt_ns || container->root_dentry != root;
}

/* Setup ends at the first exec that leaves the mount namespace in which the task joined; a runtime may execute itself once
 * before that (runc's cloned binary). Bounded, so that a container without a mount namespace of its own is not exempt for good. */
#define SETUP_EXECS_MAX 2

static __always_inline void process__advance_phase(struct task_state *state, const struct task_struct *task)
{
	if (!state || state->phase != HG_PHASE_SETUP)
		return;
	state->setup_execs_count += 1;
	if (task__mnt_ns(task) != state->join_mnt_ns || state->setup_execs_count >= SETUP_EXECS_MAX)
		state->phase = HG_PHASE_RUN;
}

/* Appends the current task's arguments at strings[offset]; adds to event.flags. Returns their length. */
__noinline int process__append_args(__u32 slot, __u32 offset)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	struct mm_struct *mm = KERNEL_READ(bpf_get_current_task_btf(), mm);
	unsigned long start = KERNEL_READ(mm, arg_start);
	unsigned long end = KERNEL_READ(mm, arg_end);
	unsigned long length = end - start;

	if (!scratch || end <= start || offset > 3 * HG_PATH_MAX_BYTES)
		return 0;
	if (length > HG_ARGS_MAX_BYTES) {
		length = HG_ARGS_MAX_BYTES;
		scratch->event.flags |= HG_EXEC_ARGS_TRUNCATED;
	}
	/* The one read from user memory: the new mm, before its program runs, so nothing can change it between check and use. */
	if (bpf_probe_read_user(&scratch->strings[offset], length, (void *)start)) {
		emit__count_unread(&scratch->event.header, HG_KIND_EXEC);
		scratch->event.flags |= HG_EXEC_ARGS_TRUNCATED;
		return 0;
	}
	return length;
}

/* Appends the current task's environment at strings[offset]; adds to event.flags. Returns its length. */
__noinline int process__append_env(__u32 slot, __u32 offset)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	struct mm_struct *mm = KERNEL_READ(bpf_get_current_task_btf(), mm);
	unsigned long start = KERNEL_READ(mm, env_start);
	unsigned long end = KERNEL_READ(mm, env_end);
	unsigned long length = end - start;

	if (!scratch || end <= start || offset > 3 * HG_PATH_MAX_BYTES + HG_ARGS_MAX_BYTES)
		return 0;
	if (length > HG_ENV_MAX_BYTES) {
		length = HG_ENV_MAX_BYTES;
		scratch->event.flags |= HG_EXEC_ENV_TRUNCATED;
	}
	/* As for the arguments: the new mm, before its program runs. */
	if (bpf_probe_read_user(&scratch->strings[offset], length, (void *)start)) {
		emit__count_unread(&scratch->event.header, HG_KIND_EXEC);
		scratch->event.flags |= HG_EXEC_ENV_TRUNCATED;
		return 0;
	}
	return length;
}

/* What an exec event holds beyond its header and strings. */
static __always_inline void process__fill_facts(struct ev_exec *event, struct task_struct *task,
						struct linux_binprm *bprm, const struct map_cgroup *entry, __u32 phase)
{
	struct file *file = KERNEL_READ(bprm, file);
	struct inode *inode = KERNEL_READ(file, f_inode);
	struct task_struct *parent = KERNEL_READ(task, real_parent, group_leader);

	event->inode = KERNEL_READ(inode, i_ino);
	event->dev = task__encode_dev(KERNEL_READ(inode, i_sb, s_dev));
	event->parent_pid = KERNEL_READ(parent, tgid);
	event->parent_start_ns = KERNEL_READ(parent, start_boottime);
	event->mnt_ns = task__mnt_ns(task);
	event->real_uid = KERNEL_READ(task, cred, uid.val);
	event->real_gid = KERNEL_READ(task, cred, gid.val);
	BPF_CORE_READ_STR_INTO(&event->comm, task, comm);
	if (KERNEL_READ(bprm, interp) != KERNEL_READ(bprm, filename))
		event->flags |= HG_EXEC_SCRIPT;
	if (path__is_memfd(inode, KERNEL_READ(file, f_path.dentry)))
		event->flags |= HG_EXEC_MEMFD;
	else if (KERNEL_READ(inode, i_nlink) == 0)
		event->flags |= HG_EXEC_DELETED;
	if (task__is_upper_layer(inode))
		event->flags |= HG_EXEC_UPPER_LAYER;
	task__read_facts(&event->facts, task);
	if (entry && phase == HG_PHASE_RUN && process__foreign_root(entry, task))
		event->flags |= HG_EXEC_FOREIGN_ROOT;
}

static __always_inline void process__fill_exec(struct ev_exec *event, struct task_struct *task,
					       struct linux_binprm *bprm, const struct map_cgroup *entry, __u64 home,
					       __u32 phase)
{
	__builtin_memset(event, 0, sizeof(*event));
	emit__header(&event->header, HG_KIND_EXEC, 0, task);
	event->header.cgroup_id = home;
	event->header.phase = phase;
	event->header.profile = entry ? task__profile(entry, event->header.program_version) : 0;
	process__fill_facts(event, task, bprm, entry, phase);
}

/* Puts the names and the working directory into strings; adds to event.flags. Returns the length of all three. */
static __always_inline __u32 process__put_names(__u32 slot, struct scratch *scratch, struct task_struct *task,
						struct linux_binprm *bprm)
{
	struct ev_exec *event = &scratch->event;
	struct file *file = KERNEL_READ(bprm, file);
	__u64 dentry = (__u64)KERNEL_READ(file, f_path.dentry), mnt = (__u64)KERNEL_READ(file, f_path.mnt);
	__u32 offset;
	int start;

	event->invoked_bytes = process__invoked(slot, (__u64)KERNEL_READ(bprm, filename), dentry, mnt);
	offset = event->invoked_bytes;
	start = path__walk(slot, dentry, mnt);
	if (start & PATH_TRUNCATED)
		event->flags |= HG_EXEC_PATH_TRUNCATED;
	event->file_bytes = path__append(slot, offset, start);
	offset += event->file_bytes;
	start = path__walk(slot, (__u64)KERNEL_READ(task, fs, pwd.dentry), (__u64)KERNEL_READ(task, fs, pwd.mnt));
	event->cwd_bytes = path__append(slot, offset, start);
	return offset + event->cwd_bytes;
}

/* The strings, then the verdict, then out. */
static __always_inline void process__finish_exec(__u32 slot, struct scratch *scratch, struct task_struct *task,
						 struct linux_binprm *bprm, const struct map_cgroup *entry)
{
	struct ev_exec *event = &scratch->event;
	__u32 offset, size_bytes;
	bool urgent = false;

	offset = process__put_names(slot, scratch, task, bprm);
	event->args_bytes = process__append_args(slot, offset);
	offset += event->args_bytes;
	if (task__wanted(entry, HG_WANT_ENV)) {
		event->env_bytes = process__append_env(slot, offset);
		offset += event->env_bytes;
	}
	if (entry)
		urgent = process__judge(slot, event->invoked_bytes);
	OPAQUE(offset);
	if (offset > EXEC_STRINGS_MAX_BYTES) {
		emit__count_unread(&event->header, HG_KIND_EXEC);
		return;
	}
	size_bytes = sizeof(*event) + offset;
	event->header.size_bytes = size_bytes;
	if (event->flags & (HG_EXEC_ARGS_TRUNCATED | HG_EXEC_PATH_TRUNCATED | HG_EXEC_ENV_TRUNCATED))
		emit__count_loss(event->header.cgroup_id, event->header.profile, HG_DROP_TRUNCATED, HG_KIND_EXEC);
	emit__output(&event->header, size_bytes, urgent);
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, pid_t old_pid, struct linux_binprm *bprm)
{
	struct task_state *state = task__state(task);
	__u32 slot = bpf_get_smp_processor_id(), phase = HG_PHASE_RUN;
	bool was_setup = state && state->phase == HG_PHASE_SETUP;
	struct map_cgroup *entry = NULL;
	struct scratch *scratch;
	__u64 home = 0, gained = 0;

	if (!state && old_pid != task->pid) {
		/* Executed from a thread that is now the leader and was there before the process was watched. */
		home = task__cgroup_id(task);
		entry = task__cgroup_entry(home);
		state = entry ? task__make_state(task, home, HG_KIND_EXEC) : NULL;
		if (state)
			state->home = home;
	} else if (state) {
		home = state->home;
		entry = task__cgroup_entry(home);
		process__advance_phase(state, task);
	}
	if (state) {
		phase = state->phase;
		gained = task__follow_caps(state, task);
	}
	if (!task__wanted(entry, HG_WANT_PROCESS))
		return 0;
	if (!home)
		home = task__cgroup_id(task);
	scratch = bpf_map_lookup_elem(&scratches, &slot);
	if (!scratch) {
		task__lose(home, HG_DROP_SCRATCH, HG_KIND_EXEC);
		return 0;
	}
	process__fill_exec(&scratch->event, task, bprm, entry, home, phase);
	/* What a container's process begins with is given by the runtime. */
	scratch->event.cap_gained = was_setup ? 0 : gained;
	process__finish_exec(slot, scratch, task, bprm, entry);
	return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child)
{
	struct task_state *parent_state = task__state(parent);
	struct css_set *parent_set = parent->cgroups, *child_set = child->cgroups;
	bool is_thread = child->tgid == parent->tgid;
	struct task_state *child_state = NULL;
	struct map_profile *rules = NULL;
	struct map_cgroup *entry = NULL;
	struct ev_fork event = {};

	if (!parent_state && parent->pid != parent->tgid)
		parent_state = task__state(parent->group_leader);
	if (parent_set != child_set && task__css_set_cgroup_id(parent_set) != task__css_set_cgroup_id(child_set)) {
		/* clone3(CLONE_INTO_CGROUP): no attach tracepoint fires for it. */
		cgroup__join(child, parent_state, task__css_set_cgroup_id(child_set));
		child_state = task__state(child);
	} else if (parent_state) {
		child_state = task__make_state(child, parent_state->home, HG_KIND_FORK);
		if (child_state) {
			child_state->home = parent_state->home;
			child_state->phase = parent_state->phase;
			child_state->join_mnt_ns = parent_state->join_mnt_ns;
			child_state->setup_execs_count = parent_state->setup_execs_count;
		}
	}
	if (child_state)
		(void)task__follow_caps(child_state, child);
	if (is_thread)
		return 0;
	if (parent_state)
		entry = task__cgroup_entry(parent_state->home);
	cgroup__keep_moved(parent, child, parent_state);
	if (!task__wanted(entry, HG_WANT_PROCESS))
		return 0;
	emit__header(&event.header, HG_KIND_FORK, sizeof(event), parent);
	event.header.cgroup_id = parent_state ? parent_state->home : task__cgroup_id(parent);
	event.header.phase = parent_state ? parent_state->phase : HG_PHASE_RUN;
	event.header.profile = entry ? task__profile(entry, event.header.program_version) : 0;
	event.child_pid = child->tgid;
	event.child_vpid = task__vpid(child);
	event.child_start_ns = child->start_boottime;
	event.cap_gained = task__permitted(child) & ~task__permitted(parent);
	if (event.cap_gained && event.header.profile)
		rules = bpf_map_lookup_elem(&profiles, &event.header.profile);
	emit__output(&event.header, sizeof(event), rules && (rules->urgent & HG_WANT_PROCESS));
	return 0;
}

/* A thread that ends in a call which would have been judged at its end: in a PID namespace of its own reboot(2) never returns
 * (reboot_pid_ns()), nor does a call that an oops ends. On arm64 what tells that a call is carried out holds of some that have returned:
 * there the reboot alone. */
static __always_inline void process__end_in_call(struct task_struct *task)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(task);
	__u32 nr = syscall__nr(regs), abi;

	if (!syscall__is_looked_at(HG_AT_END_RULES, syscall__number(regs)) || syscall__is_over(regs))
		return;
	abi = syscall__abi(task, &nr);
#if defined(__TARGET_ARCH_arm64)
	if (nr != (abi == SYSCALL_AARCH32 ? NR_REBOOT_32 : NR_REBOOT))
		return;
#endif
	if (syscall__is_looked_at(HG_AT_END_RULES_OF + abi, nr))
		syscall__judge(task, nr, abi, SYSCALL_THREAD_END, 0, false);
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task)
{
	struct task_state *state = task__state(task->group_leader);
	struct map_cgroup *entry = NULL;
	struct signal_struct *signal = task->signal;
	struct map_control *settings;
	struct ev_exit event = {};
	bool is_killed;
	__u32 status, tgid = task->tgid, phase = HG_PHASE_RUN;
	__u64 home = 0;

	process__end_in_call(task);
	/* The process ends with its last thread, whichever that is: do_exit() has taken this one off `live`. */
	if (KERNEL_READ(signal, live.counter) != 0)
		return 0;
	if (state) {
		home = state->home;
		phase = state->phase;
		entry = task__cgroup_entry(home);
		bpf_map_delete_elem(&moved, &tgid);
	}
	if (!task__wanted(entry, HG_WANT_PROCESS))
		return 0;
	if (!home)
		home = task__cgroup_id(task);
	/* Threads that end together on several CPUs can all see `live` at 0 here: the first reports. */
	if (!state)
		state = task__make_state(task->group_leader, home, HG_KIND_EXIT);
	if (state && __sync_lock_test_and_set(&state->has_ended, 1))
		return 0;
	status = KERNEL_READ(signal, flags) & SIGNAL_GROUP_EXIT ? KERNEL_READ(signal, group_exit_code) :
								  KERNEL_READ(task, group_leader, exit_code);
	emit__header(&event.header, HG_KIND_EXIT, sizeof(event), task);
	event.header.cgroup_id = home;
	event.header.phase = phase;
	event.header.profile = entry ? task__profile(entry, event.header.program_version) : 0;
	event.code = (status >> 8) & 0xff;
	event.signal = status & 0x7f;
	event.flags = status & 0x80 ? HG_EXIT_CORE : 0;
	settings = emit__control();
	is_killed =
		event.signal == SIGKILL && settings && settings->blocking; /* by whomever: who it was stands nowhere */
	emit__output_in(&event.header, sizeof(event), is_killed ? EMIT_SOON : EMIT_BATCHED);
	return 0;
}
