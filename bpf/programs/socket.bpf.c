/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The life of TCP sockets: listen, accepted connection, what came of a connect, close with byte counts. Hook: one tracepoint,
 *   inet_sk_set_state() / inet_sk_state_store() -> trace_inet_sock_set_state(sk, old, new)
 * It runs before the new state is stored. Its callers and who is current there:
 *   CLOSE -> LISTEN             inet_csk_listen_start()     the process that listens
 *   CLOSE -> SYN_SENT           tcp_v4_connect(), v6        the process that connects (or an io_uring worker of its)
 *   SYN_SENT -> ESTABLISHED     tcp_finish_connect()        anyone: softirq
 *   SYN_SENT -> CLOSE           tcp_done()                  anyone
 *   SYN_RECV -> ESTABLISHED     tcp_rcv_state_process()     anyone: before accept(2), if that is called at all
 *   ESTABLISHED -> FIN_WAIT1,
 *   CLOSE_WAIT -> LAST_ACK      tcp_close_state()           the process that closes or shuts down
 *   any -> CLOSE                tcp_done(), tcp_close()     anyone
 * So whose a socket is stands in its own storage. sk_clone_lock() copies it to an accepted connection before the first
 * transition of that: the container of an accepted connection is known although nobody has called accept(2) yet.
 *
 * A socket whose owner nobody watches has no storage: one lookup and out. Fails open: an event without room is counted.
 */
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17

#define TCP_ESTABLISHED 1
#define TCP_SYN_SENT 2
#define TCP_FIN_WAIT1 4
#define TCP_CLOSE 7
#define TCP_CLOSE_WAIT 8
#define TCP_LAST_ACK 9
#define TCP_LISTEN 10

#define FLOW_REPORT_INTERVAL_NS                                                                                        \
	10000000000ULL /* one report per process, far address and port every 10 s, with exact sums */

/* Makes the current task the socket's owner. Only where the current task is the one that acts on the socket. */
static __always_inline void socket__own(struct socket_state *socket, const struct task_struct *task, __u64 home,
					__u32 phase)
{
	socket->home = home;
	socket->phase = phase;
	socket->start_ns = KERNEL_READ(task, group_leader, start_boottime);
	socket->pid = KERNEL_READ(task, tgid);
	socket->tid = KERNEL_READ(task, pid);
	socket->uid = KERNEL_READ(task, cred, euid.val);
	socket->gid = KERNEL_READ(task, cred, egid.val);
}

/* The header of an event of a socket: its owner acts, whoever is current. */
static __always_inline void socket__header(struct ev_header *header, enum hg_kind kind, __u32 size_bytes,
					   const struct socket_state *socket)
{
	struct map_cgroup *entry = task__cgroup_entry(socket->home);

	emit__header(header, kind, size_bytes, (struct task_struct *)bpf_get_current_task_btf());
	header->cgroup_id = socket->home;
	header->phase = socket->phase;
	header->start_ns = socket->start_ns;
	header->pid = socket->pid;
	header->tid = socket->tid;
	header->uid = socket->uid;
	header->gid = socket->gid;
	header->profile = entry ? task__profile(entry, header->program_version) : 0;
}

static __always_inline void socket__ends(struct ev_socket *event, const struct sock *sk)
{
	__u32 near, far;

	event->family = KERNEL_READ(sk, __sk_common.skc_family) == AF_INET ? 4 : 6;
	if (event->family == 4) {
		near = KERNEL_READ(sk, __sk_common.skc_rcv_saddr);
		far = KERNEL_READ(sk, __sk_common.skc_daddr);
		event->local_address[10] = event->local_address[11] = 0xff;
		event->remote_address[10] = event->remote_address[11] = 0xff;
		__builtin_memcpy(&event->local_address[12], &near, 4);
		__builtin_memcpy(&event->remote_address[12], &far, 4);
	} else {
		BPF_CORE_READ_INTO(&event->local_address, sk, __sk_common.skc_v6_rcv_saddr.in6_u.u6_addr8);
		BPF_CORE_READ_INTO(&event->remote_address, sk, __sk_common.skc_v6_daddr.in6_u.u6_addr8);
	}
	event->local_port = KERNEL_READ(sk, __sk_common.skc_num);
	/* tcp_set_state() gives a port that the kernel chose back (inet_put_port()) before it tells of TCP_CLOSE. */
	if (!event->local_port)
		event->local_port = bpf_ntohs(KERNEL_READ((const struct inet_sock *)sk, inet_sport));
	event->remote_port = bpf_ntohs(KERNEL_READ(sk, __sk_common.skc_dport));
	event->netns = KERNEL_READ(sk, __sk_common.skc_net.net, ns.inum);
}

/* The kernel counts a FIN that it got as a byte received (tcp_rcv_nxt_update() takes end_seq). */
static __always_inline void socket__bytes(struct ev_socket *event, const struct sock *sk)
{
	const struct tcp_sock *tcp = (const struct tcp_sock *)sk;
	__u64 received = KERNEL_READ(tcp, bytes_received);
	__u64 done = 1ULL << bpf_core_enum_value(enum sock_flags, SOCK_DONE);

	if (received && (KERNEL_READ(sk, __sk_common.skc_flags) & done))
		received--;
	event->received_bytes = received;
	event->sent_bytes = KERNEL_READ(tcp, bytes_sent) - KERNEL_READ(tcp, bytes_retrans);
}

/* False: counted with those that the next report of this flow carries. */
static __always_inline bool socket__is_due(struct ev_socket *event, enum hg_kind kind, __u32 pid)
{
	struct flow_key key = {.pid = pid, .kind = kind, .role = event->role};
	struct flow_value fresh = {}, *known;
	__u64 now = bpf_ktime_get_boot_ns();

	key.port = event->role == HG_SOCKET_OUT ? event->remote_port : event->local_port;
	__builtin_memcpy(key.remote_address, event->remote_address, 16);
	known = bpf_map_lookup_elem(&flows, &key);
	if (!known) {
		fresh.reported_ns = now;
		bpf_map_update_elem(&flows, &key, &fresh, BPF_ANY);
		return true;
	}
	if (now - known->reported_ns < FLOW_REPORT_INTERVAL_NS) {
		__sync_fetch_and_add(&known->repeats_count, 1);
		__sync_fetch_and_add(&known->sent_bytes, event->sent_bytes);
		__sync_fetch_and_add(&known->received_bytes, event->received_bytes);
		emit__count_drop(HG_DROP_REPEAT, kind);
		return false;
	}
	known->reported_ns = now;
	/* Another CPU may count meanwhile: what is taken is what is told. */
	event->repeats_count = __sync_lock_test_and_set(&known->repeats_count, 0);
	event->repeats_sent_bytes = __sync_lock_test_and_set(&known->sent_bytes, 0);
	event->repeats_received_bytes = __sync_lock_test_and_set(&known->received_bytes, 0);
	return true;
}

static __always_inline void socket__report(enum hg_kind kind, struct sock *sk, const struct socket_state *socket)
{
	struct ev_socket event = {};
	struct map_cgroup *entry = task__cgroup_entry(socket->home);
	__u32 pid = socket->pid;

	if (!task__wanted(entry, HG_WANT_CONNECT))
		return;
	event.role = socket->role;
	event.flags = socket->flags;
	socket__ends(&event, sk);
	if (kind == HG_KIND_LISTEN)
		event.backlog = KERNEL_READ(sk, sk_max_ack_backlog);
	if (kind == HG_KIND_CONNECTED || kind == HG_KIND_CLOSE) {
		event.error = KERNEL_READ(sk, sk_err);
		event.duration_ns = bpf_ktime_get_boot_ns() - socket->since_ns;
	}
	if (kind == HG_KIND_CLOSE)
		socket__bytes(&event, sk);
	if ((kind == HG_KIND_ACCEPT || kind == HG_KIND_CLOSE) && socket->role != HG_SOCKET_LISTENER &&
	    !socket__is_due(&event, kind, pid))
		return;
	event.cookie = bpf_get_socket_cookie(sk);
	socket__header(&event.header, kind, sizeof(event), socket);
	emit__output(&event.header, sizeof(event), false);
}

/* The current task listens or connects: from now on the socket is its own. NULL: nobody watches it. */
static __always_inline struct socket_state *socket__begin(struct sock *sk, enum hg_socket_role role, enum hg_kind kind)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task_btf();
	struct task_state *state = task__state(task->group_leader);
	struct map_cgroup *entry = state ? task__cgroup_entry(state->home) : NULL;
	struct socket_state *socket;
	__u64 home;

	if (!task__wanted(entry, HG_WANT_CONNECT))
		return NULL;
	home = state ? state->home : task__cgroup_id(task);
	socket = bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!socket) {
		task__count_loss(home, HG_DROP_SOCKETS_FULL, kind);
		return NULL;
	}
	socket__own(socket, task, home, state ? state->phase : HG_PHASE_RUN);
	socket->since_ns = bpf_ktime_get_boot_ns();
	socket->role = role;
	socket->flags = 0;
	socket->names = 0; /* its SYN comes next */
	return socket;
}

/* The current task closes: a worker that accepted what its parent listens for is known here at last. */
static __always_inline void socket__closing(struct socket_state *socket)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task_btf();
	struct task_state *state = task__state(task->group_leader);

	if (!(socket->flags & HG_SOCKET_CLOSED_THERE))
		socket->flags |= HG_SOCKET_CLOSED_HERE;
	if (state)
		socket__own(socket, task, state->home, state->phase);
}

/* What the transition of a watched socket is worth telling as; NONE: nothing yet. */
static __always_inline enum hg_kind socket__step(struct socket_state *socket, int old_state, int new_state)
{
	switch (new_state) {
	case TCP_ESTABLISHED:
		socket->flags = HG_SOCKET_ESTABLISHED;
		if (socket->role != HG_SOCKET_LISTENER)
			return HG_KIND_CONNECTED;
		/* The copy that a new connection got of its listener's. */
		socket->role = HG_SOCKET_IN;
		return HG_KIND_ACCEPT;
	case TCP_FIN_WAIT1:
	case TCP_LAST_ACK:
		socket__closing(socket);
		return HG_KIND_NONE;
	case TCP_CLOSE_WAIT:
		socket->flags |= HG_SOCKET_CLOSED_THERE;
		return HG_KIND_NONE;
	case TCP_CLOSE:
		if (socket->role == HG_SOCKET_NONE)
			return HG_KIND_NONE;
		return old_state == TCP_SYN_SENT ? HG_KIND_CONNECTED : HG_KIND_CLOSE;
	default:
		return HG_KIND_NONE;
	}
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(on_socket_state, struct sock *sk, int old_state, int new_state)
{
	struct socket_state *socket;
	enum hg_kind kind;

	if (KERNEL_READ(sk, sk_protocol) != IPPROTO_TCP)
		return 0;
	if (new_state == TCP_SYN_SENT) {
		socket__begin(sk, HG_SOCKET_OUT, HG_KIND_CONNECTED);
		return 0;
	}
	if (new_state == TCP_LISTEN) {
		socket = socket__begin(sk, HG_SOCKET_LISTENER, HG_KIND_LISTEN);
		kind = HG_KIND_LISTEN;
	} else {
		socket = bpf_sk_storage_get(&sockets, sk, 0, 0);
		kind = socket ? socket__step(socket, old_state, new_state) : HG_KIND_NONE;
	}
	if (!socket || kind == HG_KIND_NONE)
		return 0;
	socket__report(kind, sk, socket);
	if (new_state == TCP_ESTABLISHED)
		socket->since_ns = bpf_ktime_get_boot_ns();
	else if (new_state == TCP_CLOSE)
		socket->role = HG_SOCKET_NONE;
	return 0;
}

/* Sockets that were there before the probes get their owner: the first process in the walk that has them open. */
SEC("iter/task_file")
int on_socket(struct bpf_iter__task_file *context)
{
	struct task_struct *task = context->task;
	struct file *file = context->file;
	struct socket_state *socket;
	struct task_state *state;
	struct map_cgroup *entry;
	struct socket *opened;
	struct sock *sk;
	__u32 family, tcp_state;
	__u64 home;

	if (!task || !file)
		return 0;
	state = task__state(task->group_leader);
	entry = state ? task__cgroup_entry(state->home) : NULL;
	if (!task__wanted(entry, HG_WANT_CONNECT))
		return 0;
	opened = bpf_sock_from_file(file);
	if (!opened || !opened->sk)
		return 0;
	sk = opened->sk;
	family = KERNEL_READ(sk, __sk_common.skc_family);
	if ((family != AF_INET && family != AF_INET6) || KERNEL_READ(sk, sk_protocol) != IPPROTO_TCP)
		return 0;
	tcp_state = KERNEL_READ(sk, __sk_common.skc_state);
	if (tcp_state == TCP_CLOSE || bpf_sk_storage_get(&sockets, sk, 0, 0))
		return 0;
	home = state ? state->home : task__cgroup_id(task);
	socket = bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!socket) {
		task__count_loss(home, HG_DROP_SOCKETS_FULL, HG_KIND_TASK);
		return 0;
	}
	socket__own(socket, task, home, HG_PHASE_RUN);
	socket->since_ns = bpf_ktime_get_boot_ns();
	socket->role = tcp_state == TCP_LISTEN	 ? HG_SOCKET_LISTENER :
		       tcp_state == TCP_SYN_SENT ? HG_SOCKET_OUT :
						   HG_SOCKET_OTHER;
	socket->flags = tcp_state == TCP_LISTEN || tcp_state == TCP_SYN_SENT ? 0 : HG_SOCKET_ESTABLISHED;
	return 0;
}
