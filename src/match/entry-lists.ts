/**
 * Lists of (rule, code) pairs, many lists in three flat arrays:
 *
 *   from:  [ 0, 2, 2, 5 ]        list 0 is 0..1, list 1 is empty, list 2 is 2..4
 *   rules: [ 3, 9, 1, 4, 7 ]     ascending within a list
 *   codes: [ … ]                 specificity.ts
 *   protos:[ … ]                 IPPROTO number the entry is limited to, 0 for any
 */
export interface EntryLists {
  readonly from: Uint32Array
  readonly rules: Uint32Array
  readonly codes: Int32Array
  readonly protos: Uint8Array
}

export interface Entry {
  readonly rule: number
  readonly code: number
  readonly proto: number
}

export function flattenLists(lists: readonly (readonly Entry[])[]): EntryLists {
  const total = lists.reduce((sum, list) => sum + list.length, 0)
  const from = new Uint32Array(lists.length + 1)
  const rules = new Uint32Array(total)
  const codes = new Int32Array(total)
  const protos = new Uint8Array(total)
  let at = 0
  for (const [index, list] of lists.entries()) {
    for (const entry of [...list].sort((a, b) => a.rule - b.rule)) {
      rules[at] = entry.rule
      codes[at] = entry.code
      protos[at] = entry.proto
      at++
    }
    from[index + 1] = at
  }
  return { from, rules, codes, protos }
}
