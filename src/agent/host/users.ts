/**
 * Names of the host's users and groups, from /etc/passwd and /etc/group. When somebody asks they are looked at again, at most once a
 * second, and read where they have changed. An unknown uid has no name.
 */
import { readFileSync, statSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import { errnoOf } from '../../telemetry/errors.js'

const LOOK_MS = 1_000

/** Names of users: the host's own, or a capture's. */
export interface NameSource {
  /** Empty: unknown. */
  nameOf(uid: number): string
  /** Empty: unknown. A source without it knows no groups. */
  groupNameOf?(gid: number): string
}

export class UserNames implements NameSource {
  readonly #users: NameFile
  readonly #groups: NameFile
  #lookedAtMs = Number.NEGATIVE_INFINITY
  readonly #nowMs: () => number
  #isOfThisTurn = false
  readonly #endTurn = () => {
    this.#isOfThisTurn = false
  }
  /** Called when another name of a user or group is in use from now on, before anybody gets to see it. */
  onChange: (() => void) | undefined

  constructor(hostRoot: string, nowMs = () => performance.now()) {
    const folder = `${hostRoot === '/' ? '' : hostRoot}/etc`
    this.#users = new NameFile(`${folder}/passwd`)
    this.#groups = new NameFile(`${folder}/group`)
    this.#nowMs = nowMs
  }

  /** Asked for nearly every event: the clock is read for the first of those that are handled in one turn. */
  nameOf(uid: number): string {
    if (!this.#isOfThisTurn) {
      this.refresh()
      this.#isOfThisTurn = true
      queueMicrotask(this.#endTurn)
    }
    return this.#users.names.get(uid) ?? ''
  }

  groupNameOf(gid: number): string {
    this.refresh()
    return this.#groups.names.get(gid) ?? ''
  }

  /** None: the host has no such user. */
  uidsOf(name: string): number[] {
    this.refresh()
    return this.#users.numbersOf(name)
  }

  gidsOf(name: string): number[] {
    this.refresh()
    return this.#groups.numbersOf(name)
  }

  /** Reads the files again where that is due: for changes to be noticed although nobody asks for a name. */
  refresh(): void {
    const nowMs = this.#nowMs()
    if (nowMs - this.#lookedAtMs <= LOOK_MS) return
    const isFirst = this.#lookedAtMs === Number.NEGATIVE_INFINITY
    this.#lookedAtMs = nowMs
    const changes = [this.#users, this.#groups].map((file) => file.refresh())
    if (!isFirst && changes.includes(true)) this.onChange?.()
  }
}

/** Lines of `name:password:number:…`. */
class NameFile {
  readonly #path: string
  #stamp = ''
  names: ReadonlyMap<number, string> = new Map()

  constructor(path: string) {
    this.#path = path
  }

  numbersOf(wanted: string): number[] {
    return [...this.names].flatMap(([number, name]) => (name === wanted ? [number] : []))
  }

  /** Reads the file when it looks other than when it was read. True: what it says is another thing. */
  refresh(): boolean {
    const stamp = stampOf(this.#path)
    if (stamp === this.#stamp) return false
    const [before, names] = [this.names, readNames(this.#path)]
    if (names === undefined) return false
    this.#stamp = stamp
    this.names = names
    return !isDeepStrictEqual(before, names)
  }
}

/** How a file looks without being read; empty where that cannot be told. */
function stampOf(path: string): string {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true })
    return `${dev} ${ino} ${size} ${mtimeNs} ${ctimeNs}`
  } catch {
    return '' // reading it says why
  }
}

/** Undefined: the file is there and cannot be read (no descriptors left, say), so it still says what it said before. */
function readNames(file: string): ReadonlyMap<number, string> | undefined {
  const names = new Map<number, string>()
  let text = ''
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    return errnoOf(error) === 'ENOENT' ? names : undefined // a host without the file has no names to give
  }
  for (const line of text.split('\n')) {
    const [name, , uid] = line.split(':')
    if (name !== undefined && uid !== undefined && /^\d+$/.test(uid) && !names.has(Number(uid)))
      names.set(Number(uid), name)
  }
  return names
}
