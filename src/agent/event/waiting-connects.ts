/**
 * Records of connects that wait for what belongs to them: oldest first, found by the socket's cookie. Mostly one or two wait, for
 * as long as it takes to hand on the next event: nothing here is made anew when they come and go.
 */
import { IdIndex } from '../../container/id-index.js'
import type { Draft } from './drafts.js'

/** What names a socket in events: the two halves of its cookie. */
export interface Socket {
  readonly cookieLow: number
  readonly cookieHigh: number
}

export class WaitingConnect implements Socket {
  before: WaitingConnect | undefined
  after: WaitingConnect | undefined

  constructor(
    readonly cookieLow: number,
    readonly cookieHigh: number,
    readonly draft: Draft,
    /** It waits for waitNs from then on. */
    public sinceBootNs: bigint,
    public waitNs: bigint,
  ) {}
}

export class WaitingConnects {
  readonly #bySocket = new IdIndex<WaitingConnect>()
  /** How many wait of a process, by pid. */
  readonly #counts = new IdIndex<number>()
  #oldest: WaitingConnect | undefined
  #newest: WaitingConnect | undefined
  /** The last that came, gone or not: V8 keeps the code for them while one is alive (KEPT_ALIVE, record/wire-primitives.ts). */
  readonly #keptAlive: WaitingConnect[] = []

  get count(): number {
    return this.#bySocket.size
  }

  get oldest(): WaitingConnect | undefined {
    return this.#oldest
  }

  get({ cookieLow, cookieHigh }: Socket): WaitingConnect | undefined {
    return this.#bySocket.get(cookieLow, cookieHigh)
  }

  hasOf(pid: number): boolean {
    return this.#counts.get(pid, 0) !== undefined
  }

  /** None of the same socket may wait. */
  add(connect: WaitingConnect): void {
    const { cookieLow, cookieHigh, draft } = connect
    this.#bySocket.set(cookieLow, cookieHigh, connect)
    const { pid } = draft.process
    this.#counts.set(pid, 0, (this.#counts.get(pid, 0) ?? 0) + 1)
    this.#keptAlive[0] = connect
    connect.before = this.#newest
    if (this.#newest === undefined) this.#oldest = connect
    else this.#newest.after = connect
    this.#newest = connect
  }

  delete(connect: WaitingConnect): void {
    const { cookieLow, cookieHigh, draft, before, after } = connect
    this.#bySocket.delete(cookieLow, cookieHigh)
    const { pid } = draft.process
    const left = (this.#counts.get(pid, 0) ?? 0) - 1
    if (left > 0) this.#counts.set(pid, 0, left)
    else this.#counts.delete(pid, 0)
    if (before === undefined) this.#oldest = after
    else before.after = after
    if (after === undefined) this.#newest = before
    else after.before = before
    connect.before = undefined // one stays alive, and not with it all that ended beside it
    connect.after = undefined
  }

  /** Oldest first. The one that was given last may be deleted meanwhile. */
  *[Symbol.iterator](): Generator<WaitingConnect> {
    for (let connect = this.#oldest; connect !== undefined; ) {
      const { after } = connect
      yield connect
      connect = after
    }
  }
}
