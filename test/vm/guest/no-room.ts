/**
 * Work that finds no room: every slot that the hooks claim is taken meanwhile. An open at the end of its function is counted with the
 * container whose it was, and its number is missing in its place; at the end of the call there is always room. An exec that a hook
 * would judge passes, and is counted so too.
 */
import { Drop, Kind } from '../../../src/sensor/generated/abi.js'
import { readPossibleCpuCount } from '../../../src/sensor/load.js'
import { encodeU32, type Sensor } from '../../../src/sensor/sensor.js'

/** Each takes some milliseconds. */
const ATTEMPTS_MAX = 1000

export interface NoRoomStage {
  sensor: Sensor
  isByFunction: boolean
  refusesExec: boolean
  /** Opens files in the container. */
  open(): void
  /** Starts a program in the container, in phase run. */
  exec(): void
  owner: { cgroupId: bigint; profile: number }
  /** Of the events that came. */
  numberedCount(): number
  settle(): Promise<void>
  check(name: string, ok: boolean, detail?: unknown): void
}

export async function checkLostOpens(stage: NoRoomStage): Promise<void> {
  const { sensor, owner, check } = stage
  const missingBefore = await missingNumbers(stage)
  setClaims(sensor, 1)
  stage.open()
  setClaims(sensor, 0)
  const missing = (await missingNumbers(stage)) - missingBefore
  const lost = sensor.losses().filter(({ cause, kind }) => cause === Drop.SCRATCH && kind === Kind.CALL)
  const counts = lost.map(({ count }) => count)
  check(
    stage.isByFunction
      ? 'an open that finds no room is counted with its container, and missing in its place'
      : 'at the end of the call an open always finds room',
    stage.isByFunction
      ? lost.length === 1 &&
          lost.every(({ cgroupId, profile }) => cgroupId === owner.cgroupId && profile === owner.profile) &&
          missing > 0 &&
          missing === counts[0]
      : lost.length === 0 && missing === 0,
    [lost, missing],
  )
}

/** Numbers that were given and never came. Where other containers go on, more are given meanwhile: then it looks again. */
async function missingNumbers({ sensor, settle, numberedCount }: NoRoomStage): Promise<number> {
  for (let attempt = 0; ; attempt++) {
    const given = numbersGiven(sensor)
    await settle()
    const missing = given - numberedCount()
    if (numbersGiven(sensor) === given || attempt === ATTEMPTS_MAX) return missing
  }
}

export async function checkLostDecisions(stage: NoRoomStage): Promise<void> {
  const { sensor, owner, refusesExec, check } = stage
  await stage.settle()
  setClaims(sensor, 1)
  stage.exec()
  setClaims(sensor, 0)
  await stage.settle()
  const lost = sensor.losses().filter(({ cause, kind }) => cause === Drop.SCRATCH && kind === Kind.EXEC)
  check(
    refusesExec
      ? 'an exec that finds no room to be judged in is counted with its container'
      : 'where no hook judges an exec, none finds no room',
    lost.length === (refusesExec ? 1 : 0) &&
      lost.every(({ cgroupId, profile }) => cgroupId === owner.cgroupId && profile === owner.profile),
    lost,
  )
}

function setClaims(sensor: Sensor, value: number): void {
  const present = new Uint8Array(4)
  for (let slot = 0; sensor.lookup('scratch_claims', encodeU32(slot), present); slot++)
    sensor.update('scratch_claims', encodeU32(slot), encodeU32(value))
}

/** By all CPUs. */
function numbersGiven(sensor: Sensor): number {
  const given = new BigUint64Array(readPossibleCpuCount())
  sensor.lookup('sequences', encodeU32(0), new Uint8Array(given.buffer))
  return Number(given.reduce((sum, one) => sum + one, 0n))
}
