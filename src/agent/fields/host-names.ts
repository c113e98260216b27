/**
 * Names of hosts in rules (`fd.sip.name = api.example.com`): the host's resolver is asked for their addresses now and then,
 * in the background, and an address then has those names. Only names that a loaded rule compares with are ever asked for.
 * What does not resolve has no address; the last answer stays until a new one comes.
 */
import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { InternedText } from '../../match/conditions/values.js'
import { parseHost } from '../../policy/net-pattern.js'
import type { Counters } from '../../telemetry/counters.js'

const REFRESH_MS = 60_000
/** Each name is a question a minute. */
const NAMES_MAX_COUNT = 256

export class HostNames {
  readonly #counters: Counters
  readonly #texts = new Map<string, InternedText>()
  /** Name -> its addresses, as keys. */
  readonly #addresses = new Map<string, readonly string[]>()
  #byAddress = new Map<string, InternedText[]>()
  #timer: NodeJS.Timeout | undefined

  constructor(counters: Counters) {
    this.#counters = counters
    counters.define('host_names_failed_total', 'counter', 'Host names of rules that did not resolve, by attempt')
    counters.define(
      'host_names_dropped_total',
      'counter',
      'Host names of rules that are not resolved: there are too many',
    )
  }

  get isEmpty(): boolean {
    return this.#byAddress.size === 0
  }

  /** From now on these names, and no others. */
  follow(names: Iterable<string>): void {
    const wanted = new Set([...names].filter((name) => name !== '' && isIP(name) === 0))
    for (const name of [...this.#texts.keys()])
      if (!wanted.has(name)) {
        this.#texts.delete(name)
        this.#addresses.delete(name)
      }
    for (const name of wanted) {
      if (this.#texts.has(name)) continue
      if (this.#texts.size >= NAMES_MAX_COUNT) this.#counters.add('host_names_dropped_total')
      else this.#texts.set(name, new InternedText(Buffer.from(name)))
    }
    this.#index()
    clearInterval(this.#timer)
    this.#timer = undefined
    if (this.#texts.size === 0) return
    void this.#refresh()
    this.#timer = setInterval(() => void this.#refresh(), REFRESH_MS)
    this.#timer.unref()
  }

  /** Of the 16 bytes from `start` on. */
  namesOf(bytes: Uint8Array, start: number): readonly InternedText[] {
    return this.#byAddress.get(keyOf(bytes, start)) ?? []
  }

  close(): void {
    clearInterval(this.#timer)
  }

  async #refresh(): Promise<void> {
    await Promise.all([...this.#texts.keys()].map((name) => this.#resolve(name)))
    this.#index()
  }

  async #resolve(name: string): Promise<void> {
    try {
      const answers = await lookup(name, { all: true })
      const keys = answers.flatMap(({ address }) => {
        const host = parseHost(address)
        return host.ok ? [keyOf(host.net.network, 0)] : []
      })
      if (this.#texts.has(name)) this.#addresses.set(name, keys)
    } catch {
      this.#counters.add('host_names_failed_total')
    }
  }

  #index(): void {
    this.#byAddress = new Map()
    for (const [name, keys] of this.#addresses) {
      const text = this.#texts.get(name)
      if (text === undefined) continue
      for (const key of keys) {
        const known = this.#byAddress.get(key)
        if (known === undefined) this.#byAddress.set(key, [text])
        else known.push(text)
      }
    }
  }
}

function keyOf(bytes: Uint8Array, start: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, 16).toString('latin1')
}
