// A lock between processes of one machine: a file that names its holder. A holder that was killed leaves it behind, and the next
// one takes it away. INVARIANT: a lock file is only ever seen whole (it is linked into place), and only its holder or, when
// that is dead, the one process that holds `.reap` removes it.
import { linkSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

const POLL_MS = 100
/** Removing a stale lock takes microseconds; a remover that has not finished after this was killed. */
const REAPER_MAX_AGE_MS = 10_000

const sleep = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)

/** `pid start-time`, so that a reused pid is another identity. Undefined when there is no such process. */
function identityOf(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // proc(5): the start time is field 22; field 2, the name, may hold spaces and parentheses.
    return `${pid} ${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]}`
  } catch {
    return undefined
  }
}

/** Who took the lock: undefined when nobody has it. */
function readHolder(lock) {
  try {
    return readFileSync(lock, 'utf8')
  } catch {
    return undefined
  }
}

const isAlive = (holder) => holder !== '' && identityOf(holder.split(' ')[0]) === holder

function reapStale(lock) {
  const reaper = `${lock}.reap`
  try {
    mkdirSync(reaper)
  } catch {
    const info = statSync(reaper, { throwIfNoEntry: false })
    const ageMs = info === undefined ? 0 : Date.now() - info.mtimeMs
    if (ageMs > REAPER_MAX_AGE_MS) rmSync(reaper, { recursive: true, force: true })
    return
  }
  try {
    // Looked at again: while we hold `.reap`, a stale lock stays where it is and can be replaced by nobody.
    const holder = readHolder(lock)
    if (holder !== undefined && !isAlive(holder)) rmSync(lock, { force: true })
  } finally {
    rmSync(reaper, { recursive: true, force: true })
  }
}

/** Runs `work` while nobody else holds `lock`. Waits without limit for a live holder, whose pid `onWait` is told once. */
export function withLock(lock, onWait, work) {
  mkdirSync(dirname(lock), { recursive: true })
  const own = `${lock}.${process.pid}`
  writeFileSync(own, identityOf(process.pid))
  let isTold = false
  try {
    for (;;) {
      try {
        linkSync(own, lock)
        break
      } catch (error) {
        if (error.code !== 'EEXIST') throw error
      }
      const holder = readHolder(lock)
      if (holder === undefined) continue
      if (!isAlive(holder)) {
        reapStale(lock)
      } else if (!isTold) {
        isTold = true
        onWait(holder.split(' ')[0])
      }
      sleep(POLL_MS)
    }
  } finally {
    rmSync(own, { force: true })
  }
  try {
    return work()
  } finally {
    rmSync(lock, { force: true })
  }
}
