/**
 * The cgroups that are known, by id and by path, and for a bounded time those that are gone: events are read after they
 * happen, and a late one must still find its container's name. Holds no policy and does no I/O.
 */
import type { Cgroup } from './cgroup-fs.js'
import { IdIndex } from './id-index.js'
import type { IdentityCell } from './identity.js'

export interface Entry extends Cgroup {
  identity: IdentityCell
  /** When a decision is still to be made: when to try next, and when to give up. */
  pending: { nextTryMs: number; pauseMs: number; deadlineMs: number } | undefined
  /** 0 while the cgroup exists. */
  removedAtMs: number
}

/** The ring is read within milliseconds; a stalled reader that is half a minute behind has lost events already. */
export const GONE_KEPT_MS = 30_000
/** 30 s of a host that starts and ends 130 cgroups a second. */
export const GONE_LIMIT_COUNT = 4096

export class CgroupEntries {
  readonly #index = new IdIndex<Entry>()
  readonly #byPath = new Map<string, Entry>()
  /** In the order of removal. */
  readonly #gone = new Map<bigint, Entry>()
  /** Plain numbers: the event path counts here, and they are exported from time to time. */
  lateLookupsCount = 0
  evictedCount = 0

  constructor(readonly goneLimitCount: number = GONE_LIMIT_COUNT) {}

  get liveCount(): number {
    return this.#byPath.size
  }

  get goneCount(): number {
    return this.#gone.size
  }

  /** The event path: allocates nothing. */
  identityOf(low: number, high: number): IdentityCell | undefined {
    const entry = this.#index.get(low, high)
    if (entry === undefined) return undefined
    if (entry.removedAtMs !== 0) this.lateLookupsCount += 1
    return entry.identity
  }

  get(id: bigint): Entry | undefined {
    return this.#index.get(lowOf(id), highOf(id))
  }

  atPath(path: string): Entry | undefined {
    return this.#byPath.get(path)
  }

  live(): IterableIterator<Entry> {
    return this.#byPath.values()
  }

  add(entry: Entry): void {
    this.#gone.delete(entry.id)
    this.#index.set(lowOf(entry.id), highOf(entry.id), entry)
    this.#byPath.set(entry.path, entry)
  }

  remove(entry: Entry, nowMs: number): void {
    entry.removedAtMs = Math.max(nowMs, 1)
    entry.pending = undefined
    if (this.#byPath.get(entry.path) === entry) this.#byPath.delete(entry.path)
    this.#gone.set(entry.id, entry)
    if (this.#gone.size > this.goneLimitCount) {
      this.evictedCount += 1
      for (const oldest of this.#gone.values()) {
        this.#forget(oldest)
        break
      }
    }
  }

  /** Forgets what went longer than GONE_KEPT_MS ago; returns when to come again, or undefined. */
  sweep(nowMs: number): number | undefined {
    for (const entry of this.#gone.values()) {
      const dueMs = entry.removedAtMs + GONE_KEPT_MS
      if (dueMs > nowMs) return dueMs
      this.#forget(entry)
    }
    return undefined
  }

  /** Live cgroups below this one. */
  below(top: Entry): Entry[] {
    const prefix = top.path === '/' ? '/' : `${top.path}/`
    const found: Entry[] = []
    for (const entry of this.#byPath.values()) if (entry !== top && entry.path.startsWith(prefix)) found.push(entry)
    return found
  }

  /** The innermost known cgroup that a path lies in. */
  around(path: string): Entry | undefined {
    for (let at = path; at !== ''; at = at.slice(0, at.lastIndexOf('/'))) {
      const entry = this.#byPath.get(at)
      if (entry !== undefined) return entry
    }
    return this.#byPath.get('/')
  }

  #forget(entry: Entry): void {
    this.#gone.delete(entry.id)
    if (this.get(entry.id) === entry) this.#index.delete(lowOf(entry.id), highOf(entry.id))
  }
}

export function lowOf(id: bigint): number {
  return Number(id & 0xffff_ffffn)
}

export function highOf(id: bigint): number {
  return Number((id >> 32n) & 0xffff_ffffn)
}
