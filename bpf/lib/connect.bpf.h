/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the maps of networks say of an address and a port: `connect_nodes` and `listen_nodes`, whose masks are rules, and `end_nodes`,
 * whose masks are acts that a profile wants reported.
 *
 * Fail direction of the filter of acts: what cannot be told is reported.
 */
#ifndef HULLGUARD_CONNECT_BPF_H
#define HULLGUARD_CONNECT_BPF_H

#include "descriptor.bpf.h"

#ifndef IPPROTO_TCP
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#endif

struct connect_masks {
	__u64 tcp;
	__u64 udp;
};

/* What `nodes`, a map of networks, say of the address and port: all zero where nothing is said. */
static __always_inline struct connect_masks connect__masks(void *nodes, __u32 profile, const __u8 *address, __u16 port)
{
	struct connect_masks masks = {};
	struct map_connect_key key = {.prefix_bits = (sizeof(profile) + 16) * 8, .profile = profile};
	struct map_connect_node *node;

	__builtin_memcpy(key.address, address, 16);
	node = bpf_map_lookup_elem(nodes, &key);
	if (!node)
		return masks;
	for (__u32 i = 0; i < HG_CONNECT_RANGES; i++) {
		if (i >= node->ranges_count)
			break;
		if (port < node->ranges[i].port_from || port > node->ranges[i].port_to)
			continue;
		masks.tcp = node->ranges[i].violated_tcp;
		masks.udp = node->ranges[i].violated_udp;
		break;
	}
	return masks;
}

/* `nodes`: the map of connect or of listen rules. */
static __always_inline __u64 connect__violated(void *nodes, __u32 profile, const __u8 *address, __u16 port, __u8 proto)
{
	struct connect_masks masks = connect__masks(nodes, profile, address, port);

	/* rules speak of TCP and UDP; what they say of other protocols is for user space */
	return proto == IPPROTO_TCP ? masks.tcp : proto == IPPROTO_UDP ? masks.udp : 0;
}

#define END_TCP 1
#define END_UDP 2

_Static_assert(__builtin_offsetof(struct ev_call, remote) == __builtin_offsetof(struct ev_call, local) + 16 &&
		       __builtin_offsetof(struct ev_call, remote_port) ==
			       __builtin_offsetof(struct ev_call, local_port) + 2,
	       "the far end behind the near one");

/* For which protocols, END_*, the act in scratch->call is wanted at one end of its socket. */
__noinline int connect__wanted_at_end(__u32 slot, __u32 profile, __u32 is_remote)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	struct connect_masks masks;
	__u32 end, shift;

	if (!scratch)
		return END_TCP | END_UDP;
	end = is_remote & 1;
	OPAQUE(end); /* one look-up with a place that varies, not two */
	end &= 1;
	masks = connect__masks(&end_nodes, profile, scratch->call.local + end * sizeof(scratch->call.local),
			       *(&scratch->call.local_port + end));
	shift = (2 * (scratch->call.act - HG_ACT_SOCKET) + end) & 63;
	return (masks.tcp >> shift & 1 ? END_TCP : 0) | (masks.udp >> shift & 1 ? END_UDP : 0);
}

/* Is the act in scratch->call, which has the facts of its descriptor, to be reported, as far as it is about a socket? Of a protocol that
 * is neither TCP nor UDP what is wanted of either counts. `are_ends_known`: an end that is not there is none. */
__noinline int connect__is_act_wanted(__u32 slot, __u32 profile, __u32 are_ends_known)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	struct map_profile *rules = bpf_map_lookup_elem(&profiles, &profile);
	__u32 bit, protocols = 0;

	if (!scratch || !rules)
		return 1;
	bit = scratch->call.act & 63;
	if (!((rules->acts_by_end | rules->acts_internet) >> bit & 1) || scratch->call.fd_kind == HG_FD_NONE)
		return 1;
	if (scratch->call.family != AF_INET && scratch->call.family != AF_INET6)
		return !(rules->acts_internet >> bit & 1);
	if (!(rules->acts_by_end >> bit & 1) || !are_ends_known)
		return 1;
	if (scratch->call.proto != IPPROTO_UDP || bit == HG_ACT_LISTEN) /* rules about those speak of TCP */
		protocols |= END_TCP;
	if (scratch->call.proto != IPPROTO_TCP)
		protocols |= END_UDP;
	return (connect__wanted_at_end(slot, profile, 0) & protocols) ||
	       (connect__wanted_at_end(slot, profile, 1) & protocols);
}

#endif
