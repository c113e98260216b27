/** The host's accounts, and what was answered of them: whoever went by the answers can ask later whether they still hold. */
import type { Accounts } from './lower-said.js'

export class AskedAccounts implements Accounts {
  readonly #source: Accounts
  /** Name -> its numbers. */
  readonly #users = new Map<string, readonly number[]>()
  readonly #groups = new Map<string, readonly number[]>()

  constructor(source: Accounts) {
    this.#source = source
  }

  uidsOf(name: string): readonly number[] {
    const uids = this.#source.uidsOf(name)
    this.#users.set(name, uids)
    return uids
  }

  gidsOf(name: string): readonly number[] {
    const gids = this.#source.gidsOf(name)
    this.#groups.set(name, gids)
    return gids
  }

  /** Some of the names stand for others by now. */
  get areOutdated(): boolean {
    return (
      [...this.#users].some(([name, uids]) => !areSame(uids, this.#source.uidsOf(name))) ||
      [...this.#groups].some(([name, gids]) => !areSame(gids, this.#source.gidsOf(name)))
    )
  }
}

function areSame(before: readonly number[], now: readonly number[]): boolean {
  return before.length === now.length && before.every((number) => now.includes(number))
}
