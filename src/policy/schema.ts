/**
 * The JSON Schema of policy files (draft 07, which editors read), made of keys.ts. It knows keys, types and words; what it
 * lets through the loader may still refuse: patterns, addresses, names, conditions, words with more bytes than characters.
 */
import { keysOf, MAPPINGS, type MappingName, RULE_KINDS, type Shape, TEST_EVENT_KINDS } from './keys.js'

export type JsonSchema = { readonly [keyword: string]: unknown }

const FACT_GROUPS = ['k8s', 'swarm', 'ecs', 'nomad'] as const

export function policySchema(): JsonSchema {
  const names = Object.keys(MAPPINGS).filter((name): name is MappingName => name in MAPPINGS)
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'hullguard policy',
    description: 'A policy, or a document of shared lists and macros. See docs/policy-language.md.',
    if: { anyOf: ['policy', 'containers', 'rules'].map((key) => ({ required: [key] })) },
    // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
    then: refTo('policy'),
    else: refTo('shared'),
    definitions: Object.fromEntries(names.map((name) => [name, schemaOfMapping(name)])),
  }
}

function refTo(name: MappingName): JsonSchema {
  return { $ref: `#/definitions/${name.replaceAll(' ', '%20')}` }
}

function schemaOfMapping(name: MappingName): JsonSchema {
  const specs = Object.entries(MAPPINGS[name])
  const required = specs.flatMap(([key, { isRequired }]) => (isRequired === true ? [key] : []))
  const properties = specs.map(([key, { shape, note, isRequired }]) => [
    key,
    { description: note, ...schemaOf(shape), ...(isRequired === true && shape.is === 'list' ? { minItems: 1 } : {}) },
  ])
  return {
    type: 'object',
    properties: { ...Object.fromEntries(properties), ...(name === 'containers' ? dottedFacts() : {}) },
    additionalProperties: false,
    ...(required.length > 0 ? { required } : { minProperties: 1 }),
    ...choiceOf(name),
  }
}

/** What a mapping has exactly one of, or at least one of. */
function choiceOf(name: MappingName): JsonSchema {
  const each = (keys: readonly string[]) => keys.map((key) => ({ required: [key] }))
  if (name === 'rule') return { oneOf: each(RULE_KINDS) }
  if (name === 'event') return { oneOf: each(TEST_EVENT_KINDS) }
  if (name === 'shared') return { anyOf: each(['lists', 'macros']) }
  if ('allow' in MAPPINGS[name]) return { anyOf: each(['allow', 'deny']) }
  if (name === 'exception') return { anyOf: each(['match', 'condition']) }
  return {}
}

/** `k8s.pod: …` is short for `k8s: { pod: … }`. */
function dottedFacts(): JsonSchema {
  const facts = FACT_GROUPS.flatMap((group) =>
    keysOf(group).map((fact) => [`${group}.${fact}`, { $ref: `#/definitions/${group}/properties/${fact}` }]),
  )
  return Object.fromEntries(facts)
}

function schemaOf(shape: Shape): JsonSchema {
  switch (shape.is) {
    case 'name':
      return { type: 'string', minLength: 1 }
    case 'text':
      return { type: 'string' }
    case 'word':
      // counts characters, none of which is less than a byte
      return { type: 'string', minLength: 1, maxLength: shape.maxBytes }
    case 'boolean':
      return { type: 'boolean' }
    case 'one of':
      return { enum: shape.values }
    case 'quantity':
      return { type: 'string', pattern: shape.pattern }
    case 'number':
      return { type: 'integer', minimum: 0 }
    case 'map':
      return refTo(shape.of)
    case 'any keys':
      return { type: 'object', additionalProperties: schemaOf(shape.to) }
    case 'list':
      return { type: 'array', items: schemaOf(shape.of) }
    case 'one or list':
      return { anyOf: [schemaOf(shape.of), { type: 'array', items: schemaOf(shape.of) }] }
    case 'either':
      return { anyOf: shape.of.map(schemaOf) }
    case 'anything':
      return {}
  }
}
