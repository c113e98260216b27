/** Typed, checked access to the fields of a parsed JSON object; what is missing or of the wrong type is `wire_invalid`. */
import { HullguardError } from '../telemetry/errors.js'

export function fieldsOf(value: unknown, where: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new HullguardError('wire_invalid', `expected an object for \`${where}\``)
  }
  return new Fields(value as Record<string, unknown>, where)
}

export class Fields {
  readonly #object: Record<string, unknown>
  readonly #where: string

  constructor(object: Record<string, unknown>, where: string) {
    this.#object = object
    this.#where = where
  }

  wrong(key: string, expected: string): HullguardError {
    const received = JSON.stringify(this.#get(key))?.slice(0, 80) ?? 'nothing'
    return new HullguardError(
      'wire_invalid',
      `expected ${expected} for \`${this.#where}.${key}\`, received ${received}`,
    )
  }

  has(key: string): boolean {
    return this.#get(key) !== undefined
  }

  text(key: string): string {
    const value = this.#get(key)
    if (typeof value !== 'string') throw this.wrong(key, 'text')
    return value
  }

  /** A whole number of at most 53 bits. */
  count(key: string): number {
    const value = this.#get(key)
    if (typeof value !== 'number' || !Number.isSafeInteger(value)) throw this.wrong(key, 'a whole number')
    return value
  }

  big(key: string): bigint {
    const value = this.#get(key)
    if (typeof value !== 'string' || !/^-?\d{1,20}$/.test(value)) throw this.wrong(key, 'a decimal string')
    return BigInt(value)
  }

  flag(key: string): boolean {
    const value = this.#get(key)
    if (typeof value !== 'boolean') throw this.wrong(key, 'true or false')
    return value
  }

  oneOf<T extends string>(key: string, names: readonly T[]): T {
    const value = this.#get(key)
    const name = names.find((candidate) => candidate === value)
    if (name === undefined) throw this.wrong(key, `one of ${names.join(', ')}`)
    return name
  }

  texts(key: string): string[] {
    const value = this.#get(key)
    if (!Array.isArray(value) || !value.every((item) => typeof item === 'string'))
      throw this.wrong(key, 'a list of texts')
    return value
  }

  /** Whole numbers of at most 53 bits. */
  counts(key: string): number[] {
    const value = this.#get(key)
    if (!Array.isArray(value) || !value.every((item) => Number.isSafeInteger(item)))
      throw this.wrong(key, 'a list of whole numbers')
    return value
  }

  textMap(key: string): Record<string, string> {
    const map: Record<string, string> = {}
    for (const [name, value] of Object.entries(this.object(key).#object)) {
      if (typeof value !== 'string') throw this.wrong(key, 'an object of texts')
      Object.defineProperty(map, name, { value, enumerable: true, configurable: true, writable: true })
    }
    return map
  }

  object(key: string): Fields {
    return fieldsOf(this.#get(key), `${this.#where}.${key}`)
  }

  objects(key: string): Fields[] {
    const value = this.#get(key)
    if (!Array.isArray(value)) throw this.wrong(key, 'a list of objects')
    return value.map((item) => fieldsOf(item, `${this.#where}.${key}`))
  }

  optionalObject(key: string): Fields | undefined {
    return this.has(key) ? this.object(key) : undefined
  }

  #get(key: string): unknown {
    return Object.hasOwn(this.#object, key) ? this.#object[key] : undefined
  }
}
