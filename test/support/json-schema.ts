/**
 * As much of JSON Schema (draft 07) as the schema of policies uses; a keyword that is not known here throws, so nothing of a
 * schema goes unchecked.
 */
import { isDeepStrictEqual } from 'node:util'

type Schema = { readonly [keyword: string]: unknown }

const NOTES = new Set(['$schema', 'title', 'description', 'definitions', 'then', 'else'])

/** What is wrong with the value, each with its place; empty: it is valid. */
export function schemaFaults(root: Schema, value: unknown): string[] {
  return faultsOf(root, root, value, '$')
}

function faultsOf(root: Schema, schema: Schema, value: unknown, at: string): string[] {
  // a reference stands for the whole schema, what is beside it does not count
  if (typeof schema.$ref === 'string') return faultsOf(root, resolve(root, schema.$ref), value, at)
  return Object.entries(schema).flatMap(([keyword, argument]) =>
    keywordFaults(root, schema, keyword, argument, value, at),
  )
}

function keywordFaults(
  root: Schema,
  schema: Schema,
  keyword: string,
  argument: unknown,
  value: unknown,
  at: string,
): string[] {
  if (NOTES.has(keyword)) return []
  const fails = (part: unknown, of = value, where = at) => faultsOf(root, part as Schema, of, where)
  const fault = (isWrong: boolean, what: string) => (isWrong ? [`${at}: ${what}`] : [])
  const fields: [string, unknown][] = isObject(value) ? Object.entries(value) : []
  switch (keyword) {
    case 'type':
      return fault(!isOfType(value, argument), `is no ${String(argument)}`)
    case 'enum':
      return fault(!(argument as unknown[]).some((each) => isDeepStrictEqual(each, value)), 'is none of the words')
    case 'pattern':
      return fault(typeof value === 'string' && !new RegExp(argument as string, 'u').test(value), 'has another form')
    case 'minLength':
      return fault(typeof value === 'string' && value.length < Number(argument), 'is too short')
    case 'maxLength':
      return fault(typeof value === 'string' && value.length > Number(argument), 'is too long')
    case 'minimum':
      return fault(typeof value === 'number' && value < Number(argument), 'is too small')
    case 'minItems':
      return fault(Array.isArray(value) && value.length < Number(argument), 'has too few items')
    case 'minProperties':
      return fault(isObject(value) && fields.length < Number(argument), 'has too few keys')
    case 'required':
      return fault(isObject(value) && (argument as string[]).some((key) => !(key in value)), `lacks one of ${argument}`)
    case 'items':
      return Array.isArray(value) ? value.flatMap((item, index) => fails(argument, item, `${at}[${index}]`)) : []
    case 'properties':
      return fields.flatMap(([key, item]) => {
        const own = (argument as Schema)[key]
        return own === undefined ? [] : fails(own, item, `${at}.${key}`)
      })
    case 'additionalProperties': {
      const known = Object.keys((schema.properties ?? {}) as object)
      const other = fields.filter(([key]) => !known.includes(key))
      if (argument === false) return other.map(([key]) => `${at}: has no key ${key}`)
      return other.flatMap(([key, item]) => fails(argument, item, `${at}.${key}`))
    }
    case 'anyOf':
      return fault(!(argument as unknown[]).some((each) => fails(each).length === 0), 'is none of the alternatives')
    case 'oneOf':
      return fault(
        (argument as unknown[]).filter((each) => fails(each).length === 0).length !== 1,
        'is not one alternative',
      )
    case 'if':
      return fails(fails(argument).length === 0 ? schema.then : schema.else)
    default:
      throw new Error(`unknown keyword ${keyword}`)
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isOfType(value: unknown, type: unknown): boolean {
  if (type === 'object') return isObject(value)
  if (type === 'array') return Array.isArray(value)
  if (type === 'integer') return Number.isInteger(value)
  return typeof value === type
}

function resolve(root: Schema, reference: string): Schema {
  let found: unknown = root
  for (const part of reference.replace('#/', '').split('/')) found = (found as Schema)[decodeURIComponent(part)]
  if (!isObject(found)) throw new Error(`nothing at ${reference}`)
  return found
}
