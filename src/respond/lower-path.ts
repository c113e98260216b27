/** Which path patterns the kernel's maps can hold, and as what. */
import { pathOf } from '../policy/path-pattern.js'
import { quoted } from '../policy/visible-text.js'

/** HG_KEY_PATH_BYTES of bpf/abi.h less the terminating zero. */
export const KEY_PATH_MAX_BYTES = 239
/** Each entry takes a map slot per profile; a longer list is cheaper in user space's trie. */
export const ENTRIES_MAX_COUNT = 4096

/** A literal path; a folder with all below it, ending in `/`; the last component of a path; what no other entry names. */
export type PathForm = { kind: 'exact' | 'prefix' | 'base'; bytes: Uint8Array } | { kind: 'all' }

export function formOf(text: string): PathForm | undefined {
  const { rooted, components } = pathOf(text)
  const last = components.at(-1)
  const literals = components.flatMap((component) => (component.kind === 'literal' ? [component.bytes] : []))
  if (!rooted) {
    if (components.length === 1) return { kind: 'all' }
    const name = components.length === 2 ? literals[0] : undefined
    return name === undefined ? undefined : { kind: 'base', bytes: name }
  }
  if (literals.length === components.length) return { kind: 'exact', bytes: joined(literals, false) }
  if (literals.length === components.length - 1 && last?.kind === 'deep')
    return { kind: 'prefix', bytes: joined(literals, true) }
  return undefined
}

/** A reason why one of these patterns keeps its rule in user space, or undefined. */
export function whyNotPaths(patterns: readonly { readonly text: string }[]): string | undefined {
  if (patterns.length > ENTRIES_MAX_COUNT) return `it has more than ${ENTRIES_MAX_COUNT} entries`
  for (const { text } of patterns) {
    const form = formOf(text)
    if (form === undefined)
      return `the kernel's maps hold literal paths, \`DIR/**\` and program names only, not ${quoted(text)}`
    if (form.kind !== 'all' && form.bytes.length > KEY_PATH_MAX_BYTES)
      return `an entry is longer than ${KEY_PATH_MAX_BYTES} bytes`
  }
  return undefined
}

/** The key of a path in tables of JavaScript. */
export function keyOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1')
}

function joined(components: readonly Uint8Array[], asFolder: boolean): Uint8Array {
  const slash = Uint8Array.of(0x2f)
  const pieces = components.flatMap((component) => [slash, component])
  return Uint8Array.from(Buffer.concat(asFolder ? [...pieces, slash] : pieces))
}
