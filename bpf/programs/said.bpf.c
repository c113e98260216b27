/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Rules whose entries say several things at once (mounts, senders of signals), as src/match/fact-rules.ts has them: what holds of an
 * act is gathered as a set, an entry matches when all that it says is in the set, and of each rule the first entry that matches
 * decides (src/respond/lower-said.ts puts them in order). No hooks stand here.
 */

/* Adds what is said of the text strings[offset, offset + length) by `owner`'s entries; `is_path`: also of its folders and its last
 * component. */
__noinline int said__text(__u32 slot, __u32 owner, __u32 offset, __u32 length, __u32 is_path)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	__u64 *said;

	if (!scratch || !verdict__load_keys(scratch, owner, offset, length))
		return 0;
	if (length < HG_KEY_PATH_BYTES) {
		said = bpf_map_lookup_elem(&said_exact, &scratch->key);
		if (said)
			scratch->said |= *said;
	}
	if (!is_path)
		return 1;
	said = bpf_map_lookup_elem(&said_prefix, &scratch->prefix);
	if (said)
		scratch->said |= *said;
	if (file__load_base(scratch, owner, offset, length)) {
		said = bpf_map_lookup_elem(&said_base, &scratch->key);
		if (said)
			scratch->said |= *said;
	}
	return 1;
}

static __always_inline __u64 said__number(__u32 owner, __u32 number)
{
	struct map_said_number key = {.owner = owner, .number = number};
	__u64 *said = bpf_map_lookup_elem(&said_numbers, &key);

	return said ? *said : 0;
}

static __always_inline __u32 said__owner(__u32 profile, enum hg_said_what what)
{
	return profile * HG_SAID_WHATS + what;
}

static __always_inline const struct map_said_rules *said__rules(__u32 profile, enum hg_said_kind kind)
{
	struct map_said_key key = {.profile = profile, .kind = kind};

	return bpf_map_lookup_elem(&said_rules, &key);
}

/* The rules of this kind that an act violates of which all in scratch->said holds; left in scratch->result.violated. */
__noinline int said__judge(__u32 slot, __u32 profile, __u32 kind)
{
	struct scratch *scratch = bpf_map_lookup_elem(&scratches, &slot);
	const struct map_said_rules *rules = said__rules(profile, kind);
	__u64 said, decided = 0, violated = 0;

	if (!scratch || !rules)
		return 0;
	said = scratch->said;
	for (__u32 at = 0; at < HG_SAID_MAX; at++) {
		const struct map_said_entry *entry = &rules->entries[at];

		if (at >= rules->entries_count)
			break;
		if ((entry->needed & ~said) || (entry->rule & decided))
			continue;
		decided |= entry->rule;
		violated |= entry->violated;
	}
	scratch->result.violated = violated | (rules->by_default & ~decided);
	return 1;
}
