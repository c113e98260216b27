/** A container's root file system from the static busybox: real and small, with applets as symbolic links as in most small images. */
import { chmodSync, copyFileSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { findCommand, runOk } from './process.js'

const DIRECTORIES = ['bin', 'dev', 'etc', 'proc', 'root', 'run', 'sbin', 'sys', 'tmp', 'usr/bin', 'usr/sbin', 'var/log']

export interface RootfsOptions {
  /** Path in the rootfs -> content; a path below a bin directory, or content that starts with `#!`, is executable. */
  files?: Readonly<Record<string, string | Buffer>>
  /** Path in the rootfs -> program of the host that is copied there (it must be static). */
  copies?: Readonly<Record<string, string>>
}

/** Makes (or completes) a rootfs in `dir` and returns `dir`. */
export async function makeRootfs(dir: string, options: RootfsOptions = {}): Promise<string> {
  const busybox = findCommand('busybox')
  if (busybox === undefined) throw new Error('busybox is missing: apt-get install busybox-static')
  for (const name of DIRECTORIES) mkdirSync(join(dir, name), { recursive: true })
  chmodSync(join(dir, 'tmp'), 0o1777)
  copyFileSync(busybox, join(dir, 'bin/busybox'))
  chmodSync(join(dir, 'bin/busybox'), 0o755)
  for (const applet of (await runOk(busybox, ['--list'])).split('\n')) {
    const link = join(dir, 'bin', applet)
    if (applet !== '' && applet !== 'busybox' && !existsSync(link)) symlinkSync('busybox', link)
  }
  writeFileSync(join(dir, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n')
  writeFileSync(join(dir, 'etc/group'), 'root:x:0:\nnogroup:x:65534:\n')
  for (const [path, content] of Object.entries(options.files ?? {})) {
    const file = join(dir, path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, content)
    const executable = /(^|\/)s?bin\//.test(path) || content.slice(0, 2).toString() === '#!'
    chmodSync(file, executable ? 0o755 : 0o644)
  }
  for (const [path, source] of Object.entries(options.copies ?? {})) {
    const file = join(dir, path)
    mkdirSync(dirname(file), { recursive: true })
    copyFileSync(source, file)
    chmodSync(file, 0o755)
  }
  return dir
}
