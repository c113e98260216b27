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

/* Is the act in scratch->call, which has the facts of its descriptor, to be reported, as far as it is about a socket? Of a protocol that
 * is neither TCP nor UDP what is wanted of either counts. */
__noinline int connect__is_act_wanted(__u32 slot, __u32 profile)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	struct map_profile *rules = bpf_map_lookup_elem(&profiles, &profile);
	struct connect_masks local, remote;
	__u32 bit, shift;
	__u64 wanted;

	if (!scratch || !rules)
		return 1;
	bit = scratch->call.act & 63;
	if (!((rules->acts_by_end | rules->acts_internet) >> bit & 1) || scratch->call.fd_kind == HG_FD_NONE)
		return 1;
	if (scratch->call.family != AF_INET && scratch->call.family != AF_INET6)
		return !(rules->acts_internet >> bit & 1);
	if (!(rules->acts_by_end >> bit & 1))
		return 1;
	local = connect__masks(&end_nodes, profile, scratch->call.local, scratch->call.local_port);
	remote = connect__masks(&end_nodes, profile, scratch->call.remote, scratch->call.remote_port);
	shift = (2 * (bit - HG_ACT_SOCKET)) & 63;
	wanted = 0;
	if (scratch->call.proto != IPPROTO_UDP || bit == HG_ACT_LISTEN) /* rules about those speak of TCP */
		wanted |= (local.tcp >> shift & 1) | (remote.tcp >> shift & 2);
	if (scratch->call.proto != IPPROTO_TCP)
		wanted |= (local.udp >> shift & 1) | (remote.udp >> shift & 2);
	return wanted != 0;
}

#endif
