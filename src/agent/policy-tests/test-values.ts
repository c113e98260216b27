/** What a test beside a policy gave, read key by key with its type; what is left over at the end was not understood. */
import type { TestValue } from '../../policy/model.js'

/** The test cannot be run as it is written; the message says why, for the one who wrote it. */
export class TestFault extends Error {}

export class TestValues {
  readonly #values: Readonly<Record<string, TestValue>>
  readonly #where: string
  readonly #read = new Set<string>()

  constructor(values: Readonly<Record<string, TestValue>>, where: string) {
    this.#values = values
    this.#where = where
  }

  has(key: string): boolean {
    return this.#get(key) !== undefined
  }

  text(key: string, preset: string): string {
    const value = this.#get(key)
    if (value === undefined) return preset
    if (typeof value === 'string') return value
    if (typeof value === 'number') return String(value)
    throw this.#wrong(key, 'text')
  }

  number(key: string, preset: number): number {
    const value = this.#get(key)
    if (value === undefined) return preset
    const number = typeof value === 'string' && value !== '' ? Number(value) : value
    if (typeof number === 'number' && Number.isSafeInteger(number)) return number
    throw this.#wrong(key, 'a whole number')
  }

  flag(key: string, preset: boolean): boolean {
    const value = this.#get(key)
    if (value === undefined) return preset
    if (typeof value === 'boolean') return value
    throw this.#wrong(key, '`true` or `false`')
  }

  /** A single text is a list of one. */
  texts(key: string, preset: readonly string[]): readonly string[] {
    const value = this.#get(key)
    if (value === undefined) return preset
    const list = Array.isArray(value) ? (value as readonly TestValue[]) : [value]
    return list.map((item) => {
      if (typeof item === 'object' || typeof item === 'boolean') throw this.#wrong(key, 'a list of texts')
      return String(item)
    })
  }

  /** Keys that begin with the prefix, without it. */
  below(prefix: string): Record<string, string> {
    const found: Record<string, string> = {}
    for (const key of Object.keys(this.#values))
      if (key.startsWith(prefix) && key.length > prefix.length) found[key.slice(prefix.length)] = this.text(key, '')
    return found
  }

  /** Throws TestFault for the first key that nobody asked for. */
  done(): void {
    const unknown = Object.keys(this.#values).find((key) => !this.#read.has(key))
    if (unknown === undefined) return
    const known = [...this.#read].sort().join(', ')
    throw new TestFault(
      `\`${this.#where}\` has no \`${unknown}\` that a test can give${known === '' ? '' : `: known are ${known}`}`,
    )
  }

  #get(key: string): TestValue | undefined {
    this.#read.add(key)
    return Object.hasOwn(this.#values, key) ? this.#values[key] : undefined
  }

  #wrong(key: string, expected: string): TestFault {
    return new TestFault(
      `expected ${expected} for \`${this.#where}.${key}\`, received ${JSON.stringify(this.#values[key])}`,
    )
  }
}
