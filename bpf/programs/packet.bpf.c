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
#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd
#define DNS_PORT 53
#define IPV4_HEADER_BYTES 20
#define IPV6_HEADER_BYTES 40
#define UDP_HEADER_BYTES 8
#define TCP_HEADER_BYTES 20
#define TCP_FLAG_SYN 0x02
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

struct packet {
	__u32 transport_at; /* from the IP header, as all places here */
	__u32 payload_at;
	__u32 payload_bytes;
	__u32 seq;
	__u16 source_port; /* host order */
	__u16 target_port;
	__u8 proto;
	__u8 tcp_flags;
	__u8 source[16];
	__u8 target[16];
};

static __always_inline bool packet__read_network(struct __sk_buff *skb, struct packet *packet)
{
	__u8 head[IPV6_HEADER_BYTES];

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		if (bpf_skb_load_bytes(skb, 0, head, IPV4_HEADER_BYTES))
			return false;
		packet->transport_at = (head[0] & 0xf) * 4;
		packet->proto = head[9];
		packet->source[10] = packet->source[11] = packet->target[10] = packet->target[11] = 0xff;
		__builtin_memcpy(&packet->source[12], &head[12], 4);
		__builtin_memcpy(&packet->target[12], &head[16], 4);
		return true;
	}
	if (skb->protocol != bpf_htons(ETH_P_IPV6) || bpf_skb_load_bytes(skb, 0, head, IPV6_HEADER_BYTES))
		return false;
	packet->transport_at = IPV6_HEADER_BYTES;
	packet->proto = head[6];
	__builtin_memcpy(packet->source, &head[8], 16);
	__builtin_memcpy(packet->target, &head[24], 16);
	return true;
}

/* False, and counted: these are not the headers of such a packet. */
static __always_inline bool packet__read(struct __sk_buff *skb, struct packet *packet, __u8 proto)
{
	__u8 head[TCP_HEADER_BYTES] = {};
	__u32 head_bytes = proto == IPPROTO_TCP ? TCP_HEADER_BYTES : UDP_HEADER_BYTES;

	if (!packet__read_network(skb, packet) || packet->proto != proto ||
	    (proto == IPPROTO_TCP ? bpf_skb_load_bytes(skb, packet->transport_at, head, TCP_HEADER_BYTES) :
				    bpf_skb_load_bytes(skb, packet->transport_at, head, UDP_HEADER_BYTES))) {
		emit__count_drop(HG_DROP_HELPER, HG_KIND_PACKET);
		return false;
	}
	packet->source_port = head[0] << 8 | head[1];
	packet->target_port = head[2] << 8 | head[3];
	if (proto == IPPROTO_TCP) {
		packet->seq = (__u32)head[4] << 24 | head[5] << 16 | head[6] << 8 | head[7];
		packet->tcp_flags = head[13];
		head_bytes = (head[12] >> 4) * 4;
	}
	packet->payload_at = packet->transport_at + head_bytes;
	packet->payload_bytes = skb->len > packet->payload_at ? skb->len - packet->payload_at : 0;
	return true;
}

/* `room_bytes` is a constant: the ring hands out no other sizes. The event says how much of it holds bytes. */
static __always_inline void packet__write(struct __sk_buff *skb, const struct ev_packet *event, __u32 at,
					  const __u32 room_bytes, bool urgent)
{
	__u64 waiting_bytes = bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA), bytes;
	struct ev_packet *slot = bpf_ringbuf_reserve(&events, sizeof(*event) + room_bytes, 0);
	bool is_read = false;

	if (!slot) {
		emit__count_loss(event->header.cgroup_id, event->header.profile, HG_DROP_RING_FULL, HG_KIND_PACKET);
		return;
	}
	__builtin_memcpy(slot, event, sizeof(*event));
	/* One less, so that one bound shows both ends: a verifier before v6.8 learns no least value from `!= 0`. */
	bytes = (__u64)event->data_bytes - 1;
	OPAQUE(bytes);
	if (bytes < room_bytes)
		is_read = bpf_skb_load_bytes(skb, at, slot + 1, bytes + 1) == 0;
	if (!is_read) {
		emit__count_loss(event->header.cgroup_id, event->header.profile, HG_DROP_HELPER, HG_KIND_PACKET);
		slot->data_bytes = 0;
		slot->header.size_bytes = sizeof(*event);
	}
	bpf_ringbuf_submit(slot, emit__wake_flags(waiting_bytes, cfg_wake_bytes, urgent, sizeof(*event) + room_bytes));
}

/* `at`: of the first of event->data_bytes bytes. The rest of the event is filled here. */
static __always_inline void packet__tell(struct __sk_buff *skb, struct ev_packet *event, const struct bpf_sock *sk,
					 const struct socket_state *socket, __u32 at)
{
	__u32 bytes = event->data_bytes, profile;
	struct map_profile *rules;
	bool urgent;

	event->cookie = bpf_get_socket_cookie(skb);
	event->family = sk->family == AF_INET ? 4 : 6;
	socket__header(&event->header, HG_KIND_PACKET, sizeof(*event) + bytes, socket);
	event->header.rung = HG_RUNG_CGROUP;
	profile = event->header.profile;
	/* What stands behind a hello or a request is not missed. */
	if (event->remote_port == DNS_PORT && event->payload_bytes > bytes)
		emit__count_loss(socket->home, profile, HG_DROP_TRUNCATED, HG_KIND_PACKET);
	rules = bpf_map_lookup_elem(&profiles, &profile);
	urgent = rules && (rules->urgent & HG_WANT_NAMES);
	if (bytes <= HG_PACKET_SMALL_BYTES)
		packet__write(skb, event, at, HG_PACKET_SMALL_BYTES, urgent);
	else if (bytes <= HG_PACKET_MEDIUM_BYTES)
		packet__write(skb, event, at, HG_PACKET_MEDIUM_BYTES, urgent);
	else
		packet__write(skb, event, at, HG_PACKET_MAX_BYTES, urgent);
}

/* Each word at its own offset: the verifier knows no other way into struct bpf_sock. */
static __always_inline void packet__far_address(const struct bpf_sock *sk, __u8 *address)
{
	__u32 word4 = sk->dst_ip4;
	__u32 words[4];

	barrier_var(word4);
	words[0] = sk->dst_ip6[0];
	words[1] = sk->dst_ip6[1];
	words[2] = sk->dst_ip6[2];
	words[3] = sk->dst_ip6[3];
	if (sk->family == AF_INET) {
		words[0] = words[1] = 0;
		words[2] = bpf_htonl(0xffff);
		words[3] = word4;
	}
	__builtin_memcpy(address, words, 16);
}

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
	bool is_sent_there = socket->sent_port && packet__is_same(socket->sent_address, packet->target);
	bool is_connected_there = false, is_connected = sk->dst_port == bpf_htons(DNS_PORT);

	event->remote_port = DNS_PORT;
	if (is_sent_there && socket->sent_port == packet->target_port && socket->sent_port != DNS_PORT)
		return false;
	packet__far_address(sk, event->remote_address);
	if (is_connected)
		is_connected_there = packet__is_same(event->remote_address, packet->target);
	if (is_connected_there || (is_connected && !(is_sent_there && socket->sent_port == DNS_PORT)))
		return true;
	if (socket->sent_port == DNS_PORT) {
		__builtin_memcpy(event->remote_address, socket->sent_address, 16);
		return true;
	}
	__builtin_memcpy(event->remote_address, packet->target, 16);
	return packet->target_port == DNS_PORT;
}

/* What is told of a packet. A datagram, or several that the kernel keeps as one until later (UDP_SEGMENT, UDP_GRO): all but the last are of one size. */
struct packet_parts {
	struct __sk_buff *skb;
	const struct bpf_sock *sk;
	const struct socket_state *socket;
	__u32 at;
	__u32 left_bytes;
	__u32 part_bytes;
	struct ev_packet event;
};

static long packet__part(__u32 index, struct packet_parts *parts)
{
	__u32 bytes = parts->left_bytes < parts->part_bytes ? parts->left_bytes : parts->part_bytes;

	if (!bytes)
		return 1;
	parts->event.payload_bytes = bytes;
	parts->event.data_bytes = bytes > HG_PACKET_MAX_BYTES ? HG_PACKET_MAX_BYTES : bytes;
	packet__tell(parts->skb, &parts->event, parts->sk, parts->socket, parts->at);
	parts->at += bytes;
	parts->left_bytes -= bytes;
	return 0;
}

#define UDP_PARTS_MAX 128 /* UDP_MAX_SEGMENTS, include/linux/udp.h */

static __always_inline void packet__datagram(struct packet_parts *parts, struct packet *packet)
{
	struct ev_packet *event = &parts->event;

	if (!packet__read(parts->skb, packet, IPPROTO_UDP) || !packet->payload_bytes)
		return;
	if (event->direction == HG_DIRECTION_OUT) {
		if (!packet__asks(event, parts->sk, parts->socket, packet))
			return;
		event->local_port = packet->source_port;
	} else {
		if (packet->source_port != DNS_PORT)
			return;
		__builtin_memcpy(event->remote_address, packet->source, 16);
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

static __always_inline void packet__segment(struct packet_parts *parts, struct packet *packet,
					    struct socket_state *socket)
{
	struct __sk_buff *skb = parts->skb;
	const struct bpf_sock *sk = parts->sk;
	struct ev_packet *event = &parts->event;
	enum hg_direction direction = event->direction;

	event->proto = IPPROTO_TCP;
	if (socket->names == NAMES_DONE || (socket->names == NAMES_NONE && sk->state != TCP_SYN_SENT))
		return;
	if (!packet__read(skb, packet, IPPROTO_TCP))
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
	packet__tell(skb, event, sk, socket, packet->payload_at);
}

static __always_inline void packet__look(struct __sk_buff *skb, const struct bpf_sock *sk, struct socket_state *socket,
					 enum hg_direction direction)
{
	struct packet_parts parts = {.skb = skb, .sk = sk, .socket = socket, .event = {.direction = direction}};
	struct packet packet = {};

	if (socket->role == HG_SOCKET_OUT)
		packet__segment(&parts, &packet, socket);
	else if (socket->role == HG_SOCKET_DATAGRAM)
		packet__datagram(&parts, &packet);
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
			emit__count_drop(HG_DROP_SOCKETS_FULL, HG_KIND_PACKET);
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
