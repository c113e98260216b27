/**
 * Cgroup path -> the containers that it names, outermost first. Pure text work in one pass over the path: no I/O, never
 * throws, time linear in the path's length.
 *
 * What comes out are candidates, never facts: anyone who may make a cgroup can give it such a name. The table asks a
 * runtime before anything is believed. Fail direction: a form that is not known gives no candidate; a container of such a
 * runtime is still found by the runtime's own record of its cgroup path.
 */

export type PathRuntime =
  | 'docker'
  | 'buildkit'
  | 'containerd'
  | 'cri-o'
  | 'podman'
  | 'runc'
  | 'k8s'
  | 'kata'
  | 'ecs'
  | 'mesos'
  | 'nomad'
  | 'lxc'
  | 'libvirt-lxc'
  | 'systemd-nspawn'
  | 'garden'
  | 'bpm'

export interface PathCandidate {
  /** `k8s`: a pod's container whose runtime the path does not tell. */
  runtime: PathRuntime
  /** Empty for a pod level without a container below it. */
  id: string
  /** Kubernetes pod uid (dashes) or a static pod's 32 digits, or a Podman pod's id. */
  podUid?: string
  /** Depth of the cgroup that is the container's own: 1 for a child of the root. What lies deeper is inside the container. */
  level: number
  /** The cgroup lies in a subtree that systemd delegates to this user, who can make any name there. */
  delegatedUid?: number
}

const HEX_64 = /^[0-9a-f]{64}$/
const UUID = /^[0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12}$/
/** Of a pod cgroup: `pod<uid>`, `kubepods-burstable-pod<uid>.slice`, `kubelet-kubepods-pod<uid>.slice`, … */
const POD =
  /^(?:(?:kubelet-)?kubepods-(?:besteffort-|burstable-)?)?pod([0-9a-f]{32}|[0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12})(?:\.slice)?$/
const PODMAN_POD = /^(?:machine|user)-libpod_pod_([0-9a-f]{64})\.slice$/
const DELEGATED_USER = /^user@(\d{1,10})\.service$/
const ECS_FARGATE = /^[0-9a-f]{32}-\d{9,10}$/
const NOMAD_TASK = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\.[^/]+$/
const GARDEN = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}$/
const BUILDKIT = /^[0-9a-z]{25}$/
const LIBVIRT_DOMAIN = /^(?:lxc-)?(?:\d+-)?(.+)$/
/** Names that containerd accepts for a container (containerd: identifiers package). */
const CONTAINERD_ID = /^[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*$/
/** Namespaces of containerd's own clients: ctr puts a container at /<namespace>/<id>. Other namespaces are not guessed. */
const CONTAINERD_NAMESPACES = new Set(['default', 'k8s.io', 'moby', 'buildkit'])

const PREFIXES: ReadonlyMap<string, PathRuntime> = new Map([
  ['docker', 'docker'],
  ['cri-containerd', 'containerd'],
  ['nerdctl', 'containerd'],
  ['crio', 'cri-o'],
  ['libpod', 'podman'],
  ['libpod-payload', 'podman'],
  ['runc', 'runc'],
  ['kata', 'kata'],
] as const)

interface State {
  chain: PathCandidate[]
  /** Pod that encloses the segment at hand. */
  podUid: string | undefined
  delegatedUid: number | undefined
  sawUserSlice: boolean
}

/** The candidates of a path as the kernel shows it (`/system.slice/docker-….scope`), outermost first; empty: none. */
export function parseCgroupPath(path: string): PathCandidate[] {
  const state: State = { chain: [], podUid: undefined, delegatedUid: undefined, sawUserSlice: false }
  const segments = path.split('/')
  let level = 0
  for (let index = 0; index < segments.length; index += 1) {
    const segment = segments[index]
    if (segment === undefined || segment === '') continue
    level += 1
    if (segment === 'user.slice' && level === 1) state.sawUserSlice = true
    if (state.sawUserSlice && state.delegatedUid === undefined) {
      const user = DELEGATED_USER.exec(segment)
      if (user?.[1] !== undefined) state.delegatedUid = Number(user[1])
    }
    if (!step(state, segments, index, level)) return state.chain
  }
  return state.chain
}

/** The candidate whose own cgroup this path is (not one above it), or undefined. */
export function leafCandidate(path: string): PathCandidate | undefined {
  const last = parseCgroupPath(path).at(-1)
  return last !== undefined && last.id !== '' && last.level === levelOf(path) ? last : undefined
}

/** Depth of a path: 0 for the root. */
export function levelOf(path: string): number {
  let level = 0
  for (let index = 0; index < path.length; index += 1) {
    if (path[index] === '/' && index + 1 < path.length && path[index + 1] !== '/') level += 1
  }
  return level
}

/** Uid whose delegated subtree the path lies in, or undefined. */
export function delegatedUidOf(path: string): number | undefined {
  if (!path.startsWith('/user.slice/')) return undefined
  for (const segment of path.split('/')) {
    const user = DELEGATED_USER.exec(segment)
    if (user?.[1] !== undefined) return Number(user[1])
  }
  return undefined
}

/**
 * The unit suffixes that systemd gives to what is never a container's own cgroup. Scopes are not among them.
 * A container that is made there all the same is found through its runtime's record.
 */
export function isHostUnit(path: string): boolean {
  const leaf = path.slice(path.lastIndexOf('/') + 1)
  return /\.(?:service|slice|mount|automount|socket|swap|device)$|^(?:init|session-[^/]*)\.scope$/.test(leaf)
}

/** Returns false when what lies deeper says nothing (a monitor's or supervisor's own cgroup). */
function step(state: State, segments: readonly string[], index: number, level: number): boolean {
  const segment = segments[index] ?? ''
  if (isMonitor(segment, segments[index - 1] ?? '')) {
    // The pod above it is not what runs here (a container around the pod is: kind); a supervisor is outside its machine.
    if (state.chain.at(-1)?.id === '' || segment === 'supervisor') state.chain.pop()
    return false
  }
  const pod = POD.exec(segment) ?? PODMAN_POD.exec(segment)
  if (pod?.[1] !== undefined) {
    enterPod(state, segment.includes('libpod_pod_') ? 'podman' : 'k8s', pod[1], level)
    return true
  }
  const named = prefixed(state, segment, level) ?? byParent(state, segments, index) ?? standalone(segment)
  if (named !== undefined) push(state, named.runtime, named.id, level)
  return true
}

/** Conmon, LXC's monitor, nspawn's supervisor, kata's overhead and mount units: the runtime's side, not the container. */
function isMonitor(segment: string, parent: string): boolean {
  return (
    segment.endsWith('.mount') ||
    segment.startsWith('crio-conmon-') ||
    segment.startsWith('libpod-conmon-') ||
    segment.startsWith('lxc.monitor.') ||
    segment.startsWith('kata_overhead') ||
    segment.startsWith('kata-overhead') ||
    (segment === 'conmon' && parent === 'libpod_parent') ||
    (segment === 'supervisor' && parent.startsWith('systemd-nspawn@'))
  )
}

interface Named {
  runtime: PathRuntime
  id: string
}

/** `<prefix>-<64 digits>[.scope]`, `kata_<id>` and the colon form `<slice>:<prefix>:<64 digits>`. */
function prefixed(state: State, segment: string, level: number): Named | undefined {
  const colon = segment.lastIndexOf(':')
  if (colon > 0) {
    const second = segment.lastIndexOf(':', colon - 1)
    const runtime = PREFIXES.get(segment.slice(second + 1, colon))
    const id = segment.slice(colon + 1)
    if (second < 0 || runtime === undefined || !HEX_64.test(id)) return undefined
    const pod = POD.exec(segment.slice(0, second))
    if (pod?.[1] !== undefined) enterPod(state, 'k8s', pod[1], level)
    return { runtime, id }
  }
  const bare = withoutScope(segment)
  const id = bare.slice(-64)
  const runtime = PREFIXES.get(bare.slice(0, -65))
  const separator = bare[bare.length - 65]
  if (runtime !== undefined && (separator === '-' || (separator === '_' && runtime === 'kata')) && HEX_64.test(id)) {
    return { runtime, id }
  }
  return undefined
}

/** Forms that need the segment above to be told. */
function byParent(state: State, segments: readonly string[], index: number): Named | undefined {
  const segment = segments[index] ?? ''
  const parent = segments[index - 1] ?? ''
  const bare = withoutScope(segment)
  if (parent === 'libpod_parent' && HEX_64.test(segment)) {
    state.podUid = segment
    return undefined
  }
  if (segments[1] === 'ecs' && index === 3) {
    if (ECS_FARGATE.test(segment) || HEX_64.test(segment)) return { runtime: 'ecs', id: segment }
  }
  if (HEX_64.test(bare)) {
    if (state.podUid === undefined) return { runtime: 'docker', id: bare }
    return { runtime: state.chain[0]?.runtime === 'ecs' ? 'ecs' : 'k8s', id: bare }
  }
  if (parent === 'buildkit' && BUILDKIT.test(segment)) return { runtime: 'buildkit', id: segment }
  if (parent === 'mesos' && UUID.test(segment)) return { runtime: 'mesos', id: segment }
  if (parent === 'garden' && GARDEN.test(segment)) return { runtime: 'garden', id: segment }
  if (parent === 'lxc' && index === 2 && segments[1] === 'lxc') return { runtime: 'lxc', id: segment }
  if ((segments[1] === 'nomad' || segments[1] === 'nomad.slice') && NOMAD_TASK.test(bare)) {
    return { runtime: 'nomad', id: bare }
  }
  if (index === 2 && CONTAINERD_NAMESPACES.has(parent) && CONTAINERD_ID.test(segment)) {
    return { runtime: 'containerd', id: segment }
  }
  return undefined
}

/** Forms whose name alone tells. */
function standalone(segment: string): Named | undefined {
  if (segment.startsWith('lxc.payload.')) return named('lxc', segment.slice('lxc.payload.'.length))
  if (segment.startsWith('bpm-')) return named('bpm', withoutScope(segment).slice('bpm-'.length))
  if (segment.startsWith('systemd-nspawn@') && segment.endsWith('.service')) {
    return named('systemd-nspawn', unescapeUnit(segment.slice('systemd-nspawn@'.length, -'.service'.length)))
  }
  if (segment.endsWith('.libvirt-lxc')) return named('libvirt-lxc', segment.slice(0, -'.libvirt-lxc'.length))
  if (segment.startsWith('machine-lxc\\x2d') && segment.endsWith('.scope')) {
    const domain = LIBVIRT_DOMAIN.exec(unescapeUnit(segment.slice('machine-'.length, -'.scope'.length)))
    return named('libvirt-lxc', domain?.[1] ?? '')
  }
  return undefined
}

function named(runtime: PathRuntime, id: string): Named | undefined {
  return id === '' ? undefined : { runtime, id }
}

function enterPod(state: State, runtime: PathRuntime, uid: string, level: number): void {
  state.podUid = uid.replaceAll('_', '-')
  if (state.chain.at(-1)?.id === '') state.chain.pop()
  // EKS on Fargate: the pods of a task are that task's, and ECS is what can be asked about them.
  push(state, state.chain[0]?.runtime === 'ecs' ? 'ecs' : runtime, '', level)
}

function push(state: State, runtime: PathRuntime, id: string, level: number): void {
  if (state.chain.at(-1)?.id === '') state.chain.pop()
  const candidate: PathCandidate = { runtime, id, level }
  if (state.podUid !== undefined) candidate.podUid = state.podUid
  if (state.delegatedUid !== undefined) candidate.delegatedUid = state.delegatedUid
  state.chain.push(candidate)
  if (id !== '') state.podUid = undefined // a pod ends at its container: what is nested deeper is no part of it
}

function withoutScope(segment: string): string {
  return segment.endsWith('.scope') ? segment.slice(0, -'.scope'.length) : segment
}

/** systemd's escaping of unit names: `\x2d` is `-`. */
function unescapeUnit(name: string): string {
  return name.replace(/\\x([0-9a-f]{2})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)))
}
