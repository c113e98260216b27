/** For `policy explain`: which acts the kernel reports because of a rule, in words. */

import type { BoundSources } from '../match/conditions/bounds.js'
import { placesOf } from '../match/conditions/places.js'
import { conditionInForce } from '../match/exceptions.js'
import { isFileAct } from '../match/file-acts.js'
import { kindsNeeded } from '../match/needs.js'
import {
  DONE_CLASSES,
  OPEN_ALL,
  OPEN_DOTDOT,
  OPEN_READ,
  OPEN_WRITE,
  type PlaceWant,
  placesOfFileRule,
} from '../match/place-wants.js'
import type { Expression } from '../policy/condition/ast.js'
import type { Rule } from '../policy/model.js'
import { findEventType } from '../record/fields/events.js'
import { visible } from '../record/visible.js'
import { lowerPlaces } from '../respond/lower-place.js'

const NO_SOURCES: BoundSources = { macro: () => undefined, list: () => undefined }

export function wantedOfRule(rule: Rule): string[] {
  if (rule.kind === 'file') return placesText(kindsNeeded(rule), placesOfFileRule(rule))
  if (rule.kind !== 'condition') return []
  return wantedOfCondition(conditionInForce(rule), rule.eventTypes, NO_SOURCES)
}

export function wantedOfCondition(
  condition: Expression,
  eventTypes: readonly string[],
  sources: BoundSources,
): string[] {
  const kinds = eventTypes.flatMap((name) => findEventType(name)?.kind ?? [])
  return placesText(kinds, placesOf(condition, sources, eventTypes))
}

/** Beyond these a line is no longer read. */
const PATHS_SHOWN_COUNT = 4

function placesText(kinds: readonly string[], wants: readonly PlaceWant[]): string[] {
  if (!kinds.some(isFileAct)) return []
  if (wants.length === 0) return ['the kernel reports nothing for it: no act on a file can match it']
  const { prefixes } = lowerPlaces(wants)
  const acts = actsOfClasses(wants.reduce((mask, { classes }) => mask | classes, 0))
  const paths = prefixes.map(({ path }) => Buffer.from(path).toString()).filter((path) => path !== '')
  const others = prefixes.some(({ path }) => path.length === 0) ? ', and some of every path' : ''
  if (paths.length === 0) return [`the kernel reports ${acts} of every path for it`]
  const more = paths.length > PATHS_SHOWN_COUNT ? ` and ${paths.length - PATHS_SHOWN_COUNT} more` : ''
  const shown = paths.slice(0, PATHS_SHOWN_COUNT).map(visible).join(', ')
  return [`the kernel reports ${acts} of paths that begin with ${shown}${more}${others}`]
}

function actsOfClasses(classes: number): string {
  const opens = classes & OPEN_ALL
  return [
    ...(opens === 0 ? [] : [opensOfClasses(opens)]),
    ...DONE_CLASSES.filter(({ bit }) => (classes & bit) !== 0).map(({ act }) => act),
  ].join(', ')
}

function opensOfClasses(classes: number): string {
  if ((classes & ~OPEN_DOTDOT) === 0) return 'opens given with `..`'
  if ((classes & ~OPEN_READ) === 0) return 'opens for reading'
  if ((classes & ~OPEN_WRITE) === 0) return 'opens for writing'
  return 'opens'
}
