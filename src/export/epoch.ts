/**
 * What a data directory remembers about its agent: an id, the count of starts, and who holds it now.
 *
 * The epoch is durable (file and directory synced) before it is given out, so that no two starts ever share one. The lock
 * is a file with pid and start time: a dead holder's is taken over, a live one's is refused (`second_agent`).
 * An unusable directory is `data_dir_unusable`; nothing here fails silently.
 */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { type FileHandle, open, readFile, rename, rm } from 'node:fs/promises'
import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import { errnoOf, HullguardError, messageOf } from '../telemetry/errors.js'
import { makeDirectory } from './directory.js'

/** Epochs are uint32 on the wire. */
const EPOCH_MAX = 0xffff_ffff

export interface EpochState {
  epoch: number
  /** The start before this one did not close. */
  unclean: boolean
}

/**
 * This host's id in the store: host name and 64 random bits, made once. It lies in the data directory on purpose: with
 * the directory goes the count of starts, and the id must go with it, or epochs would be used twice.
 */
export async function loadAgentId(dataDir: string): Promise<string> {
  await usable(dataDir, async () => makeDirectory(dataDir))
  const path = join(dataDir, 'agent-id')
  const present = await usable(dataDir, () => readIfThere(path))
  const id = present?.trim() ?? ''
  if (/^[A-Za-z0-9._-]{1,128}$/.test(id)) return id
  const host = hostname()
    .replace(/[^A-Za-z0-9._-]/g, '_')
    .slice(0, 64)
  const made = `${host}-${randomBytes(8).toString('hex')}`
  await usable(dataDir, () => writeDurably(path, `${made}\n`))
  return made
}

export async function nextEpoch(spoolDir: string): Promise<EpochState> {
  const path = join(spoolDir, 'epoch')
  const text = await usable(spoolDir, () => readIfThere(path))
  let last = 0
  let unclean = false
  if (text !== undefined) {
    const match = /^(\d{1,10}) (open|closed)\n$/.exec(text)
    if (match === null) {
      throw new HullguardError('data_dir_unusable', `${path} is damaged: expected \`NUMBER open|closed\``)
    }
    last = Number(match[1])
    unclean = match[2] === 'open'
  }
  if (last >= EPOCH_MAX) throw new HullguardError('data_dir_unusable', `${path}: the count of starts is used up`)
  await usable(spoolDir, () => writeDurably(path, `${last + 1} open\n`))
  return { epoch: last + 1, unclean }
}

export async function closeEpoch(spoolDir: string, epoch: number): Promise<void> {
  await writeDurably(join(spoolDir, 'epoch'), `${epoch} closed\n`)
}

/** Takes the directory for this process; the returned function gives it back. */
export async function lockSpool(spoolDir: string): Promise<() => Promise<void>> {
  const path = join(spoolDir, 'lock')
  const mine = `${process.pid} ${startTicks(process.pid) ?? 0}\n`
  // Two attempts: the second after a dead holder's file was removed.
  for (let attempt = 0; attempt < 2; attempt++) {
    const handle = await usable(spoolDir, () => openNew(path))
    if (handle !== undefined) {
      await usable(spoolDir, () => handle.writeFile(mine).finally(() => handle.close()))
      return () => rm(path, { force: true })
    }
    const text = (await usable(spoolDir, () => readIfThere(path))) ?? ''
    const [pid, ticks] = text.trim().split(' ').map(Number)
    if (pid !== undefined && pid > 0 && startTicks(pid) === ticks) {
      throw new HullguardError('second_agent', `${spoolDir} is in use by process ${pid}`)
    }
    await usable(spoolDir, () => rm(path, { force: true }))
  }
  throw new HullguardError('second_agent', `${spoolDir} was taken by another process just now`)
}

/** Writes beside, syncs, renames over, syncs the directory: after a crash the old or the new content is there. */
export async function writeDurably(path: string, content: string): Promise<void> {
  const temporary = `${path}.new`
  const handle = await open(temporary, 'w', 0o600)
  try {
    await handle.writeFile(content)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(temporary, path)
  await syncDirectory(dirname(path))
}

export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Turns a failed system call into `data_dir_unusable`. */
export async function usable<T>(directory: string, step: () => Promise<T>): Promise<T> {
  try {
    return await step()
  } catch (error) {
    throw new HullguardError('data_dir_unusable', `${directory}: ${messageOf(error)}`, { cause: error })
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}

async function openNew(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'wx', 0o600)
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return undefined
    throw error
  }
}

/** Field 22 of /proc/PID/stat: with it a reused pid is not taken for the holder. Undefined: no such process. */
function startTicks(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19])
  } catch {
    return undefined
  }
}
