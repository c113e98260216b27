/** Random conditions of which a plain function says whether they hold: leaves joined with `and`, `or` and `not`. */
import fc from 'fast-check'

export interface MadeCondition<Event> {
  text: string
  holds(event: Event): boolean
}

export function conditionTrees<Event>(leaf: fc.Arbitrary<MadeCondition<Event>>): fc.Arbitrary<MadeCondition<Event>> {
  return fc.letrec<{ tree: MadeCondition<Event> }>((tie) => ({
    tree: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      leaf,
      fc.tuple(tie('tree'), tie('tree')).map(([a, b]) => ({
        text: `(${a.text} and ${b.text})`,
        holds: (event: Event) => a.holds(event) && b.holds(event),
      })),
      fc.tuple(tie('tree'), tie('tree')).map(([a, b]) => ({
        text: `(${a.text} or ${b.text})`,
        holds: (event: Event) => a.holds(event) || b.holds(event),
      })),
      tie('tree').map((a) => ({ text: `not (${a.text})`, holds: (event: Event) => !a.holds(event) })),
    ),
  })).tree
}
