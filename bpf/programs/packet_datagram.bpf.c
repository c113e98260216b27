/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* DNS messages over UDP: which datagrams are for a resolver or from one. Half of packet.bpf.c, where the hooks are described. */
static __always_inline bool packet__is_same(const __u8 *a, const __u8 *b)
{
	__u64 x[2], y[2];

	__builtin_memcpy(x, a, 16);
	__builtin_memcpy(y, b, 16);
	return x[0] == y[0] && x[1] == y[1];
}

/*
 * Is this packet for a resolver, as the process named it? Into remote_address and remote_port. It can be of the connected far end, or of
 * the send that named an address last (socket->sent_*), and the host may have translated its destination: by that destination, where
 * it is one of the two as it stands, or has the address of one; else the connected end comes first, when that is a resolver. Of
 * several threads that send at once the last send may be another's: what goes to port 53 is told all the same.
 */
static __always_inline bool packet__asks(struct ev_packet *event, const struct bpf_sock *sk,
					 const struct socket_state *socket, const struct packet *packet)
{
	bool is_sent_there = socket->sent_port && packet__is_same(socket->sent_address, packet->far);
	bool is_connected_there = false, is_connected = sk->dst_port == bpf_htons(DNS_PORT);

	event->remote_port = DNS_PORT;
	if (is_sent_there && socket->sent_port == packet->target_port && socket->sent_port != DNS_PORT)
		return false;
	packet__far_address(sk, event->remote_address);
	if (is_connected)
		is_connected_there = packet__is_same(event->remote_address, packet->far);
	if (is_connected_there || (is_connected && !(is_sent_there && socket->sent_port == DNS_PORT)))
		return true;
	if (socket->sent_port == DNS_PORT) {
		__builtin_memcpy(event->remote_address, socket->sent_address, 16);
		return true;
	}
	__builtin_memcpy(event->remote_address, packet->far, 16);
	return packet->target_port == DNS_PORT;
}

static long packet__part(__u32 index, struct packet_parts *parts)
{
	__u32 bytes = parts->left_bytes < parts->part_bytes ? parts->left_bytes : parts->part_bytes;

	if (!bytes)
		return 1;
	parts->event.payload_bytes = bytes;
	parts->event.data_bytes = bytes > HG_PACKET_MAX_BYTES ? HG_PACKET_MAX_BYTES : bytes;
	packet__tell(parts->skb, &parts->event, parts->at);
	parts->at += bytes;
	parts->left_bytes -= bytes;
	return 0;
}

#define UDP_PARTS_MAX 128 /* UDP_MAX_SEGMENTS, include/linux/udp.h */

static __always_inline void packet__datagram(struct packet_parts *parts, struct packet *packet,
					     const struct bpf_sock *sk, const struct socket_state *socket)
{
	struct ev_packet *event = &parts->event;

	if (!packet__read(parts->skb, packet, IPPROTO_UDP, event->direction, socket->home) || !packet->payload_bytes)
		return;
	if (event->direction == HG_DIRECTION_OUT) {
		if (!packet__asks(event, sk, socket, packet))
			return;
		event->local_port = packet->source_port;
	} else {
		if (packet->source_port != DNS_PORT)
			return;
		__builtin_memcpy(event->remote_address, packet->far, 16);
		event->remote_port = packet->source_port;
		event->local_port = packet->target_port;
	}
	event->proto = IPPROTO_UDP;
	event->flags = HG_PACKET_LAST;
	parts->at = packet->payload_at;
	parts->left_bytes = packet->payload_bytes;
	parts->part_bytes = parts->skb->gso_size ? parts->skb->gso_size : packet->payload_bytes;
	bpf_loop(UDP_PARTS_MAX, packet__part, parts, 0);
}

/* From the connect and send hooks of UDP, when the call is let through: the socket's owner, and to whom it sends. The hook knows the
 * address that the process named; behind it the host may put another (Docker's own resolver listens on a port of its choice). To whom
 * it is connected is the socket's own to tell. */
static __always_inline void packet__note_resolver(struct bpf_sock *sk, const struct map_cgroup *entry,
						  const struct task_struct *task, __u64 home, const __u8 *address,
						  __u16 port, bool is_send)
{
	struct socket_state *socket;

	if (!sk || !task__wanted(entry, HG_WANT_NAMES))
		return;
	socket = bpf_sk_storage_get(&sockets, sk, 0, port == DNS_PORT ? BPF_SK_STORAGE_GET_F_CREATE : 0);
	if (!socket) {
		if (port == DNS_PORT)
			task__count_loss(home, HG_DROP_SOCKETS_FULL, HG_KIND_PACKET);
		return;
	}
	if (port == DNS_PORT) {
		socket__own(socket, task, home, HG_PHASE_RUN);
		socket->role = HG_SOCKET_DATAGRAM;
	}
	if (!is_send)
		return;
	socket->sent_port = port;
	__builtin_memcpy(socket->sent_address, address, 16);
}
