/** What the kernel side's iterators give: one reading of all that exists, decoded. */
import { BatchWalker } from './batch.js'
import { EvMemory, EvTask, Kind } from './generated/abi.js'
import { decodeText } from './text.js'

export interface TaskSnapshot {
  pid: number
  startNs: bigint
  parentPid: number
  parentStartNs: bigint
  cgroupId: bigint
  uid: number
  gid: number
  exe: string
  comm: string
  /** Of the executable. */
  inode: bigint
  /** ExecFlag: MEMFD, UPPER_LAYER. */
  flags: number
  capPermitted: bigint
  capEffective: bigint
  capInheritable: bigint
  /** 0xffffffff: nobody. */
  loginuid: number
  tty: number
  /** These three in the process's own pid namespace. */
  vpid: number
  vpgid: number
  sid: number
}

export interface MemoryReading {
  cgroupId: bigint
  bootNs: bigint
  currentBytes: bigint
  peakBytes: bigint
  /** Undefined: no limit is set. */
  limitBytes: bigint | undefined
  inactiveFileBytes: bigint
}

const NO_LIMIT = 0xffff_ffff_ffff_ffffn

/** Of `on_task`. What was cut off at the end is left out. */
export function decodeTasks(bytes: Uint8Array): TaskSnapshot[] {
  const { task } = new BatchWalker(copyToOwnBuffer(bytes))
  const tasks: TaskSnapshot[] = []
  for (let at = 0; at + EvTask.SIZE_BYTES <= bytes.length; ) {
    task.at = at
    const sizeBytes = task.sizeBytes
    if (task.kind !== Kind.TASK || sizeBytes < EvTask.SIZE_BYTES || at + sizeBytes > bytes.length) break
    tasks.push({
      pid: task.pid,
      startNs: task.startNs,
      parentPid: task.parentPid,
      parentStartNs: task.parentStartNs,
      cgroupId: task.cgroupId,
      uid: task.uid,
      gid: task.gid,
      exe: decodeText(bytes, at + EvTask.SIZE_BYTES, at + EvTask.SIZE_BYTES + task.fileBytes),
      comm: decodeText(task.comm, 0, task.comm.length).replace(/\0.*$/s, ''),
      inode: task.inode,
      flags: task.flags,
      capPermitted: task.capPermitted,
      capEffective: task.capEffective,
      capInheritable: task.capInheritable,
      loginuid: task.loginuid,
      tty: task.tty,
      vpid: task.vpid,
      vpgid: task.vpgid,
      sid: task.sid,
    })
    at += sizeBytes
  }
  return tasks
}

/** Of `on_memory`. */
export function decodeMemory(bytes: Uint8Array): MemoryReading[] {
  const { memory } = new BatchWalker(copyToOwnBuffer(bytes))
  const readings: MemoryReading[] = []
  for (let at = 0; at + EvMemory.SIZE_BYTES <= bytes.length; at += EvMemory.SIZE_BYTES) {
    memory.at = at
    readings.push({
      cgroupId: memory.cgroupId,
      bootNs: memory.bootNs,
      currentBytes: memory.currentBytes,
      peakBytes: memory.peakBytes,
      limitBytes: memory.limitBytes === NO_LIMIT ? undefined : memory.limitBytes,
      inactiveFileBytes: memory.inactiveFileBytes,
    })
  }
  return readings
}

function copyToOwnBuffer(bytes: Uint8Array): ArrayBuffer {
  const copy = new ArrayBuffer(bytes.length)
  new Uint8Array(copy).set(bytes)
  return copy
}
