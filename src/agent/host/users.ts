/**
 * Names of the host's users and groups, from /etc/passwd and /etc/group; read again at most once a minute, when somebody asks. An
 * unknown uid has no name.
 */
import { readFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import { errnoOf } from '../../telemetry/errors.js'

const REFRESH_MS = 60_000

/** Names of users: the host's own, or a capture's. */
export interface NameSource {
  /** Empty: unknown. */
  nameOf(uid: number): string
  /** Empty: unknown. A source without it knows no groups. */
  groupNameOf?(gid: number): string
}

export class UserNames implements NameSource {
  readonly #folder: string
  #names = new Map<number, string>()
  #groups = new Map<number, string>()
  #readAtMs = Number.NEGATIVE_INFINITY
  readonly #nowMs: () => number
  #isOfThisTurn = false
  readonly #endTurn = () => {
    this.#isOfThisTurn = false
  }
  /** Called when another name of a user is in use from now on, before anybody gets to see it. */
  onChange: (() => void) | undefined

  constructor(hostRoot: string, nowMs = () => performance.now()) {
    this.#folder = `${hostRoot === '/' ? '' : hostRoot}/etc`
    this.#nowMs = nowMs
  }

  /** Asked for nearly every event: the clock is read for the first of those that are handled in one turn. */
  nameOf(uid: number): string {
    if (!this.#isOfThisTurn) {
      this.refresh()
      this.#isOfThisTurn = true
      queueMicrotask(this.#endTurn)
    }
    return this.#names.get(uid) ?? ''
  }

  groupNameOf(gid: number): string {
    this.refresh()
    return this.#groups.get(gid) ?? ''
  }

  /** None: the host has no such user. */
  uidsOf(name: string): number[] {
    this.refresh()
    return numbersOf(this.#names, name)
  }

  gidsOf(name: string): number[] {
    this.refresh()
    return numbersOf(this.#groups, name)
  }

  /** Reads the files again where that is due: for changes to be noticed although nobody asks for a name. */
  refresh(): void {
    const nowMs = this.#nowMs()
    if (nowMs - this.#readAtMs <= REFRESH_MS) return
    const isFirst = this.#readAtMs === Number.NEGATIVE_INFINITY
    this.#readAtMs = nowMs
    const before = this.#names
    this.#names = readNames(`${this.#folder}/passwd`, before)
    this.#groups = readNames(`${this.#folder}/group`, this.#groups)
    if (!isFirst && !isDeepStrictEqual(before, this.#names)) this.onChange?.()
  }
}

function numbersOf(names: ReadonlyMap<number, string>, wanted: string): number[] {
  return [...names].flatMap(([number, name]) => (name === wanted ? [number] : []))
}

/** Lines of `name:password:number:…`. A file that is there and cannot be read (no descriptors left, say) still says what it said `before`. */
function readNames(file: string, before: Map<number, string>): Map<number, string> {
  const names = new Map<number, string>()
  let text = ''
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    return errnoOf(error) === 'ENOENT' ? names : before // a host without the file has no names to give
  }
  for (const line of text.split('\n')) {
    const [name, , uid] = line.split(':')
    if (name !== undefined && uid !== undefined && /^\d+$/.test(uid) && !names.has(Number(uid)))
      names.set(Number(uid), name)
  }
  return names
}
