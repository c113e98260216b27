/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What both halves of packet.bpf.c need: the headers of a packet, and telling of its bytes. Where the hooks are called stands there. */
#define ETH_P_IP 0x0800
#define ETH_P_IPV6 0x86dd
#define DNS_PORT 53
#define IPV4_HEADER_BYTES 20
#define IPV6_HEADER_BYTES 40
#define UDP_HEADER_BYTES 8
#define TCP_HEADER_BYTES 20
#define TCP_FLAG_SYN 0x02

struct packet {
	__u32 transport_at; /* from the IP header, as all places here */
	__u32 payload_at;
	__u32 payload_bytes;
	__u32 seq;
	__u16 source_port; /* host order */
	__u16 target_port;
	__u8 proto;
	__u8 tcp_flags;
	__u8 far[16]; /* address of the end that is not the socket's own */
};

static __always_inline bool packet__read_network(struct __sk_buff *skb, struct packet *packet,
						 enum hg_direction direction)
{
	__u8 head[IPV6_HEADER_BYTES];

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		if (bpf_skb_load_bytes(skb, 0, head, IPV4_HEADER_BYTES))
			return false;
		packet->transport_at = (head[0] & 0xf) * 4;
		packet->proto = head[9];
		packet->far[10] = packet->far[11] = 0xff;
		__builtin_memcpy(&packet->far[12], direction == HG_DIRECTION_OUT ? &head[16] : &head[12], 4);
		return true;
	}
	if (skb->protocol != bpf_htons(ETH_P_IPV6) || bpf_skb_load_bytes(skb, 0, head, IPV6_HEADER_BYTES))
		return false;
	packet->transport_at = IPV6_HEADER_BYTES;
	packet->proto = head[6];
	__builtin_memcpy(packet->far, direction == HG_DIRECTION_OUT ? &head[24] : &head[8], 16);
	return true;
}

/* False, and counted: these are not the headers of such a packet. Not inlined: what it needs of the stack is free again where the packet
 * is told, four calls deep. */
static __noinline bool packet__read(struct __sk_buff *skb, struct packet *packet, __u8 proto,
				    enum hg_direction direction, __u64 home)
{
	__u8 head[TCP_HEADER_BYTES] = {};
	__u32 head_bytes = proto == IPPROTO_TCP ? TCP_HEADER_BYTES : UDP_HEADER_BYTES;

	if (!packet__read_network(skb, packet, direction) || packet->proto != proto ||
	    (proto == IPPROTO_TCP ? bpf_skb_load_bytes(skb, packet->transport_at, head, TCP_HEADER_BYTES) :
				    bpf_skb_load_bytes(skb, packet->transport_at, head, UDP_HEADER_BYTES))) {
		task__count_loss(home, HG_DROP_HELPER, HG_KIND_PACKET);
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
	bpf_ringbuf_submit(slot, emit__wake_flags(waiting_bytes, cfg_wake_bytes, urgent ? EMIT_URGENT : EMIT_BATCHED,
						  sizeof(*event) + room_bytes));
}

/* `at`: of the first of event->data_bytes bytes. The rest of the event is filled here. Global, so that the verifier walks it once and not
 * for each state of the packet that leads to it; so it looks up the socket again. */
__noinline int packet__tell(struct __sk_buff *skb, struct ev_packet *event, __u32 at)
{
	const struct socket_state *socket;
	struct bpf_sock *sk = skb->sk;
	struct map_profile *rules;
	__u32 bytes, profile;
	bool urgent;

	if (!event || !sk)
		return 0;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return 0;
	socket = bpf_sk_storage_get(&sockets, sk, 0, 0);
	if (!socket)
		return 0;
	bytes = event->data_bytes;
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
	return 0;
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

/* What is told of a packet. A datagram, or several that the kernel keeps as one until later (UDP_SEGMENT, UDP_GRO): all but the last are of one size. */
struct packet_parts {
	struct __sk_buff *skb;
	__u32 at;
	__u32 left_bytes;
	__u32 part_bytes;
	struct ev_packet event;
};
