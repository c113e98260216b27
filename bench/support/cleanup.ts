/** A case's way out: what it made is undone, last first, when it ends, fails or is interrupted. */

type Undo = () => unknown

export async function withCleanup<T>(work: (defer: (undo: Undo) => void) => Promise<T>): Promise<T> {
  const undo: Undo[] = []
  let undoing: Promise<void> | undefined
  const undoAll = () => {
    undoing ??= (async () => {
      for (const step of undo.reverse()) {
        try {
          await step()
        } catch (error) {
          console.error(`clean-up: ${error instanceof Error ? error.message : error}`)
        }
      }
    })()
    return undoing
  }
  const onSignal = (signal: NodeJS.Signals) => {
    void undoAll().finally(() => process.exit(signal === 'SIGINT' ? 130 : 143))
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  try {
    return await work((step) => undo.push(step))
  } finally {
    await undoAll()
    process.removeListener('SIGINT', onSignal)
    process.removeListener('SIGTERM', onSignal)
  }
}
