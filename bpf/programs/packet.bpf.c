/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The bytes in which a process names whom it talks to: DNS messages, and the front of connections that begin with TLS or HTTP.
 * User space reads the names (src/sensor/names); here it is only decided which bytes can hold one. Hooks: cgroup_skb/egress and
 * ingress, attached on demand at the root of the unified hierarchy. Every packet lets through; nothing is ever refused here.
 *   ip_finish_output(), ip6_finish_output() -> BPF_CGROUP_RUN_PROG_INET_EGRESS(sk, skb): as it leaves the network namespace of its
 *     socket, after translation there and before it is cut into fragments or segments
 *   sk_filter_trim_cap() -> BPF_CGROUP_RUN_PROG_INET_INGRESS(sk, skb): put together and translated back, before TCP has looked at
 *     its sequence: what is sent again, or out of order, comes so
 * Both see the packet from its IP header on. Egress may be preempted and ingress interrupts it: no per-CPU scratch, the bytes go
 * right into the ring. Anyone is current here, so whose a socket is stands in its storage: of TCP since it connected, of UDP
 * since a connect or send to port 53 (packet__note_resolver()). Without storage it is one lookup and out.
 *
 * Not looked at: connections accepted here, those that were there before (their SYN was not seen), what stands behind the first
 * HG_PACKET_MAX_BYTES of a direction, TLS that begins later in a connection (STARTTLS), QUIC, IPv6 extension headers (counted).
 */
#define TLS_HANDSHAKE 22 /* type of a record, RFC 8446 5.1 */
#define TLS_RECORD_HEADER_BYTES 5
#define TLS_FRONT_BYTES 9 /* header of the record, type and length of the message in it */

/* What is looked for in a connection. */
enum names_state {
	NAMES_NONE = 0,	 /* its SYN was not seen, or nobody asks */
	NAMES_FRONT = 1, /* nothing was sent yet */
	NAMES_TLS = 2,
	NAMES_HTTP = 3,
	NAMES_DNS = 4, /* the only one of which both directions are told */
	NAMES_DONE = 5,
};

/* The connection begins: its first byte is that behind the SYN. */
static __always_inline void packet__begin(const struct bpf_sock *sk, struct socket_state *socket,
					  const struct packet *packet, enum hg_direction direction)
{
	if (direction == HG_DIRECTION_IN) {
		socket->first_seq[1] = packet->seq + 1;
		return;
	}
	socket->names = NAMES_NONE;
	if (!task__wanted(task__cgroup_entry(socket->home), HG_WANT_NAMES))
		return;
	socket->first_seq[0] = packet->seq + 1;
	socket->told_bytes = 0;
	socket->wanted_bytes = HG_PACKET_MAX_BYTES;
	socket->names = sk->dst_port == bpf_htons(DNS_PORT) ? NAMES_DNS : NAMES_FRONT;
}

/* By the first bytes that a client sends: is there a name to be found, and within how many bytes? */
static __always_inline void packet__classify(struct __sk_buff *skb, struct socket_state *socket,
					     const struct packet *packet)
{
	__u8 front[TLS_FRONT_BYTES] = {};
	__u32 record_bytes, message_bytes;

	if (packet->payload_bytes >= TLS_FRONT_BYTES)
		bpf_skb_load_bytes(skb, packet->payload_at, front, TLS_FRONT_BYTES);
	else
		bpf_skb_load_bytes(skb, packet->payload_at, front, 1);
	if (front[0] >= 'A' && front[0] <= 'Z') {
		socket->names = NAMES_HTTP;
		return;
	}
	if (front[0] != TLS_HANDSHAKE) {
		socket->names = NAMES_DONE;
		return;
	}
	socket->names = NAMES_TLS;
	record_bytes = front[3] << 8 | front[4];
	message_bytes = (__u32)front[6] << 16 | front[7] << 8 | front[8];
	/* A hello in one record ends where its message does; one in several is taken as far as is kept at all. */
	if (message_bytes && message_bytes + TLS_FRONT_BYTES <= record_bytes + TLS_RECORD_HEADER_BYTES &&
	    message_bytes + TLS_FRONT_BYTES < HG_PACKET_MAX_BYTES)
		socket->wanted_bytes = message_bytes + TLS_FRONT_BYTES;
}

/* A request without a body ends so. */
static __always_inline bool packet__ends_request(struct __sk_buff *skb, const struct packet *packet)
{
	__u32 last = 0;

	return packet->payload_bytes >= sizeof(last) &&
	       bpf_skb_load_bytes(skb, packet->payload_at + packet->payload_bytes - sizeof(last), &last,
				  sizeof(last)) == 0 &&
	       last == bpf_htonl(0x0d0a0d0a);
}

/* Cuts off what was told of a direction already and what is not looked at; false: nothing is left. TCP sends in order, so what
 * goes out is told without holes and once; what comes in is told as it comes, and user space puts it in order. */
static __always_inline bool packet__trim(struct ev_packet *event, struct socket_state *socket, struct packet *packet,
					 enum hg_direction direction)
{
	__u32 wanted = direction == HG_DIRECTION_OUT ? socket->wanted_bytes : HG_PACKET_MAX_BYTES;
	__u32 offset = packet->seq - socket->first_seq[direction == HG_DIRECTION_OUT ? 0 : 1];
	__u32 told = socket->told_bytes, bytes = packet->payload_bytes;

	if (offset >= wanted)
		return false;
	if (direction == HG_DIRECTION_OUT && offset < told) {
		if (offset + bytes <= told)
			return false;
		packet->payload_at += told - offset;
		bytes -= told - offset;
		offset = told;
	}
	if (offset + bytes >= wanted)
		event->flags = HG_PACKET_LAST;
	event->offset_bytes = offset;
	event->payload_bytes = bytes;
	event->data_bytes = bytes > wanted - offset ? wanted - offset : bytes;
	if (direction == HG_DIRECTION_OUT)
		socket->told_bytes = offset + event->data_bytes;
	return true;
}

static __always_inline void packet__segment(struct __sk_buff *skb, struct ev_packet *event, struct packet *packet,
					    const struct bpf_sock *sk, struct socket_state *socket)
{
	enum hg_direction direction = event->direction;

	event->proto = IPPROTO_TCP;
	if (socket->names == NAMES_DONE || (socket->names == NAMES_NONE && sk->state != TCP_SYN_SENT))
		return;
	if (!packet__read(skb, packet, IPPROTO_TCP, direction, socket->home))
		return;
	if (sk->state == TCP_SYN_SENT && (packet->tcp_flags & TCP_FLAG_SYN)) {
		packet__begin(sk, socket, packet, direction);
		packet->seq++; /* a SYN takes a number; bytes that come with it (RFC 7413) stand behind it */
	}
	if (socket->names == NAMES_NONE || !packet->payload_bytes ||
	    (direction == HG_DIRECTION_IN && socket->names != NAMES_DNS))
		return;
	if (socket->names == NAMES_FRONT)
		packet__classify(skb, socket, packet);
	if (socket->names == NAMES_DONE || !packet__trim(event, socket, packet, direction))
		return;
	if (socket->names == NAMES_HTTP && packet__ends_request(skb, packet))
		event->flags = HG_PACKET_LAST;
	if ((event->flags & HG_PACKET_LAST) && socket->names != NAMES_DNS)
		socket->names = NAMES_DONE;
	packet__far_address(sk, event->remote_address);
	event->remote_port = bpf_ntohs(sk->dst_port);
	event->local_port = sk->src_port;
	packet__tell(skb, event, packet->payload_at);
}

static __always_inline void packet__look(struct __sk_buff *skb, const struct bpf_sock *sk, struct socket_state *socket,
					 enum hg_direction direction)
{
	struct packet_parts parts = {.skb = skb, .event = {.direction = direction}};
	struct packet packet = {};

	if (socket->role == HG_SOCKET_OUT)
		packet__segment(skb, &parts.event, &packet, sk, socket);
	else if (socket->role == HG_SOCKET_DATAGRAM)
		packet__datagram(&parts, &packet, sk, socket);
}

static __always_inline void packet__see(struct __sk_buff *skb, enum hg_direction direction)
{
	struct bpf_sock *sk = skb->sk;
	struct socket_state *socket;

	if (!sk)
		return;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return;
	socket = bpf_sk_storage_get(&sockets, sk, 0, 0);
	if (socket)
		packet__look(skb, sk, socket, direction);
}

#define PACKET_LET_THROUGH 1

SEC("cgroup_skb/egress")
int on_packet_out(struct __sk_buff *skb)
{
	packet__see(skb, HG_DIRECTION_OUT);
	return PACKET_LET_THROUGH;
}

SEC("cgroup_skb/ingress")
int on_packet_in(struct __sk_buff *skb)
{
	packet__see(skb, HG_DIRECTION_IN);
	return PACKET_LET_THROUGH;
}
