/**
 * What a hook on every system call costs by itself: a program that does nothing, at the tracepoint at which ours is
 * (sys_exit, by BTF). No agent that uses it can cost a system call less.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { loadAddon, type NativeSensor } from '../../src/sensor/addon.js'
import { runOk } from '../../test/support/process.js'

const PROGRAM = 'empty'
const SOURCE = `
__attribute__((section("license"), used)) char licence[] = "Dual BSD/GPL";
__attribute__((section("tp_btf/sys_exit"), used)) int ${PROGRAM}(unsigned long long *context) { return 0; }
`

export class EmptyHook {
  readonly #object: string
  #native: NativeSensor | undefined

  private constructor(object: string) {
    this.#object = object
  }

  /** `dir` gets the program. */
  static async compile(dir: string): Promise<EmptyHook> {
    const source = join(dir, 'empty.bpf.c')
    writeFileSync(source, SOURCE)
    const object = join(dir, 'empty.bpf.o')
    await runOk('clang', ['-O2', '-g', '-target', 'bpf', '-c', source, '-o', object])
    return new EmptyHook(object)
  }

  attach(): void {
    const native = new (loadAddon().Sensor)()
    this.#native = native
    native.open(this.#object, { knobs: {}, mapEntries: {}, skip: [] })
    native.load()
    native.attach(PROGRAM)
  }

  /** Idempotent. */
  detach(): void {
    this.#native?.close()
    this.#native = undefined
  }
}
