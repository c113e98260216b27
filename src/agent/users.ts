/** Names of the host's users, from /etc/passwd; read again at most once a minute. An unknown uid has no name. */
import { readFileSync } from 'node:fs'

const REFRESH_MS = 60_000

/** Names of users: the host's own, or a capture's. */
export interface NameSource {
  /** Empty: unknown. */
  nameOf(uid: number): string
}

export class UserNames implements NameSource {
  readonly #file: string
  #names = new Map<number, string>()
  #readAtMs = Number.NEGATIVE_INFINITY

  constructor(hostRoot: string) {
    this.#file = `${hostRoot === '/' ? '' : hostRoot}/etc/passwd`
  }

  nameOf(uid: number): string {
    const nowMs = performance.now()
    if (nowMs - this.#readAtMs > REFRESH_MS) {
      this.#readAtMs = nowMs
      this.#names = readPasswd(this.#file)
    }
    return this.#names.get(uid) ?? ''
  }
}

function readPasswd(file: string): Map<number, string> {
  const names = new Map<number, string>()
  let text = ''
  try {
    text = readFileSync(file, 'utf8')
  } catch {
    return names // a host without the file has no names to give
  }
  for (const line of text.split('\n')) {
    const [name, , uid] = line.split(':')
    if (name !== undefined && uid !== undefined && /^\d+$/.test(uid) && !names.has(Number(uid)))
      names.set(Number(uid), name)
  }
  return names
}
