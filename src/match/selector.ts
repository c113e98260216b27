/**
 * Container selectors: does a policy apply to a container. Runs once per container and program, never per event. A fact
 * that is not known is absent: no plain pattern matches it, and every negated one holds.
 */
import type { ContainerSelector, SelectorState } from '../policy/model.js'
import type { ContainerRef } from '../record/model.js'
import { factOf, ORCHESTRATORS, patternsOf } from './facts.js'

export function selects(selector: ContainerSelector, container: ContainerRef): boolean {
  return (
    statesOf(selector).some((state) => state === container.state) &&
    (selector.privileged === undefined || selector.privileged === container.privileged) &&
    listHolds(selector.user, usersOf(container.user)) &&
    ORCHESTRATORS.every((orchestrator) =>
      patternsOf(selector, orchestrator).every(([fact, patterns]) =>
        listHolds(patterns, factOf(container, orchestrator, fact)),
      ),
    ) &&
    listHolds(selector.id, [container.id]) &&
    listHolds(selector.name, [container.name]) &&
    listHolds(selector.image, imageNames(container.image)) &&
    listHolds(selector.runtime, [container.runtime]) &&
    Object.entries(selector.labels ?? {}).every(([key, patterns]) =>
      listHolds(patterns, Object.hasOwn(container.labels, key) ? [container.labels[key] ?? ''] : []),
    )
  )
}

/** Where the policy applies; the host only when it says so. */
export function statesOf({ state }: ContainerSelector): readonly SelectorState[] {
  return state ?? ['container']
}

/** `user:group` is also meant by the user alone; no user is root, by name and by number. */
function usersOf(user: string | undefined): string[] {
  if (user === undefined) return []
  const name = user.replace(/:.*$/, '')
  return name === '' || name === '0' || name === 'root' ? [user, 'root', '0'] : [user, name]
}

/** `names`: the ways a fact can be written; a pattern matches when it matches one of them. */
function listHolds(patterns: readonly string[] | undefined, names: readonly string[]): boolean {
  if (patterns === undefined) return true
  const known = names.filter((name) => name !== '')
  const matches = (pattern: string) => known.some((name) => globMatches(pattern, name))
  const plain = patterns.filter((pattern) => !pattern.startsWith('!'))
  const negated = patterns.filter((pattern) => pattern.startsWith('!'))
  return (plain.length === 0 || plain.some(matches)) && !negated.some((pattern) => matches(pattern.slice(1)))
}

/** An image is also meant by its name without tag and digest. */
function imageNames(image: string): string[] {
  const withoutDigest = image.replace(/@.*$/, '')
  const withoutTag = withoutDigest.replace(/:[^:/]*$/, '')
  return [...new Set([image, withoutDigest, withoutTag])]
}

/** `*` any run of characters, `?` one. Linear space, no backtracking beyond the last `*`. */
export function globMatches(pattern: string, text: string): boolean {
  const wanted = [...pattern]
  const given = [...text]
  let at = 0
  let star = -1
  let resume = 0
  for (let index = 0; index < given.length; ) {
    if (wanted[at] === '*') {
      star = at++
      resume = index
    } else if (at < wanted.length && (wanted[at] === '?' || wanted[at] === given[index])) {
      at++
      index++
    } else if (star !== -1) {
      at = star + 1
      index = ++resume
    } else return false
  }
  while (wanted[at] === '*') at++
  return at === wanted.length
}
