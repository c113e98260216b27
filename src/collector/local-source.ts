/** Reads a store on this host, also while a collector writes it or when none runs. */
import { setTimeout as sleep } from 'node:timers/promises'
import { HullguardError, messageOf } from '../telemetry/errors.js'
import { type Db, openReadOnly } from './database.js'
import { StoreReader } from './query.js'
import type { AgentRow, EventPage, EventQuery, EventSource } from './types.js'

/** How soon a follower sees what was stored; one look is one index lookup. */
const POLL_MS = 200

/** Throws store_missing, store_unusable or data_dir_unusable. */
export function openLocal(dataDir: string): EventSource {
  return new LocalSource(openReadOnly(dataDir))
}

export class LocalSource implements EventSource {
  readonly #db: Db
  readonly #reader: StoreReader

  constructor(db: Db) {
    this.#db = db
    this.#reader = new StoreReader(db)
  }

  async *events(query: EventQuery): AsyncGenerator<EventPage, void> {
    const pages = guard(() => this.#reader.events(query))
    while (true) {
      const { value, done } = guard(() => pages.next())
      if (done === true) return
      yield value
      // Reading is synchronous: let others run between two pages.
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  async *follow(query: EventQuery, signal: AbortSignal): AsyncGenerator<EventPage, void> {
    let cursor = query.after ?? guard(() => String(this.#reader.lastBatch()))
    for await (const page of this.events(query)) {
      if (signal.aborted) return
      cursor = page.cursor
      yield page
    }
    while (!signal.aborted) {
      let last = cursor
      const { limit: _, ...rest } = query
      for await (const page of this.events({ ...rest, after: cursor })) {
        if (signal.aborted) return
        last = page.cursor
        yield page
      }
      cursor = last
      await sleep(POLL_MS, undefined, { signal }).catch(() => {})
    }
  }

  async agents(): Promise<AgentRow[]> {
    return guard(() => this.#reader.agents())
  }

  close(): void {
    this.#db.close()
  }
}

function guard<T>(step: () => T): T {
  try {
    return step()
  } catch (error) {
    if (error instanceof HullguardError) throw error
    throw new HullguardError('query_failed', `the store cannot be read: ${messageOf(error)}`, { cause: error })
  }
}
