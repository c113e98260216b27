/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Each use of a capability: the kernel asked whether the process has it. Attached only while a rule or a condition wants that.
 *   fexit/security_capable  every question with its answer and its options
 *   tp_btf/cap_capable      (v6.14) where there is no fexit: without options
 *   lsm/capable             to refuse: asked behind the capability LSM, so only of what the process has
 * A question is the process's own when it is about its own credentials: not those that the kernel took on for it (overlayfs, access(2)),
 * and not those of a file that was opened with others. Questions that are asked on the quiet (CAP_OPT_NOAUDIT) are no use: the kernel only looks which way to
 * go, mostly at every mmap. Where the options are not told, those about CAP_SYS_ADMIN in calls that ask for memory are left out.
 *
 * The kernel asks often: of one program of a process, set of rules, capability, namespace and answer one question in 10 s is told, with
 * the count of the others.
 */
#define CAP_OPT_NOAUDIT 0x2 /* include/linux/security.h: BIT(1) */
#define CAP_SYS_ADMIN 21

/* Calls in which __vm_enough_memory() asks. */
static __always_inline bool capable__asks_for_memory(__u32 abi, __u32 nr)
{
#if defined(__TARGET_ARCH_arm64)
	if (abi == SYSCALL_NATIVE)
		return nr == 214 /* brk */ || nr == 216 /* mremap */ || nr == 220 /* clone */ ||
		       nr == 221 /* execve */ || nr == 222 /* mmap */ || nr == 226 /* mprotect */ ||
		       nr == 281 /* execveat */ || nr == 435;
#else
	if (abi != SYSCALL_IA32)
		return nr == 9 /* mmap */ || nr == 10 /* mprotect */ || nr == 12 /* brk */ || nr == 25 /* mremap */ ||
		       (nr >= 56 && nr <= 59) /* clone, fork, vfork, execve */ || nr == 322 /* execveat */ || nr == 435;
#endif
	return nr == 2 /* fork */ || nr == 11 /* execve */ || nr == 45 /* brk */ || nr == 90 /* old mmap */ ||
	       nr == 120 /* clone */ || nr == 125 /* mprotect */ || nr == 163 /* mremap */ || nr == 190 /* vfork */ ||
	       nr == 192 /* mmap2 */ || nr == 435 /* clone3 */;
}

/* Is the question about what the task itself has? */
static __always_inline bool capable__is_own(const struct task_struct *task, const struct cred *cred)
{
	return cred == task->cred && cred == task->real_cred;
}

/* Is this to be told now? If not, it is counted for the next time. */
static __always_inline bool capable__is_due(struct ev_call *call, __u64 start_ns)
{
	struct repeat_key key = {.pid = call->header.pid, .act = HG_ACT_CAPABLE};
	struct repeat_value fresh = {}, *known;

	key.object[0] = call->facts[0] | call->facts[1] << 32;
	/* of each program that the process runs, and of each set of rules, its own: what neither judged hides nothing from the next */
	key.object[1] = start_ns ^ (__u64)KERNEL_READ((struct task_struct *)bpf_get_current_task_btf(), mm);
	key.port = call->header.profile;
	key.detail = call->result < 0 ? 0x80 : call->flags & HG_CALL_DECISION ? 0x40 : 0;
	fresh.reported_ns = bpf_ktime_get_boot_ns();
	known = bpf_map_lookup_elem(&repeats, &key);
	if (!known) {
		bpf_map_update_elem(&repeats, &key, &fresh, BPF_ANY);
		return true;
	}
	if (fresh.reported_ns - known->reported_ns < REPEAT_INTERVAL_NS) {
		__sync_fetch_and_add(&known->repeats_count, 1);
		emit__count_drop(HG_DROP_REPEAT, HG_KIND_CALL);
		return false;
	}
	known->reported_ns = fresh.reported_ns;
	/* Another CPU may count meanwhile: what is taken is what is told. */
	call->repeats_count = __sync_lock_test_and_set(&known->repeats_count, 0);
	return true;
}

/* The facts of a question but its answer. */
static __always_inline void capable__begin(struct ev_call *call, struct task_struct *task,
					   const struct task_state *state, const struct map_cgroup *entry,
					   const struct map_control *settings, const struct user_namespace *ns, int cap)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(task);
	__u32 nr = syscall__nr(regs);

	call->header.cgroup_id = state ? state->home : task__cgroup_id(task);
	call->header.phase = state ? state->phase : HG_PHASE_RUN;
	call->header.program_version = settings->version;
	call->header.profile = entry ? task__profile(entry, settings->version) : 0;
	call->header.pid = task->tgid;
	call->act = HG_ACT_CAPABLE;
	call->fd = -1;
	call->abi = syscall__abi(task, &nr);
	call->nr = nr;
	call->facts[0] = cap;
	call->facts[1] = KERNEL_READ(ns, ns.inum);
}

static __always_inline void capable__output(struct ev_call *call, struct task_struct *task, bool urgent)
{
	call__number(&call->header, task);
	call->header.size_bytes = sizeof(*call);
	emit__output(&call->header, sizeof(*call), urgent);
}

static __always_inline void capable__tell(const struct cred *cred, const struct user_namespace *ns, int cap,
					  long answer, bool has_options)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_state *state = task__state(task->group_leader);
	struct map_control *settings = emit__control();
	struct map_cgroup *entry = state ? task__cgroup_entry(state->home) : NULL;
	struct ev_call event = {};
	struct map_profile *rules;
	__u32 profile;

	if (!settings || !((entry ? entry->acts : settings->acts_host) & (1ULL << HG_ACT_CAPABLE)) ||
	    !capable__is_own(task, cred) || task->tgid == settings->agent_pid)
		return;
	capable__begin(&event, task, state, entry, settings, ns, cap);
	if (!user__is_act_wanted(event.header.profile, HG_ACT_CAPABLE))
		return;
	if (!has_options && cap == CAP_SYS_ADMIN &&
	    (event.nr >= HG_SYSCALLS_MAX || capable__asks_for_memory(event.abi, event.nr)))
		return;
	event.header.rung = has_options ? HG_RUNG_FUNCTION : HG_RUNG_TRACEPOINT;
	event.result = answer;
	event.flags = HG_CALL_HAS_RESULT;
	if (!capable__is_due(&event, KERNEL_READ(task, group_leader, start_boottime)))
		return;
	profile = event.header.profile;
	rules = profile ? bpf_map_lookup_elem(&profiles, &profile) : NULL;
	capable__output(&event, task, rules && (rules->acts_urgent & (1ULL << HG_ACT_CAPABLE)));
}

SEC("fexit/security_capable")
int BPF_PROG(on_capability_used, const struct cred *cred, struct user_namespace *ns, int cap, unsigned int opts,
	     int answer)
{
	if (!(opts & CAP_OPT_NOAUDIT))
		capable__tell(cred, ns, cap, answer, true);
	return 0;
}

SEC("tp_btf/cap_capable")
int BPF_PROG(on_capability_asked, const struct cred *cred, struct user_namespace *ns,
	     const struct user_namespace *capable_ns, int cap, int answer)
{
	capable__tell(cred, ns, cap, answer, false);
	return 0;
}

SEC("lsm/capable")
int BPF_PROG(on_capable, const struct cred *cred, struct user_namespace *ns, int cap, unsigned int opts, int ret)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_state *state = task__state(task->group_leader);
	struct map_control *settings = emit__control();
	struct map_capability_rules *own;
	struct map_profile *rules;
	struct map_cgroup *entry;
	struct ev_call event = {};
	__u32 profile, number = cap;
	__u64 violated;

	if (ret || !state || !settings || (opts & CAP_OPT_NOAUDIT) || !capable__is_own(task, cred))
		return ret;
	entry = task__cgroup_entry(state->home);
	if (!entry)
		return 0;
	profile = task__profile(entry, settings->version);
	rules = bpf_map_lookup_elem(&profiles, &profile);
	own = bpf_map_lookup_elem(&capability_rules, &profile);
	OPAQUE(number);
	if (!rules || !own || number >= HG_CAPABILITIES_MAX)
		return 0;
	violated = own->violated[number] & own->use;
	if (!(violated & (rules->deny | rules->kill)) || !verdict__may_act(settings, entry, task->tgid))
		return 0;
	capable__begin(&event, task, state, entry, settings, ns, cap);
	event.flags = HG_CALL_DECISION;
	event.header.rung = HG_RUNG_LSM;
	event.header.decided = verdict__judged(rules, own->use, event.header.phase);
	event.header.violated = violated & event.header.decided;
	event.header.action = verdict__refuse(rules, profile, event.header.violated, entry->root_id);
	if (!verdict__is_refusal(event.header.action))
		return 0;
	if (capable__is_due(&event, KERNEL_READ(task, group_leader, start_boottime)))
		capable__output(&event, task, true);
	return -EPERM;
}
