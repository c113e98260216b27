/**
 * Says at once when something changes in the state directories of runtimes, so that a container need not wait for the next
 * retry. A help for speed only: when watching fails (the host's inotify limits), the retries still find everything.
 */
import { existsSync, type FSWatcher, readdirSync, watch } from 'node:fs'
import { dirname, join } from 'node:path'

/** Roots, their namespaces and the containers of flat roots; one inotify watch each. The host's default limit is 8192 or more. */
const WATCHES_LIMIT_COUNT = 1024

export class RuntimeWatch {
  readonly #watchers = new Map<string, FSWatcher>()
  #failedCount = 0
  #closed = false

  constructor(
    readonly roots: readonly string[],
    readonly changed: () => void,
  ) {
    this.refresh()
  }

  get failedCount(): number {
    return this.#failedCount
  }

  /** Watches what has appeared, forgets what has gone. */
  refresh(): void {
    if (this.#closed) return
    const wanted = new Set<string>()
    for (const root of this.roots) {
      if (!existsSync(root)) {
        wanted.add(nearestAncestor(root))
        continue
      }
      wanted.add(root)
      for (const name of subdirectories(root)) if (wanted.size < WATCHES_LIMIT_COUNT) wanted.add(join(root, name))
    }
    for (const [dir, watcher] of this.#watchers) {
      if (wanted.has(dir)) continue
      watcher.close()
      this.#watchers.delete(dir)
    }
    for (const dir of wanted) if (!this.#watchers.has(dir)) this.#watch(dir)
  }

  close(): void {
    this.#closed = true
    for (const watcher of this.#watchers.values()) watcher.close()
    this.#watchers.clear()
  }

  #watch(dir: string): void {
    try {
      const watcher = watch(dir, { persistent: false }, () => this.changed())
      watcher.on('error', () => this.#drop(dir))
      this.#watchers.set(dir, watcher)
    } catch {
      if (existsSync(dir)) this.#failedCount += 1
    }
  }

  #drop(dir: string): void {
    this.#watchers.get(dir)?.close()
    this.#watchers.delete(dir)
    this.#failedCount += 1
  }
}

function nearestAncestor(path: string): string {
  let dir = dirname(path)
  while (dir !== '/' && !existsSync(dir)) dir = dirname(dir)
  return dir
}

function subdirectories(dir: string): string[] {
  try {
    return readdirSync(dir, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []))
  } catch {
    return []
  }
}
