/**
 * What the table knows of a cgroup: which container it belongs to, how sure that is, and by what the container can be
 * found again. Types and the shared records of the states that are no container.
 */
import { type ContainerRef, HOST } from '../record/model.js'

/** One mount of a container's configuration. */
export interface Mount {
  source: string
  destination: string
  /** As the runtime writes it; empty where it does not. */
  mode: string
  isWritable: boolean
  propagation: string
}

export interface Identity {
  /** What goes into records: one frozen object for all events until the metadata itself changes (a rename). */
  readonly ref: ContainerRef
  /** A runtime has said that this cgroup is this container. Nothing may act on an identity that is not confirmed. */
  readonly confirmed: boolean
  /** The container's own cgroup; for host, pending and unknown the cgroup itself or the one it has this state from. */
  readonly rootCgroupId: bigint
  readonly rootLevel: number
  readonly cgroupPath: string
  /** Container's init on the host, once it is known. */
  readonly initPid: number | undefined
  /** Clock ticks since boot, as in /proc/PID/stat: with initPid it identifies the process. */
  readonly initStartTicks: bigint | undefined
  /** Its init is in the host's PID namespace; undefined: not known yet, or it is gone. */
  readonly sharesHostPids: boolean | undefined
  readonly privileged: boolean | undefined
  readonly mounts: readonly Mount[]
  /** UTC ms. */
  readonly createdMs: number | undefined
  /** The user whose rootless runtime spoke for it: its name, image and labels are that user's word. */
  readonly ownerUid: number | undefined
}

/** What a runtime says of one container. */
export interface RuntimeFacts {
  id: string
  name: string
  image: string
  imageId: string
  runtime: string
  labels: Readonly<Record<string, string>>
  initPid?: number | undefined
  initStartTicks?: bigint | undefined
  privileged?: boolean | undefined
  /** As configured: a name, a number, `user:group`; empty or `0` for root. */
  user?: string | undefined
  mounts?: readonly Mount[] | undefined
  createdMs?: number | undefined
  ownerUid?: number | undefined
}

export const NO_MOUNTS: readonly Mount[] = Object.freeze([])

/** The identity in the table's hands: metadata may be refreshed in place, so that every cgroup of a container sees it. */
export class IdentityCell implements Identity {
  confirmed = false
  initPid: number | undefined
  initStartTicks: bigint | undefined
  sharesHostPids: boolean | undefined
  privileged: boolean | undefined
  mounts: readonly Mount[] = NO_MOUNTS
  createdMs: number | undefined
  ownerUid: number | undefined

  constructor(
    public ref: ContainerRef,
    readonly rootCgroupId: bigint,
    readonly rootLevel: number,
    readonly cgroupPath: string,
  ) {}
}

/** Not yet decided. */
export const PENDING: ContainerRef = Object.freeze({ ...HOST, state: 'pending' })
/** Looks like a container, but no runtime has said that it is one. */
export const UNKNOWN: ContainerRef = Object.freeze({ ...HOST, state: 'unknown' })

export function refOf(facts: RuntimeFacts, outerIds: readonly string[]): ContainerRef {
  return Object.freeze({
    state: 'container',
    id: facts.id,
    name: facts.name === '' ? facts.id : facts.name,
    image: facts.image,
    imageId: facts.imageId,
    runtime: facts.runtime,
    labels: facts.labels,
    outerIds: Object.freeze([...outerIds]),
    ...(facts.privileged === undefined ? {} : { privileged: facts.privileged }),
    ...(facts.user === undefined ? {} : { user: facts.user }),
  })
}

export function sameRef(a: ContainerRef, b: ContainerRef): boolean {
  if (a.state !== b.state || a.id !== b.id || a.name !== b.name || a.image !== b.image) return false
  if (a.privileged !== b.privileged || a.user !== b.user) return false
  if (a.imageId !== b.imageId || a.runtime !== b.runtime || a.outerIds.join() !== b.outerIds.join()) return false
  const keys = Object.keys(a.labels)
  return keys.length === Object.keys(b.labels).length && keys.every((key) => a.labels[key] === b.labels[key])
}
