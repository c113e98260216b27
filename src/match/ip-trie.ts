/**
 * One trie over 128-bit addresses for the networks of all rules of a program: binary, path-compressed, flat. A walk
 * yields every network that contains the address, in order of length.
 *
 *   node: bits (how many are fixed), word0..3 (their value), child on the next bit 0 or 1,
 *         plain (id of the network that ends here, or -1), ipv6Only (the same for a network that does not mean IPv4)
 *
 * A walk visits as many nodes as prefixes of the address branch in the trie, at most 129, whatever the number of networks.
 */
export interface NetworkKey {
  /** 16 bytes, bits beyond prefixBits are 0. */
  readonly network: Uint8Array
  readonly prefixBits: number
  readonly ipv6Only: boolean
}

/** A network of the trie, as its node holds it. */
export interface IpNetwork {
  readonly id: number
  /** Of 32 bits each. */
  readonly words: readonly number[]
  readonly bits: number
  readonly ipv6Only: boolean
  /** Networks that contain it. */
  readonly depth: number
}

const ADDRESS_BITS = 128
/** ::ffff:0:0/96 */
const MAPPED_WORD = 0x0000ffff

interface BuildNode {
  words: readonly number[]
  bits: number
  zero: BuildNode | undefined
  one: BuildNode | undefined
  plain: number
  ipv6Only: number
}

export class IpTrie {
  /** Networks of the last walk: the first `foundCount`. Valid until the next walk. */
  readonly found = new Int32Array(2 * (ADDRESS_BITS + 1))
  foundCount = 0
  readonly #bits: Uint8Array
  readonly #words: Uint32Array
  readonly #zero: Int32Array
  readonly #one: Int32Array
  readonly #plain: Int32Array
  readonly #ipv6Only: Int32Array
  readonly #address = new Uint32Array(4)

  /** Network i of the walk is networks[i]; equal networks must not stand twice. */
  constructor(networks: readonly NetworkKey[]) {
    const nodes: BuildNode[] = []
    flatten(build(networks), nodes)
    const index = new Map(nodes.map((node, at) => [node, at]))
    const childOf = (child: BuildNode | undefined) => (child === undefined ? -1 : (index.get(child) ?? -1))
    this.#bits = Uint8Array.from(nodes, ({ bits }) => bits)
    this.#words = Uint32Array.from(nodes.flatMap(({ words }) => words))
    this.#zero = Int32Array.from(nodes, ({ zero }) => childOf(zero))
    this.#one = Int32Array.from(nodes, ({ one }) => childOf(one))
    this.#plain = Int32Array.from(nodes, ({ plain }) => plain)
    this.#ipv6Only = Int32Array.from(nodes, ({ ipv6Only }) => ipv6Only)
  }

  /** `bytes` must hold 16 bytes from `offset` on. */
  walk(bytes: Uint8Array, offset: number): void {
    if (offset < 0 || offset + 16 > bytes.length) throw new RangeError('expected 16 bytes of address')
    const address = this.#address
    for (let word = 0; word < 4; word++) {
      const at = offset + word * 4
      address[word] =
        ((bytes[at] as number) << 24) |
        ((bytes[at + 1] as number) << 16) |
        ((bytes[at + 2] as number) << 8) |
        (bytes[at + 3] as number)
    }
    const mapped = address[0] === 0 && address[1] === 0 && address[2] === MAPPED_WORD
    this.foundCount = 0
    let node = 0
    while (node !== -1 && this.#contains(node)) {
      const plain = this.#plain[node] as number
      if (plain !== -1) this.found[this.foundCount++] = plain
      const ipv6Only = this.#ipv6Only[node] as number
      if (ipv6Only !== -1 && !mapped) this.found[this.foundCount++] = ipv6Only
      const bits = this.#bits[node] as number
      if (bits === ADDRESS_BITS) return
      const bit = ((address[bits >>> 5] as number) >>> (31 - (bits & 31))) & 1
      node = (bit === 1 ? this.#one[node] : this.#zero[node]) as number
    }
  }

  /** All networks, each behind those that contain it, those of IPv4 first. */
  networks(): IpNetwork[] {
    const found = { any: [] as IpNetwork[], ipv4: [] as IpNetwork[], ipv6: [] as IpNetwork[] }
    const visit = (node: number, above: { plain: number; ipv6Only: number }) => {
      if (node === -1) return
      const words = [...this.#words.subarray(node * 4, node * 4 + 4)]
      const bits = this.#bits[node] ?? 0
      const isMapped = bits >= 96 && words[0] === 0 && words[1] === 0 && words[2] === MAPPED_WORD
      const here = { ...above }
      const add = (id: number, ipv6Only: boolean) => {
        if (id === -1) return
        const family = isMapped ? found.ipv4 : bits === 0 && !ipv6Only ? found.any : found.ipv6
        family.push({ id, words, bits, ipv6Only, depth: here.plain + (isMapped ? 0 : here.ipv6Only) })
        here[ipv6Only ? 'ipv6Only' : 'plain'] += 1
      }
      add(this.#plain[node] ?? -1, false)
      add(this.#ipv6Only[node] ?? -1, true)
      visit(this.#zero[node] ?? -1, here)
      visit(this.#one[node] ?? -1, here)
    }
    visit(0, { plain: 0, ipv6Only: 0 })
    return [...found.any, ...found.ipv4, ...found.ipv6]
  }

  #contains(node: number): boolean {
    const bits = this.#bits[node] as number
    const whole = bits >>> 5
    const first = node * 4
    for (let word = 0; word < whole; word++) if (this.#words[first + word] !== this.#address[word]) return false
    const rest = bits & 31
    return (
      rest === 0 || ((this.#words[first + whole] as number) ^ (this.#address[whole] as number)) >>> (32 - rest) === 0
    )
  }
}

function build(networks: readonly NetworkKey[]): BuildNode {
  const root = makeNode([0, 0, 0, 0], 0)
  for (const [id, { network, prefixBits, ipv6Only }] of networks.entries()) {
    const node = insert(root, wordsOf(network), prefixBits)
    if (ipv6Only) node.ipv6Only = id
    else node.plain = id
  }
  return root
}

/** The node of exactly this prefix, made and linked where it is missing. `root` fixes no bit. */
function insert(root: BuildNode, words: readonly number[], bits: number): BuildNode {
  let node = root
  for (;;) {
    if (node.bits === bits) return node
    const side = bitAt(words, node.bits) === 1 ? 'one' : 'zero'
    const child: BuildNode | undefined = node[side]
    if (child === undefined) {
      const made = makeNode(words, bits)
      node[side] = made
      return made
    }
    const common = Math.min(commonBits(child.words, words), child.bits, bits)
    if (common === child.bits) {
      node = child
      continue
    }
    const middle = makeNode(words, common)
    node[side] = middle
    middle[bitAt(child.words, common) === 1 ? 'one' : 'zero'] = child
    node = middle
  }
}

function makeNode(words: readonly number[], bits: number): BuildNode {
  return { words: maskedWords(words, bits), bits, zero: undefined, one: undefined, plain: -1, ipv6Only: -1 }
}

function flatten(node: BuildNode, into: BuildNode[]): void {
  into.push(node)
  if (node.zero !== undefined) flatten(node.zero, into)
  if (node.one !== undefined) flatten(node.one, into)
}

function wordsOf(network: Uint8Array): number[] {
  const view = new DataView(network.buffer, network.byteOffset, 16)
  return [0, 4, 8, 12].map((at) => view.getUint32(at))
}

function maskedWords(words: readonly number[], bits: number): number[] {
  return words.map((word, at) => {
    const keep = Math.max(0, Math.min(32, bits - at * 32))
    return keep === 0 ? 0 : (word & (0xffffffff << (32 - keep))) >>> 0
  })
}

function bitAt(words: readonly number[], bit: number): number {
  return ((words[bit >>> 5] ?? 0) >>> (31 - (bit & 31))) & 1
}

function commonBits(a: readonly number[], b: readonly number[]): number {
  for (let word = 0; word < 4; word++) {
    const difference = ((a[word] ?? 0) ^ (b[word] ?? 0)) >>> 0
    if (difference !== 0) return word * 32 + Math.clz32(difference)
  }
  return ADDRESS_BITS
}
