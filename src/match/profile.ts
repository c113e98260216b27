/**
 * The rules of a program that apply to one set of containers, with the lists a match call walks. Immutable; lives as long
 * as someone holds it, also after the program gave it up.
 */
import type { Rule } from '../policy/model.js'
import type { Profile } from './types.js'

/** Profiles so far, over all programs: an id in the kernel's maps never comes to mean another profile. */
let lastId = 0

export class CompiledProfile implements Profile {
  readonly id: number
  /** Rules that are hit unless an entry of theirs says otherwise, ascending. */
  readonly execByDefault: Uint32Array
  readonly connectByDefault: Uint32Array
  readonly listenByDefault: Uint32Array
  readonly signalByDefault: Uint32Array
  readonly mountByDefault: Uint32Array
  readonly capabilityByDefault: Uint32Array
  /** For any access. */
  readonly fileByDefault: Uint32Array
  /** All rules of the kind, ascending. */
  readonly file: Uint32Array
  readonly signal: Uint32Array
  readonly mount: Uint32Array
  readonly syscallByDefault: Uint32Array
  /** Exec rules with an allow list, ascending. */
  readonly execWithAllow: Uint32Array
  readonly #members: Uint32Array

  constructor(
    /** The program that made it: its rule ids mean nothing to another. */
    readonly programVersion: number,
    readonly rules: Uint32Array,
    all: readonly Rule[],
    hitsByDefault: (rule: number) => boolean,
  ) {
    this.id = ++lastId
    const pick = (kind: Rule['kind'], wanted: (rule: number) => boolean) =>
      rules.filter((rule) => all[rule]?.kind === kind && wanted(rule))
    this.execByDefault = pick('exec', hitsByDefault)
    this.connectByDefault = pick('connect', hitsByDefault)
    this.syscallByDefault = pick('syscall', hitsByDefault)
    this.listenByDefault = pick('listen', hitsByDefault)
    this.signalByDefault = pick('signal', hitsByDefault)
    this.mountByDefault = pick('mount', hitsByDefault)
    this.capabilityByDefault = pick('capability', hitsByDefault)
    this.fileByDefault = pick('file', hitsByDefault)
    this.file = pick('file', () => true)
    this.signal = pick('signal', () => true)
    this.mount = pick('mount', () => true)
    this.execWithAllow = pick('exec', (id) => {
      const rule = all[id]
      return rule?.kind === 'exec' && rule.allow !== undefined
    })
    this.#members = new Uint32Array((all.length + 31) >>> 5)
    for (const rule of rules) {
      const word = rule >>> 5
      this.#members[word] = (this.#members[word] ?? 0) | (1 << (rule & 31))
    }
  }

  has(rule: number): boolean {
    return (((this.#members[rule >>> 5] as number) >>> (rule & 31)) & 1) === 1
  }
}
