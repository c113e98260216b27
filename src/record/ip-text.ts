/** 16 address bytes as text; IPv4 is mapped (::ffff:a.b.c.d) and shown dotted when the call was an IPv4 one. RFC 5952. */
export function formatIp(address: Uint8Array, isIpv4: boolean): string {
  if (isIpv4) return `${address[12]}.${address[13]}.${address[14]}.${address[15]}`
  const words = Array.from(
    { length: 8 },
    (_, index) => ((address[index * 2] ?? 0) << 8) | (address[index * 2 + 1] ?? 0),
  )
  if (words.slice(0, 5).every((word) => word === 0) && words[5] === 0xffff)
    return `::ffff:${address[12]}.${address[13]}.${address[14]}.${address[15]}`
  const gap = longestZeroRun(words)
  const hex = words.map((word) => word.toString(16))
  if (gap === undefined) return hex.join(':')
  return `${hex.slice(0, gap.start).join(':')}::${hex.slice(gap.start + gap.length).join(':')}`
}

/** The leftmost longest run of at least two zero words. */
function longestZeroRun(words: readonly number[]): { start: number; length: number } | undefined {
  let best: { start: number; length: number } | undefined
  for (let start = 0; start < words.length; start++) {
    let length = 0
    while (words[start + length] === 0) length++
    if (length >= 2 && length > (best?.length ?? 0)) best = { start, length }
    if (length > 0) start += length - 1
  }
  return best
}

/** IPv4 addresses that were shown last, by a few bits of each: connections mostly go to the same few. */
const RECENT_COUNT = 256
const recentAddresses = new Uint32Array(RECENT_COUNT)
const recentTexts = new Array<string>(RECENT_COUNT).fill('0.0.0.0')

/** formatIp() of the 16 bytes at `at`. */
export function ipTextAt(bytes: Uint8Array, at: number, isIpv4: boolean): string {
  if (!isIpv4) return formatIp(bytes.subarray(at, at + 16), false)
  const a = bytes[at + 12] ?? 0
  const b = bytes[at + 13] ?? 0
  const c = bytes[at + 14] ?? 0
  const d = bytes[at + 15] ?? 0
  const address = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0
  const slot = (Math.imul(address, 0x9e3779b1) >>> 24) & (RECENT_COUNT - 1)
  if (recentAddresses[slot] !== address) {
    recentAddresses[slot] = address
    recentTexts[slot] = `${a}.${b}.${c}.${d}`
  }
  return recentTexts[slot] ?? ''
}
