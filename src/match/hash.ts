/** FNV-1a, 32 bit, signed (http://www.isthe.com/chongo/tech/comp/fnv/): one multiplication a byte, good on short names. */
export const FNV_BASIS = 0x811c9dc5 | 0
export const FNV_PRIME = 0x01000193

export function fnv1a(bytes: Uint8Array, start: number, end: number): number {
  let hash = FNV_BASIS
  for (let at = start; at < end; at++) hash = Math.imul(hash ^ (bytes[at] as number), FNV_PRIME)
  return hash
}
