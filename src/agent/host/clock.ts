/** CLOCK_BOOTTIME to UTC. The offset is taken again every 10 s, so a stepped clock shows in records from then on. */
import { loadAddon } from '../../sensor/addon.js'

const REFRESH_MS = 10_000

export class BootClock {
  #offsetNs = loadAddon().bootClockOffsetNs()
  readonly #timer = setInterval(() => {
    this.#offsetNs = loadAddon().bootClockOffsetNs()
  }, REFRESH_MS).unref()

  /** UTC ns since the epoch. */
  utcNs(bootNs: bigint): bigint {
    return bootNs + this.#offsetNs
  }

  nowBootNs(): bigint {
    return loadAddon().bootClockNs()
  }

  close(): void {
    clearInterval(this.#timer)
  }
}
