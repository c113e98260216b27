/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Listening sockets, refused before they listen; attached only while a rule may refuse.
 *   lsm/socket_listen: __sys_listen() -> security_socket_listen(), the local address is bound (or left to the kernel: port 0).
 *   cgroup/bind4, bind6: inet_bind() -> BPF_CGROUP_RUN_PROG_INET_BIND_LOCK, where there is no LSM: the taking of a TCP port that the
 *     call names. Who listens without such a bind is found at sys_exit (call__judge_listen) and can be killed there.
 * The cgroup hooks have the bounds of connect.bpf.c: the decision is by the task, and a kill is completed through a pidfd.
 */
#define SOCK_STREAM 1

/* Refuses the act in `event`, which has its local address, or not. `may_signal`: this hook can. */
static __always_inline bool listen__refuse(struct ev_call *event, const struct map_cgroup *entry, bool may_signal)
{
	__u32 profile = event->header.profile;
	struct map_profile *rules = bpf_map_lookup_elem(&profiles, &profile);
	__u64 judged, violated, acting;

	if (!rules || !profile || !event->local_port)
		return false;
	judged = verdict__judged(rules, rules->listen_rules, event->header.phase);
	if (!(judged & (rules->deny | rules->kill)))
		return false;
	violated = connect__violated(&listen_nodes, profile, event->local, event->local_port, IPPROTO_TCP) & judged;
	event->header.decided = judged;
	event->header.violated = violated;
	acting = violated & (rules->deny | rules->kill);
	if (!acting || !verdict__may_act(emit__control(), entry, event->header.pid))
		return false;
	if (may_signal) {
		event->header.action = verdict__refuse(rules, profile, violated, entry->root_id);
		return verdict__is_refusal(event->header.action);
	}
	if (!verdict__within_budget(rules, profile, acting, entry->root_id))
		return false;
	event->header.action = violated & rules->kill ? HG_ACTION_DENIED_KILL_PENDING : HG_ACTION_DENIED;
	return true;
}

/* Numbers the refused act and puts it out. */
static __always_inline void listen__report(struct ev_call *event, struct task_struct *task, __u32 act)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(task);
	__u32 nr = syscall__nr(regs), abi = syscall__abi(task, &nr);

	event->act = act;
	event->fd = -1;
	event->fd_kind = HG_FD_SOCKET;
	event->flags = HG_CALL_DECISION;
	if (syscall__is_of_ring(task, regs, nr)) {
		event->flags |= HG_CALL_IO_URING;
		event->nr = act == HG_ACT_BIND ? HG_RING_BIND : HG_RING_LISTEN;
	} else {
		event->abi = abi;
		event->nr = nr;
	}
	call__number(&event->header, task);
	event->header.size_bytes = sizeof(*event);
	emit__output(&event->header, sizeof(*event), true);
}

static __always_inline int listen__bind(struct bpf_sock_addr *context, const __u8 *address)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task_btf();
	__u64 home = connect__home(task);
	struct map_cgroup *entry = task__cgroup_entry(home);
	struct map_control *settings = emit__control();
	struct ev_call event = {};

	if (!entry || !settings || context->type != SOCK_STREAM || context->protocol != IPPROTO_TCP)
		return CALL_ALLOWED;
	__builtin_memcpy(event.local, address, 16);
	event.local_port = bpf_ntohs(context->user_port);
	event.family = context->user_family;
	event.proto = IPPROTO_TCP;
	event.socket_type = SOCK_STREAM;
	event.header.cgroup_id = home;
	event.header.pid = bpf_get_current_pid_tgid() >> 32;
	event.header.program_version = settings->version;
	event.header.profile = task__profile(entry, event.header.program_version);
	event.header.rung = HG_RUNG_CGROUP;
	if (!listen__refuse(&event, entry, false))
		return CALL_ALLOWED;
	listen__report(&event, task, HG_ACT_BIND);
	return CALL_REFUSED;
}

SEC("cgroup/bind4")
int on_bind4(struct bpf_sock_addr *context)
{
	__u8 address[16] = {[10] = 0xff, [11] = 0xff};
	__u32 ip = context->user_ip4;

	__builtin_memcpy(&address[12], &ip, 4);
	return listen__bind(context, address);
}

SEC("cgroup/bind6")
int on_bind6(struct bpf_sock_addr *context)
{
	__u32 words[4];

	words[0] = context->user_ip6[0];
	words[1] = context->user_ip6[1];
	words[2] = context->user_ip6[2];
	words[3] = context->user_ip6[3];
	return listen__bind(context, (__u8 *)words);
}

SEC("lsm/socket_listen")
int BPF_PROG(on_socket_listen, struct socket *sock, int backlog, int ret)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct task_state *state = task__state(task->group_leader);
	struct map_control *settings = emit__control();
	struct map_cgroup *entry;
	struct ev_call event = {};
	struct sock *sk;

	if (ret)
		return ret;
	entry = state ? task__cgroup_entry(state->home) : NULL;
	sk = KERNEL_READ(sock, sk);
	if (!entry || !settings || !sk)
		return 0;
	event.family = KERNEL_READ(sk, __sk_common.skc_family);
	if (event.family != AF_INET && event.family != AF_INET6)
		return 0;
	event.proto = KERNEL_READ(sk, sk_protocol);
	event.socket_type = KERNEL_READ(sock, type);
	descriptor__read_ends(&event, sk);
	event.args[1] = backlog;
	event.header.cgroup_id = state->home;
	event.header.phase = state->phase;
	event.header.pid = task->tgid;
	event.header.program_version = settings->version;
	event.header.profile = task__profile(entry, event.header.program_version);
	event.header.rung = HG_RUNG_LSM;
	if (!listen__refuse(&event, entry, true))
		return 0;
	listen__report(&event, task, HG_ACT_LISTEN);
	return -EPERM;
}
