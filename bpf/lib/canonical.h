/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Canonical form of an absolute path, byte by byte: one slash between components, no `.`, `..` taken back textually. Plain
 * C without helpers, so that it also compiles on the host, where it is unit-tested (test/native/canonical.test.ts).
 *
 * Textual `..` is not what the kernel does when a symlink lies before it: the caller marks such paths (had_dotdot) and
 * leaves the allowing of them to user space.
 */
#ifndef HULLGUARD_CANONICAL_H
#define HULLGUARD_CANONICAL_H

/* Keeps the compiler from folding a bound away that the verifier needs to see on this very register. */
#define OPAQUE(value) asm volatile("" : "+r"(value))

#define CANONICAL_BYTES 4096	/* PATH_MAX */
#define CANONICAL_DEPTH_MAX 128 /* components; deeper paths are marked too_deep and left to user space */

struct canonical {
	unsigned int length;	/* of out */
	unsigned int component; /* where the current component starts in out */
	unsigned int depth;
	unsigned char had_dotdot;
	unsigned char too_deep;
	unsigned char truncated;
	unsigned char reserved;
	unsigned short starts[CANONICAL_DEPTH_MAX]; /* length of out before each finished component */
	char out[CANONICAL_BYTES];
};

static inline __attribute__((always_inline)) void canonical__begin(struct canonical *c)
{
	c->length = 0;
	c->component = 0;
	c->depth = 0;
	c->had_dotdot = 0;
	c->too_deep = 0;
	c->truncated = 0;
}

static inline __attribute__((always_inline)) void canonical__put(struct canonical *c, char byte)
{
	unsigned int at = c->length;

	OPAQUE(at); /* v6.1's verifier does not see what the compiler knows of start - 1 */
	if (at >= CANONICAL_BYTES) {
		c->truncated = 1;
		return;
	}
	c->out[at] = byte;
	c->length = at + 1;
}

/* The component out[component, length) is complete: keeps it, or takes it back. */
static inline __attribute__((always_inline)) void canonical__end_component(struct canonical *c)
{
	unsigned int start = c->component;
	unsigned int length = c->length;
	unsigned int size = length - start;
	unsigned int depth = c->depth;

	/* start is after its slash; start == 0 only before the first slash */
	if (start == 0)
		return;
	if (start > CANONICAL_BYTES - 2) { /* no room to look at: what it comes to is unknown */
		c->truncated = 1;
		return;
	}
	if (size == 0 || (size == 1 && c->out[start] == '.')) {
		c->length = start - 1;
	} else if (size == 2 && c->out[start] == '.' && c->out[start + 1] == '.') {
		c->had_dotdot = 1;
		if (depth == 0) {
			c->length = 0;
		} else {
			depth -= 1;
			c->length = c->starts[depth & (CANONICAL_DEPTH_MAX - 1)];
			c->depth = depth;
		}
	} else if (depth >= CANONICAL_DEPTH_MAX) {
		c->too_deep = 1;
	} else {
		c->starts[depth & (CANONICAL_DEPTH_MAX - 1)] = start - 1;
		c->depth = depth + 1;
	}
}

static inline __attribute__((always_inline)) void canonical__add(struct canonical *c, char byte)
{
	if (byte != '/') {
		canonical__put(c, byte);
		return;
	}
	canonical__end_component(c);
	canonical__put(c, '/');
	c->component = c->length;
}

static inline __attribute__((always_inline)) void canonical__finish(struct canonical *c)
{
	canonical__end_component(c);
	if (c->length == 0)
		canonical__put(c, '/');
}

#endif
