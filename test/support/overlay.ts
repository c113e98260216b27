/** A container's root as engines give it: an overlay whose lower layer is the image, so that what is written later can be told. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { run, runOk } from './process.js'

export class OverlayRoot {
  private constructor(readonly path: string) {}

  /** `image` stays as it is; `dir` is new and holds what the container writes. */
  static async mount(image: string, dir: string): Promise<OverlayRoot> {
    const [path, upper, work] = ['root', 'upper', 'work'].map((name) => join(dir, name)) as [string, string, string]
    for (const folder of [path, upper, work]) mkdirSync(folder, { recursive: true })
    const options = `lowerdir=${image},upperdir=${upper},workdir=${work}`
    await runOk('mount', ['-t', 'overlay', 'overlay', '-o', options, path])
    return new OverlayRoot(path)
  }

  async unmount(): Promise<void> {
    await run('umount', ['--lazy', this.path])
  }
}
