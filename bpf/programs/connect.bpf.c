/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * connect and unconnected UDP sends, IPv4 and IPv6. Hooks: cgroup/connect4, connect6, sendmsg4, sendmsg6, attached once at
 * the root of the unified hierarchy; they run before the call has any effect, with the kernel's copy of the address:
 *   inet_stream_connect() / inet_dgram_connect() -> pre_connect -> BPF_CGROUP_RUN_PROG_INET4_CONNECT_LOCK
 *   udp_sendmsg() -> BPF_CGROUP_RUN_PROG_UDP4_SENDMSG_LOCK (only without a connected destination)
 * Returning 0 refuses the call with EPERM.
 *
 * These hooks run by the *socket's* cgroup, so the decision is by the task: they are attached at the root, where every socket
 * passes. They may be preempted (no per-CPU scratch) and cannot read task storage nor signal on all kernels: home comes from
 * the current cgroup or `moved`, and a kill is a refusal here that user space completes through a pidfd.
 */
#define SEND_REPORT_INTERVAL_NS                                                                                        \
	10000000000ULL /* one report per destination and process every 10 s, with an exact count */

#define CALL_ALLOWED 1
#define CALL_REFUSED 0

static __always_inline __u64 connect__home(const struct task_struct *task)
{
	__u32 tgid;
	__u64 *home;

	if (!any_process_moved)
		return task__cgroup_id(task);
	tgid = KERNEL_READ(task, tgid);
	home = bpf_map_lookup_elem(&moved, &tgid);
	return home ? *home : task__cgroup_id(task);
}

static __always_inline int connect__judge(struct ev_connect *event, const struct map_cgroup *entry, __u32 phase,
					  bool *urgent)
{
	__u32 profile = event->header.profile;
	struct map_profile *rules = bpf_map_lookup_elem(&profiles, &profile);
	__u64 judged, violated, acting;

	if (!rules || !profile)
		return CALL_ALLOWED;
	*urgent = rules->urgent & HG_WANT_CONNECT;
	judged = verdict__judged(rules, rules->connect_rules, phase);
	if (!judged)
		return CALL_ALLOWED;
	violated = connect__violated(&connect_nodes, profile, event->address, event->port, event->proto) & judged;
	event->header.decided = judged;
	event->header.violated = violated;
	acting = violated & (rules->deny | rules->kill);
	if (!acting || !verdict__may_act(emit__control(), entry, event->header.pid))
		return CALL_ALLOWED;
	if (!verdict__within_budget(rules, profile, acting, entry->root_id)) {
		event->header.action = HG_ACTION_SPARED;
		return CALL_ALLOWED;
	}
	event->header.action = violated & rules->kill ? HG_ACTION_DENIED_KILL_PENDING : HG_ACTION_DENIED;
	return CALL_REFUSED;
}

/* A send is reported when it violates, or when this process did not send there within the interval. */
static __always_inline bool connect__send_is_due(struct ev_connect *event)
{
	struct send_key key = {.pid = event->header.pid, .port = event->port};
	struct send_value fresh = {}, *known;
	__u64 now = bpf_ktime_get_boot_ns();

	__builtin_memcpy(key.address, event->address, 16);
	known = bpf_map_lookup_elem(&sends, &key);
	if (!known) {
		fresh.reported_ns = now;
		bpf_map_update_elem(&sends, &key, &fresh, BPF_ANY);
		return true;
	}
	if (!event->header.violated && now - known->reported_ns < SEND_REPORT_INTERVAL_NS) {
		__sync_fetch_and_add(&known->repeats_count, 1);
		emit__count_drop(HG_DROP_REPEAT, HG_KIND_CONNECT);
		return false;
	}
	known->reported_ns = now;
	/* Another CPU may count meanwhile: what is taken is what is told. */
	event->repeats_count = __sync_lock_test_and_set(&known->repeats_count, 0);
	return true;
}

static __always_inline int connect__run(struct bpf_sock_addr *context, const __u8 *address, bool is_send)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task_btf();
	struct map_cgroup *entry;
	struct ev_connect event = {};
	__u32 phase = HG_PHASE_RUN;
	struct map_control *settings;
	__u64 home = connect__home(task);
	bool urgent = false;
	int answer;

	entry = task__cgroup_entry(home);
	if (!task__wanted(entry, HG_WANT_CONNECT))
		return CALL_ALLOWED;
	__builtin_memcpy(event.address, address, 16);
	event.port = bpf_ntohs(context->user_port);
	event.proto = context->protocol;
	event.family = context->user_family == AF_INET ? 4 : 6;
	event.cookie = bpf_get_socket_cookie(context);
	event.header.pid = bpf_get_current_pid_tgid() >> 32;
	settings = emit__control();
	event.header.profile = entry && settings ? task__profile(entry, settings->version) : 0;
	answer = connect__judge(&event, entry, phase, &urgent);
	if (event.proto == IPPROTO_UDP && answer == CALL_ALLOWED)
		packet__note_resolver(context->sk, entry, task, home, event.address, event.port, is_send);
	if (is_send && !connect__send_is_due(&event))
		return answer;
	{
		struct ev_header judged = event.header;

		emit__header(&event.header, HG_KIND_CONNECT, sizeof(event), task);
		event.header.cgroup_id = home;
		event.header.program_version = settings ? settings->version : 0;
		event.header.profile = judged.profile;
		event.header.decided = judged.decided;
		event.header.violated = judged.violated;
		event.header.action = judged.action;
		event.header.rung = HG_RUNG_CGROUP;
	}
	emit__output(&event.header, sizeof(event), urgent || event.header.violated != 0);
	return answer;
}

static __always_inline int connect__run4(struct bpf_sock_addr *context, bool is_send)
{
	__u8 address[16] = {[10] = 0xff, [11] = 0xff};
	__u32 ip = context->user_ip4;

	__builtin_memcpy(&address[12], &ip, 4);
	return connect__run(context, address, is_send);
}

static __always_inline int connect__run6(struct bpf_sock_addr *context, bool is_send)
{
	__u32 words[4];

	words[0] = context->user_ip6[0];
	words[1] = context->user_ip6[1];
	words[2] = context->user_ip6[2];
	words[3] = context->user_ip6[3];
	return connect__run(context, (__u8 *)words, is_send);
}

SEC("cgroup/connect4")
int on_connect4(struct bpf_sock_addr *context)
{
	return connect__run4(context, false);
}

SEC("cgroup/connect6")
int on_connect6(struct bpf_sock_addr *context)
{
	return connect__run6(context, false);
}

SEC("cgroup/sendmsg4")
int on_sendmsg4(struct bpf_sock_addr *context)
{
	return connect__run4(context, true);
}

SEC("cgroup/sendmsg6")
int on_sendmsg6(struct bpf_sock_addr *context)
{
	return connect__run6(context, true);
}
